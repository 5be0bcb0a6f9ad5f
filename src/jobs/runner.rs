//! The runner: takes jobs that are due, as many at a time as there are workers, until it is told to stop.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attempt::Attempt;
use super::{Job, JobFailure, Lease};
use crate::config::Jobs;
use crate::store::{ClaimRequest, Claimed, Store, StoreError};
use crate::world::World;

/// The longest time without a look: what a lost wake-up costs.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The shortest time between two looks that find nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) type Handler = Arc<dyn Fn(Job, Lease) -> BoxFuture<'static, Result<(), JobFailure>> + Send + Sync>;

/// Runs jobs of the kinds that it has handlers for.
pub struct Runner {
    site: Site,
    handlers: BTreeMap<&'static str, Handler>,
}

/// What a runner and its attempts share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) store: Store,
    pub(super) config: Arc<Jobs>,
    pub(super) world: World,
    pub(super) tasks: TaskTracker,
    /// Cancelled when attempts must end at once.
    pub(super) cut_off: CancellationToken,
}

impl Runner {
    /// Makes a runner without handlers over an open, migrated store.
    #[must_use]
    pub fn new(store: Store, config: Jobs, world: World) -> Self {
        let (tasks, cut_off) = (TaskTracker::new(), CancellationToken::new());
        Self { site: Site { store, config: Arc::new(config), world, tasks, cut_off }, handlers: BTreeMap::new() }
    }

    /// Adds the handler of a kind. Kinds hold no comma.
    ///
    /// A handler that succeeds has its job completed. One that stored its effect and completed the job in the
    /// same transaction just returns. It is dropped at an `await` when the lease is lost and when the daemon
    /// must stop.
    #[must_use]
    pub fn handle<F, R>(mut self, kind: &'static str, handler: F) -> Self
    where
        F: Fn(Job, Lease) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), JobFailure>> + Send + 'static,
    {
        self.handlers.insert(kind, Arc::new(move |job, lease| Box::pin(handler(job, lease))));
        self
    }

    /// Runs jobs until `stop`. Then it claims no more, and returns when all that it held are done; those that
    /// are not after `grace` are cut off and given back.
    pub async fn run(self, stop: CancellationToken, grace: Duration) {
        // Whoever drops this future leaves no job behind that nobody watches over.
        let guard = self.site.cut_off.clone().drop_guard();
        let tasks = self.site.tasks.clone();
        let (store, stopping) = (self.site.store.clone(), stop.clone());
        tasks.spawn(async move { stopping.run_until_cancelled(store.relay_job_wakeups()).await });
        self.claim_until(&stop).await;
        tasks.close();
        if tokio::time::timeout(grace, tasks.wait()).await.is_err() {
            tracing::warn!(grace_ms = grace.as_millis(), "jobs in work are cut off");
            drop(guard);
            tasks.wait().await;
        }
    }

    async fn claim_until(&self, stop: &CancellationToken) {
        let kinds: Vec<&'static str> = self.handlers.keys().copied().collect();
        let workers = Arc::new(Semaphore::new(self.site.config.workers));
        let mut wakeups = self.site.store.job_wakeups();
        loop {
            // Also where there is always something to claim.
            let worker = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                worker = Arc::clone(&workers).acquire_owned() => worker,
            };
            let Ok(worker) = worker else { return };
            wakeups.mark_unchanged();
            // A claim is not given up half-way: the job would belong to nobody.
            match self.claim(&kinds, worker).await {
                Ok(true) => {}
                Ok(false) => {
                    stop.run_until_cancelled(self.wait(&kinds, &mut wakeups)).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "no job can be claimed");
                    stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await;
                }
            }
        }
    }

    /// Claims a job and starts it. Tells whether there was one.
    async fn claim(&self, kinds: &[&'static str], worker: OwnedSemaphorePermit) -> Result<bool, StoreError> {
        let Site { store, config, world, tasks, .. } = &self.site;
        let held_since = Instant::now();
        let token = world.new_id();
        let claim = ClaimRequest {
            kinds: kinds.to_vec(),
            token: token.clone(),
            lease_ms: config.lease_ms,
            max_attempts: config.max_attempts,
            now_ms: world.now_ms(),
        };
        match store.claim_job(claim).await? {
            None => return Ok(false),
            Some(Claimed::Dead(job)) => {
                tracing::error!(job = job.id, kind = job.kind, key = job.key, "a job never came back and is dead");
                metrics::counter!("recapd_jobs_total", "kind" => job.kind, "result" => "dead").increment(1);
            }
            Some(Claimed::Job(job)) => {
                if let Some(handler) = self.handlers.get(job.kind.as_str()) {
                    let lease = job.lease(token);
                    let attempt = Attempt { site: self.site.clone(), job, lease, held_since };
                    let handler = Arc::clone(handler);
                    tasks.spawn(async move {
                        attempt.run(handler).await;
                        drop(worker);
                    });
                }
            }
        }
        Ok(true)
    }

    /// Waits until a job may be due.
    async fn wait(&self, kinds: &[&'static str], wakeups: &mut watch::Receiver<()>) {
        let Site { store, world, .. } = &self.site;
        let pause = match store.next_job_due(kinds).await {
            Ok(Some(due_ms)) => {
                let left_ms = u64::try_from(due_ms.saturating_sub(world.now_ms())).unwrap_or(0);
                Duration::from_millis(left_ms).clamp(LOOK_AGAIN, LOOK_EVERY)
            }
            Ok(None) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "when the next job is due is not known");
                LOOK_EVERY
            }
        };
        tokio::select! {
            // The store keeps the sender for as long as it is.
            _ = wakeups.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
