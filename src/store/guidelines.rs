//! Guidelines: versions by content hash, which of them steers, and the log of how that came to be.

use recap_core::trajectory::OriginalHash;

use super::Store;
use super::dialect::for_update;
use super::engine::{Conn, Row};
use super::error::{Failure, StoreError};
use super::value::{Value, values};
use super::writer::Write;

/// The name of a guideline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuidelineKey {
    /// The set.
    pub set: String,
    /// The kind's name.
    pub kind: String,
}

/// One version of a guideline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuidelineVersion {
    /// Whose version it is.
    pub key: GuidelineKey,
    /// The address of its text.
    pub hash: OriginalHash,
    /// The text.
    pub text: String,
    /// What its author said of it.
    pub note: Option<String>,
    /// Where it came from: `shipped`, `file` or `api`.
    pub origin: String,
    /// Who brought it.
    pub actor: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
    /// Whether it ever was the champion.
    pub was_champion: bool,
}

/// Which versions of a guideline steer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuidelineHead {
    /// Which guideline.
    pub key: GuidelineKey,
    /// The champion; `None` stands for the text that ships.
    pub champion: Option<OriginalHash>,
    /// The operator's file as it was seen last.
    pub file: Option<OriginalHash>,
    /// The version on trial and its share in millionths.
    pub canary: Option<(OriginalHash, u32)>,
}

/// One step in a guideline's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuidelineEvent {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// `activate`, `canary`, `rollback` or `file`.
    pub action: String,
    /// What steered before; `None` where nothing that is stored did.
    pub from: Option<OriginalHash>,
    /// What steers since, or is on trial.
    pub to: Option<OriginalHash>,
    /// The share of trajectories in millionths; 0 where all are meant.
    pub canary_ppm: u32,
}

/// What is done to a guideline.
#[derive(Debug, Clone)]
pub enum GuidelineStep {
    /// A version becomes the champion.
    Activate {
        /// The version.
        hash: OriginalHash,
        /// The champion that the caller knows.
        expected: Option<OriginalHash>,
    },
    /// A version is put on trial.
    Canary {
        /// The version.
        hash: OriginalHash,
        /// The champion that the caller knows.
        expected: Option<OriginalHash>,
        /// The share of trajectories in millionths.
        ppm: u32,
    },
    /// The trial ends; without one the champion before this one comes back.
    Rollback,
    /// The operator's file has this text.
    File(GuidelineVersion),
    /// The operator's file is gone.
    FileGone,
}

/// A change of what steers.
#[derive(Debug, Clone)]
pub struct GuidelineChange {
    /// Which guideline.
    pub key: GuidelineKey,
    /// The text that ships, which is the champion where none is stored.
    pub shipped: Option<OriginalHash>,
    /// Who.
    pub actor: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What.
    pub step: GuidelineStep,
}

/// Why what steers was not changed. Nothing of it is stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GuidelineError {
    /// There is no such version.
    #[error("no such version")]
    NoVersion,
    /// The champion is another one.
    #[error("the champion is another one")]
    Champion {
        /// The champion.
        current: Option<OriginalHash>,
    },
    /// There was no champion before this one.
    #[error("no champion before this one is known")]
    NoEarlier,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Failure for GuidelineError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

macro_rules! select_version {
    ($end:literal) => {
        concat!(
            "SELECT set_name, kind, hash, text, note, origin, actor, created_ms, \
             (SELECT COUNT(*) FROM guideline_events AS e WHERE e.set_name = v.set_name AND e.kind = v.kind \
             AND e.action <> 'canary' \
             AND (e.to_hash = v.hash OR (e.from_hash = v.hash AND e.action <> 'rollback'))) \
             FROM guideline_versions AS v ",
            $end
        )
    };
}

