//! Distillation: what later actions and teachers say of the values that stood in a run, as examples for a
//! trained head; and what compressors were asked and wrote, as examples for chat models.

mod export;

use std::collections::HashSet;
use std::hash::BuildHasher;

use aho_corasick::{AhoCorasick, BuildError};

use crate::context::{Features, SeenValue, make_relative};

pub use export::{By, ChatExample, ChatMessage, Epoch, LeftOut, Metadata, Piece, Run, pieces_made, pieces_served};

/// One value as it was seen when an epoch began, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Its features relative to those of its plan.
    pub features: Features,
    /// Whether a later action used it (hindsight).
    pub used: bool,
    /// Whether a teacher's words on these turns hold it; `None` where no teacher ran.
    pub taught: Option<bool>,
    /// Whether the agent had written it before.
    pub said: bool,
}

impl Example {
    /// Returns what a head should answer, 0 to 1: the hindsight, halfway to the teacher's word where there is one.
    #[must_use]
    pub fn target(&self) -> f32 {
        let used = f32::from(u8::from(self.used));
        self.taught.map_or(used, |taught| f32::midpoint(used, f32::from(u8::from(taught))))
    }
}

/// Labels the values of one plan. `later` are the values that the actions after it use; `teacher` is what a model wrote of
/// turns up to and with the named one.
///
/// # Errors
/// Where the later values are too many to be looked for at once.
pub fn examples(
    mut seen: Vec<SeenValue>,
    later: &HashSet<String, impl BuildHasher>,
    teacher: Option<(u32, &str)>,
) -> Result<Vec<Example>, BuildError> {
    make_relative(seen.iter_mut().map(|value| &mut value.features));
    let uses = AhoCorasick::new(later.iter().filter(|value| !value.is_empty()))?;
    let taught = |value: &SeenValue| {
        let (_, words) = teacher.filter(|(until, _)| value.turn <= *until)?;
        Some(words.contains(&value.value))
    };
    Ok(seen
        .iter()
        .map(|value| Example {
            features: value.features,
            used: uses.is_match(&value.value),
            taught: taught(value),
            said: value.said,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests")]

    use super::*;

    #[test]
    fn a_target_lies_between_hindsight_and_teacher() {
        let example = |used, taught| Example { features: [0.0; crate::context::FEATURES], used, taught, said: false };
        assert_eq!(example(true, None).target(), 1.0);
        assert_eq!(example(false, Some(true)).target(), 0.5);
        assert_eq!(example(true, Some(true)).target(), 1.0);
        assert_eq!(example(false, Some(false)).target(), 0.0);
    }
}
