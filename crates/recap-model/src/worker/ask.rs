//! A request on its way to the model's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::panic_message;
use crate::ModelError;

/// A request whose answer's type is forgotten, so that one queue holds all of them.
pub(super) trait Question<M>: Send {
    /// Returns whether somebody still waits for the answer.
    fn is_wanted(&self) -> bool;

    /// Does the work and sends the answer. If the work panics, `fail` hears the message before the caller does, and
    /// the message is returned.
    fn answer(self: Box<Self>, model: &mut M, stopping: &dyn Fn() -> bool, fail: &dyn Fn(String)) -> Option<String>;

    /// Answers without the model.
    fn refuse(self: Box<Self>, error: ModelError);
}

pub(super) struct Ask<W, T> {
    work: W,
    answer: oneshot::Sender<Result<T, ModelError>>,
}

impl<W, T> Ask<W, T> {
    pub(super) fn new(work: W, answer: oneshot::Sender<Result<T, ModelError>>) -> Self {
        Self { work, answer }
    }
}

impl<M, W, T> Question<M> for Ask<W, T>
where
    T: Send,
    W: FnOnce(&mut M, &dyn Fn() -> bool) -> Result<T, ModelError> + Send,
{
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn answer(self: Box<Self>, model: &mut M, stopping: &dyn Fn() -> bool, fail: &dyn Fn(String)) -> Option<String> {
        let Self { work, answer } = *self;
        let wanted = || !answer.is_closed() && !stopping();
        match catch_unwind(AssertUnwindSafe(|| work(model, &wanted))) {
            Ok(result) => {
                // cut short by the stop, not by its caller
                let result = match result {
                    Err(ModelError::Cancelled) if stopping() => Err(ModelError::Stopped),
                    other => other,
                };
                send(answer, result);
                None
            }
            Err(payload) => {
                let why = panic_message(&*payload);
                fail(why.clone());
                send(answer, Err(ModelError::Failed { why: why.clone() }));
                Some(why)
            }
        }
    }

    fn refuse(self: Box<Self>, error: ModelError) {
        send(self.answer, Err(error));
    }
}

fn send<T>(answer: oneshot::Sender<Result<T, ModelError>>, result: Result<T, ModelError>) {
    if answer.send(result).is_err() {
        tracing::debug!("an answer of a model came when nobody waited any more");
    }
}
