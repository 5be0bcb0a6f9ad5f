//! Proposed guidelines, and how cases did under them.

use serde::{Deserialize, Serialize};

use super::super::Store;
use super::super::engine::{Conn, Row};
use super::super::error::StoreError;
use super::super::value::values;
use super::super::writer::Write;
use super::named;
use super::proposals::forget_proposals;
use super::runs::{TuningSpent, TuningStage, add_spent, lock_run};

/// The champion's number among candidates.
pub const CHAMPION: i64 = -1;

/// What became of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CandidateStatus {
    /// It is to be scored, or is being scored.
    Proposed,
    /// It steers as the champion or an earlier candidate does.
    Duplicate,
    /// It holds values of training runs.
    Leak,
    /// It is no guideline of its kind.
    Invalid,
    /// It was scored on all training tasks.
    Scored,
    /// It passed the gate.
    Winner,
}

const STATUSES: [(CandidateStatus, &str); 6] = [
    (CandidateStatus::Proposed, "proposed"),
    (CandidateStatus::Duplicate, "duplicate"),
    (CandidateStatus::Leak, "leak"),
    (CandidateStatus::Invalid, "invalid"),
    (CandidateStatus::Scored, "scored"),
    (CandidateStatus::Winner, "winner"),
];

impl CandidateStatus {
    /// Returns the name on the wire and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        STATUSES.iter().find(|(status, _)| *status == self).map_or("", |(_, name)| name)
    }
}

/// A proposed guideline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuningCandidate {
    /// Its number in the run, from 0.
    pub n: i64,
    /// The hash of its text.
    pub hash: String,
    /// Its text; empty where it could hold words of a trajectory.
    pub text: String,
    /// What it changes and why.
    pub note: String,
    /// Who made it: `rules`, `llm` or `draft`.
    pub proposer: String,
    /// What became of it.
    pub status: CandidateStatus,
    /// Why it is not scored.
    pub why: Option<String>,
}

/// The candidates of a run, and what checking them came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedCandidates {
    /// The candidates.
    pub candidates: Vec<TuningCandidate>,
    /// Steps that the run takes with them.
    pub total: u64,
    /// Values of training runs that the leak scan could not remember.
    pub unscanned: u64,
    /// What it took.
    pub spent: TuningSpent,
}

/// How a case did under a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuningScore {
    /// The candidate's number, [`CHAMPION`] for the champion.
    pub candidate: i64,
    /// The case's number.
    pub case: i64,
    /// The score as JSON; `None` where there is none.
    pub record: Option<String>,
    /// Why there is none.
    pub why: Option<String>,
}

impl Store {
    /// Stores the candidates of a run that has none yet, and lets it reach its next stage. Tells whether they were
    /// stored.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn put_tuning_candidates(
        &self,
        run: &str,
        checked: CheckedCandidates,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(PutCandidates { run: run.to_owned(), checked, now_ms }).await
    }

    /// Returns a run's candidates by number.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn tuning_candidates(&self, run: &str) -> Result<Vec<TuningCandidate>, StoreError> {
        let sql = "SELECT n, hash, text, note, proposer, status, why FROM tuning_candidates \
                   WHERE run_id = $1 ORDER BY n";
        let rows = self.reader().await?.rows(sql, values![run]).await?;
        let read = rows.iter().map(|row| {
            Ok(TuningCandidate {
                n: row.int(0)?,
                hash: row.text(1)?,
                text: row.text(2)?,
                note: row.text(3)?,
                proposer: row.text(4)?,
                status: named(row, 5, &STATUSES)?,
                why: row.text_or_null(6)?,
            })
        });
        read.collect()
    }

    /// Notes that a candidate was scored on all training tasks.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn note_candidate_scored(&self, run: &str, candidate: i64) -> Result<(), StoreError> {
        self.write(NoteScored { run: run.to_owned(), candidate }).await
    }

    /// Stores how a case did and what that took, and for an audit the evidence; one that is there stays. Tells whether
    /// it was stored: not where the case is gone.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn put_tuning_score(
        &self,
        run: &str,
        score: TuningScore,
        evidence: Option<String>,
        spent: TuningSpent,
    ) -> Result<bool, StoreError> {
        self.write(PutScore { run: run.to_owned(), score, evidence, spent }).await
    }

    /// Stores a case's evidence anew and what that took. Tells whether it was stored: not where the case is gone.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn put_tuning_evidence(
        &self,
        run: &str,
        case: i64,
        evidence: String,
        spent: TuningSpent,
    ) -> Result<bool, StoreError> {
        self.write(PutEvidence { run: run.to_owned(), case, evidence, spent }).await
    }

    /// Adds what was spent on a run beside its scores.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn add_tuning_spent(&self, run: &str, spent: TuningSpent) -> Result<(), StoreError> {
        self.write(AddSpent { run: run.to_owned(), spent }).await
    }

    /// Returns which cases of a run have a score, each as candidate and case.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn tuning_scored(&self, run: &str) -> Result<Vec<(i64, i64)>, StoreError> {
        let sql = "SELECT candidate, case_n FROM tuning_scores WHERE run_id = $1";
        let rows = self.reader().await?.rows(sql, values![run]).await?;
        rows.iter().map(|row| Ok((row.int(0)?, row.int(1)?))).collect()
    }

    /// Returns the scores of one version, by case.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn tuning_scores_of(&self, run: &str, candidate: i64) -> Result<Vec<TuningScore>, StoreError> {
        let sql = "SELECT candidate, case_n, record, why FROM tuning_scores WHERE run_id = $1 AND candidate = $2 \
                   ORDER BY case_n";
        self.reader().await?.rows(sql, values![run, candidate]).await?.iter().map(read_score).collect()
    }

    /// Returns a run's scores, by candidate and case.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn tuning_scores(&self, run: &str) -> Result<Vec<TuningScore>, StoreError> {
        let sql = "SELECT candidate, case_n, record, why FROM tuning_scores WHERE run_id = $1 \
                   ORDER BY candidate, case_n";
        self.reader().await?.rows(sql, values![run]).await?.iter().map(read_score).collect()
    }
}

