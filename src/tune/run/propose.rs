//! Candidates: proposed, then checked: each must be a guideline of its kind, hold no value of a training run, and steer in
//! another way than the champion and the candidates before it.

use std::sync::Arc;

use recap_core::compress::{Guideline, GuidelineKind};
use recap_core::trajectory::OriginalHash;
use recap_core::tuning::{Candidate, Evidence, TrainingValues, by_rules, leaks};

use super::bench::CaseEvidence;
use super::spec::Spec;
use crate::pipeline::guidelines::Steering;
use crate::store::{CandidateStatus, TuningCandidate, TuningCase};

/// What candidates are made of.
pub(super) struct Ground {
    pub spec: Spec,
    pub kind: GuidelineKind,
    pub set: String,
    /// The champion's text.
    pub champion: String,
    /// Stored versions that are judged beside what is proposed.
    pub drafts: Vec<String>,
    pub evidence: Evidence,
    pub training: Arc<TrainingValues>,
}

/// What a proposer made.
#[derive(Default)]
pub(super) struct Made {
    /// Candidates.
    pub candidates: Vec<Candidate>,
    /// Why replies of a model could not stand, without their words.
    pub refused: Vec<String>,
}

/// Adds what a training case showed.
pub(super) fn take_in(evidence: &mut Evidence, case: &TuningCase, shown: CaseEvidence) {
    let CaseEvidence { losses, idle, .. } = shown;
    evidence.losses.extend(losses.into_iter().map(|loss| (case.name.clone(), loss)));
    evidence.idle.extend(idle);
    evidence.tasks.insert(case.name.clone(), case.task.clone());
}

impl Ground {
    /// Has rules propose candidates.
    #[must_use]
    pub fn by_rules(&self) -> Made {
        let most = self.spec.candidates as usize;
        let objective = self.spec.objective;
        let ground = recap_core::tuning::Ground { evidence: &self.evidence, training: &self.training };
        let candidates =
            if most == 0 { Vec::new() } else { by_rules(&self.champion, self.kind, ground, objective, most) };
        Made { candidates, refused: Vec::new() }
    }

    /// Checks candidates and numbers them; drafts come after them, and what was refused as it was written last.
    pub fn checked(&self, made: Made) -> Vec<TuningCandidate> {
        let proposer = self.spec.proposer.as_str();
        let most = self.spec.candidates as usize;
        let proposed =
            made.candidates.into_iter().take(most).map(|candidate| (candidate.text, candidate.note, proposer));
        let drafts = self.drafts.iter().map(|text| (text.clone(), "a stored draft".to_owned(), "draft"));
        let mut known = vec![Meaning::of(self.kind, &self.champion)];
        let checked = (0_i64..).zip(proposed.chain(drafts)).map(|(n, (text, note, proposer))| {
            let (status, why) = self.judged(&text, proposer, &mut known);
            let keeps_text = matches!(status, CandidateStatus::Proposed | CandidateStatus::Duplicate);
            TuningCandidate {
                n,
                hash: OriginalHash::of(&text).to_string(),
                text: if keeps_text { text } else { String::new() },
                note: if keeps_text { note } else { String::new() },
                proposer: proposer.to_owned(),
                status,
                why,
            }
        });
        let mut checked: Vec<TuningCandidate> = checked.collect();
        let refused = (0_i64..).skip(checked.len()).zip(made.refused).map(|(n, why)| TuningCandidate {
            n,
            hash: OriginalHash::of("").to_string(),
            text: String::new(),
            note: String::new(),
            proposer: proposer.to_owned(),
            status: CandidateStatus::Invalid,
            why: Some(why),
        });
        checked.extend(refused);
        checked
    }

    fn judged(
        &self,
        text: &str,
        proposer: &str,
        known: &mut Vec<Option<Meaning>>,
    ) -> (CandidateStatus, Option<String>) {
        if let Err(error) = Steering::read(&self.set, self.kind, text) {
            // The parser's words can quote the text.
            let said = error.to_string();
            let is_clean = leaks(&said, &self.champion, &self.training).is_empty();
            let why = if is_clean { said } else { "it cannot be read".to_owned() };
            return (CandidateStatus::Invalid, Some(why));
        }
        let leaked = leaks(text, &self.champion, &self.training).len();
        if leaked > 0 {
            let why = format!("it holds {leaked} values of training runs that the champion does not hold");
            return (CandidateStatus::Leak, Some(why));
        }
        let meaning = Meaning::of(self.kind, text);
        let twin = known.iter().position(|other| *other == meaning);
        known.push(meaning);
        match twin {
            // The gate has the last word on what somebody wrote.
            Some(_) if proposer == "draft" => (CandidateStatus::Proposed, None),
            Some(0) => (CandidateStatus::Duplicate, Some("it steers as the champion does".to_owned())),
            Some(n) => (CandidateStatus::Duplicate, Some(format!("it steers as candidate {} does", n - 1))),
            None => (CandidateStatus::Proposed, None),
        }
    }
}

/// What of a guideline steers.
#[derive(PartialEq)]
struct Meaning(Guideline);

impl Meaning {
    fn of(kind: GuidelineKind, text: &str) -> Option<Self> {
        let mut guideline = Guideline::parse_as(kind, text).ok()?;
        guideline.hash = OriginalHash::of("");
        Some(Self(guideline))
    }
}
