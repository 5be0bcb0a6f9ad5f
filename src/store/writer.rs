//! All writes. On SQLite one task runs them in groups that share one transaction and one sync; on
//! PostgreSQL each has its own transaction.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use sqlx::{PgPool, SqlitePool};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::dialect;
use super::engine::Conn;
use super::error::{Failure, StoreError};

/// Requests that wait for the writer; more wait outside, then fail as busy.
const QUEUE: usize = 1024;
/// The most requests of one group.
const GROUP_REQUESTS: usize = 256;
/// The most bytes of one group, beyond its first request.
const GROUP_BYTES: usize = 8 << 20;
/// How long a request waits for room in the queue.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a PostgreSQL transaction that met another one is run.
const ATTEMPTS: u32 = 8;

/// One change of the database, run inside a transaction. May be run again after a rollback.
pub(super) trait Write: Send + Sync + 'static {
    type Output: Send + 'static;
    type Error: Failure;

    /// Returns about how many bytes this writes.
    fn weight(&self) -> usize {
        512
    }

    /// Tells whether it may give runners of jobs something to do: enqueues one, or makes one due.
    fn wakes_runners(&self) -> bool {
        false
    }

    /// Makes the change. An error undoes all of it.
    fn run(&self, conn: &mut Conn) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// A queued write whose type is hidden from the queue.
pub(super) trait Queued: Send {
    fn weight(&self) -> usize;

    /// Runs the write and keeps its result. Returns `None` when it succeeded, and else the store's failure,
    /// if it was one.
    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> Pin<Box<dyn Future<Output = Ran> + Send + 'a>>;

    /// Tells the requester how it went; `group` is the failure of the whole group.
    fn answer(self: Box<Self>, group: Option<&StoreError>);
}

/// How one write of a group went.
pub(super) enum Ran {
    Done,
    Refused,
    Failed(StoreError),
}

struct Pending<W: Write> {
    write: W,
    result: Option<Result<W::Output, W::Error>>,
    reply: oneshot::Sender<Result<W::Output, W::Error>>,
}

impl<W: Write> Queued for Pending<W> {
    fn weight(&self) -> usize {
        self.write.weight()
    }

    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> Pin<Box<dyn Future<Output = Ran> + Send + 'a>> {
        Box::pin(async move {
            let result = self.write.run(conn).await;
            let ran = match &result {
                Ok(_) => Ran::Done,
                Err(error) => error.store_error().cloned().map_or(Ran::Refused, Ran::Failed),
            };
            self.result = Some(result);
            ran
        })
    }

    fn answer(self: Box<Self>, group: Option<&StoreError>) {
        let result = match (self.result, group) {
            (Some(Ok(output)), None) => Ok(output),
            (Some(Err(error)), None) => Err(error),
            (Some(Err(error)), Some(_)) if error.store_error().is_some() => Err(error),
            // A refusal may rest on what the group had written before it, so it falls with the group.
            (_, Some(error)) => Err(error.clone().into()),
            (None, None) => Err(StoreError::Closed.into()),
        };
        // A requester that went away does not undo its write.
        self.reply.send(result).ok();
    }
}

/// The way into the writer task.
#[derive(Debug, Clone)]
pub(super) struct Queue(mpsc::Sender<Box<dyn Queued>>);

impl Queue {
    /// Makes the queue and the task that empties it; the task ends when `closing` is cancelled and the queue
    /// is empty.
    pub(super) fn new(pool: SqlitePool, closing: CancellationToken) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), write_groups(pool, receiver, closing))
    }

    /// Queues a write and waits until it is durable.
    pub(super) async fn write<W: Write>(&self, write: W) -> Result<W::Output, W::Error> {
        let (reply, answer) = oneshot::channel();
        let pending = Box::new(Pending { write, result: None, reply });
        match self.0.send_timeout(pending, QUEUE_TIMEOUT).await {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into())),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(StoreError::Busy { waited: QUEUE_TIMEOUT }.into()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(StoreError::Closed.into()),
        }
    }
}

