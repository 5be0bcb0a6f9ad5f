//! A tuning run as it is told to people and programs.

use std::collections::BTreeMap;

use recap_core::tuning::{CaseScore, Verdict};
use serde::Serialize;
use similar::TextDiff;
use utoipa::ToSchema;

use super::settle::{Sums, share};
use super::spec::Spec;
use crate::store::{CHAMPION, CandidateStatus, TuningCandidate, TuningCase, TuningRun, TuningScore, TuningState};
use crate::world::rfc3339;

/// Unchanged lines around changes in a diff.
const DIFF_CONTEXT: usize = 2;

/// A tuning run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TuningRunRecord {
    /// Its id.
    pub id: String,
    /// The namespace of its cases; null for all.
    pub namespace: Option<String>,
    /// Who asked for it.
    pub actor: String,
    /// `queued`, `running`, `paused`, `done`, `failed` or `cancelled`.
    pub state: &'static str,
    /// `collect`, `audit`, `propose`, `score` or `judge`.
    pub stage: &'static str,
    /// Why it stands there, or what came out.
    pub why: Option<String>,
    /// Whether a command works on it; else the daemon does.
    pub by_command: bool,
    /// What was asked for.
    pub spec: Spec,
    /// The hash of the version that is to be beaten.
    pub champion: String,
    /// Steps done.
    pub done: u64,
    /// Steps in all, as far as is known.
    pub total: u64,
    /// What was spent.
    pub spent: SpentRecord,
    /// What is still to be spent at the pace until now; null before anything is known.
    pub remaining: Option<SpentRecord>,
    /// Values of training runs that the leak scan could not remember: above 0 a candidate may hold one of them unseen.
    pub unscanned_values: u64,
    /// What the gate said, with its numbers; null before that.
    pub verdict: Option<Verdict>,
    /// The hash of the candidate that passed; it is a draft.
    pub winner: Option<String>,
    /// How many cases there are on each side; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cases: Option<CasesRecord>,
    /// The champion on training tasks; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub champion_train: Option<SumsRecord>,
    /// The candidates; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<CandidateRecord>>,
    /// The scores of each case; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<ScoreRecord>>,
    /// When it was made.
    pub created_at: String,
    /// When where it stands was last changed.
    pub updated_at: String,
}

/// What a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct SpentRecord {
    /// Tokens that models read and write.
    pub tokens: u64,
    /// US dollars, as far as prices are known.
    pub cost_usd: f64,
    /// Whether a model has no price.
    pub cost_is_partial: bool,
    /// Seconds in work.
    pub seconds: f64,
}

/// The cases of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CasesRecord {
    /// Cases that candidates are made and chosen from.
    pub train: usize,
    /// Cases that only the gate sees.
    pub held_out: usize,
    /// Different tasks of both.
    pub tasks: usize,
}

/// A version on the training tasks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct SumsRecord {
    /// Cases with a score.
    pub cases: usize,
    /// The share of needed values that are present.
    pub grounding: f64,
    /// The share of needed values near the words that gave them meaning.
    pub bound: f64,
    /// The same of values that are used for the first time.
    pub first: f64,
    /// Billed tokens.
    pub billed: f64,
    /// Contexts over the budget, invalid or not served.
    pub faults: usize,
}

/// A candidate.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CandidateRecord {
    /// Its number.
    pub n: i64,
    /// The hash of its text.
    pub hash: String,
    /// `rules`, `llm` or `draft`.
    pub proposer: String,
    /// `proposed`, `duplicate`, `leak`, `invalid`, `scored` or `winner`.
    #[schema(value_type = String)]
    pub status: CandidateStatus,
    /// Why it is not scored.
    pub why: Option<String>,
    /// What it changes and on what grounds.
    pub note: String,
    /// What it changes, as a unified diff; empty where its text is not kept.
    pub diff: String,
    /// How it did on training tasks; null before that.
    pub train: Option<SumsRecord>,
}

/// How a case did under a version.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ScoreRecord {
    /// The candidate's number; null for the champion.
    pub candidate: Option<i64>,
    /// The case's name.
    pub case: String,
    /// `train` or `held_out`.
    pub side: String,
    /// Its task's name.
    pub task: String,
    /// The score; null where there is none.
    #[schema(value_type = Option<Object>)]
    pub score: Option<CaseScore>,
    /// Why there is none.
    pub why: Option<String>,
}