impl Store {
    /// Stores versions; those that are stored already stay as they are. Returns how many are new.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn add_guideline_versions(&self, versions: Vec<GuidelineVersion>) -> Result<u64, StoreError> {
        self.write(AddVersions(versions)).await
    }

    /// Returns one version.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn guideline_version(
        &self,
        key: &GuidelineKey,
        hash: &OriginalHash,
    ) -> Result<Option<GuidelineVersion>, StoreError> {
        let sql = select_version!("WHERE set_name = $1 AND kind = $2 AND hash = $3");
        let bound = values![key.set.as_str(), key.kind.as_str(), hash.as_bytes()];
        self.reader().await?.row(sql, bound).await?.as_ref().map(read_version).transpose()
    }

    /// Returns versions, newest first; all guidelines' where no key is told.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn guideline_versions(&self, key: Option<&GuidelineKey>) -> Result<Vec<GuidelineVersion>, StoreError> {
        let sql = select_version!(
            "WHERE ($1 IS NULL OR set_name = $1) AND ($2 IS NULL OR kind = $2) \
             ORDER BY created_ms DESC, set_name, kind, hash"
        );
        let bound = values![key.map(|key| key.set.as_str()), key.map(|key| key.kind.as_str())];
        self.reader().await?.rows(sql, bound).await?.iter().map(read_version).collect()
    }

    /// Returns what steers, for every guideline that a file or an operator ever changed.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn guideline_heads(&self) -> Result<Vec<GuidelineHead>, StoreError> {
        let sql = "SELECT set_name, kind, champion, file_hash, canary, canary_ppm FROM guideline_heads \
                   ORDER BY set_name, kind";
        self.reader().await?.rows(sql, vec![]).await?.iter().map(read_head).collect()
    }

    /// Returns a number that is another one after each change of what steers.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn guideline_state(&self) -> Result<u64, StoreError> {
        let sql = "SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) FROM guideline_heads";
        let row = self.reader().await?.row(sql, vec![]).await?;
        row.ok_or(StoreError::Unreadable("a sum"))?.count(0)
    }

    /// Returns up to `limit` steps of a guideline, newest first.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn guideline_events(&self, key: &GuidelineKey, limit: usize) -> Result<Vec<GuidelineEvent>, StoreError> {
        let sql = "SELECT at_ms, actor, action, from_hash, to_hash, canary_ppm FROM guideline_events \
                   WHERE set_name = $1 AND kind = $2 ORDER BY id DESC LIMIT $3";
        let rows = self.reader().await?.rows(sql, values![key.set.as_str(), key.kind.as_str(), limit]).await?;
        rows.iter().map(read_event).collect()
    }

    /// Changes what steers, and logs it. Returns the champion since, `None` for the text that ships.
    ///
    /// # Errors
    /// [`GuidelineError`]
    pub async fn change_guideline(&self, change: GuidelineChange) -> Result<Option<OriginalHash>, GuidelineError> {
        self.write(change).await
    }
}

fn read_version(row: &Row) -> Result<GuidelineVersion, StoreError> {
    Ok(GuidelineVersion {
        key: GuidelineKey { set: row.text(0)?, kind: row.text(1)? },
        hash: read_hash(&row.bytes(2)?)?,
        text: row.text(3)?,
        note: row.text_or_null(4)?,
        origin: row.text(5)?,
        actor: row.text(6)?,
        created_ms: row.int(7)?,
        was_champion: row.int(8)? > 0,
    })
}

fn read_head(row: &Row) -> Result<GuidelineHead, StoreError> {
    let ppm = read_ppm(row, 5)?;
    Ok(GuidelineHead {
        key: GuidelineKey { set: row.text(0)?, kind: row.text(1)? },
        champion: hash_or_null(row, 2)?,
        file: hash_or_null(row, 3)?,
        canary: hash_or_null(row, 4)?.map(|hash| (hash, ppm)),
    })
}

fn read_event(row: &Row) -> Result<GuidelineEvent, StoreError> {
    Ok(GuidelineEvent {
        at_ms: row.int(0)?,
        actor: row.text(1)?,
        action: row.text(2)?,
        from: hash_or_null(row, 3)?,
        to: hash_or_null(row, 4)?,
        canary_ppm: read_ppm(row, 5)?,
    })
}

fn read_ppm(row: &Row, index: usize) -> Result<u32, StoreError> {
    u32::try_from(row.int(index)?).map_err(|_| StoreError::Unreadable("a share"))
}