fn read_score(row: &Row) -> Result<TuningScore, StoreError> {
    Ok(TuningScore {
        candidate: row.int(0)?,
        case: row.int(1)?,
        record: row.text_or_null(2)?,
        why: row.text_or_null(3)?,
    })
}

struct PutCandidates {
    run: String,
    checked: CheckedCandidates,
    now_ms: i64,
}

impl Write for PutCandidates {
    type Output = bool;
    type Error = StoreError;

    fn weight(&self) -> usize {
        self.checked.candidates.iter().map(|candidate| 64 + candidate.text.len() + candidate.note.len()).sum()
    }

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let run = lock_run(conn, &self.run).await?;
        if run.is_none_or(|run| run.stage != TuningStage::Propose) {
            return Ok(false);
        }
        let sql = "INSERT INTO tuning_candidates (run_id, n, hash, text, note, proposer, status, why) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let CheckedCandidates { candidates, total, unscanned, spent } = &self.checked;
        for candidate in candidates {
            let bound = values![
                self.run.as_str(),
                candidate.n,
                candidate.hash.as_str(),
                candidate.text.as_str(),
                candidate.note.as_str(),
                candidate.proposer.as_str(),
                candidate.status.as_str(),
                candidate.why.as_deref(),
            ];
            conn.execute(sql, bound).await?;
        }
        forget_proposals(conn, &self.run).await?;
        let sql = "UPDATE tuning_runs SET stage = 'score', total = $2, unscanned = $3, updated_ms = $4 WHERE id = $1";
        conn.execute(sql, values![self.run.as_str(), *total, *unscanned, self.now_ms]).await?;
        add_spent(conn, &self.run, 1, spent).await?;
        Ok(true)
    }
}

struct NoteScored {
    run: String,
    candidate: i64,
}

impl Write for NoteScored {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let sql = "UPDATE tuning_candidates SET status = 'scored' \
                   WHERE run_id = $1 AND n = $2 AND status = 'proposed'";
        conn.execute(sql, values![self.run.as_str(), self.candidate]).await?;
        Ok(())
    }
}

struct PutScore {
    run: String,
    score: TuningScore,
    evidence: Option<String>,
    spent: TuningSpent,
}

impl Write for PutScore {
    type Output = bool;
    type Error = StoreError;

    fn weight(&self) -> usize {
        512 + self.evidence.as_ref().map_or(0, String::len)
    }

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let score = &self.score;
        let sql = "INSERT INTO tuning_scores (run_id, candidate, case_n, record, why) SELECT $1, $2, $3, $4, $5 \
                   WHERE EXISTS (SELECT 1 FROM tuning_cases WHERE run_id = $1 AND n = $3) \
                   ON CONFLICT (run_id, candidate, case_n) DO NOTHING";
        let (record, why) = (score.record.as_deref(), score.why.as_deref());
        let bound = values![self.run.as_str(), score.candidate, score.case, record, why];
        let is_new = conn.execute(sql, bound).await? > 0;
        if is_new && let Some(evidence) = &self.evidence {
            let sql = "UPDATE tuning_cases SET evidence = $3 WHERE run_id = $1 AND n = $2";
            conn.execute(sql, values![self.run.as_str(), score.case, evidence.as_str()]).await?;
        }
        add_spent(conn, &self.run, u64::from(is_new), &self.spent).await?;
        Ok(is_new)
    }
}

struct PutEvidence {
    run: String,
    case: i64,
    evidence: String,
    spent: TuningSpent,
}

impl Write for PutEvidence {
    type Output = bool;
    type Error = StoreError;

    fn weight(&self) -> usize {
        self.evidence.len()
    }

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let sql = "UPDATE tuning_cases SET evidence = $3 WHERE run_id = $1 AND n = $2";
        let bound = values![self.run.as_str(), self.case, self.evidence.as_str()];
        let is_there = conn.execute(sql, bound).await? > 0;
        add_spent(conn, &self.run, 0, &self.spent).await?;
        Ok(is_there)
    }
}

struct AddSpent {
    run: String,
    spent: TuningSpent,
}

impl Write for AddSpent {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<(), StoreError> {
        add_spent(conn, &self.run, 0, &self.spent).await
    }
}
