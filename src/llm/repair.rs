//! One more try for a reply that was not accepted.

use tokio_util::sync::CancellationToken;

use super::Backend;
use super::error::{LlmError, Outcome};
use super::prompt::{Attempt, Prompt, Reply};

/// Why a call has no accepted reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepairError {
    /// There is no reply.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// The second reply was not accepted either.
    #[error("the reply was not accepted: {reason}")]
    Rejected {
        /// Why, in the caller's words.
        reason: String,
    },
}

/// The most characters of a rejected reply that the second prompt shows.
const MAX_SHOWN_CHARS: usize = 8000;

impl Backend {
    /// Asks the model, and where `accept` finds the reply wanting once more, with that reply and the reason in
    /// the prompt. The second prompt is longer by both.
    ///
    /// Returns what `accept` made of the reply, with the reply, and all attempts at both calls. The attempt
    /// whose reply was not accepted says so.
    ///
    /// # Errors
    ///
    /// [`RepairError`]
    pub async fn complete_with_repair<T>(
        &self,
        prompt: &Prompt,
        cancelled: &CancellationToken,
        accept: impl Fn(&Reply) -> Result<T, String>,
    ) -> (Result<(T, Reply), RepairError>, Vec<Attempt>) {
        let mut attempts = Vec::new();
        let (reply, reason) = match self.ask(prompt, cancelled, &accept, &mut attempts).await {
            Ok(Verdict::Accepted(value, reply)) => return (Ok((value, reply)), attempts),
            Ok(Verdict::Rejected(reply, reason)) => (reply, reason),
            Err(failure) => return (Err(failure.into()), attempts),
        };
        let second = again(prompt, &reply, &reason);
        let result = match self.ask(&second, cancelled, &accept, &mut attempts).await {
            Ok(Verdict::Accepted(value, reply)) => Ok((value, reply)),
            Ok(Verdict::Rejected(_, reason)) => Err(RepairError::Rejected { reason }),
            Err(failure) => Err(failure.into()),
        };
        (result, attempts)
    }

    async fn ask<T>(
        &self,
        prompt: &Prompt,
        cancelled: &CancellationToken,
        accept: impl Fn(&Reply) -> Result<T, String>,
        attempts: &mut Vec<Attempt>,
    ) -> Result<Verdict<T>, LlmError> {
        let answer = self.complete(prompt, cancelled).await;
        attempts.extend(answer.attempts);
        let reply = answer.result?;
        Ok(match accept(&reply) {
            Ok(value) => Verdict::Accepted(value, reply),
            Err(reason) => {
                if let Some(last) = attempts.last_mut() {
                    last.outcome = Outcome::Unaccepted;
                }
                Verdict::Rejected(reply, reason)
            }
        })
    }
}

enum Verdict<T> {
    Accepted(T, Reply),
    Rejected(Reply, String),
}

fn again(prompt: &Prompt, reply: &Reply, reason: &str) -> Prompt {
    let shown: String = reply.text.chars().take(MAX_SHOWN_CHARS).collect();
    let user = format!(
        "{}\n\nYour last reply was:\n<reply>\n{shown}\n</reply>\n\
         It cannot be used: {reason}\nWrite the whole reply again, without that fault. Write nothing else.",
        prompt.user
    );
    Prompt { user, ..prompt.clone() }
}
