//! Models asked why runs lose under compression, and for a better guideline (ACON's utility and compression steps).
//!
//! `cases` puts what is asked about into words, `analyses` and `candidates` ask, `account` says what that cost. What is
//! returned is stored by the caller, analysis by analysis: asked again with what is known, nothing is paid for twice.

mod account;
mod analyses;
mod candidates;
mod cases;
mod served;

use std::sync::Arc;

use recap_core::tokens::Counter;
use recap_core::tuning::analyse::failure;

pub use account::{Account, Limits, Stopped};
pub use analyses::{Analysed, Case, Found};
pub use candidates::{Champion, Proposed, Proposing};
pub use cases::{contrast_of_losses, contrast_of_runs, spare_of_run};

use crate::pipeline::compress::Compressors;
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

    /// Head and tail of a text.
    fn cut(&self, text: &str, most_tokens: u32) -> String {
        recap_core::compress::cut_head_tail(text, most_tokens, &*self.counter)
    }
}
