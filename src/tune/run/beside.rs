//! What steers and scores beside the guideline that is tuned, and stays as it was when the run was made.

use std::sync::Arc;

use recap_core::context::ActiveHead;
use serde::{Deserialize, Serialize};

use super::error::RunError;
use crate::pipeline::Pipeline;

/// The guideline of a set that stays as it is while another one is tuned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beside {
    pub set: String,
    pub kind: String,
    pub hash: String,
    /// The head that scored lines when the run was made.
    #[serde(default)]
    pub scorer: Scorer,
}

/// Which head scores lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scorer {
    /// The one of now: a run of an earlier version did not say.
    #[default]
    Unnoted,
    /// None.
    None,
    /// The one with this hash.
    Head(String),
}

impl Scorer {
    pub fn of(head: Option<&ActiveHead>) -> Self {
        head.map_or(Self::None, |head| Self::Head(head.hash.to_string()))
    }

    /// Returns the head, from the store where another one scores by now.
    ///
    /// # Errors
    ///
    /// [`RunError::NoHead`]; [`RunError::Store`]
    pub async fn head(&self, pipeline: &Pipeline) -> Result<Option<Arc<ActiveHead>>, RunError> {
        let current = pipeline.guidelines().default_set().head.clone();
        let wanted = match self {
            Self::Unnoted => return Ok(current),
            Self::None => return Ok(None),
            Self::Head(hash) => hash,
        };
        if current.as_ref().is_some_and(|head| head.hash.to_string() == *wanted) {
            return Ok(current);
        }
        let none = || RunError::NoHead(wanted.clone());
        let weights = pipeline.store().head_weights(&wanted.parse().map_err(|_| none())?).await?.ok_or_else(none)?;
        let text = String::from_utf8(weights).map_err(|_| none())?;
        Ok(Some(Arc::new(ActiveHead::parse(&text).map_err(|_| none())?)))
    }
}
