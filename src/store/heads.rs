//! Heads: trained weights by content hash, which of them scores lines, and the log of how that came to be.

use std::fmt;

use recap_core::context::MOST_HEAD_BYTES;
use recap_core::trajectory::OriginalHash;
use serde_json::Value as Json;

use super::Store;
use super::dialect::for_update;
use super::engine::{Conn, Row};
use super::error::{Failure, StoreError};
use super::value::{Value, values};
use super::writer::Write;

/// What no head is called.
const RULES: &str = "rules";

/// What a verdict was won against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// Rules, with no head.
    Rules,
    /// The head that scored.
    Head(OriginalHash),
}

impl Measured {
    /// Returns what was measured where this head scores, or none.
    #[must_use]
    pub fn of(champion: Option<OriginalHash>) -> Self {
        champion.map_or(Self::Rules, Self::Head)
    }

    /// Returns the head; `None` for rules.
    #[must_use]
    pub fn champion(self) -> Option<OriginalHash> {
        match self {
            Self::Rules => None,
            Self::Head(hash) => Some(hash),
        }
    }

    fn read(name: &str) -> Result<Self, StoreError> {
        if name == RULES {
            return Ok(Self::Rules);
        }
        name.parse().map(Self::Head).map_err(|_| StoreError::Unreadable("what a head was measured against"))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rules => out.write_str(RULES),
            Self::Head(hash) => hash.fmt(out),
        }
    }
}

/// A head without its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadRow {
    /// The hash of its weights' bytes.
    pub hash: OriginalHash,
    /// How it was trained, and on what.
    pub manifest: Json,
    /// What the gate said of it, if it judged it.
    pub verdict: Option<Json>,
    /// Whether the gate let it pass.
    pub passed: bool,
    /// What the verdict was won against, where that is known.
    pub measured: Option<Measured>,
    /// Who trained it.
    pub actor: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
    /// The size of its weights.
    pub bytes: u64,
}

/// What the gate said of a head.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadVerdict {
    /// Its words and numbers.
    pub said: Json,
    /// Whether the head passes.
    pub passes: bool,
    /// What it was measured against.
    pub against: Measured,
}

/// A head that is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewHead {
    /// Its weights, at most [`MOST_HEAD_BYTES`].
    pub weights: Vec<u8>,
    /// How it was trained, and on what.
    pub manifest: Json,
    /// What the gate said of it, if it judged it.
    pub verdict: Option<HeadVerdict>,
    /// Who trained it.
    pub actor: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
}

/// Which head scores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadState {
    /// The champion; `None` where none scores.
    pub champion: Option<OriginalHash>,
    /// Another number after each change.
    pub version: u64,
}

/// One step in the life of the heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadEvent {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// `activate` or `rollback`.
    pub action: String,
    /// What scored before.
    pub from: Option<OriginalHash>,
    /// What scores since.
    pub to: Option<OriginalHash>,
}

/// The champion that must still be it when another one takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The one that the new head was measured against.
    Measured,
    /// The one that the caller knows; `None` where no head scores.
    Champion(Option<OriginalHash>),
}

/// What is done about the champion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadStep {
    /// A head becomes the champion.
    Activate {
        /// The head.
        hash: OriginalHash,
        /// The champion as it must be.
        expected: Expected,
    },
    /// The champion before this one comes back, or none if there was none.
    Rollback,
}

/// A change of what scores.
#[derive(Debug, Clone)]
pub struct HeadChange {
    /// Who.
    pub actor: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What.
    pub step: HeadStep,
}

/// Why heads were not changed. Nothing of it is stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HeadError {
    /// There is no such head.
    #[error("no such head")]
    NoHead,
    /// The weights are larger than a head's may be.
    #[error("a head has at most {MOST_HEAD_BYTES} bytes")]
    TooLarge,
    /// No gate let it pass.
    #[error("the gate did not let it pass")]
    NotPassed,
    /// The champion is another one.
    #[error("the champion is another one")]
    Champion {
        /// The champion.
        current: Option<OriginalHash>,
    },
    /// There was no champion before this one.
    #[error("no head was ever activated")]
    NoEarlier,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for HeadError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

macro_rules! select_head {
    ($end:literal) => {
        concat!(
            "SELECT hash, manifest, verdict, passed, measured, actor, created_ms, CAST(LENGTH(weights) AS BIGINT) \
             FROM heads ",
            $end
        )
    };
}

