//! One live trajectory: its record, its session in the core, its sums.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use recap_core::context::{Admitted, Compression, Handles, Session, Settings, addresses};
use recap_core::tokens::Counter;
use recap_core::trajectory::{
    AgentKind, Block, Edits, Limits, Message, OriginalHash, WireFormat, count_message, parse_messages,
};
use serde_json::value::RawValue;

use super::failure::Failure;
use super::guidelines::GuidelineSet;
use super::lessons::Meant;
use super::policy::{self, Effective};
use super::repeats::Repeats;
use super::serve_context::record_of;
use super::sessions::Slot;
use super::settings::settings;
use super::tally::Sums;
use super::{Inner, Pipeline, compute};
use crate::config::Policy;
use crate::store::{Engine, MessageRow, StoreError, TrajectoryRow};

/// Messages read at once while a trajectory is loaded.
const LOAD_CHUNK: u64 = 2_000;

/// The live state of one trajectory.
pub struct Live {
    /// Its record; `length`, `version` and `full_tokens` are those of the session.
    pub row: TrajectoryRow,
    /// What its policy makes of the configuration.
    pub held: Effective,
    /// Its tokenizer.
    pub counter: Counter,
    /// The core's state.
    pub session: Session,
    /// What its steps cost.
    pub sums: Sums,
    /// Answers that hold until something changes.
    pub repeats: Repeats,
    /// How many epochs and compressions are stored for it.
    pub derived: u64,
    /// Whether its next epoch is being prepared.
    pub preparing: bool,
    /// The lines and turns from which on models were asked to prepare it.
    pub asked: HashSet<(String, Option<AgentKind>, u32)>,
    /// The guidelines that steer it.
    pub guidelines: Arc<GuidelineSet>,
    /// What an encoder makes of its words.
    pub meant: Meant,
}

impl Live {
    /// Takes messages that were stored.
    pub fn append(&mut self, messages: Vec<Admitted>) {
        for admitted in &messages {
            self.sums.message(self.row.length, admitted.message.role, admitted.tokens);
            self.row.length += 1;
            self.row.full_tokens += u64::from(admitted.tokens);
        }
        self.session.append(messages);
        self.repeats.clear();
    }

    /// Takes a changed record: settings act at the next epoch.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreadable`] where the stored policy means nothing.
    pub fn set_row(&mut self, row: TrajectoryRow, inner: &Inner) -> Result<(), Failure> {
        self.held = held(&row, inner)?;
        self.guidelines = set_of(&row, inner);
        self.session.set_settings(settings_of(&row, &self.held, &self.counter, &self.guidelines)?);
        self.row = row;
        self.repeats.clear();
        Ok(())
    }

    /// Returns the tokens above which a model shortens a result.
    #[must_use]
    pub fn t_obs(&self) -> u32 {
        self.held.t_obs.under(self.guidelines.observation.guideline.thresholds.t_obs)
    }

    /// Returns the budget of reads that name none.
    #[must_use]
    pub fn budget(&self) -> u32 {
        self.row.budget.and_then(|budget| u32::try_from(budget).ok()).unwrap_or(self.held.budget)
    }
}

fn held(row: &TrajectoryRow, inner: &Inner) -> Result<Effective, Failure> {
    let policy = match &row.policy {
        None => Policy::default(),
        Some(policy) => {
            serde_json::from_value(policy.clone()).map_err(|_| StoreError::Unreadable("a trajectory's policy"))?
        }
    };
    Ok(policy::held(&policy, &row.namespace, row.agent.as_deref(), &inner.config))
}

fn settings_of(
    row: &TrajectoryRow,
    held: &Effective,
    counter: &Counter,
    guidelines: &GuidelineSet,
) -> Result<Settings, Failure> {
    settings(guidelines, counter.clone(), held, row.tools.as_deref(), Handles::Shown)
}

