//! Keeping the database in order: migrations, health, check, backup, vacuum.

use std::path::Path;

use recap_core::trajectory::OriginalHash;
use sqlx::ConnectOptions as _;

use super::dialect;
use super::engine::{Conn, Engine};
use super::error::StoreError;
use super::originals::{read_hash, read_text};
use super::playbooks::check_playbooks;
use super::value::values;
use super::writer::Write;
use super::{Pools, Store};

/// Originals that are read and hashed at a time.
const CHECK_PAGE: usize = 64;
/// Messages that are put together at a time.
const CHECK_MESSAGES: u64 = 64;
/// The most problems that a report spells out.
const MAX_PROBLEMS: usize = 100;

/// Whether the store works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The engine.
    pub engine: Engine,
    /// The engine's own version.
    pub engine_version: String,
    /// The newest migration that ran; 0 for an empty database.
    pub schema_version: i64,
    /// The newest migration that this daemon brings.
    pub latest_schema_version: i64,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Trajectories looked at.
    pub trajectories: u64,
    /// Messages put together.
    pub messages: u64,
    /// Originals hashed.
    pub originals: u64,
    /// Playbooks whose logs were replayed.
    pub playbooks: u64,
    /// What is wrong, in words; at most 100.
    pub problems: Vec<String>,
    /// How many things are wrong.
    pub problem_count: u64,
}

impl CheckReport {
    /// Returns whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, problem: impl Into<String>) {
        self.problem_count += 1;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem.into());
        }
    }
}

