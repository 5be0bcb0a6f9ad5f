//! One connection type over both engines, so that each statement's text exists once.
//!
//! Statements use `$1` placeholders and three types: text, 64-bit integers and bytes. Prepared statements
//! are cached by each connection.

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, PgConnection, Postgres, Row as _, Sqlite, SqliteConnection, Transaction};

use super::error::StoreError;
use super::value::Value;

/// The most rows that one INSERT takes.
const MAX_ROWS: usize = 32;

/// A connection of either engine, outside or inside of a transaction.
#[derive(Debug)]
pub(super) enum Conn {
    Sqlite(PoolConnection<Sqlite>),
    SqliteTx(Transaction<'static, Sqlite>),
    Postgres(PoolConnection<Postgres>),
    PostgresTx(Transaction<'static, Postgres>),
}

/// A row of either engine.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

enum Raw<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// Binds values to one engine's arguments.
macro_rules! bind {
    ($arguments:ident, $values:expr) => {{
        let mut arguments = $arguments::default();
        for value in $values {
            match value {
                Value::Text(Some(text)) if text.contains('\0') => {
                    return Err(StoreError::NulInText);
                }
                Value::Text(text) => arguments.add(text),
                Value::Int(number) => arguments.add(number),
                Value::Bytes(bytes) => arguments.add(bytes),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        arguments
    }};
}

impl Conn {
    fn raw(&mut self) -> Raw<'_> {
        match self {
            Self::Sqlite(connection) => Raw::Sqlite(connection),
            Self::SqliteTx(transaction) => Raw::Sqlite(transaction),
            Self::Postgres(connection) => Raw::Postgres(connection),
            Self::PostgresTx(transaction) => Raw::Postgres(transaction),
        }
    }

    /// Returns which engine this is.
    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) | Self::SqliteTx(_) => Engine::Sqlite,
            Self::Postgres(_) | Self::PostgresTx(_) => Engine::Postgres,
        }
    }