impl Store {
    /// Stores a head. One with the same weights stays as it is but for its verdict, and keeps that where the new one was
    /// measured against the head itself. Returns its hash.
    ///
    /// # Errors
    /// [`HeadError::TooLarge`]
    pub async fn add_head(&self, head: NewHead) -> Result<OriginalHash, HeadError> {
        self.write(head).await
    }

    /// Returns heads, newest first.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn heads(&self) -> Result<Vec<HeadRow>, StoreError> {
        let sql = select_head!("ORDER BY created_ms DESC, hash");
        self.reader().await?.rows(sql, vec![]).await?.iter().map(read_head).collect()
    }

    /// Returns a head.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn head(&self, hash: &OriginalHash) -> Result<Option<HeadRow>, StoreError> {
        let row = self.reader().await?.row(select_head!("WHERE hash = $1"), values![hash.as_bytes()]).await?;
        row.as_ref().map(read_head).transpose()
    }

    /// Returns a head's weights.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] where they are not those of the hash.
    pub async fn head_weights(&self, hash: &OriginalHash) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT weights FROM heads WHERE hash = $1";
        let row = self.reader().await?.row(sql, values![hash.as_bytes()]).await?;
        let Some(weights) = row.map(|row| row.bytes(0)).transpose()? else { return Ok(None) };
        if hash_of(&weights) == *hash { Ok(Some(weights)) } else { Err(StoreError::Unreadable("a head's weights")) }
    }

    /// Returns which head scores.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn head_state(&self) -> Result<HeadState, StoreError> {
        let row = self.reader().await?.row("SELECT champion, version FROM head_state WHERE id = 1", vec![]).await?;
        row.as_ref().map_or(Ok(HeadState::default()), read_state)
    }

    /// Returns up to `limit` steps, newest first.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn head_events(&self, limit: usize) -> Result<Vec<HeadEvent>, StoreError> {
        let sql = "SELECT at_ms, actor, action, from_hash, to_hash FROM head_events ORDER BY id DESC LIMIT $1";
        self.reader().await?.rows(sql, values![limit]).await?.iter().map(read_event).collect()
    }

    /// Changes which head scores, and logs it. Returns the state since.
    ///
    /// # Errors
    /// [`HeadError`]
    pub async fn change_head(&self, change: HeadChange) -> Result<HeadState, HeadError> {
        self.write(change).await
    }
}

/// Returns the address of a head's weights.
#[must_use]
pub fn hash_of(weights: &[u8]) -> OriginalHash {
    OriginalHash::from_bytes(*blake3::hash(weights).as_bytes())
}

fn read_head(row: &Row) -> Result<HeadRow, StoreError> {
    let json = |text: String| serde_json::from_str(&text).map_err(|_| StoreError::Unreadable("a head's record"));
    Ok(HeadRow {
        hash: read_hash(&row.bytes(0)?)?,
        manifest: json(row.text(1)?)?,
        verdict: row.text_or_null(2)?.map(json).transpose()?,
        passed: row.int(3)? > 0,
        measured: row.text_or_null(4)?.as_deref().map(Measured::read).transpose()?,
        actor: row.text(5)?,
        created_ms: row.int(6)?,
        bytes: row.count(7)?,
    })
}

fn read_state(row: &Row) -> Result<HeadState, StoreError> {
    Ok(HeadState { champion: hash_or_null(row, 0)?, version: row.count(1)? })
}

fn read_event(row: &Row) -> Result<HeadEvent, StoreError> {
    Ok(HeadEvent {
        at_ms: row.int(0)?,
        actor: row.text(1)?,
        action: row.text(2)?,
        from: hash_or_null(row, 3)?,
        to: hash_or_null(row, 4)?,
    })
}

fn hash_or_null(row: &Row, index: usize) -> Result<Option<OriginalHash>, StoreError> {
    row.bytes_or_null(index)?.as_deref().map(read_hash).transpose()
}

fn read_hash(bytes: &[u8]) -> Result<OriginalHash, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Unreadable("a head's hash"))?;
    Ok(OriginalHash::from_bytes(bytes))
}

fn nullable(hash: Option<&OriginalHash>) -> Value {
    Value::Bytes(hash.map(|hash| hash.as_bytes().as_slice().into()))
}

impl Write for NewHead {
    type Output = OriginalHash;
    type Error = HeadError;

    fn weight(&self) -> usize {
        self.weights.len()
    }