/// Returns what steers a trajectory: the set that its record names, or the default one where it is not there any more.
fn set_of(row: &TrajectoryRow, inner: &Inner) -> Arc<GuidelineSet> {
    steering_of(row, inner).unwrap_or_else(|| {
        tracing::warn!(trajectory = row.id, set = row.guideline_set, "no such guideline set: the default one steers");
        metrics::counter!("recapd_guideline_sets_missing_total").increment(1);
        inner.guidelines.default_set()
    })
}

fn steering_of(row: &TrajectoryRow, inner: &Inner) -> Option<Arc<GuidelineSet>> {
    inner.guidelines.for_trajectory(row.guideline_set.as_deref(), &row.id)
}

impl Pipeline {
    /// Waits for a trajectory's turn and takes its live state, loaded and up to date. Who puts nothing back
    /// makes the next one load it anew.
    pub(super) async fn take(&self, id: &str) -> Result<(Slot, Live), Failure> {
        let mut slot = self.inner.sessions.slot(id).await;
        let live = match slot.take() {
            Some(live) if !self.is_steered_as_now(&live) => self.load(id).await,
            Some(live) if self.inner.store.engine() == Engine::Sqlite => Ok(live),
            Some(live) => self.caught_up(live).await,
            None => self.load(id).await,
        };
        match live {
            Ok(live) => Ok((slot, live)),
            Err(failure) => {
                self.inner.sessions.give_back(id, slot);
                Err(failure)
            }
        }
    }

    /// Tells whether a live trajectory follows the guidelines of now. Where it does not, its epochs end.
    pub(super) fn is_steered_as_now(&self, live: &Live) -> bool {
        let now = steering_of(&live.row, &self.inner).unwrap_or_else(|| self.inner.guidelines.default_set());
        Arc::ptr_eq(&now, &live.guidelines) || now.is_same(&live.guidelines)
    }

    /// Another daemon may have written: then all is loaded anew.
    async fn caught_up(&self, live: Live) -> Result<Live, Failure> {
        let id = live.row.id.clone();
        let row = self.inner.store.trajectory(&id).await?.ok_or_else(|| Failure::no_trajectory(&id))?;
        let is_same = row.version == live.row.version && self.inner.store.derived_rows(&id).await? == live.derived;
        if is_same { Ok(live) } else { self.load(&id).await }
    }

    /// Loads a trajectory's state from the store.
    pub(super) async fn load(&self, id: &str) -> Result<Live, Failure> {
        let row = self.inner.store.trajectory(id).await?.ok_or_else(|| Failure::no_trajectory(id))?;
        let counter = self.inner.counters.of(row.model.as_deref());
        let held = held(&row, &self.inner)?;
        let guidelines = set_of(&row, &self.inner);
        let session = Session::new(settings_of(&row, &held, &counter, &guidelines)?);
        let length = row.length;
        let empty = TrajectoryRow { length: 0, full_tokens: 0, ..row };
        let mut live = Live {
            row: empty,
            held,
            counter,
            session,
            sums: Sums::default(),
            repeats: Repeats::default(),
            derived: 0,
            preparing: false,
            asked: HashSet::new(),
            guidelines,
            meant: Meant::default(),
        };
        while live.row.length < length {
            let end = length.min(live.row.length + LOAD_CHUNK);
            let rows = self.inner.store.messages(id, live.row.length..end).await?;
            if rows.is_empty() {
                return Err(StoreError::Unreadable("a trajectory with fewer messages than its length").into());
            }
            live = compute(usize::MAX, move || live.readmitted(rows)).await??;
        }
        live.derived = self.inner.store.derived_rows(id).await?;
        for made in self.compressions(id).await? {
            live.session.take(made);
        }
        // The newest epoch of each line comes last.
        for epoch in self.inner.store.epochs(id, None).await? {
            live.session.install_epoch(record_of(&epoch)?);
        }
        Ok(live)
    }
}

