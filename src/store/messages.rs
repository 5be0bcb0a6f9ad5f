//! Reading messages, and pinning them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use recap_core::trajectory::{Origin, OriginalHash, Role, WireFormat};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Store;
use super::engine::{Conn, Row};
use super::error::{ChangeError, StoreError};
use super::native;
use super::originals::read_originals;
use super::trajectories::lock_length;
use super::value::values;
use super::writer::Write;

/// A stored message.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageRow {
    /// Its place in the trajectory, from 0.
    pub n: u64,
    /// The JSON exactly as it was sent.
    pub native: Arc<str>,
    /// The format of `native`.
    pub format: WireFormat,
    /// Who speaks.
    pub role: Role,
    /// Whose words these are.
    pub origin: Origin,
    /// What it counts alone with the trajectory's tokenizer.
    pub tokens: u32,
    /// Reformatted texts by block index.
    pub admitted: BTreeMap<u32, Arc<str>>,
    /// Whether somebody pinned it.
    pub pinned: bool,
    /// The verbatim texts in it, in order.
    pub originals: Vec<(OriginalHash, Arc<str>)>,
    /// When it was appended, in milliseconds since 1970.
    pub created_ms: i64,
}

impl Store {
    /// Returns the messages of a trajectory that lie in `range`, in order; what lies beyond the end is left out.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when what is stored cannot be put together.
    pub async fn messages(
        &self,
        trajectory: &str,
        range: Range<u64>,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let mut conn = self.snapshot().await?;
        let messages = read_messages(&mut conn, trajectory, range).await;
        conn.rollback().await?;
        messages
    }

    /// Pins or unpins a message.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`] and [`ChangeError::NoMessage`].
    pub async fn set_pinned(
        &self,
        trajectory: &str,
        n: u64,
        pinned: Pinned,
        now_ms: i64,
    ) -> Result<(), ChangeError> {
        self.write(Pin {
            trajectory: trajectory.to_owned(),
            n,
            pinned,
            now_ms,
        })
        .await
    }
}

/// Whether a message is pinned (law 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinned {
    /// Never paraphrased.
    Yes,
    /// Like any other.
    No,
}

struct Pin {
    trajectory: String,
    n: u64,
    pinned: Pinned,
    now_ms: i64,
}

impl Write for Pin {
    type Output = ();
    type Error = ChangeError;

    async fn run(&self, conn: &mut Conn) -> Result<(), ChangeError> {
        lock_length(conn, &self.trajectory).await?;
        let sql = "UPDATE messages SET pinned = $3 WHERE trajectory_id = $1 AND n = $2";
        let pinned = i64::from(self.pinned == Pinned::Yes);
        if conn
            .execute(sql, values![self.trajectory.as_str(), self.n, pinned])
            .await?
            == 0
        {
            return Err(ChangeError::NoMessage);
        }
        let sql = "UPDATE trajectories SET version = version + 1, updated_ms = $2 WHERE id = $1";
        conn.execute(sql, values![self.trajectory.as_str(), self.now_ms])
            .await?;
        Ok(())
    }
}

async fn read_messages(
    conn: &mut Conn,
    trajectory: &str,
    range: Range<u64>,
) -> Result<Vec<MessageRow>, StoreError> {
    let sql = "SELECT n, format, role, origin, tokens, pinned, created_ms, native, cuts, admitted FROM messages \
               WHERE trajectory_id = $1 AND n >= $2 AND n < $3 ORDER BY n";
    let rows = conn
        .rows(sql, values![trajectory, range.start, range.end])
        .await?;
    let mut originals = read_originals(conn, trajectory, range.start, range.end).await?;
    rows.iter()
        .map(|row| {
            let originals = originals.remove(&row.count(0)?).unwrap_or_default();
            read_message(row, originals)
        })
        .collect()
}

fn read_message(
    row: &Row,
    originals: Vec<(OriginalHash, Arc<str>)>,
) -> Result<MessageRow, StoreError> {
    let short =
        String::from_utf8(row.bytes(7)?).map_err(|_| StoreError::Unreadable("a message's JSON"))?;
    let native = match row.text_or_null(8)? {
        None => short,
        Some(cuts) => {
            let cuts: Vec<native::Cut> = from_json(&cuts, "a message's references")?;
            let texts: Vec<&Arc<str>> = originals.iter().map(|(_, text)| text).collect();
            native::reassemble(&short, &cuts, &texts)
                .ok_or(StoreError::Unreadable("a message's references"))?
        }
    };
    let admitted = row.text_or_null(9)?;
    Ok(MessageRow {
        n: row.count(0)?,
        native: native.into(),
        format: from_name(row.text(1)?)?,
        role: from_name(row.text(2)?)?,
        origin: from_name(row.text(3)?)?,
        tokens: u32::try_from(row.int(4)?).map_err(|_| StoreError::Unreadable("a token count"))?,
        pinned: row.int(5)? != 0,
        created_ms: row.int(6)?,
        admitted: admitted.map_or(Ok(BTreeMap::new()), |text| {
            from_json(&text, "a message's reformatted texts")
        })?,
        originals,
    })
}

fn from_json<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable(what))
}

/// Returns the wire name of a role, format or origin.
pub(super) fn name<T: Serialize>(value: T) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        _ => Err(StoreError::Unreadable("a name")),
    }
}

fn from_name<T: DeserializeOwned>(name: String) -> Result<T, StoreError> {
    serde_json::from_value(name.into())
        .map_err(|_| StoreError::Unreadable("a role, format or origin"))
}
