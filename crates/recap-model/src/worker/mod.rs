//! One thread for each model. Async callers hand it work through a bounded queue and await the answer; nothing here
//! knows what the model is.

mod ask;
mod health;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::ModelError;
use ask::{Ask, Question};
pub use health::Health;

/// A handle on the thread that owns a model of type `M`. Cheap to clone; the thread ends when the last handle is gone
/// or [`ModelThread::stop`] is called.
///
/// The model is made on its own thread and never leaves it, so `M` need not be `Send`. Requests are answered one after
/// the other. Those that come while the model is being loaded wait for it.
pub struct ModelThread<M> {
    inner: Arc<Inner<M>>,
}

struct Inner<M> {
    /// `None` once the thread was told to end.
    queue: Mutex<Option<mpsc::Sender<Box<dyn Question<M>>>>>,
    stopping: Arc<AtomicBool>,
    health: watch::Receiver<Health>,
}

impl<M: 'static> ModelThread<M> {
    /// Starts a thread called `name` that loads the model and then answers requests, of which at most `queue` wait
    /// (at least one). Returns before the model is loaded: see [`ModelThread::health`].
    ///
    /// # Errors
    ///
    /// [`ModelError::Thread`] if the system gives no thread. What goes wrong in `load` is told by [`Health::Failed`].
    pub fn spawn<L>(name: &str, queue: usize, load: L) -> Result<Self, ModelError>
    where
        L: FnOnce() -> Result<M, ModelError> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let (health_sender, health) = watch::channel(Health::Loading);
        let stopping = Arc::new(AtomicBool::new(false));
        let owner =
            Owner { name: name.to_owned(), queue: receiver, stopping: Arc::clone(&stopping), health: health_sender };
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || owner.work(load))
            .map_err(ModelError::Thread)?;
        Ok(Self { inner: Arc::new(Inner { queue: Mutex::new(Some(sender)), stopping, health }) })
    }

    /// Runs `work` on the model's thread and returns its result.
    ///
    /// `work` gets the model and a function that says whether the answer is still wanted; long work calls it between
    /// its steps and returns [`ModelError::Cancelled`] when it is not. Dropping the returned future cancels: work that
    /// has not begun never begins.
    ///
    /// # Errors
    ///
    /// - [`ModelError::Busy`], at once, if the queue is full.
    /// - [`ModelError::Failed`] if the model could not be loaded, or panicked in this or an earlier request.
    /// - [`ModelError::Stopped`] if the thread was told to end.
    /// - Whatever `work` returns; such an error does not hurt the model.
    pub async fn ask<T, W>(&self, work: W) -> Result<T, ModelError>
    where
        T: Send + 'static,
        W: FnOnce(&mut M, &dyn Fn() -> bool) -> Result<T, ModelError> + Send + 'static,
    {
        let answer = self.submit(work)?;
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    fn submit<T, W>(&self, work: W) -> Result<oneshot::Receiver<Result<T, ModelError>>, ModelError>
    where
        T: Send + 'static,
        W: FnOnce(&mut M, &dyn Fn() -> bool) -> Result<T, ModelError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let guard = self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = guard.as_ref().ok_or(ModelError::Stopped)?;
        match queue.try_send(Box::new(Ask::new(work, sender))) {
            Ok(()) => Ok(receiver),
            Err(TrySendError::Full(_)) => Err(ModelError::Busy { waiting: queue.max_capacity() }),
            Err(TrySendError::Closed(_)) => Err(self.gone()),
        }
    }

    /// Returns why nobody answers any more.
    fn gone(&self) -> ModelError {
        match self.health() {
            Health::Failed { why } => ModelError::Failed { why },
            Health::Loading | Health::Ready | Health::Stopped => ModelError::Stopped,
        }
    }

    /// Returns the model's state, without waiting.
    #[must_use]
    pub fn health(&self) -> Health {
        self.inner.health.borrow().clone()
    }

    /// Waits until the model is loaded.
    ///
    /// # Errors
    ///
    /// [`ModelError::Failed`] if it could not be loaded, [`ModelError::Stopped`] if the thread was told to end.
    pub async fn ready(&self) -> Result<(), ModelError> {
        let mut health = self.inner.health.clone();
        match health.wait_for(|now| *now != Health::Loading).await.as_deref() {
            Ok(Health::Ready) => Ok(()),
            _ => Err(self.gone()),
        }
    }

    /// Tells the thread to end and waits until it has. Requests that wait, and later ones, get
    /// [`ModelError::Stopped`]; the work in hand sees that it is no longer wanted.
    pub async fn stop(&self) {
        self.inner.stopping.store(true, Ordering::Relaxed);
        drop(self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut health = self.inner.health.clone();
        // the sender is dropped when the thread ends
        while health.changed().await.is_ok() {}
    }
}

impl<M> Clone for ModelThread<M> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<M> std::fmt::Debug for ModelThread<M> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("ModelThread").field("health", &*self.inner.health.borrow()).finish_non_exhaustive()
    }
}

/// What the thread has.
struct Owner<M> {
    name: String,
    queue: mpsc::Receiver<Box<dyn Question<M>>>,
    stopping: Arc<AtomicBool>,
    health: watch::Sender<Health>,
}

impl<M> Owner<M> {
    fn work(mut self, load: impl FnOnce() -> Result<M, ModelError>) {
        let failure = match catch_unwind(AssertUnwindSafe(load)) {
            Ok(Ok(model)) => {
                self.health.send_replace(Health::Ready);
                self.answer(model)
            }
            Ok(Err(error)) => Some(self.fail(error.to_string())),
            Err(payload) => Some(self.fail(panic_message(&*payload))),
        };
        if let Some(why) = failure {
            self.refuse(|| ModelError::Failed { why: why.clone() });
        } else {
            self.refuse(|| ModelError::Stopped);
            self.health.send_replace(Health::Stopped);
        }
    }

    /// Answers until the queue is closed or the model panics; returns the panic's message.
    fn answer(&mut self, mut model: M) -> Option<String> {
        while let Some(question) = self.queue.blocking_recv() {
            if self.stopping.load(Ordering::Relaxed) {
                question.refuse(ModelError::Stopped);
            } else if question.is_wanted() {
                let stopping = || self.stopping.load(Ordering::Relaxed);
                let panicked = question.answer(&mut model, &stopping, &|why| {
                    self.fail(why);
                });
                if panicked.is_some() {
                    return panicked;
                }
            }
        }
        None
    }

    fn fail(&self, why: String) -> String {
        tracing::error!(model = self.name, why, "a model has failed");
        self.health.send_replace(Health::Failed { why: why.clone() });
        why
    }

    fn refuse(&mut self, error: impl Fn() -> ModelError) {
        while let Some(question) = self.queue.blocking_recv() {
            question.refuse(error());
        }
    }
}

/// Returns the message of a panic, as far as it has one.
fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("without a message"))
}
