//! Originals: verbatim texts by hash, each stored once.

use std::collections::BTreeMap;
use std::sync::Arc;

use recap_core::trajectory::OriginalHash;

use super::Store;
use super::dialect;
use super::engine::{Conn, Row};
use super::error::StoreError;
use super::value::values;
use super::words::distinct_words;

/// Why a short handle names no original.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HandleError {
    /// It is not `b3:` and 8 to 64 hexadecimal digits (the `b3:` may be left out).
    #[error("not a handle: expected `b3:` and 8 to 64 hexadecimal digits")]
    Malformed,
    /// No original of the trajectory starts with it.
    #[error("the trajectory has no such original")]
    Unknown,
    /// More than one original of the trajectory starts with it.
    #[error("the handle names more than one original; give more digits")]
    Ambiguous,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Returns an original's text.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn original(&self, hash: OriginalHash) -> Result<Option<Arc<str>>, StoreError> {
        let sql = "SELECT text FROM originals WHERE hash = $1";
        let row = self
            .reader()
            .await?
            .row(sql, values![hash.as_bytes()])
            .await?;
        row.map(|row| read_text(&row, 0)).transpose()
    }

    /// Returns an original's text if a trajectory of the namespace refers to it.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn original_in_namespace(
        &self,
        hash: OriginalHash,
        namespace: &str,
    ) -> Result<Option<Arc<str>>, StoreError> {
        let sql = "SELECT text FROM originals o WHERE o.hash = $1 AND EXISTS (SELECT 1 FROM message_originals m \
                   JOIN trajectories t ON t.id = m.trajectory_id WHERE m.hash = o.hash AND t.namespace = $2)";
        let row = self
            .reader()
            .await?
            .row(sql, values![hash.as_bytes(), namespace])
            .await?;
        row.map(|row| read_text(&row, 0)).transpose()
    }

    /// Returns the full address of the trajectory's original that starts with a handle's digits.
    ///
    /// # Errors
    /// See [`HandleError`].
    pub async fn resolve_handle(
        &self,
        trajectory: &str,
        handle: &str,
    ) -> Result<OriginalHash, HandleError> {
        let (low, high) = handle_range(handle).ok_or(HandleError::Malformed)?;
        let sql = "SELECT DISTINCT hash FROM message_originals \
                   WHERE hash >= $1 AND hash <= $2 AND trajectory_id = $3 LIMIT 2";
        let rows = self
            .reader()
            .await?
            .rows(sql, values![&low, &high, trajectory])
            .await?;
        match rows.as_slice() {
            [] => Err(HandleError::Unknown),
            [row] => Ok(read_hash(row, 0)?),
            _ => Err(HandleError::Ambiguous),
        }
    }

    /// Returns the originals of one message in order.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn originals_of(
        &self,
        trajectory: &str,
        n: u64,
    ) -> Result<Vec<(OriginalHash, Arc<str>)>, StoreError> {
        let mut conn = self.reader().await?;
        Ok(read_originals(&mut conn, trajectory, n, n + 1)
            .await?
            .remove(&n)
            .unwrap_or_default())
    }
}

/// Returns the least and the greatest hash that start with a handle's digits.
fn handle_range(handle: &str) -> Option<([u8; 32], [u8; 32])> {
    let digits = handle.strip_prefix("b3:").unwrap_or(handle);
    if !(8..=64).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let fill = |pad: &str| {
        let full = format!("b3:{digits}{}", pad.repeat(64 - digits.len()));
        full.parse::<OriginalHash>()
            .ok()
            .map(|hash| *hash.as_bytes())
    };
    Some((fill("0")?, fill("f")?))
}

/// Returns the originals of the messages `from..to` of a trajectory, by message, in order.
pub(super) async fn read_originals(
    conn: &mut Conn,
    trajectory: &str,
    from: u64,
    to: u64,
) -> Result<BTreeMap<u64, Vec<(OriginalHash, Arc<str>)>>, StoreError> {
    let sql = "SELECT m.n, o.hash, o.text FROM message_originals m JOIN originals o ON o.hash = m.hash \
               WHERE m.trajectory_id = $1 AND m.n >= $2 AND m.n < $3 ORDER BY m.n, m.ordinal";
    let mut originals: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for row in conn.rows(sql, values![trajectory, from, to]).await? {
        originals
            .entry(row.count(0)?)
            .or_default()
            .push((read_hash(&row, 1)?, read_text(&row, 2)?));
    }
    Ok(originals)
}

/// A text on its way into the store.
#[derive(Debug)]
pub(super) struct NewOriginal {
    text: Arc<[u8]>,
    words: Arc<str>,
}

impl NewOriginal {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.as_bytes().into(),
            words: distinct_words(text).join(" ").into(),
        }
    }
}

/// Stores texts that are not stored yet and indexes their words.
///
/// Rows go in the order of their hashes, so that two transactions cannot wait for each other.
pub(super) async fn insert_originals(
    conn: &mut Conn,
    originals: &BTreeMap<OriginalHash, NewOriginal>,
) -> Result<(), StoreError> {
    let rows = originals
        .iter()
        .flat_map(|(hash, new)| values![hash.as_bytes(), &new.text])
        .collect();
    let start = "INSERT INTO originals (hash, text)";
    let end = "ON CONFLICT (hash) DO NOTHING RETURNING id, hash";
    let mut words = Vec::new();
    for row in conn.insert_rows(start, 2, end, rows).await? {
        let new = originals
            .get(&read_hash(&row, 1)?)
            .ok_or(StoreError::Unreadable("an original's hash"))?;
        words.extend(values![row.int(0)?, &new.words]);
    }
    let (start, end) = dialect::index_words(conn);
    conn.insert_rows(start, 2, end, words).await?;
    Ok(())
}

pub(super) fn read_hash(row: &Row, index: usize) -> Result<OriginalHash, StoreError> {
    let bytes: Result<[u8; 32], _> = row.bytes(index)?.try_into();
    bytes
        .map(OriginalHash::from_bytes)
        .map_err(|_| StoreError::Unreadable("an original's hash"))
}

pub(super) fn read_text(row: &Row, index: usize) -> Result<Arc<str>, StoreError> {
    let text = String::from_utf8(row.bytes(index)?);
    text.map(Into::into)
        .map_err(|_| StoreError::Unreadable("an original's text"))
}