impl Store {
    /// Brings the schema up to date. Migrations only go forward; a newer schema than this daemon's is refused.
    ///
    /// # Errors
    /// [`StoreError::Migration`].
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let migrator = dialect::migrator(self.engine());
        match &self.inner.pools {
            Pools::Sqlite { writer, .. } => migrator.run(writer).await?,
            Pools::Postgres { pool } => migrator.run(pool).await?,
        }
        Ok(())
    }

    /// Proves that the database can be read and locked for writing, and returns its versions.
    ///
    /// # Errors
    /// Fails when it cannot.
    pub async fn health(&self) -> Result<Health, StoreError> {
        self.write(Probe).await?;
        let mut conn = self.reader().await?;
        let version = dialect::engine_version(&conn);
        let row = conn.row(version, vec![]).await?.ok_or(StoreError::Unreadable("the engine's version"))?;
        let is_migrated = conn.number(dialect::has_migrations(&conn), vec![]).await? > 0;
        let schema_version = if is_migrated {
            conn.number("SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success", vec![]).await?
        } else {
            0
        };
        let latest = dialect::migrator(self.engine()).iter().map(|migration| migration.version).max();
        Ok(Health {
            engine: self.engine(),
            engine_version: row.text(0)?,
            schema_version,
            latest_schema_version: latest.unwrap_or(0),
        })
    }

    /// Checks everything: the engine's own integrity check, references, counts, each message put together, each
    /// original hashed again and each playbook's log replayed.
    ///
    /// # Errors
    /// Fails when the store cannot be read; what is wrong inside it stands in the report.
    pub async fn check(&self) -> Result<CheckReport, StoreError> {
        let mut report = CheckReport::default();
        self.check_engine(&mut report).await?;
        self.check_references(&mut report).await?;
        self.check_originals(&mut report).await?;
        self.check_messages(&mut report).await?;
        report.playbooks = check_playbooks(self, |problem| report.problem(problem)).await?;
        Ok(report)
    }

    /// Writes a consistent copy of a SQLite database to a new file while the daemon runs.
    ///
    /// # Errors
    /// [`StoreError::FileExists`]; on PostgreSQL [`StoreError::NotHere`]: use `pg_dump`.
    pub async fn backup(&self, target: &Path) -> Result<(), StoreError> {
        let Pools::Sqlite { path, .. } = &self.inner.pools else {
            return Err(StoreError::NotHere {
                engine: Engine::Postgres.name(),
                advice: "use pg_dump, or your server's continuous archiving",
            });
        };
        let name = target.to_str().ok_or(StoreError::Unreadable("the backup's path"))?;
        if tokio::fs::try_exists(target).await.map_err(sqlx::Error::Io)? {
            return Err(StoreError::FileExists(name.to_owned()));
        }
        let mut connection = dialect::sqlite_options(path).connect().await?;
        sqlx::query("VACUUM INTO $1").bind(name).execute(&mut connection).await?;
        let file = tokio::fs::File::open(target).await.map_err(sqlx::Error::Io)?;
        file.sync_all().await.map_err(sqlx::Error::Io)?;
        Ok(())
    }

    /// Gives deleted rows' space back and refreshes the planner's statistics. Writes wait meanwhile.
    ///
    /// # Errors
    /// Fails when the store does, among others for want of space: SQLite writes the file anew.
    pub async fn vacuum(&self) -> Result<(), StoreError> {
        let mut conn = match &self.inner.pools {
            Pools::Sqlite { writer, .. } => Conn::Sqlite(writer.acquire().await?),
            Pools::Postgres { pool } => Conn::Postgres(pool.acquire().await?),
        };
        for statement in dialect::vacuum(&conn) {
            conn.rows(statement, vec![]).await?;
        }
        Ok(())
    }

    async fn check_engine(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let mut conn = self.reader().await?;
        if conn.engine() == Engine::Postgres {
            return Ok(());
        }
        for row in conn.rows("PRAGMA integrity_check", vec![]).await? {
            let line = row.text(0)?;
            if line != "ok" {
                report.problem(format!("integrity check: {line}"));
            }
        }
        for row in conn.rows("PRAGMA foreign_key_check", vec![]).await? {
            report.problem(format!("a row of {} refers to a missing row of {}", row.text(0)?, row.text(2)?));
        }
        Ok(())
    }

    async fn check_references(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let mut conn = self.snapshot().await?;
        let not_indexed = dialect::count_not_indexed(&conn);
        let counts = [
            (
                "originals that no message refers to",
                "SELECT COUNT(*) FROM originals o \
                 WHERE NOT EXISTS (SELECT 1 FROM message_originals m WHERE m.hash = o.hash)",
            ),
            (
                "references to originals that do not exist",
                "SELECT COUNT(*) FROM message_originals m \
                 WHERE NOT EXISTS (SELECT 1 FROM originals o WHERE o.hash = m.hash)",
            ),
            (
                "trajectories whose length or tokens are not those of their messages",
                "SELECT COUNT(*) FROM trajectories t LEFT JOIN (SELECT trajectory_id, COUNT(*) AS length, \
                 MAX(n) + 1 AS beyond, SUM(tokens) AS tokens FROM messages GROUP BY trajectory_id) m \
                 ON m.trajectory_id = t.id WHERE t.length <> COALESCE(m.length, 0) \
                 OR t.length <> COALESCE(m.beyond, 0) OR t.full_tokens <> COALESCE(m.tokens, 0)",
            ),
            ("originals that are not in the word index", not_indexed),
        ];
        for (what, sql) in counts {
            let count = conn.number(sql, vec![]).await?;
            if count != 0 {
                report.problem(format!("{count} {what}"));
            }
        }
        conn.rollback().await
    }

    async fn check_originals(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let sql = "SELECT id, hash, text FROM originals WHERE id > $1 ORDER BY id LIMIT $2";
        let mut after = 0;
        loop {
            let rows = self.reader().await?.rows(sql, values![after, CHECK_PAGE]).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = last.int(0)?;
            for row in &rows {
                report.originals += 1;
                let hash = read_hash(row, 1)?;
                if read_text(row, 2).is_ok_and(|text| OriginalHash::of(&text) == hash) {
                    continue;
                }
                report.problem(format!("the text of original {hash} is not what was stored"));
            }
        }
    }

    async fn check_messages(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let sql = "SELECT id FROM trajectories WHERE id > $1 ORDER BY id LIMIT 1";
        let mut id = String::new();
        while let Some(row) = self.reader().await?.row(sql, values![id.as_str()]).await? {
            id = row.text(0)?;
            report.trajectories += 1;
            let mut from = 0;
            loop {
                match self.messages(&id, from..from + CHECK_MESSAGES).await {
                    Ok(messages) if messages.is_empty() => break,
                    Ok(messages) => report.messages += messages.len() as u64,
                    Err(StoreError::Unreadable(what)) => {
                        report.problem(format!("trajectory {id}, messages from {from}: {what} is unreadable"));
                    }
                    Err(error) => return Err(error),
                }
                from += CHECK_MESSAGES;
            }
        }
        Ok(())
    }
}

/// Takes the write lock and changes nothing.
struct Probe;

impl Write for Probe {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, _: &mut Conn) -> Result<(), StoreError> {
        Ok(())
    }
}
