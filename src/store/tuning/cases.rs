//! The runs of agents that a tuning run measures on.

use super::super::Store;
use super::super::engine::Conn;
use super::super::error::StoreError;
use super::super::value::values;
use super::super::writer::Write;
use super::runs::{TuningStage, lock_run};

/// A run of an agent that a tuning run measures on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuningCase {
    /// Its number in the tuning run, from 0.
    pub n: i64,
    /// Its name: a trajectory's id, or a name in a file.
    pub name: String,
    /// Its task's name.
    pub task: String,
    /// The side of the split, `train` or `held_out`.
    pub side: String,
    /// The stored trajectory that it is.
    pub trajectory: Option<String>,
    /// The imported pair that holds it.
    pub pair: Option<String>,
    /// Messages that count: what is appended later does not.
    pub length: u64,
}

impl Store {
    /// Stores the cases of a run that has none yet, and lets it reach its next stage. Cases whose trajectory or pair is
    /// gone by now are left out. Tells whether they were stored.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn put_tuning_cases(
        &self,
        run: &str,
        cases: Vec<TuningCase>,
        total: u64,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        self.write(PutCases { run: run.to_owned(), cases, total, now_ms }).await
    }

    /// Returns a run's cases by number.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn tuning_cases(&self, run: &str) -> Result<Vec<TuningCase>, StoreError> {
        let sql = "SELECT n, name, task, side, trajectory_id, pair_id, length FROM tuning_cases \
                   WHERE run_id = $1 ORDER BY n";
        let rows = self.reader().await?.rows(sql, values![run]).await?;
        let read = rows.iter().map(|row| {
            Ok(TuningCase {
                n: row.int(0)?,
                name: row.text(1)?,
                task: row.text(2)?,
                side: row.text(3)?,
                trajectory: row.text_or_null(4)?,
                pair: row.text_or_null(5)?,
                length: row.count(6)?,
            })
        });
        read.collect()
    }

    /// Returns what the champion lost and kept for nothing in one case, as JSON.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn tuning_evidence(&self, run: &str, case: i64) -> Result<Option<String>, StoreError> {
        let sql = "SELECT evidence FROM tuning_cases WHERE run_id = $1 AND n = $2 AND evidence IS NOT NULL";
        let row = self.reader().await?.row(sql, values![run, case]).await?;
        row.map(|row| row.text(0)).transpose()
    }
}

struct PutCases {
    run: String,
    cases: Vec<TuningCase>,
    total: u64,
    now_ms: i64,
}

impl Write for PutCases {
    type Output = bool;
    type Error = StoreError;

    fn weight(&self) -> usize {
        self.cases.iter().map(|case| 64 + case.name.len() + case.task.len()).sum()
    }

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let run = lock_run(conn, &self.run).await?;
        if run.is_none_or(|run| run.stage != TuningStage::Collect) {
            return Ok(false);
        }
        let sql = "INSERT INTO tuning_cases (run_id, n, name, task, side, trajectory_id, pair_id, length) \
                   SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
                   WHERE ($6 IS NULL OR EXISTS (SELECT 1 FROM trajectories WHERE id = $6)) \
                   AND ($7 IS NULL OR EXISTS (SELECT 1 FROM pairs WHERE id = $7))";
        for case in &self.cases {
            let bound = values![
                self.run.as_str(),
                case.n,
                case.name.as_str(),
                case.task.as_str(),
                case.side.as_str(),
                case.trajectory.as_deref(),
                case.pair.as_deref(),
                case.length,
            ];
            conn.execute(sql, bound).await?;
        }
        let sql = "UPDATE tuning_runs SET stage = 'audit', total = $2, updated_ms = $3 WHERE id = $1";
        conn.execute(sql, values![self.run.as_str(), self.total, self.now_ms]).await?;
        Ok(true)
    }
}
