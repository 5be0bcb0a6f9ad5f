//! Forks: a new trajectory that shares the first messages of another.

use super::Store;
use super::engine::Conn;
use super::error::ChangeError;
use super::record::{NewTrajectory, TrajectoryRow};
use super::trajectories::{insert_trajectory, lock_trajectory};
use super::value::values;
use super::writer::Write;

/// A fork that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The trajectory that is forked.
    pub trajectory: String,
    /// How many of its messages the fork shares.
    pub length: u64,
    /// The fork's id, unused so far.
    pub id: String,
    /// The present, in milliseconds since 1970.
    pub now_ms: i64,
}

impl Store {
    /// Makes a fork with the record and the first messages (pins included) of another trajectory, and
    /// returns its record. Outcome and epochs are not taken over.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`], [`ChangeError::TooShort`], [`ChangeError::Exists`].
    pub async fn fork(&self, fork: Fork) -> Result<TrajectoryRow, ChangeError> {
        self.write(fork).await
    }
}

impl Write for Fork {
    type Output = TrajectoryRow;
    type Error = ChangeError;

    async fn run(&self, conn: &mut Conn) -> Result<TrajectoryRow, ChangeError> {
        let source = lock_trajectory(conn, &self.trajectory).await?;
        if self.length > source.length {
            return Err(ChangeError::TooShort {
                current: source.length,
            });
        }
        let new = NewTrajectory {
            id: self.id.clone(),
            namespace: source.namespace,
            agent: source.agent,
            task: source.task,
            model: source.model,
            tools: source.tools,
            budget: source.budget,
            guideline_set: source.guideline_set,
            playbook: source.playbook,
            policy: source.policy,
            metadata: source.metadata,
            created_ms: self.now_ms,
        };
        insert_trajectory(conn, &new, Some((&self.trajectory, self.length))).await?;
        self.copy_messages(conn).await?;
        let sql = "UPDATE trajectories SET length = $2, agent_kind = $3, full_tokens = (SELECT \
                   CAST(COALESCE(SUM(tokens), 0) AS BIGINT) FROM messages WHERE trajectory_id = $1) WHERE id = $1";
        conn.execute(
            sql,
            values![self.id.as_str(), self.length, source.agent_kind.as_deref()],
        )
        .await?;
        lock_trajectory(conn, &self.id).await
    }
}

impl Fork {
    async fn copy_messages(&self, conn: &mut Conn) -> Result<(), ChangeError> {
        let messages = "INSERT INTO messages (trajectory_id, n, format, role, origin, tokens, pinned, created_ms, \
                        native, cuts, admitted) SELECT $1, n, format, role, origin, tokens, pinned, created_ms, \
                        native, cuts, admitted FROM messages WHERE trajectory_id = $2 AND n < $3";
        let originals = "INSERT INTO message_originals (trajectory_id, n, ordinal, hash) \
                         SELECT $1, n, ordinal, hash FROM message_originals WHERE trajectory_id = $2 AND n < $3";
        for sql in [messages, originals] {
            conn.execute(
                sql,
                values![self.id.as_str(), self.trajectory.as_str(), self.length],
            )
            .await?;
        }
        Ok(())
    }
}
