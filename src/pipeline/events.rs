//! What happens to trajectories, told to whoever listens: one bounded channel for each trajectory listened to.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::broadcast;

/// One thing that happened to a trajectory.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Messages were stored.
    Appended {
        /// How many.
        appended: u64,
        /// Messages now stored.
        length: u64,
        /// Tokens of the new ones.
        tokens: u64,
    },
    /// A background job has a model at work on it. One of the next two follows, unless the daemon stops.
    Compressing {
        /// The kind of the job: `compress_history` or `compress_observations`.
        job: String,
    },
    /// What the model made is stored; it stands from the next epoch on.
    Compressed {
        /// The kind of the job.
        job: String,
        /// Who made it, as receipts show it.
        compressor: String,
    },
    /// The model made nothing that can be used, now or at all: rules serve.
    CompressionFailed {
        /// The kind of the job.
        job: String,
        /// Why.
        reason: String,
    },
    /// A new epoch began.
    Epoch {
        /// The line of reads.
        line: String,
        /// Its number on that line.
        epoch: u32,
    },
    /// The outcome was told.
    Outcome {
        /// Its status.
        status: String,
    },
    /// The trajectory was erased; the stream ends.
    Deleted,
}

impl Event {
    /// Returns the name that stands in the stream's `event` field.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Appended { .. } => "appended",
            Self::Compressing { .. } => "compressing",
            Self::Compressed { .. } => "compressed",
            Self::CompressionFailed { .. } => "compression_failed",
            Self::Epoch { .. } => "epoch",
            Self::Outcome { .. } => "outcome",
            Self::Deleted => "deleted",
        }
    }
}

/// The channels of all trajectories that somebody listens to.
#[derive(Debug)]
pub struct Events {
    buffer: usize,
    channels: Mutex<HashMap<String, broadcast::Sender<Event>>>,
}

impl Events {
    /// Makes none; each channel will hold `buffer` events for slow listeners.
    #[must_use]
    pub fn new(buffer: usize) -> Self {
        Self { buffer, channels: Mutex::new(HashMap::new()) }
    }

    /// Listens to a trajectory from now on.
    pub fn listen(&self, trajectory: &str) -> broadcast::Receiver<Event> {
        let mut channels = self.lock();
        channels.retain(|_, sender| sender.receiver_count() > 0);
        channels.entry(trajectory.to_owned()).or_insert_with(|| broadcast::Sender::new(self.buffer)).subscribe()
    }

    /// Tells an event to whoever listens.
    pub fn tell(&self, trajectory: &str, event: Event) {
        let mut channels = self.lock();
        let gone = channels.get(trajectory).is_some_and(|sender| sender.send(event).is_err());
        if gone {
            channels.remove(trajectory);
        }
    }

    /// The map is whole after a panic elsewhere: each change is one call.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, broadcast::Sender<Event>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
