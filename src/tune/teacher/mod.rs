//! Models asked why runs lose under compression, and for a better guideline (ACON's utility and compression steps).
//!
//! `cases` puts what is asked about into words, `analyses` and `candidates` ask, `account` says what that cost. What is
//! returned is stored by the caller, analysis by analysis: asked again with what is known, nothing is paid for twice.

mod account;
mod analyses;
mod candidates;
mod cases;
mod served;

use std::sync::{Arc, Mutex, PoisonError};

use recap_core::prompt::Prompt;
use recap_core::tokens::Counter;
use recap_core::tuning::analyse::{Rejection, failure};
use tokio_util::sync::CancellationToken;

pub use account::{Account, Limits, Stopped};
pub use analyses::{Analysed, Case, Found};
pub use candidates::{Champion, Proposed, Proposing};
pub use cases::{contrast_of_losses, contrast_of_runs, spare_of_run};

use crate::llm::{Attempt, Purpose};
use crate::pipeline::compress::{Compressors, Unmade};
use crate::pipeline::guidelines::{Guidelines, Kind, Steering};

/// Tokens of a reply's words, as guidelines tell them.
const REPLY_TOKENS: u32 = 900;

/// Who asks, and under what.
pub struct Teacher {
    compressors: Compressors,
    analyse: Steering,
    propose: Steering,
    counter: Counter,
}

impl Teacher {
    /// Returns `None` where there is no chat model, or no guideline for one of the steps.
    #[must_use]
    pub fn new(
        compressors: &Compressors,
        guidelines: &Guidelines,
        set: Option<&str>,
        counter: &Counter,
    ) -> Option<Self> {
        compressors.chats().next()?;
        Some(Self {
            compressors: compressors.clone(),
            analyse: guidelines.champion(set, Kind::Analyse)?,
            propose: guidelines.champion(set, Kind::Propose)?,
            counter: Arc::clone(counter),
        })
    }

    /// Names who analyses: the guideline and the models (law 12).
    #[must_use]
    pub fn analysts(&self) -> Vec<String> {
        self.makers(&self.analyse)
    }

    /// Names who proposes: the guideline and the models (law 12).
    #[must_use]
    pub fn proposers(&self) -> Vec<String> {
        self.makers(&self.propose)
    }

    fn makers(&self, steering: &Steering) -> Vec<String> {
        let place = steering.label.split('@').next().unwrap_or_default();
        let guideline = format!("{place}@{}", steering.hash);
        std::iter::once(guideline).chain(self.compressors.chats().map(|chat| format!("llm:{}", chat.label()))).collect()
    }

    fn instructions(&self) -> Result<String, String> {
        let most = REPLY_TOKENS.min(self.compressors.reply_tokens()).to_string();
        self.analyse.guideline.render_body(&failure::variables(&most)).map_err(|error| error.to_string())
    }

    /// Asks the models. A reply that cannot stand is told with what may be kept of the reason.
    async fn ask<T>(
        &self,
        (purpose, schema): (Purpose, &str),
        prompt: Prompt,
        cancelled: &CancellationToken,
        accept: impl Fn(&str) -> Result<T, Rejection>,
    ) -> (Result<(T, String), Unmade>, Vec<Attempt>) {
        let kept = Mutex::new(None);
        let accept = |reply: &str| {
            accept(reply).map_err(|rejection| {
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(rejection.kept());
                rejection.to_string()
            })
        };
        let (answer, attempts) = self.compressors.ask(purpose, schema, prompt, cancelled, accept).await;
        let kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        let answer = answer.map_err(|unmade| match (unmade, kept) {
            (Unmade::Never(_), Some(why)) => Unmade::Never(format!("the reply was not accepted: {why}")),
            (unmade, _) => unmade,
        });
        (answer, attempts)
    }

    /// Head and tail of a text.
    fn cut(&self, text: &str, most_tokens: u32) -> String {
        recap_core::compress::cut_head_tail(text, most_tokens, &*self.counter)
    }
}