    /// Makes the transaction durable. Does nothing outside of one.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::SqliteTx(transaction) => transaction.commit().await?,
            Self::PostgresTx(transaction) => transaction.commit().await?,
            Self::Sqlite(_) | Self::Postgres(_) => {}
        }
        Ok(())
    }

    /// Undoes the transaction. Does nothing outside of one.
    pub(super) async fn rollback(self) -> Result<(), StoreError> {
        match self {
            Self::SqliteTx(transaction) => transaction.rollback().await?,
            Self::PostgresTx(transaction) => transaction.rollback().await?,
            Self::Sqlite(_) | Self::Postgres(_) => {}
        }
        Ok(())
    }

    /// Closes the connection for good, undoing whatever transaction is open on it.
    pub(super) async fn discard(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => connection.close().await?,
            Self::Postgres(connection) => connection.close().await?,
            transaction => transaction.rollback().await?,
        }
        Ok(())
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn execute(&mut self, sql: &'static str, values: Vec<Value>) -> Result<u64, StoreError> {
        Ok(match self.raw() {
            Raw::Sqlite(connection) => {
                let arguments = bind!(SqliteArguments, values);
                sqlx::query_with(sql, arguments).execute(connection).await?.rows_affected()
            }
            Raw::Postgres(connection) => {
                let arguments = bind!(PgArguments, values);
                sqlx::query_with(sql, arguments).execute(connection).await?.rows_affected()
            }
        })
    }

    /// Runs a query and returns its rows.
    pub(super) async fn rows(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.rows_of(AssertSqlSafe(std::borrow::Cow::Borrowed(sql)), values).await
    }

    /// Runs a query that returns at most one row.
    pub(super) async fn row(&mut self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Runs a query that returns one number.
    pub(super) async fn number(&mut self, sql: &'static str, values: Vec<Value>) -> Result<i64, StoreError> {
        let row = self.row(sql, values).await?;
        row.ok_or(StoreError::Unreadable("a count"))?.int(0)
    }

    /// Inserts rows given as a flat list of `columns` values each, many at a time, and returns what the
    /// statement's end (`ON CONFLICT … RETURNING …`, may be empty) returns.
    ///
    /// Each count of rows is a statement of its own: prepared ones stay, as many as [`MAX_ROWS`] for each kind of
    /// insert, which is well below what a connection keeps.
    pub(super) async fn insert_rows(
        &mut self,
        start: &'static str,
        columns: usize,
        end: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut returned = Vec::new();
        let mut left = values.len() / columns.max(1);
        let mut values = values.into_iter();
        while left > 0 {
            let rows = MAX_ROWS.min(left);
            let chunk: Vec<Value> = values.by_ref().take(rows * columns).collect();
            let sql = with_tuples(&format!("{start} VALUES "), columns, rows, &format!(" {end}"));
            returned.extend(self.rows_of(AssertSqlSafe(sql.into()), chunk).await?);
            left -= rows;
        }
        Ok(returned)
    }

    /// Runs a statement that ends in `… IN` for many numbers, a fixed count at a time.
    pub(super) async fn delete_by_number(&mut self, start: &'static str, numbers: &[i64]) -> Result<(), StoreError> {
        for chunk in numbers.chunks(MAX_ROWS) {
            // The last number again fills a short chunk, so that one statement serves all.
            let filler = chunk.last().copied().unwrap_or_default();
            let mut values: Vec<Value> = chunk.iter().map(|&number| number.into()).collect();
            values.resize(MAX_ROWS, filler.into());
            let sql = with_tuples(&format!("{start} "), MAX_ROWS, 1, "");
            self.rows_of(AssertSqlSafe(sql.into()), values).await?;
        }
        Ok(())
    }

    async fn rows_of(
        &mut self,
        sql: AssertSqlSafe<std::borrow::Cow<'static, str>>,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        Ok(match self.raw() {
            Raw::Sqlite(connection) => {
                let arguments = bind!(SqliteArguments, values);
                let rows = sqlx::query_with(sql, arguments).fetch_all(connection).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Raw::Postgres(connection) => {
                let arguments = bind!(PgArguments, values);
                let rows = sqlx::query_with(sql, arguments).fetch_all(connection).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }
}

/// Returns `start` and `tuples` lists of `columns` numbered placeholders each, in parentheses, and `end`.
fn with_tuples(start: &str, columns: usize, tuples: usize, end: &str) -> String {
    use std::fmt::Write as _;
    let mut sql = String::with_capacity(start.len() + end.len() + tuples * columns * 5 + 16);
    sql.push_str(start);
    for tuple in 0..tuples {
        sql.push_str(if tuple == 0 { "(" } else { ", (" });
        for column in 1..=columns {
            let comma = if column == 1 { "" } else { ", " };
            // Writing to a String cannot fail.
            write!(sql, "{comma}${}", tuple * columns + column).unwrap_or_default();
        }
        sql.push(')');
    }
    sql.push_str(end);
    sql
}

/// Gets a column of either engine's row.
macro_rules! get {
    ($row:expr, $index:expr) => {
        match $row {
            Row::Sqlite(row) => row.try_get($index).map_err(StoreError::from),
            Row::Postgres(row) => row.try_get($index).map_err(StoreError::from),
        }
    };
}

impl Row {
    pub(super) fn int(&self, index: usize) -> Result<i64, StoreError> {
        get!(self, index)
    }

    pub(super) fn int_or_null(&self, index: usize) -> Result<Option<i64>, StoreError> {
        get!(self, index)
    }

    /// Returns a number that cannot be negative.
    pub(super) fn count(&self, index: usize) -> Result<u64, StoreError> {
        u64::try_from(self.int(index)?).map_err(|_| StoreError::Unreadable("a negative count"))
    }

    pub(super) fn count_or_null(&self, index: usize) -> Result<Option<u64>, StoreError> {
        let count = self.int_or_null(index)?.map(u64::try_from).transpose();
        count.map_err(|_| StoreError::Unreadable("a negative count"))
    }

    pub(super) fn text(&self, index: usize) -> Result<String, StoreError> {
        get!(self, index)
    }

    pub(super) fn text_or_null(&self, index: usize) -> Result<Option<String>, StoreError> {
        get!(self, index)
    }

    pub(super) fn bytes(&self, index: usize) -> Result<Vec<u8>, StoreError> {
        get!(self, index)
    }

    pub(super) fn bytes_or_null(&self, index: usize) -> Result<Option<Vec<u8>>, StoreError> {
        get!(self, index)
    }
}

/// The database engines that recapd runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// One file, one daemon.
    Sqlite,
    /// A server that many daemons share.
    Postgres,
}

impl Engine {
    /// Returns the engine's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}
