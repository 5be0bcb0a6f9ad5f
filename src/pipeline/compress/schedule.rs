//! Background jobs: when there is work for a model, and what each job does.
//!
//! A job does one piece of work, stores what was made, and runs again until there is nothing left to do.

use std::sync::Arc;
use std::time::Duration;

use recap_core::context::{Compression, Condensed, Scored, Told};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::ledger::OnBehalf;
use super::work::{Steered, Work, next_observation, next_of_history};
use super::{Compressors, Done, Product, Unmade, unreadable};
use crate::llm::Attempt;
use crate::pipeline::events::Event;
use crate::pipeline::failure::Failure;
use crate::pipeline::guidelines::GuidelineSet;
use crate::pipeline::live::Live;
use crate::pipeline::{Pipeline, compute};
use crate::store::{ChangeError, CompressionRow, Job, Lease, NewJob, TrajectoryRow};

/// The kind of jobs that prepare a trajectory's next epoch.
pub const COMPRESS_HISTORY: &str = "compress_history";
/// The kind of jobs that shorten a trajectory's large results.
pub const COMPRESS_OBSERVATIONS: &str = "compress_observations";

/// Why a piece of work is put off, and for how long at least.
type PutOff = (String, Option<Duration>);

/// A piece of work with all that it needs.
struct Piece {
    row: TrajectoryRow,
    guidelines: Arc<GuidelineSet>,
    counter: recap_core::tokens::Counter,
    work: Work,
}

impl Pipeline {
    /// Asks for the next epoch's preparation, if models have something to do on a line of reads. Where that fails, the
    /// next read asks again.
    pub(in crate::pipeline) fn ask_for_history(&self, live: &mut Live, line: &str) {
        let wanted = (line.to_owned(), live.session.agent_kind(), live.session.prepared_to());
        if !live.session.awaits_models(line) || !live.asked.insert(wanted.clone()) {
            return;
        }
        let job = self.job_for(&live.row, Wanted::History(line.to_owned()));
        let (own, id) = (self.clone(), live.row.id.clone());
        self.inner.tasks.spawn(async move {
            let Err(error) = own.store().enqueue_job(job).await else { return };
            tracing::warn!(%error, trajectory = id, "the next epoch is not prepared by a model");
            if let Some(live) = own.inner.sessions.slot(&id).await.as_mut() {
                live.asked.remove(&wanted);
                live.repeats.clear();
            }
        });
    }

    /// Returns the job that shortens large results, where models shorten any of these.
    pub(in crate::pipeline) fn observation_job(&self, live: &Live, most_tokens: u32) -> Option<NewJob> {
        let wanted = live.session.settings().prepares.observations && most_tokens > live.t_obs();
        wanted.then(|| self.job_for(&live.row, Wanted::Observation))
    }

    /// Returns the job that does this for a trajectory.
    pub(super) fn job_for(&self, row: &TrajectoryRow, wanted: Wanted) -> NewJob {
        match wanted {
            Wanted::History(line) => self.new_job(row, COMPRESS_HISTORY, json!({ "line": line })),
            Wanted::Observation => self.new_job(row, COMPRESS_OBSERVATIONS, Value::Null),
        }
    }

    fn new_job(&self, row: &TrajectoryRow, kind: &str, payload: Value) -> NewJob {
        let now_ms = self.world().now_ms();
        NewJob {
            id: self.world().new_id(),
            kind: kind.to_owned(),
            key: row.id.clone(),
            trajectory: Some(row.id.clone()),
            namespace: row.namespace.clone(),
            payload,
            run_after_ms: now_ms,
            now_ms,
        }
    }

    /// Does one job of these kinds.
    ///
    /// # Errors
    ///
    /// What the store fails with, and [`Failure::NotFound`] where the trajectory was deleted.
    pub async fn compress_in_background(&self, job: &Job, lease: Lease) -> Result<Done, Failure> {
        let Some(id) = job.trajectory.as_deref() else { return Ok(Done::Nothing) };
        let Some(piece) = self.next_piece(job, id).await? else { return Ok(Done::Nothing) };
        self.events().tell(id, Event::Compressing { job: job.kind.clone() });
        let done = self.compress_piece(&piece, job, lease).await;
        let failed = |reason: String| Event::CompressionFailed { job: job.kind.clone(), reason };
        match &done {
            // told where it was stored
            Ok(Done::Stored) => {}
            Ok(Done::Nothing) => self.events().tell(id, failed("another daemon does it".to_owned())),
            Ok(Done::Later { why, .. }) => self.events().tell(id, failed(why.clone())),
            Err(failure) => self.events().tell(id, failed(failure.to_string())),
        }
        done
    }

    async fn compress_piece(&self, piece: &Piece, job: &Job, lease: Lease) -> Result<Done, Failure> {
        let key = piece.work.key(self.compressors(), &piece.guidelines);
        let made = match self.store().compression(&job.namespace, &key).await? {
            Some(known) => serde_json::from_str::<Compression>(&known).ok().and_then(|known| piece.work.reuse(known)),
            None => None,
        };
        let made = match made {
            Some(made) => {
                metrics::counter!("recapd_compressions_total", "result" => "reused").increment(1);
                made
            }
            None => match self.make(piece, job).await? {
                Ok(made) => made,
                Err((why, after)) => return Ok(Done::Later { why, after }),
            },
        };
        self.keep(piece, key, made, lease, job).await
    }