fn hash_or_null(row: &Row, index: usize) -> Result<Option<OriginalHash>, StoreError> {
    row.bytes_or_null(index)?.as_deref().map(read_hash).transpose()
}

fn read_hash(bytes: &[u8]) -> Result<OriginalHash, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Unreadable("a guideline's hash"))?;
    Ok(OriginalHash::from_bytes(bytes))
}

fn nullable(hash: Option<&OriginalHash>) -> Value {
    Value::Bytes(hash.map(|hash| hash.as_bytes().as_slice().into()))
}

struct AddVersions(Vec<GuidelineVersion>);

impl Write for AddVersions {
    type Output = u64;
    type Error = StoreError;

    fn weight(&self) -> usize {
        self.0.iter().map(|version| version.text.len()).sum()
    }

    async fn run(&self, conn: &mut Conn) -> Result<u64, StoreError> {
        let mut added = 0;
        for version in &self.0 {
            added += add_version(conn, version).await?;
        }
        Ok(added)
    }
}

async fn add_version(conn: &mut Conn, version: &GuidelineVersion) -> Result<u64, StoreError> {
    let sql = "INSERT INTO guideline_versions (set_name, kind, hash, text, note, origin, actor, created_ms) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (set_name, kind, hash) DO NOTHING";
    let bound = values![
        version.key.set.as_str(),
        version.key.kind.as_str(),
        version.hash.as_bytes(),
        version.text.as_str(),
        version.note.as_deref(),
        version.origin.as_str(),
        version.actor.as_str(),
        version.created_ms,
    ];
    conn.execute(sql, bound).await
}

/// What a change makes of a head, and how the log names it.
struct Next {
    champion: Option<OriginalHash>,
    file: Option<OriginalHash>,
    canary: Option<(OriginalHash, u32)>,
    action: &'static str,
    from: Option<OriginalHash>,
    to: Option<OriginalHash>,
}

impl Write for GuidelineChange {
    type Output = Option<OriginalHash>;
    type Error = GuidelineError;

    async fn run(&self, conn: &mut Conn) -> Result<Option<OriginalHash>, GuidelineError> {
        let head = self.locked_head(conn).await?;
        let Some(next) = self.next(conn, &head).await? else {
            return Ok(head.champion);
        };
        let sql = "UPDATE guideline_heads SET champion = $3, file_hash = $4, canary = $5, canary_ppm = $6, \
                   version = version + 1 WHERE set_name = $1 AND kind = $2";
        let (canary, ppm) = next.canary.unzip();
        let ppm = ppm.unwrap_or_default();
        let (set, kind) = (self.key.set.as_str(), self.key.kind.as_str());
        let (champion, file) = (nullable(next.champion.as_ref()), nullable(next.file.as_ref()));
        conn.execute(sql, values![set, kind, champion, file, nullable(canary.as_ref()), ppm]).await?;
        let sql = "INSERT INTO guideline_events (set_name, kind, at_ms, actor, action, from_hash, to_hash, canary_ppm) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let (from, to) = (nullable(next.from.as_ref()), nullable(next.to.as_ref()));
        conn.execute(sql, values![set, kind, self.at_ms, self.actor.as_str(), next.action, from, to, ppm]).await?;
        Ok(next.champion)
    }
}

impl GuidelineChange {
    /// Returns the head, made where there is none, and held until the transaction ends.
    async fn locked_head(&self, conn: &mut Conn) -> Result<GuidelineHead, StoreError> {
        let sql = "INSERT INTO guideline_heads (set_name, kind, canary_ppm, version) VALUES ($1, $2, 0, 0) \
                   ON CONFLICT (set_name, kind) DO NOTHING";
        let key = || values![self.key.set.as_str(), self.key.kind.as_str()];
        conn.execute(sql, key()).await?;
        let sql = for_update!(
            conn,
            "SELECT set_name, kind, champion, file_hash, canary, canary_ppm FROM guideline_heads \
             WHERE set_name = $1 AND kind = $2"
        );
        let row = conn.row(sql, key()).await?;
        read_head(&row.ok_or(StoreError::Unreadable("a guideline's head"))?)
    }

