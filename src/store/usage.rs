//! Usage counters by namespace, agent and day.

use super::Store;
use super::engine::Conn;
use super::error::StoreError;
use super::value::values;
use super::writer::Write;

/// Counters of one agent on one day; added to what is there when stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageRow {
    /// The namespace.
    pub namespace: String,
    /// The agent's name; empty for trajectories without one.
    pub agent: String,
    /// Days since 1970-01-01 (UTC).
    pub day: i64,
    /// Tokens appended.
    pub tokens_in: u64,
    /// Tokens of served contexts.
    pub tokens_served: u64,
    /// Tokens that the full trajectories would have been at those reads.
    pub tokens_full: u64,
    /// Contexts read.
    pub reads: u64,
    /// Appends.
    pub appends: u64,
}

impl Store {
    /// Adds counters.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn add_usage(&self, mut rows: Vec<UsageRow>) -> Result<(), StoreError> {
        // In one order everywhere, so that two transactions cannot wait for each other.
        rows.sort_by(|a, b| (a.day, &a.namespace, &a.agent).cmp(&(b.day, &b.namespace, &b.agent)));
        self.write(AddUsage(rows)).await
    }

    /// Returns the counters of the days `from..to`, optionally of one namespace, by day, namespace and agent.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn usage(
        &self,
        namespace: Option<&str>,
        from: i64,
        to: i64,
    ) -> Result<Vec<UsageRow>, StoreError> {
        let sql = "SELECT namespace, agent, day, tokens_in, tokens_served, tokens_full, reads, appends \
                   FROM usage_days WHERE day >= $1 AND day < $2 AND ($3 IS NULL OR namespace = $3) \
                   ORDER BY day, namespace, agent";
        let rows = self
            .reader()
            .await?
            .rows(sql, values![from, to, namespace])
            .await?;
        rows.iter()
            .map(|row| {
                Ok(UsageRow {
                    namespace: row.text(0)?,
                    agent: row.text(1)?,
                    day: row.int(2)?,
                    tokens_in: row.count(3)?,
                    tokens_served: row.count(4)?,
                    tokens_full: row.count(5)?,
                    reads: row.count(6)?,
                    appends: row.count(7)?,
                })
            })
            .collect()
    }
}

struct AddUsage(Vec<UsageRow>);

impl Write for AddUsage {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let sql = "INSERT INTO usage_days AS u \
                   (namespace, agent, day, tokens_in, tokens_served, tokens_full, reads, appends) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (day, namespace, agent) DO UPDATE SET \
                   tokens_in = u.tokens_in + excluded.tokens_in, \
                   tokens_served = u.tokens_served + excluded.tokens_served, \
                   tokens_full = u.tokens_full + excluded.tokens_full, \
                   reads = u.reads + excluded.reads, appends = u.appends + excluded.appends";
        for row in &self.0 {
            let bound = values![
                row.namespace.as_str(),
                row.agent.as_str(),
                row.day,
                row.tokens_in,
                row.tokens_served,
                row.tokens_full,
                row.reads,
                row.appends,
            ];
            conn.execute(sql, bound).await?;
        }
        Ok(())
    }
}
