//! Everything in which the engines differ: connections, transactions, error codes, full-text search.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlitePool};

use super::engine::{Conn, Engine};
use super::error::StoreError;

/// How long SQLite waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;
const STATEMENT_CACHE: usize = 256;
/// Pages in the write-ahead log before a commit moves them to the main file (16 MiB).
const CHECKPOINT_PAGES: &str = "4096";
const WAL_SIZE_LIMIT: &str = "67108864";

/// Opens the single writer and the readers of a SQLite file, which is made if it does not exist.
///
/// # Errors
/// Fails when the file cannot be opened or is no database.
pub(super) async fn open_sqlite(path: &Path) -> Result<(SqlitePool, SqlitePool), StoreError> {
    let options = sqlite_options(path).create_if_missing(true);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.create_if_missing(false).pragma("query_only", "ON"))
        .await?;
    Ok((writer, readers))
}

/// Returns how a SQLite file is opened: WAL, every commit synced, foreign keys held, deleted bytes
/// overwritten.
pub(super) fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .statement_cache_capacity(STATEMENT_CACHE)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", WAL_SIZE_LIMIT)
        .pragma("temp_store", "MEMORY")
        .pragma("secure_delete", "ON")
}

/// Opens a pool of connections to a PostgreSQL database.
///
/// # Errors
/// Fails when the URL is malformed or the server cannot be reached.
pub(super) async fn open_postgres(url: &str) -> Result<PgPool, StoreError> {
    let options: PgConnectOptions = url.parse()?;
    let options = options.application_name("recapd").statement_cache_capacity(STATEMENT_CACHE);
    Ok(PgPoolOptions::new().max_connections(POSTGRES_CONNECTIONS).connect_with(options).await?)
}

/// Starts the writer's transaction on SQLite: the lock is taken at once, so that no upgrade can fail later.
pub(super) const SQLITE_BEGIN: &str = "BEGIN IMMEDIATE";
/// Starts a reading transaction that sees one state of the database.
pub(super) const SQLITE_SNAPSHOT: &str = "BEGIN DEFERRED";
/// Starts a reading transaction that sees one state of the database.
pub(super) const POSTGRES_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Returns the migrations that ship for an engine.
pub(super) fn migrator(engine: Engine) -> &'static sqlx::migrate::Migrator {
    static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");
    static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");
    match engine {
        Engine::Sqlite => &SQLITE,
        Engine::Postgres => &POSTGRES,
    }
}

/// Sorts an engine's error by what a caller can do about it.
pub(super) fn classify(error: sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(|error| error.code().map(std::borrow::Cow::into_owned));
    let is_sqlite =
        error.as_database_error().is_some_and(|error| error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some());
    let source = Arc::new(error);
    match (&*source, code) {
        (_, Some(code)) if is_sqlite => classify_sqlite(code.parse().unwrap_or(0), source),
        (_, Some(code)) => classify_postgres(&code, source),
        (sqlx::Error::PoolClosed, None) => StoreError::Closed,
        (sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Tls(_), None) => {
            StoreError::Io(source)
        }
        _ => StoreError::Engine(source),
    }
}

/// <https://www.sqlite.org/rescode.html>; the low byte is the primary code.
fn classify_sqlite(code: u32, source: Arc<sqlx::Error>) -> StoreError {
    match code & 0xff {
        5 | 6 => StoreError::Locked(source),
        13 => StoreError::DiskFull(source),
        3 | 8 | 10 | 14 => StoreError::Io(source),
        11 | 26 => StoreError::Damaged(source),
        _ => StoreError::Engine(source),
    }
}

/// <https://www.postgresql.org/docs/15/errcodes-appendix.html>
fn classify_postgres(code: &str, source: Arc<sqlx::Error>) -> StoreError {
    match code {
        "55P03" => StoreError::Locked(source),
        "53100" => StoreError::DiskFull(source),
        "XX001" | "XX002" => StoreError::Damaged(source),
        _ if code.starts_with("08") || code.starts_with("57P") || code.starts_with("58") => StoreError::Io(source),
        _ => StoreError::Engine(source),
    }
}

/// Whether a PostgreSQL transaction failed only because of another one, and may be run again:
/// serialization failure, deadlock, an original deleted or a key inserted meanwhile.
pub(super) fn is_conflict(error: &StoreError) -> bool {
    let StoreError::Engine(source) = error else {
        return false;
    };
    let code = source.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01" | "23503" | "23505"))
}

