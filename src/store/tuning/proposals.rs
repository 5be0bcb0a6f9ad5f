//! What models proposed for a run, each stored when it is made.

use super::super::Store;
use super::super::engine::Conn;
use super::super::error::StoreError;
use super::super::value::values;
use super::super::writer::Write;
use super::runs::{TuningSpent, TuningStage, add_spent, lock_run};

impl Store {
    /// Stores what one call for a candidate came to, as JSON, and what that took; one that is there stays. Tells whether it
    /// was stored: not where the run has its candidates.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn put_tuning_proposal(
        &self,
        run: &str,
        (n, record): (u32, String),
        spent: TuningSpent,
    ) -> Result<bool, StoreError> {
        self.write(PutProposal { run: run.to_owned(), n, record, spent }).await
    }

    /// Returns what calls for candidates came to, in their order, as JSON.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn tuning_proposals(&self, run: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT record FROM tuning_proposals WHERE run_id = $1 ORDER BY n";
        self.reader().await?.rows(sql, values![run]).await?.iter().map(|row| row.text(0)).collect()
    }
}

/// Lets go of what was proposed for a run.
pub(super) async fn forget_proposals(conn: &mut Conn, run: &str) -> Result<(), StoreError> {
    conn.execute("DELETE FROM tuning_proposals WHERE run_id = $1", values![run]).await?;
    Ok(())
}

struct PutProposal {
    run: String,
    n: u32,
    record: String,
    spent: TuningSpent,
}

impl Write for PutProposal {
    type Output = bool;
    type Error = StoreError;

    fn weight(&self) -> usize {
        self.record.len()
    }

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let run = lock_run(conn, &self.run).await?;
        let is_open = run.is_some_and(|run| run.stage == TuningStage::Propose);
        let sql =
            "INSERT INTO tuning_proposals (run_id, n, record) VALUES ($1, $2, $3) ON CONFLICT (run_id, n) DO NOTHING";
        let bound = values![self.run.as_str(), self.n, self.record.as_str()];
        let is_new = is_open && conn.execute(sql, bound).await? > 0;
        // It was spent all the same.
        add_spent(conn, &self.run, 0, &self.spent).await?;
        Ok(is_new)
    }
}
