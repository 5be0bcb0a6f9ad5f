//! What operators do with trained heads: look, activate, roll back.

use std::sync::Arc;

use recap_core::context::ActiveHead;
use recap_core::trajectory::OriginalHash;
use serde_json::json;

use super::Pipeline;
use super::failure::Failure;
use super::keys::Caller;
use crate::config::Compressor;
use crate::store::{Expected, HeadChange, HeadError, HeadEvent, HeadRow, HeadState, HeadStep, Measured, StoreError};

/// Steps that are shown of the heads' life.
const MOST_EVENTS: usize = 100;

/// All heads and which of them scores.
#[derive(Debug, Clone)]
pub struct Heads {
    /// Which of them scores.
    pub state: HeadState,
    /// The heads, newest first.
    pub heads: Vec<HeadRow>,
    /// What happened to them, newest first.
    pub events: Vec<HeadEvent>,
}

impl Pipeline {
    /// Returns all heads.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn heads(&self) -> Result<Heads, Failure> {
        let (state, heads) = (self.store().head_state().await?, self.store().heads().await?);
        Ok(Heads { state, heads, events: self.store().head_events(MOST_EVENTS).await? })
    }

    /// Returns one head.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn head(&self, hash: &OriginalHash) -> Result<HeadRow, Failure> {
        self.store().head(hash).await?.ok_or_else(|| no_head(hash))
    }

    /// Makes a head the champion: it scores lines from the next epoch on.
    ///
    /// # Errors
    ///
    /// [`Failure::Champion`] if the champion is not the expected one; [`Failure::Gate`] if no gate let it pass;
    /// [`Failure::NotFound`], [`Failure::Namespace`].
    pub async fn activate_head(
        &self,
        caller: &Caller,
        hash: OriginalHash,
        expected: Expected,
    ) -> Result<HeadState, Failure> {
        let measured = self.head(&hash).await?.measured;
        let before = match expected {
            Expected::Champion(champion) => champion,
            Expected::Measured => measured.and_then(Measured::champion),
        };
        let state = self.change_head(caller, HeadStep::Activate { hash, expected }, &hash).await?;
        let detail = json!({ "before": before });
        self.audit(caller, None, "head.activate", &hash.to_string(), detail).await?;
        Ok(state)
    }

    /// Brings the champion before this one back, or none if there was none.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] where no head was ever activated; [`Failure::Namespace`].
    pub async fn roll_back_head(&self, caller: &Caller) -> Result<HeadState, Failure> {
        let before = self.store().head_state().await?.champion;
        let named = before.unwrap_or_else(|| OriginalHash::of(""));
        let state = self.change_head(caller, HeadStep::Rollback, &named).await?;
        let detail = json!({ "before": before, "after": state.champion });
        self.audit(caller, None, "head.rollback", "heads", detail).await?;
        Ok(state)
    }

    async fn change_head(&self, caller: &Caller, step: HeadStep, hash: &OriginalHash) -> Result<HeadState, Failure> {
        // a head scores in every namespace
        if caller.namespace.is_some() {
            return Err(Failure::Namespace("*".to_owned()));
        }
        let change = HeadChange { actor: caller.actor.clone(), at_ms: self.world().now_ms(), step };
        let state = self.store().change_head(change).await.map_err(|error| match error {
            HeadError::Champion { current } => Failure::Champion { current },
            HeadError::NotPassed => Failure::Gate { reason: format!("head `{hash}` has no verdict that says so") },
            HeadError::NoHead => no_head(hash),
            HeadError::NoEarlier | HeadError::TooLarge => Failure::field("", error.to_string()),
            HeadError::Store(error) => Failure::Store(error),
        })?;
        self.take_up_head().await?;
        Ok(state)
    }

    /// Takes up the head that the store names, so that it has its word from the next epochs on. One that this program cannot
    /// read is told and passed over: none scores then.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn take_up_head(&self) -> Result<(), StoreError> {
        let champion = self.store().head_state().await?.champion;
        if self.guidelines().default_set().head.as_ref().map(|head| head.hash) == champion {
            return Ok(());
        }
        let head = match champion {
            Some(hash) => self.read_head(&hash).await?,
            None => None,
        };
        self.guidelines().set_head(head.map(Arc::new));
        Ok(())
    }

    /// Says in the log where `extract` is to choose what old turns keep and nothing scores: then rules serve.
    pub fn warn_of_nothing_that_scores(&self) {
        let config = self.config();
        let scores = config.models.reranker.is_some() || self.guidelines().default_set().head.is_some();
        if config.compress.history == Compressor::Extract && !scores {
            tracing::warn!(
                "compress.history is `extract`, but there is no reranker and no head is active: rules serve"
            );
        }
    }

    async fn read_head(&self, hash: &OriginalHash) -> Result<Option<ActiveHead>, StoreError> {
        let Some(weights) = self.store().head_weights(hash).await? else { return Ok(None) };
        let read = String::from_utf8(weights).map_err(|error| error.to_string());
        match read.and_then(|text| ActiveHead::parse(&text).map_err(|error| error.to_string())) {
            Ok(head) => Ok(Some(head)),
            Err(error) => {
                tracing::error!(%hash, error, "the head that should score cannot be read: none scores");
                Ok(None)
            }
        }
    }
}

fn no_head(hash: &OriginalHash) -> Failure {
    Failure::NotFound(format!("head `{hash}`"))
}