    async fn next_piece(&self, job: &Job, id: &str) -> Result<Option<Piece>, Failure> {
        let (mut slot, live) = self.take(id).await?;
        let (wanted, compressors) = (Wanted::of(job), self.compressors().clone());
        let (live, work) = compute(usize::MAX, move || {
            let mut live = live;
            live.session.prepare(usize::MAX);
            let work = wanted.work(&mut live, &compressors);
            (live, work)
        })
        .await?;
        let piece = work.map(|work| Piece {
            row: live.row.clone(),
            guidelines: Arc::clone(&live.guidelines),
            counter: live.counter.clone(),
            work,
        });
        *slot = Some(live);
        Ok(piece)
    }

    /// Has a model do the work. The inner error says why it must wait; what cannot be done at all is stored as not done,
    /// so that it is not tried for ever.
    async fn make(&self, piece: &Piece, job: &Job) -> Result<Result<Compression, PutOff>, Failure> {
        let cancelled = CancellationToken::new();
        let guard = cancelled.clone().drop_guard();
        let Product { made, attempts } = piece.work.by(self.compressors(), piece.steered(&cancelled)).await;
        drop(guard);
        self.note(piece, job, attempts).await;
        let result = match &made {
            Ok(_) => "made",
            Err(Unmade::Later { .. }) => "later",
            Err(Unmade::Never(_)) => "rejected",
        };
        metrics::counter!("recapd_compressions_total", "result" => result).increment(1);
        let last = job.attempts >= self.config().jobs.max_attempts;
        Ok(match made {
            Ok(made) => Ok(made),
            Err(Unmade::Later { why, after }) if !last => Err((why, after)),
            Err(Unmade::Never(why) | Unmade::Later { why, .. }) => {
                tracing::warn!(trajectory = piece.row.id, kind = job.kind, why, "no model can do it: rules serve");
                Ok(piece.work.undone(why))
            }
        })
    }

    async fn note(&self, piece: &Piece, job: &Job, attempts: Vec<Attempt>) {
        let of = OnBehalf {
            namespace: piece.row.namespace.clone(),
            agent: piece.row.agent.clone().unwrap_or_default(),
            trajectory: Some(piece.row.id.clone()),
            job: Some(job.id.clone()),
        };
        self.note_attempts(&of, attempts).await;
    }

    /// Stores what was made with the end of this piece, and gives it to the live trajectory.
    async fn keep(
        &self,
        piece: &Piece,
        key: String,
        made: Compression,
        lease: Lease,
        job: &Job,
    ) -> Result<Done, Failure> {
        let id = piece.row.id.as_str();
        let record = serde_json::to_string(&made).map_err(|_| unreadable())?;
        let ended = ended(&made, job);
        // what nobody could do is not found again as the result of this work
        let key = if matches!(ended, Event::CompressionFailed { .. }) { format!("undone:{key}") } else { key };
        let now_ms = self.world().now_ms();
        let row = CompressionRow { key, namespace: piece.row.namespace.clone(), record, created_ms: now_ms };
        // Asked for again while it runs, the job goes on with what is left, whoever still holds the trajectory then.
        let again = self.job_for(&piece.row, Wanted::of(job));
        self.store().enqueue_job(again).await.map_err(|error| Failure::of_change(error, id))?;
        let mut slot = self.inner.sessions.slot(id).await;
        match self.store().put_compressions(id, vec![row], lease, now_ms).await {
            Ok(()) => {}
            Err(ChangeError::LeaseLost) => return Ok(Done::Nothing),
            Err(error) => return Err(Failure::of_change(error, id)),
        }
        self.events().tell(id, ended);
        let Some(live) = slot.as_mut() else { return Ok(Done::Stored) };
        live.derived += 1;
        if !live.session.take(made) {
            tracing::info!(trajectory = id, kind = job.kind, "what a model made is no longer of use");
        }
        live.repeats.clear();
        Ok(Done::Stored)
    }
}

/// What is told of a piece of work whose end is stored.
fn ended(made: &Compression, job: &Job) -> Event {
    let (Compression::Told(Told { by, .. })
    | Compression::Condensed(Condensed { by, .. })
    | Compression::Scored(Scored { by, .. })) = made;
    let job = job.kind.clone();
    if let Some(reason) = by.failed.clone() {
        return Event::CompressionFailed { job, reason };
    }
    Event::Compressed { job, compressor: by.compressor.clone() }
}

/// What a job asks for.
pub(super) enum Wanted {
    /// The next work on old turns, on this line of reads.
    History(String),
    /// The next large result.
    Observation,
}

impl Wanted {
    fn of(job: &Job) -> Self {
        let line = job.payload.get("line").and_then(Value::as_str);
        line.filter(|_| job.kind == COMPRESS_HISTORY).map_or(Self::Observation, |line| Self::History(line.to_owned()))
    }

    /// The next piece.
    fn work(&self, live: &mut Live, compressors: &Compressors) -> Option<Work> {
        match self {
            Self::History(line) => next_of_history(&mut live.session, line, compressors),
            Self::Observation => next_observation(&live.session, &live.held, &live.guidelines, compressors),
        }
    }

    pub fn is_left(&self, live: &Live) -> bool {
        match self {
            Self::History(line) => live.session.awaits_models(line),
            Self::Observation => live.session.has_observation_work(live.t_obs()),
        }
    }
}

impl Piece {
    fn steered<'a>(&'a self, cancelled: &'a CancellationToken) -> Steered<'a> {
        Steered { guidelines: &self.guidelines, counter: &self.counter, cancelled }
    }
}