async fn write_groups(pool: SqlitePool, mut receiver: mpsc::Receiver<Box<dyn Queued>>, closing: CancellationToken) {
    loop {
        let first = tokio::select! {
            first = receiver.recv() => first,
            () = closing.cancelled(), if !receiver.is_closed() => {
                receiver.close();
                continue;
            }
        };
        let Some(first) = first else { return };
        let mut group = gather(first, &mut receiver);
        let outcome = write_group(&pool, &mut group).await;
        if let Err(error) = &outcome {
            tracing::error!(error = %error, requests = group.len(), "a group of writes failed");
        }
        for request in group {
            request.answer(outcome.as_ref().err());
        }
    }
}

fn gather(first: Box<dyn Queued>, receiver: &mut mpsc::Receiver<Box<dyn Queued>>) -> Vec<Box<dyn Queued>> {
    let mut bytes = 0;
    let mut group = vec![first];
    while group.len() < GROUP_REQUESTS && bytes < GROUP_BYTES {
        let Ok(request) = receiver.try_recv() else {
            break;
        };
        bytes += request.weight();
        group.push(request);
    }
    group
}

/// Runs a group in one transaction; a failure means that nothing of the group is stored.
async fn write_group(pool: &SqlitePool, group: &mut [Box<dyn Queued>]) -> Result<(), StoreError> {
    let mut conn = Conn::Sqlite(pool.acquire().await?);
    let outcome = run_group(&mut conn, group).await;
    if outcome.is_err() {
        // SQLite may or may not have rolled back by itself: closing the connection does in any case.
        conn.discard().await?;
    }
    outcome
}

async fn run_group(conn: &mut Conn, group: &mut [Box<dyn Queued>]) -> Result<(), StoreError> {
    conn.execute(dialect::SQLITE_BEGIN, vec![]).await?;
    for request in group.iter_mut() {
        write_one(conn, request.as_mut()).await?;
    }
    conn.execute("COMMIT", vec![]).await?;
    Ok(())
}

/// Runs one request in a savepoint; an error means that the group's transaction cannot go on.
async fn write_one(conn: &mut Conn, request: &mut dyn Queued) -> Result<(), StoreError> {
    conn.execute("SAVEPOINT request", vec![]).await?;
    match request.run(conn).await {
        Ran::Done => {}
        Ran::Failed(error) if ends_transaction(&error) => return Err(error),
        Ran::Refused | Ran::Failed(_) => {
            conn.execute("ROLLBACK TO request", vec![]).await?;
        }
    }
    conn.execute("RELEASE request", vec![]).await?;
    Ok(())
}

/// After these SQLite may have rolled the whole transaction back by itself.
fn ends_transaction(error: &StoreError) -> bool {
    !matches!(error, StoreError::NulInText | StoreError::Unreadable(_) | StoreError::Engine(_))
}

/// Runs a write in its own PostgreSQL transaction, again if it met another one.
pub(super) async fn write_postgres<W: Write>(pool: &PgPool, write: &W) -> Result<W::Output, W::Error> {
    let mut attempt = 1;
    loop {
        let error = match try_postgres(pool, write).await {
            Ok(output) => return Ok(output),
            Err(error) => error,
        };
        let is_conflict = error.store_error().is_some_and(dialect::is_conflict);
        if !is_conflict || attempt == ATTEMPTS {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(1 << attempt)).await;
        attempt += 1;
    }
}

async fn try_postgres<W: Write>(pool: &PgPool, write: &W) -> Result<W::Output, W::Error> {
    let mut conn = Conn::PostgresTx(pool.begin().await.map_err(StoreError::from)?);
    match write.run(&mut conn).await {
        Ok(output) => {
            conn.commit().await?;
            Ok(output)
        }
        Err(error) => {
            conn.rollback().await?;
            Err(error)
        }
    }
}
