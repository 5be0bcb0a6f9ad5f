//! Front matter as it is written, and what of it can be checked without the body.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Caps, Favour, GuidelineKind, NameRules, Pattern, RulesError, Weigh};

/// The most sections that a guideline asks for.
const MOST_SECTIONS: usize = 16;
/// The most characters of a section's name.
const MOST_NAME_CHARS: usize = 60;

/// The front matter of a guideline. Everything is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FrontMatter {
    pub(super) kind: Option<GuidelineKind>,
    pub(super) keep: Vec<Pattern>,
    pub(super) drop: Vec<Pattern>,
    pub(super) keys: NameRules,
    pub(super) sections: NameRules,
    pub(super) caps: Caps,
    pub(super) write: Vec<WrittenSection>,
    pub(super) variables: Vec<String>,
    pub(super) thresholds: Thresholds,
    pub(super) favour: Vec<Favour>,
    pub(super) weigh: Weigh,
}

/// A headed section that a model must write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenSection {
    /// Its heading, without marks.
    pub name: String,
    /// Most tokens of it; unbounded where it is absent.
    #[serde(default)]
    pub most_tokens: Option<NonZeroU32>,
}

/// From how many tokens on a model compresses; the configuration's where it is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Tokens of one observation.
    pub t_obs: Option<NonZeroU32>,
    /// Tokens of the past turns.
    pub t_hist: Option<NonZeroU32>,
}

impl FrontMatter {
    /// Checks what stands for itself: sections, and variables where the kind is told.
    ///
    /// # Errors
    /// [`RulesError::Field`]
    pub(super) fn check(&self) -> Result<(), RulesError> {
        check_sections(&self.write)?;
        if let Some(name) = doubled(self.variables.iter().map(String::as_str).collect()) {
            return Err(variables(format!("`{name}` stands twice")));
        }
        self.kind.map_or(Ok(()), |kind| {
            check_kind(kind, &self.variables, self.thresholds)?;
            check_recap(kind, &self.favour, &self.weigh)
        })
    }
}

fn check_sections(sections: &[WrittenSection]) -> Result<(), RulesError> {
    let fault = |reason| Err(RulesError::Field { field: "write", reason });
    if sections.len() > MOST_SECTIONS {
        return fault(format!("there are more than {MOST_SECTIONS} sections"));
    }
    for WrittenSection { name, .. } in sections {
        let fits = (1..=MOST_NAME_CHARS).contains(&name.chars().count()) && name.trim() == name;
        if !fits || name.contains(|c: char| c.is_control() || c == '#') {
            return fault(format!(
                "`{name}` is no heading: 1 to {MOST_NAME_CHARS} characters in one line, without `#`"
            ));
        }
    }
    let folded: Vec<String> = sections.iter().map(|section| section.name.to_lowercase()).collect();
    doubled(folded.iter().map(String::as_str).collect()).map_or(Ok(()), |name| fault(format!("`{name}` stands twice")))
}

/// Checks variables and thresholds of a guideline of this kind.
///
/// # Errors
/// [`RulesError::Field`]
pub(super) fn check_kind(kind: GuidelineKind, named: &[String], thresholds: Thresholds) -> Result<(), RulesError> {
    let known = kind.variables();
    if let Some(name) = named.iter().find(|name| !known.contains(&name.as_str())) {
        let reason = format!("`{name}` is none of `{}`, which has {}", kind.name(), known.join(", "));
        return Err(variables(reason));
    }
    let foreign = [
        ("t_obs", thresholds.t_obs, GuidelineKind::Observation),
        ("t_hist", thresholds.t_hist, GuidelineKind::History),
    ];
    match foreign.into_iter().find(|(_, value, owner)| value.is_some() && *owner != kind) {
        Some((name, _, owner)) => {
            let reason = format!("`{name}` belongs to `{}`, not to `{}`", owner.name(), kind.name());
            Err(RulesError::Field { field: "thresholds", reason })
        }
        None => Ok(()),
    }
}

/// Checks that only a guideline for recaps says how a recap weighs.
///
/// # Errors
/// [`RulesError::Field`]
pub(super) fn check_recap(kind: GuidelineKind, favour: &[Favour], weigh: &Weigh) -> Result<(), RulesError> {
    let told = [("favour", !favour.is_empty()), ("weigh", !weigh.is_empty())];
    let foreign = told.into_iter().find(|(_, told)| *told && kind != GuidelineKind::History);
    foreign.map_or(Ok(()), |(field, _)| {
        let reason = format!("it belongs to `history`, not to `{}`", kind.name());
        Err(RulesError::Field { field, reason })
    })
}

fn variables(reason: String) -> RulesError {
    RulesError::Field { field: "variables", reason }
}

fn doubled(mut names: Vec<&str>) -> Option<&str> {
    names.sort_unstable();
    names.windows(2).find(|pair| pair.first() == pair.last()).and_then(|pair| pair.first().copied())
}
