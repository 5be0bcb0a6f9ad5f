//! API keys: only their hashes.

use super::Store;
use super::engine::{Conn, Row};
use super::error::StoreError;
use super::value::values;
use super::writer::Write;

/// A stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its public id.
    pub id: String,
    /// The hash of its secret.
    pub hash: [u8; 32],
    /// What people call it.
    pub name: String,
    /// What it may do: `agent`, `operator` or `admin`.
    pub scope: String,
    /// The only namespace that it opens; `None` opens all.
    pub namespace: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last used, to about a minute.
    pub last_used_ms: Option<i64>,
}

macro_rules! select_key {
    ($end:literal) => {
        concat!(
            "SELECT id, hash, name, scope, namespace, created_ms, last_used_ms FROM api_keys ",
            $end
        )
    };
}

impl Store {
    /// Stores a key. A taken id or hash is an engine error: both are random.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn add_key(&self, key: KeyRow) -> Result<(), StoreError> {
        self.write(key).await
    }

    /// Returns the key with this hash.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<KeyRow>, StoreError> {
        let row = self
            .reader()
            .await?
            .row(select_key!("WHERE hash = $1"), values![hash])
            .await?;
        row.as_ref().map(read_key).transpose()
    }

    /// Returns all keys, oldest first.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn list_keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let rows = self
            .reader()
            .await?
            .rows(select_key!("ORDER BY created_ms, id"), vec![])
            .await?;
        rows.iter().map(read_key).collect()
    }

    /// Notes that a key was used and returns whether it exists.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn touch_key(&self, id: &str, now_ms: i64) -> Result<bool, StoreError> {
        self.write(TouchKey {
            id: id.to_owned(),
            now_ms,
        })
        .await
    }

    /// Deletes a key and returns whether it existed.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn delete_key(&self, id: &str) -> Result<bool, StoreError> {
        self.write(DeleteKey { id: id.to_owned() }).await
    }
}

fn read_key(row: &Row) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        id: row.text(0)?,
        hash: row
            .bytes(1)?
            .try_into()
            .map_err(|_| StoreError::Unreadable("a key's hash"))?,
        name: row.text(2)?,
        scope: row.text(3)?,
        namespace: row.text_or_null(4)?,
        created_ms: row.int(5)?,
        last_used_ms: row.int_or_null(6)?,
    })
}

impl Write for KeyRow {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let sql = "INSERT INTO api_keys (id, hash, name, scope, namespace, created_ms, last_used_ms) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let bound = values![
            self.id.as_str(),
            &self.hash,
            self.name.as_str(),
            self.scope.as_str(),
            self.namespace.as_deref(),
            self.created_ms,
            self.last_used_ms,
        ];
        conn.execute(sql, bound).await?;
        Ok(())
    }
}

struct TouchKey {
    id: String,
    now_ms: i64,
}

impl Write for TouchKey {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let sql = "UPDATE api_keys SET last_used_ms = $2 WHERE id = $1";
        Ok(conn
            .execute(sql, values![self.id.as_str(), self.now_ms])
            .await?
            > 0)
    }
}

struct DeleteKey {
    id: String,
}

impl Write for DeleteKey {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        Ok(conn
            .execute(
                "DELETE FROM api_keys WHERE id = $1",
                values![self.id.as_str()],
            )
            .await?
            > 0)
    }
}