    async fn run(&self, conn: &mut Conn) -> Result<OriginalHash, HeadError> {
        if self.weights.len() > MOST_HEAD_BYTES {
            return Err(HeadError::TooLarge);
        }
        let hash = hash_of(&self.weights);
        // a head is no better than itself: that says nothing of what it was measured against before
        let verdict = self.verdict.as_ref().filter(|verdict| verdict.against != Measured::Head(hash));
        let sql = "INSERT INTO heads (hash, manifest, weights, verdict, passed, measured, actor, created_ms) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (hash) DO UPDATE SET \
                   manifest = CASE WHEN excluded.verdict IS NULL THEN heads.manifest ELSE excluded.manifest END, \
                   verdict = COALESCE(excluded.verdict, heads.verdict), \
                   measured = CASE WHEN excluded.verdict IS NULL THEN heads.measured ELSE excluded.measured END, \
                   passed = CASE WHEN excluded.verdict IS NULL THEN heads.passed ELSE excluded.passed END";
        let bound = values![
            hash.as_bytes(),
            self.manifest.to_string(),
            self.weights.as_slice(),
            verdict.map(|verdict| verdict.said.to_string()),
            i64::from(verdict.is_some_and(|verdict| verdict.passes)),
            verdict.map(|verdict| verdict.against.to_string()),
            self.actor.as_str(),
            self.created_ms,
        ];
        conn.execute(sql, bound).await.map_err(HeadError::Store)?;
        Ok(hash)
    }
}

impl Write for HeadChange {
    type Output = HeadState;
    type Error = HeadError;

    async fn run(&self, conn: &mut Conn) -> Result<HeadState, HeadError> {
        let before = locked_state(conn).await?;
        let (action, champion) = match self.step {
            HeadStep::Activate { hash, expected } => {
                let measured = passed(conn, &hash).await?;
                let is_so = before.champion == Some(hash);
                let as_expected = match expected {
                    Expected::Champion(champion) => before.champion == champion,
                    Expected::Measured => is_so || measured.is_some_and(|at| at.champion() == before.champion),
                };
                if !as_expected {
                    return Err(HeadError::Champion { current: before.champion });
                }
                if is_so {
                    return Ok(before);
                }
                ("activate", Some(hash))
            }
            HeadStep::Rollback => ("rollback", earlier(conn).await?),
        };
        let sql = "UPDATE head_state SET champion = $1, version = version + 1 WHERE id = 1";
        conn.execute(sql, values![nullable(champion.as_ref())]).await?;
        let sql = "INSERT INTO head_events (at_ms, actor, action, from_hash, to_hash) VALUES ($1, $2, $3, $4, $5)";
        let (from, to) = (nullable(before.champion.as_ref()), nullable(champion.as_ref()));
        conn.execute(sql, values![self.at_ms, self.actor.as_str(), action, from, to]).await?;
        Ok(HeadState { champion, version: before.version + 1 })
    }
}

async fn locked_state(conn: &mut Conn) -> Result<HeadState, StoreError> {
    let sql = "INSERT INTO head_state (id, champion, version) VALUES (1, NULL, 0) ON CONFLICT (id) DO NOTHING";
    conn.execute(sql, vec![]).await?;
    let sql = for_update!(conn, "SELECT champion, version FROM head_state WHERE id = 1");
    let row = conn.row(sql, vec![]).await?.ok_or(StoreError::Unreadable("which head scores"))?;
    read_state(&row)
}

/// Checks that the gate let a head pass, and returns what that was won against.
async fn passed(conn: &mut Conn, hash: &OriginalHash) -> Result<Option<Measured>, HeadError> {
    let row = conn.row("SELECT passed, measured FROM heads WHERE hash = $1", values![hash.as_bytes()]).await?;
    let row = row.ok_or(HeadError::NoHead)?;
    if row.int(0)? == 0 {
        return Err(HeadError::NotPassed);
    }
    Ok(row.text_or_null(1)?.as_deref().map(Measured::read).transpose()?)
}

/// Returns the champion before this one, `None` for none: rolling back twice goes back twice.
async fn earlier(conn: &mut Conn) -> Result<Option<OriginalHash>, HeadError> {
    let sql = "SELECT at_ms, actor, action, from_hash, to_hash FROM head_events ORDER BY id";
    let rows = conn.rows(sql, vec![]).await?;
    let mut champions: Vec<Option<OriginalHash>> = vec![None];
    for event in rows.iter().map(read_event) {
        let event = event?;
        if event.action == "rollback" {
            champions.pop();
        } else {
            champions.push(event.to);
        }
    }
    champions.pop();
    champions.last().copied().ok_or(HeadError::NoEarlier)
}