impl Pipeline {
    /// Returns all messages of a trajectory that was loaded, as they were admitted.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub(super) async fn admitted(&self, id: &str, live: &Live) -> Result<Vec<Admitted>, Failure> {
        let mut admitted = Vec::new();
        while (admitted.len() as u64) < live.row.length {
            let from = admitted.len() as u64;
            let rows = self.inner.store.messages(id, from..live.row.length.min(from + LOAD_CHUNK)).await?;
            if rows.is_empty() {
                return Err(StoreError::Unreadable("a trajectory with fewer messages than its length").into());
            }
            for row in rows {
                admitted.push(readmit_row(row, &live.counter)?);
            }
        }
        Ok(admitted)
    }
}

impl Pipeline {
    /// What models made for a trajectory, recaps in the order of their turns.
    pub(super) async fn compressions(&self, id: &str) -> Result<Vec<Compression>, Failure> {
        let rows = self.inner.store.compressions(id).await?;
        let read = |row: &String| serde_json::from_str(row).map_err(|_| StoreError::Unreadable("a compression"));
        let mut made = rows.iter().map(read).collect::<Result<Vec<Compression>, _>>()?;
        made.sort_by_key(|made| match made {
            Compression::Told(told) => told.turns[0],
            Compression::Condensed(_) | Compression::Scored(_) => 0,
        });
        Ok(made)
    }
}

impl Live {
    fn readmitted(mut self, rows: Vec<MessageRow>) -> Result<Self, Failure> {
        let admitted = rows.into_iter().map(|row| readmit_row(row, &self.counter)).collect::<Result<Vec<_>, _>>()?;
        self.append(admitted);
        Ok(self)
    }
}

/// Restores what was decided on admission; only texts that were rewritten are counted again.
fn readmit_row(row: MessageRow, counter: &Counter) -> Result<Admitted, Failure> {
    let message = reparse(&row)?;
    let originals = stored_addresses(&message, &row.originals);
    let texts: HashMap<usize, Arc<str>> =
        row.admitted.into_iter().map(|(block, text)| (block as usize, text)).collect();
    let saved = texts.iter().map(|(block, text)| saved_tokens(&message, *block, text, counter)).sum();
    Ok(Admitted {
        tokens: row.tokens,
        served_tokens: row.tokens.saturating_sub(saved),
        reformatted: (!texts.is_empty()).then(|| Edits { texts, ..Edits::default() }),
        unknown_images: unknown_images(&message, counter),
        pinned: row.pinned,
        originals,
        message,
    })
}

/// Returns the addresses that were stored with a message, where they are those of its texts.
fn stored_addresses(message: &Message, stored: &[(OriginalHash, Arc<str>)]) -> Arc<[OriginalHash]> {
    if message.originals().eq(stored.iter().map(|(_, text)| text)) {
        stored.iter().map(|(hash, _)| *hash).collect()
    } else {
        addresses(message)
    }
}

fn saved_tokens(message: &Message, block: usize, text: &str, counter: &Counter) -> u32 {
    match message.blocks.get(block) {
        Some(Block::Observation(observation)) => counter.count(&observation.text).saturating_sub(counter.count(text)),
        _ => 0,
    }
}

fn unknown_images(message: &Message, counter: &Counter) -> u32 {
    let may_have = message.blocks.iter().any(|block| match block {
        Block::Image(_) | Block::Other(_) => true,
        Block::Observation(observation) => !observation.images.is_empty(),
        Block::Text(_) | Block::Call(_) | Block::Thinking(_) => false,
    });
    if may_have { count_message(message, counter.as_ref()).unknown_images } else { 0 }
}

/// Reads a stored message again: what was accepted once is accepted under no limits.
fn reparse(row: &MessageRow) -> Result<Message, Failure> {
    let limits = Limits { depth: 120, messages: 1, message_bytes: usize::MAX, total_bytes: usize::MAX };
    let unreadable = || Failure::from(StoreError::Unreadable("a message's JSON"));
    let raw: &RawValue = serde_json::from_str(&row.native).map_err(|_| unreadable())?;
    let format: WireFormat = row.format;
    let parsed = parse_messages(format, &[raw], &limits).map_err(|_| unreadable())?;
    parsed.into_iter().next().ok_or_else(unreadable)
}