impl TuningRunRecord {
    /// Makes the record of a list.
    ///
    /// # Errors
    ///
    /// Fails where what is stored cannot be read.
    pub fn short(run: &TuningRun) -> Result<Self, serde_json::Error> {
        let verdict = run.verdict.as_deref().map(serde_json::from_str).transpose()?;
        Ok(Self {
            id: run.id.clone(),
            namespace: run.namespace.clone(),
            actor: run.actor.clone(),
            state: run.state.as_str(),
            stage: run.stage.as_str(),
            why: run.why.clone(),
            by_command: run.command.is_some(),
            spec: serde_json::from_str(&run.spec)?,
            champion: run.champion.clone(),
            done: run.done,
            total: run.total,
            spent: spent(run),
            remaining: remaining(run),
            unscanned_values: run.unscanned,
            verdict,
            winner: None,
            cases: None,
            champion_train: None,
            candidates: None,
            scores: None,
            created_at: rfc3339(run.created_ms),
            updated_at: rfc3339(run.updated_ms),
        })
    }

    /// Makes the record of one run.
    ///
    /// # Errors
    ///
    /// Fails where what is stored cannot be read.
    pub fn whole(
        run: &TuningRun,
        champion: &str,
        (cases, candidates, scores): (Vec<TuningCase>, Vec<TuningCandidate>, Vec<TuningScore>),
    ) -> Result<Self, serde_json::Error> {
        let by_n: BTreeMap<i64, &TuningCase> = cases.iter().map(|case| (case.n, case)).collect();
        let mut told = Vec::with_capacity(scores.len());
        for score in scores {
            let Some(case) = by_n.get(&score.case) else { continue };
            told.push(ScoreRecord {
                candidate: Some(score.candidate).filter(|n| *n != CHAMPION),
                case: case.name.clone(),
                side: case.side.clone(),
                task: case.task.clone(),
                score: score.record.as_deref().map(serde_json::from_str).transpose()?,
                why: score.why,
            });
        }
        let winner = candidates.iter().find(|candidate| candidate.status == CandidateStatus::Winner);
        let mut record = Self::short(run)?;
        record.winner = winner.map(|winner| winner.hash.clone());
        record.cases = Some(cases_of(&cases));
        record.champion_train = train(None, &told);
        let of = |candidate| candidate_of(candidate, champion, &told);
        record.candidates = Some(candidates.into_iter().map(of).collect());
        record.scores = Some(told);
        Ok(record)
    }
}

fn cases_of(cases: &[TuningCase]) -> CasesRecord {
    let mut tasks: Vec<&str> = cases.iter().map(|case| case.task.as_str()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let train = cases.iter().filter(|case| case.side == "train").count();
    CasesRecord { train, held_out: cases.len() - train, tasks: tasks.len() }
}

fn candidate_of(candidate: TuningCandidate, champion: &str, scores: &[ScoreRecord]) -> CandidateRecord {
    let diff = if candidate.text.is_empty() || champion.is_empty() {
        String::new()
    } else {
        let diff = TextDiff::from_lines(champion, candidate.text.as_str());
        let name = format!("candidate {}", candidate.n);
        diff.unified_diff().context_radius(DIFF_CONTEXT).header("champion", &name).to_string()
    };
    CandidateRecord {
        train: train(Some(candidate.n), scores),
        n: candidate.n,
        hash: candidate.hash,
        proposer: candidate.proposer,
        status: candidate.status,
        why: candidate.why,
        note: candidate.note,
        diff,
    }
}

/// Sums up a version's scores on training tasks.
fn train(candidate: Option<i64>, scores: &[ScoreRecord]) -> Option<SumsRecord> {
    let own = scores.iter().filter(|score| score.candidate == candidate && score.side == "train");
    let sums = Sums::of(own.filter_map(|score| score.score.as_ref()));
    (sums.cases > 0).then(|| SumsRecord {
        cases: sums.cases,
        grounding: share(sums.kept, sums.need),
        bound: sums.bound(),
        first: share(sums.first_kept, sums.first),
        billed: sums.billed,
        faults: sums.faults,
    })
}

#[expect(clippy::cast_precision_loss, reason = "millionths of dollars and milliseconds of one run")]
fn spent(run: &TuningRun) -> SpentRecord {
    SpentRecord {
        tokens: run.spent.tokens,
        cost_usd: run.spent.cost_usd_micros as f64 / 1e6,
        cost_is_partial: run.spent.is_unpriced,
        seconds: run.spent.worked_ms as f64 / 1e3,
    }
}

/// What the steps that are left take at the pace of those that are done.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "steps and tokens of one run"
)]
fn remaining(run: &TuningRun) -> Option<SpentRecord> {
    let is_over = matches!(run.state, TuningState::Done);
    if run.done == 0 || run.total == 0 || is_over {
        return None;
    }
    let left = run.total.saturating_sub(run.done) as f64 / run.done as f64;
    let so_far = spent(run);
    Some(SpentRecord {
        tokens: (so_far.tokens as f64 * left).round() as u64,
        cost_usd: so_far.cost_usd * left,
        cost_is_partial: so_far.cost_is_partial,
        seconds: so_far.seconds * left,
    })
}
