//! The guidelines that steered what is exported, by the label that a compression bears.

use std::collections::HashMap;
use std::sync::Arc;

use recap_core::compress::Guideline;

use crate::pipeline::Pipeline;
use crate::pipeline::failure::Failure;
use crate::pipeline::guidelines::{GuidelineSet, Kind, Steering};

/// Guidelines by label, as in `coding/history@b3:0123abcd`.
#[derive(Debug, Clone, Default)]
pub struct Library(HashMap<String, Arc<Guideline>>);

impl Library {
    /// Takes the guidelines of a set.
    #[must_use]
    pub fn of_set(set: &GuidelineSet) -> Self {
        let both = [&set.observation, &set.history];
        Self(both.map(|steering| (steering.label.clone(), Arc::clone(&steering.guideline))).into())
    }

    /// Takes every stored version. One that cannot be read any more is left out.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn stored(pipeline: &Pipeline) -> Result<Self, Failure> {
        let versions = pipeline.store().guideline_versions(None).await?;
        let read = versions.iter().filter_map(|version| {
            let steering = Steering::read(&version.key.set, Kind::of(&version.key.kind)?, &version.text).ok()?;
            Some((steering.label, steering.guideline))
        });
        Ok(Self(read.collect()))
    }

    /// Returns the guideline with a label.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<&Guideline> {
        self.0.get(label).map(AsRef::as_ref)
    }
}
