//! What may be asked of a tuning run.

use std::time::Duration;

use recap_core::compress::GuidelineKind;
use recap_core::tuning::{Margins, Objective, Split};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::pipeline::failure::{Failure, Fault};
use crate::store::TuningSpent;
use crate::tune::Budget;

/// Most candidates that are proposed.
const MOST_CANDIDATES: u32 = 20;
/// Most drafts that are judged beside them.
const MOST_DRAFTS: usize = 20;
/// Most cases of a run.
const MOST_CASES: u32 = 5_000;
/// Cases of a run that names no number.
const CASES: u32 = 500;

/// What a tuning run is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The guideline that is to get better: set and kind, as in `coding/history`. The kind is `history` or `observation`.
    pub guideline: String,
    /// What candidates are drawn from.
    #[serde(default)]
    pub evidence: EvidenceSource,
    /// What they are to be better at.
    #[schema(inline)]
    pub objective: Objective,
    /// Most candidates that are proposed, up to 20.
    #[serde(default = "candidates")]
    pub candidates: u32,
    /// Who proposes them.
    #[serde(default)]
    pub proposer: Proposer,
    /// Hashes of stored versions that are judged beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drafts: Vec<String>,
    /// How tasks are divided; runs of one task stand on one side.
    #[serde(default)]
    #[schema(inline)]
    pub split: Split,
    /// Where the run pauses.
    #[serde(default)]
    pub caps: Caps,
    /// Which stored trajectories it measures on.
    #[serde(default)]
    pub cases: CaseFilter,
    /// How large the contexts may be in which that is measured.
    #[serde(default)]
    pub budget: CaseBudget,
    /// How sure the gate must be.
    #[serde(default)]
    #[schema(inline)]
    pub margins: Margins,
    /// The model whose tokenizer counts.
    #[serde(default = "model")]
    pub model: String,
}

/// What candidates are drawn from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceSource {
    /// What the champion loses and keeps for nothing when stored runs are replayed.
    #[default]
    Audit,
    /// The same of the imported pairs that succeeded with whole contexts and not with compressed ones.
    Pairs,
}

/// Who proposes candidates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proposer {
    /// Deterministic rules, from lost values and idle lines.
    #[default]
    Rules,
    /// A chat model, from its own analyses.
    Llm,
}

impl Proposer {
    /// Returns the name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Llm => "llm",
        }
    }
}

/// Where a run pauses, and how many cases it has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Caps {
    /// Pause after so many tokens that models read and write; without bound where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Pause after so many US dollars for models; without bound where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    /// Pause after so many seconds in work; without bound where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_seconds: Option<f64>,
    /// Most cases, up to 5,000; 500 where it is left out. Of stored trajectories and pairs the newest are taken, of files the
    /// first by name. Once cases are found it changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cases: Option<u32>,
}

/// Which stored trajectories are cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CaseFilter {
    /// Only this namespace; all where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Only this agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Made at this time or later (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// At most this many of the newest; `caps.max_cases` holds, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Leave out those whose largest full context has fewer tokens, the system prompt apart.
    pub min_peak: u32,
}

impl Default for CaseFilter {
    fn default() -> Self {
        Self { namespace: None, agent: None, since: None, limit: None, min_peak: 4000 }
    }
}

/// How large a case's contexts may be: tokens, or a share of its own largest full context.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CaseBudget {
    /// A share of the case's largest full context beside the system prompt, above 0 and at most 1; 0.46 where it is left
    /// out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// The least that a share gives, in tokens; 1500 where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<u32>,
    /// Tokens of the whole context, instead of a share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u32>,
}

impl Caps {
    /// Says which cap is reached, if one is.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "millionths of dollars and milliseconds of one run")]
    pub fn reached(&self, spent: &TuningSpent) -> Option<String> {
        if let Some(most) = self.max_tokens.filter(|most| spent.tokens >= *most) {
            return Some(format!("caps.max_tokens {most} is reached"));
        }
        if let Some(most) = self.max_seconds.filter(|most| spent.worked_ms as f64 / 1e3 >= *most) {
            return Some(format!("caps.max_seconds {most} is reached"));
        }
        let most = self.max_cost_usd?;
        if spent.is_unpriced {
            return Some("a model has no price, so caps.max_cost_usd cannot be held: set `llm.prices`".to_owned());
        }
        (spent.cost_usd_micros as f64 / 1e6 >= most).then(|| format!("caps.max_cost_usd {most} is reached"))
    }
}

impl Caps {
    /// Returns how long work may still go on; `None` without bound.
    #[must_use]
    pub fn time_left(&self, spent: &TuningSpent) -> Option<Duration> {
        let most = Duration::try_from_secs_f64(self.max_seconds?).unwrap_or(Duration::MAX);
        Some(most.saturating_sub(Duration::from_millis(spent.worked_ms)))
    }
}

impl CaseBudget {
    /// Returns the budget of every case.
    #[must_use]
    pub fn rule(&self) -> Budget {
        match self.tokens {
            Some(tokens) => Budget::Tokens(tokens),
            None => Budget::Share { fraction: self.fraction.unwrap_or(0.46), floor: self.floor.unwrap_or(1500) },
        }
    }
}

fn candidates() -> u32 {
    5
}

fn model() -> String {
    "gpt-4o".to_owned()
}

