//! Appending messages: all of a request or nothing, durable when it returns (law 1).

use std::collections::BTreeMap;
use std::sync::Arc;

use recap_core::trajectory::{Origin, OriginalHash, Role, WireFormat};
use serde::{Deserialize, Serialize};

use super::Store;
use super::engine::Conn;
use super::error::{ChangeError, StoreError};
use super::jobs::{NewJob, enqueue};
use super::messages::name;
use super::native;
use super::originals::{NewOriginal, insert_originals};
use super::trajectories::lock_length;
use super::value::{Value, values};
use super::writer::Write;

/// Messages to append to one trajectory.
#[derive(Debug, Clone)]
pub struct AppendRequest {
    /// The trajectory's id.
    pub trajectory: String,
    /// The messages in order. May be empty.
    pub messages: Vec<NewMessage>,
    /// The length that the caller believes the trajectory has.
    pub expected_length: Option<u64>,
    /// Makes a retry safe.
    pub idempotency: Option<IdempotencyKey>,
    /// What is to be done with them in the background; enqueued with them or not at all.
    pub job: Option<NewJob>,
    /// The present, in milliseconds since 1970.
    pub now_ms: i64,
}

/// A caller's key for one request, and the hash of the request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key as sent.
    pub key: String,
    /// The BLAKE3 hash of the body.
    pub body_hash: [u8; 32],
}

/// A message that is to be stored.
#[derive(Debug, Clone)]
pub struct NewMessage {
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
    /// The verbatim texts in it, in order, each with its own hash.
    pub originals: Vec<(OriginalHash, Arc<str>)>,
}

/// What an append did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// The number of the first appended message.
    pub first: u64,
    /// How many messages were appended.
    pub appended: u64,
    /// The trajectory's length after it.
    pub length: u64,
    /// Tokens of the appended messages.
    pub tokens: u64,
    /// Tokens of all messages after it.
    pub full_tokens: u64,
    /// Whether this repeats the answer to an earlier request with the same key.
    #[serde(skip)]
    pub replayed: bool,
}

impl Store {
    /// Appends messages; when it returns they are durable.
    ///
    /// A request with the idempotency key and body of an earlier one appends nothing and gets that one's answer.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`], [`ChangeError::LengthMismatch`], [`ChangeError::IdempotencyReused`].
    /// After any error nothing of the request is stored.
    pub async fn append(&self, request: AppendRequest) -> Result<Appended, ChangeError> {
        self.write(Append::prepare(&request)?).await
    }

    /// Forgets idempotency keys of requests before a time and returns how many.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn forget_idempotency_keys(&self, before_ms: i64) -> Result<u64, StoreError> {
        self.write(ForgetKeys { before_ms }).await
    }
}

/// An append with everything done that does not need the database.
struct Append {
    trajectory: Arc<str>,
    messages: Vec<Prepared>,
    originals: BTreeMap<OriginalHash, NewOriginal>,
    tokens: u64,
    weight: usize,
    expected_length: Option<u64>,
    idempotency: Option<IdempotencyKey>,
    job: Option<NewJob>,
    now_ms: i64,
}

/// A message in the form of its row.
struct Prepared {
    format: String,
    role: String,
    origin: String,
    tokens: u32,
    native: Arc<[u8]>,
    cuts: Option<Arc<str>>,
    admitted: Option<Arc<str>>,
    originals: Vec<OriginalHash>,
}

impl Append {
    fn prepare(request: &AppendRequest) -> Result<Self, StoreError> {
        let mut originals = BTreeMap::new();
        for (hash, text) in request.messages.iter().flat_map(|message| &message.originals) {
            originals.entry(*hash).or_insert_with(|| NewOriginal::new(text));
        }
        Ok(Self {
            trajectory: request.trajectory.as_str().into(),
            messages: request.messages.iter().map(Prepared::new).collect::<Result<_, _>>()?,
            originals,
            tokens: request.messages.iter().map(|message| u64::from(message.tokens)).sum(),
            weight: request.messages.iter().map(|message| 512 + message.native.len()).sum(),
            expected_length: request.expected_length,
            idempotency: request.idempotency.clone(),
            job: request.job.clone(),
            now_ms: request.now_ms,
        })
    }

    async fn earlier_answer(&self, conn: &mut Conn) -> Result<Option<Appended>, ChangeError> {
        let Some(idempotency) = &self.idempotency else {
            return Ok(None);
        };
        let sql = "SELECT body_hash, response FROM idempotency WHERE trajectory_id = $1 AND key = $2";
        let bound = values![&self.trajectory, idempotency.key.as_str()];
        let Some(row) = conn.row(sql, bound).await? else {
            return Ok(None);
        };
        if row.bytes(0)? != idempotency.body_hash {
            return Err(ChangeError::IdempotencyReused);
        }
        let answer: Appended =
            serde_json::from_str(&row.text(1)?).map_err(|_| StoreError::Unreadable("a stored answer"))?;
        Ok(Some(Appended { replayed: true, ..answer }))
    }