    /// Returns what the change makes of the head; `None` where all is as it should be.
    async fn next(&self, conn: &mut Conn, head: &GuidelineHead) -> Result<Option<Next>, GuidelineError> {
        let champion = head.champion.or(self.shipped);
        let same = |action| Next {
            champion: head.champion,
            file: head.file,
            canary: None,
            action,
            from: champion,
            to: champion,
        };
        match &self.step {
            GuidelineStep::Activate { hash, expected } => {
                self.check(conn, champion, *expected, hash).await?;
                let idle = champion == Some(*hash) && head.canary.is_none();
                let next = Next { champion: Some(*hash), to: Some(*hash), ..same("activate") };
                Ok((!idle).then_some(next))
            }
            GuidelineStep::Canary { hash, expected, ppm } => {
                self.check(conn, champion, *expected, hash).await?;
                Ok(Some(Next { canary: Some((*hash, *ppm)), to: Some(*hash), ..same("canary") }))
            }
            GuidelineStep::Rollback => {
                if let Some((canary, _)) = head.canary {
                    return Ok(Some(Next { from: Some(canary), ..same("rollback") }));
                }
                let earlier = self.earlier(conn, champion).await?.ok_or(GuidelineError::NoEarlier)?;
                Ok(Some(Next { champion: Some(earlier), to: Some(earlier), ..same("rollback") }))
            }
            GuidelineStep::File(version) if head.file == Some(version.hash) => Ok(None),
            GuidelineStep::File(version) => {
                add_version(conn, version).await?;
                let hash = Some(version.hash);
                Ok(Some(Next { champion: hash, file: hash, to: hash, ..same("file") }))
            }
            GuidelineStep::FileGone if head.file.is_none() => Ok(None),
            GuidelineStep::FileGone => {
                let stays = head.champion.filter(|_| head.champion != head.file);
                let canary = head.canary.filter(|_| stays.is_some());
                Ok(Some(Next { champion: stays, file: None, canary, to: stays.or(self.shipped), ..same("file") }))
            }
        }
    }

    async fn check(
        &self,
        conn: &mut Conn,
        champion: Option<OriginalHash>,
        expected: Option<OriginalHash>,
        hash: &OriginalHash,
    ) -> Result<(), GuidelineError> {
        if champion != expected {
            return Err(GuidelineError::Champion { current: champion });
        }
        let sql = "SELECT COUNT(*) FROM guideline_versions WHERE set_name = $1 AND kind = $2 AND hash = $3";
        let bound = values![self.key.set.as_str(), self.key.kind.as_str(), hash.as_bytes()];
        if conn.number(sql, bound).await? == 0 { Err(GuidelineError::NoVersion) } else { Ok(()) }
    }

    /// Returns the champion before this one: rolling back twice goes back twice.
    async fn earlier(
        &self,
        conn: &mut Conn,
        champion: Option<OriginalHash>,
    ) -> Result<Option<OriginalHash>, StoreError> {
        let sql = "SELECT at_ms, actor, action, from_hash, to_hash, canary_ppm FROM guideline_events \
                   WHERE set_name = $1 AND kind = $2 AND action <> 'canary' ORDER BY id";
        let rows = conn.rows(sql, values![self.key.set.as_str(), self.key.kind.as_str()]).await?;
        let mut row_of_champions: Vec<OriginalHash> = Vec::new();
        for event in rows.iter().map(read_event) {
            let GuidelineEvent { action, from, to, .. } = event?;
            if action == "rollback" {
                let at = row_of_champions.iter().rposition(|known| Some(*known) == to);
                row_of_champions.truncate(at.map_or(0, |at| at + 1));
            } else if row_of_champions.is_empty() {
                row_of_champions.extend(from);
            }
            row_of_champions.extend(to.filter(|to| row_of_champions.last() != Some(to)));
        }
        Ok(row_of_champions.into_iter().rev().find(|known| Some(*known) != champion))
    }
}