impl Spec {
    /// Returns set and kind of the guideline.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] for another form and for kinds that do not compress.
    pub fn place(&self) -> Result<(&str, GuidelineKind), Failure> {
        let found = self.guideline.split_once('/').and_then(|(set, kind)| Some((set, GuidelineKind::of(kind)?)));
        match found {
            Some((set, kind @ (GuidelineKind::History | GuidelineKind::Observation))) => Ok((set, kind)),
            _ => Err(Failure::field("/guideline", "expected SET/history or SET/observation")),
        }
    }

    /// Returns the least time of creation in milliseconds since 1970.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] for what is no RFC 3339 time.
    pub fn since_ms(&self) -> Result<Option<i64>, Failure> {
        let read = |text: &String| text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
        let since = self.cases.since.as_ref().map(read).transpose();
        since.map_err(|error| Failure::field("/cases/since", format!("not an RFC 3339 time: {error}")))
    }

    /// Returns how many cases there may be.
    #[must_use]
    pub fn most_cases(&self) -> usize {
        let most = self.caps.max_cases.unwrap_or(CASES).min(MOST_CASES);
        most.min(self.cases.limit.unwrap_or(u32::MAX)) as usize
    }

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] with every fault.
    pub fn check(&self) -> Result<(), Failure> {
        let mut faults: Vec<Fault> = Vec::new();
        for checked in [self.place().map(drop), self.since_ms().map(drop)] {
            match checked {
                Err(Failure::Invalid(found)) => faults.extend(found),
                other => other?,
            }
        }
        let mut hold = |fits: bool, pointer: &str, detail: &str| {
            if !fits {
                faults.push(Fault { pointer: pointer.to_owned(), detail: detail.to_owned() });
            }
        };
        let Caps { max_cost_usd, max_seconds, max_cases, .. } = &self.caps;
        let is_positive = |number: &f64| number.is_finite() && *number > 0.0;
        let is_share = |share: &f64| *share > 0.0 && *share <= 1.0;
        hold(self.candidates <= MOST_CANDIDATES, "/candidates", "must be at most 20");
        hold(self.drafts.len() <= MOST_DRAFTS, "/drafts", "must be at most 20");
        hold(self.candidates > 0 || !self.drafts.is_empty(), "/candidates", "must be above 0 where no draft is named");
        hold(self.split.held_out > 0.0 && self.split.held_out < 1.0, "/split/held_out", "must be above 0 and below 1");
        hold(max_cost_usd.as_ref().is_none_or(is_positive), "/caps/max_cost_usd", "must be above 0");
        hold(max_seconds.as_ref().is_none_or(is_positive), "/caps/max_seconds", "must be above 0");
        hold(max_cases.is_none_or(|most| (1..=MOST_CASES).contains(&most)), "/caps/max_cases", "must be 1 to 5000");
        hold(self.cases.limit != Some(0), "/cases/limit", "must be above 0");
        hold(self.budget.fraction.as_ref().is_none_or(is_share), "/budget/fraction", "must be above 0 and at most 1");
        hold(self.budget.tokens != Some(0), "/budget/tokens", "must be above 0");
        let is_one = self.budget.tokens.is_none() || self.budget.fraction.is_none() && self.budget.floor.is_none();
        hold(is_one, "/budget", "has tokens or a share, not both");
        hold((1..=200).contains(&self.model.len()), "/model", "must have 1 to 200 bytes");
        if let Err(error) = self.margins.check() {
            hold(false, &format!("/margins/{}", error.name), &error.to_string());
        }
        if faults.is_empty() { Ok(()) } else { Err(Failure::Invalid(faults)) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn spec(more: &serde_json::Value) -> Result<Spec, serde_json::Error> {
        let mut spec = json!({ "guideline": "coding/history", "objective": "utility" });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(spec)
    }

    fn pointers(more: &serde_json::Value) -> Vec<String> {
        match spec(more).unwrap().check() {
            Ok(()) => Vec::new(),
            Err(Failure::Invalid(faults)) => faults.into_iter().map(|fault| fault.pointer).collect(),
            Err(other) => vec![other.to_string()],
        }
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let spec = spec(&json!({})).unwrap();
        spec.check().unwrap();
        assert_eq!((spec.candidates, spec.proposer, spec.evidence), (5, Proposer::Rules, EvidenceSource::Audit));
        assert_eq!(spec.budget.rule(), Budget::Share { fraction: 0.46, floor: 1500 });
        assert_eq!((spec.most_cases(), spec.cases.min_peak), (500, 4000));
        let again: Spec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }

    #[test]
    fn every_fault_is_named() {
        assert!(spec(&json!({ "proposal": "rules" })).is_err());
        assert!(spec(&json!({ "cases": { "file": "/etc/passwd" } })).is_err());
        let wrong = json!({ "guideline": "coding/reflect", "candidates": 21, "split": { "seed": 1, "held_out": 1.0 },
            "caps": { "max_seconds": 0.0, "max_cost_usd": -1.0, "max_cases": 0 }, "margins": { "level": 0.5 },
            "cases": { "since": "yesterday", "limit": 0 }, "budget": { "tokens": 10, "fraction": 2.0 } });
        let expected = [
            "/guideline",
            "/cases/since",
            "/candidates",
            "/split/held_out",
            "/caps/max_cost_usd",
            "/caps/max_seconds",
            "/caps/max_cases",
            "/cases/limit",
            "/budget/fraction",
            "/budget",
            "/margins/level",
        ];
        assert_eq!(pointers(&wrong), expected);
        assert_eq!(pointers(&json!({ "candidates": 0 })), ["/candidates"]);
        assert_eq!(pointers(&json!({ "candidates": 0, "drafts": ["b3:00"] })), Vec::<String>::new());
    }
}