    async fn keep_answer(&self, conn: &mut Conn, answer: &Appended) -> Result<(), StoreError> {
        let Some(idempotency) = &self.idempotency else {
            return Ok(());
        };
        let response = serde_json::to_string(answer).map_err(|_| StoreError::Unreadable("an answer"))?;
        let sql = "INSERT INTO idempotency (trajectory_id, key, body_hash, response, created_ms) \
                   VALUES ($1, $2, $3, $4, $5)";
        let bound = values![&self.trajectory, idempotency.key.as_str(), &idempotency.body_hash, response, self.now_ms];
        conn.execute(sql, bound).await?;
        Ok(())
    }

    async fn insert_messages(&self, conn: &mut Conn, first: u64) -> Result<(), StoreError> {
        insert_originals(conn, &self.originals).await?;
        let mut messages = Vec::new();
        let mut references = Vec::new();
        for (n, message) in (first..).zip(&self.messages) {
            messages.extend(message.row(&self.trajectory, n, self.now_ms));
            for (ordinal, hash) in message.originals.iter().enumerate() {
                references.extend(values![&self.trajectory, n, ordinal, hash.as_bytes()]);
            }
        }
        let start = "INSERT INTO messages (trajectory_id, n, format, role, origin, tokens, pinned, created_ms, \
                     native, cuts, admitted)";
        conn.insert_rows(start, 11, "", messages).await?;
        let start = "INSERT INTO message_originals (trajectory_id, n, ordinal, hash)";
        conn.insert_rows(start, 4, "", references).await?;
        Ok(())
    }
}

impl Write for Append {
    type Output = Appended;
    type Error = ChangeError;

    fn weight(&self) -> usize {
        self.weight
    }

    fn wakes_runners(&self) -> bool {
        self.job.is_some()
    }

    async fn run(&self, conn: &mut Conn) -> Result<Appended, ChangeError> {
        let (length, full_tokens) = lock_length(conn, &self.trajectory).await?;
        if let Some(answer) = self.earlier_answer(conn).await? {
            return Ok(answer);
        }
        if self.expected_length.is_some_and(|expected| expected != length) {
            return Err(ChangeError::LengthMismatch { current: length });
        }
        self.insert_messages(conn, length).await?;
        let appended = Appended {
            first: length,
            appended: self.messages.len() as u64,
            length: length + self.messages.len() as u64,
            tokens: self.tokens,
            full_tokens: full_tokens + self.tokens,
            replayed: false,
        };
        let sql = "UPDATE trajectories SET length = $2, full_tokens = $3, version = version + 1, updated_ms = $4 \
                   WHERE id = $1";
        conn.execute(sql, values![&self.trajectory, appended.length, appended.full_tokens, self.now_ms]).await?;
        self.keep_answer(conn, &appended).await?;
        if let Some(job) = &self.job {
            enqueue(conn, job).await?;
        }
        Ok(appended)
    }
}

impl Prepared {
    fn new(message: &NewMessage) -> Result<Self, StoreError> {
        let texts = message.originals.iter().map(|(_, text)| &**text);
        let (short, cuts) = native::externalise(&message.native, texts);
        let cuts = (!cuts.is_empty()).then(|| serde_json::to_string(&cuts)).transpose();
        let admitted = (!message.admitted.is_empty()).then(|| serde_json::to_string(&message.admitted)).transpose();
        Ok(Self {
            format: name(message.format)?,
            role: name(message.role)?,
            origin: name(message.origin)?,
            tokens: message.tokens,
            native: short.into_bytes().into(),
            cuts: cuts.map_err(|_| StoreError::Unreadable("references"))?.map(Into::into),
            admitted: admitted.map_err(|_| StoreError::Unreadable("reformatted texts"))?.map(Into::into),
            originals: message.originals.iter().map(|(hash, _)| *hash).collect(),
        })
    }

    fn row(&self, trajectory: &Arc<str>, n: u64, now_ms: i64) -> Vec<Value> {
        values![
            trajectory,
            n,
            self.format.as_str(),
            self.role.as_str(),
            self.origin.as_str(),
            self.tokens,
            0_i64,
            now_ms,
            &self.native,
            &self.cuts,
            &self.admitted,
        ]
    }
}

struct ForgetKeys {
    before_ms: i64,
}

impl Write for ForgetKeys {
    type Output = u64;
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<u64, StoreError> {
        conn.execute("DELETE FROM idempotency WHERE created_ms < $1", values![self.before_ms]).await
    }
}
