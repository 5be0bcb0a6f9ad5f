//! How runners hear of new work: in this process through a channel, between daemons on PostgreSQL through
//! LISTEN and NOTIFY. Both are hints: who misses one finds the job at its next look.

use std::convert::Infallible;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;

use super::super::engine::{Conn, Engine};
use super::super::error::StoreError;
use super::super::{Pools, Store};

const CHANNEL: &str = "recapd_jobs";
/// How long a lost connection is left alone.
const RECONNECT: Duration = Duration::from_secs(5);

impl Store {
    /// Returns a channel that changes whenever a job may have become due.
    #[must_use]
    pub fn job_wakeups(&self) -> watch::Receiver<()> {
        self.inner.job_wakeups.subscribe()
    }

    /// Wakes this process's runners.
    pub(in super::super) fn wake_runners(&self) {
        self.inner.job_wakeups.send_replace(());
    }

    /// Passes other daemons' wake-ups on to this process's runners until the store is closed. On SQLite there
    /// are none, and it returns at once.
    pub async fn relay_job_wakeups(&self) {
        let Pools::Postgres { pool } = &self.inner.pools else {
            return;
        };
        loop {
            let Err(error) = self.relay(pool).await;
            if matches!(error, StoreError::Closed) {
                return;
            }
            tracing::warn!(%error, "other daemons' jobs are not heard of and will be looked for");
            tokio::time::sleep(RECONNECT).await;
        }
    }

    async fn relay(&self, pool: &PgPool) -> Result<Infallible, StoreError> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            // What came before this connection, or while it was lost, was not heard.
            self.wake_runners();
            listener.try_recv().await?;
        }
    }
}

/// Tells other daemons, once the transaction is committed, that a job is due.
pub(super) async fn notify(conn: &mut Conn) -> Result<(), StoreError> {
    if conn.engine() == Engine::Postgres {
        conn.execute("SELECT pg_notify('recapd_jobs', '')", vec![]).await?;
    }
    Ok(())
}