/// Picks one engine's text of a statement.
pub(super) fn text(conn: &Conn, sqlite: &'static str, postgres: &'static str) -> &'static str {
    match conn.engine() {
        Engine::Sqlite => sqlite,
        Engine::Postgres => postgres,
    }
}

/// Returns the statement that reads a trajectory's row for a change; PostgreSQL locks the row.
macro_rules! for_update {
    ($conn:expr, $sql:literal) => {
        $crate::store::dialect::text($conn, $sql, concat!($sql, " FOR UPDATE"))
    };
}
pub(super) use for_update;

/// Returns a statement with the engine's condition for "the id is one that this query returns" in its middle.
/// PostgreSQL locks the query's rows, passes over those that others have locked, and runs it once.
macro_rules! where_id_taken {
    ($conn:expr, $start:literal, $query:literal, $end:literal) => {
        $crate::store::dialect::text(
            $conn,
            concat!($start, "id IN (", $query, ")", $end),
            concat!($start, "id = ANY (ARRAY(", $query, " FOR UPDATE SKIP LOCKED))", $end),
        )
    };
}
pub(super) use where_id_taken;

/// Returns a statement with the engine's condition for "the words of original `o` match `$1`" in its middle.
macro_rules! where_words_match {
    ($conn:expr, $start:expr, $end:expr) => {
        $crate::store::dialect::text(
            $conn,
            concat!($start, "o.id IN (SELECT rowid FROM original_words WHERE original_words MATCH $1)", $end),
            concat!($start, "o.id IN (SELECT original_id FROM original_words WHERE words @@ $1::tsquery)", $end),
        )
    };
}
pub(super) use where_words_match;

/// Returns the start and the end of the statement that indexes originals' words: rows of id and words with
/// spaces between them.
pub(super) fn index_words(conn: &Conn) -> (&'static str, &'static str) {
    match conn.engine() {
        Engine::Sqlite => ("INSERT INTO original_words (rowid, words)", ""),
        Engine::Postgres => (
            "INSERT INTO original_words (original_id, words) \
             SELECT v.id, array_to_tsvector(string_to_array(v.words, ' ')) FROM (",
            ") AS v (id, words)",
        ),
    }
}

/// Returns the start of the statement that takes originals' words out of the index.
pub(super) fn forget_words(conn: &Conn) -> &'static str {
    text(conn, "DELETE FROM original_words WHERE rowid IN", "DELETE FROM original_words WHERE original_id IN")
}

/// Returns the query for texts that hold every word. Words hold letters and digits only.
pub(super) fn all_words(engine: Engine, words: &[String]) -> String {
    join_words(engine, words, " AND ", " & ")
}

/// Returns the query for texts that hold any of the words.
pub(super) fn any_word(engine: Engine, words: &[String]) -> String {
    join_words(engine, words, " OR ", " | ")
}

fn join_words(engine: Engine, words: &[String], sqlite: &str, postgres: &str) -> String {
    let (quote, operator) = match engine {
        Engine::Sqlite => ('"', sqlite),
        Engine::Postgres => ('\'', postgres),
    };
    let quoted: Vec<String> = words.iter().map(|word| format!("{quote}{word}{quote}")).collect();
    quoted.join(operator)
}

/// Returns the query for the engine's own version.
pub(super) fn engine_version(conn: &Conn) -> &'static str {
    text(conn, "SELECT sqlite_version()", "SELECT current_setting('server_version')")
}

/// Returns the query that counts the tables that list migrations.
pub(super) fn has_migrations(conn: &Conn) -> &'static str {
    text(
        conn,
        "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
        "SELECT COUNT(*) FROM pg_tables WHERE tablename = '_sqlx_migrations' AND schemaname = current_schema()",
    )
}

/// Returns the query that counts originals without words in the index.
pub(super) fn count_not_indexed(conn: &Conn) -> &'static str {
    text(
        conn,
        "SELECT COUNT(*) FROM originals WHERE id NOT IN (SELECT rowid FROM original_words)",
        "SELECT COUNT(*) FROM originals WHERE id NOT IN (SELECT original_id FROM original_words)",
    )
}

/// Returns the statements that give space back.
pub(super) fn vacuum(conn: &Conn) -> &'static [&'static str] {
    match conn.engine() {
        Engine::Sqlite => &[
            "INSERT INTO original_words (original_words) VALUES ('optimize')",
            "VACUUM",
            "ANALYZE",
            "PRAGMA wal_checkpoint(TRUNCATE)",
        ],
        Engine::Postgres => &["VACUUM (ANALYZE)"],
    }
}
