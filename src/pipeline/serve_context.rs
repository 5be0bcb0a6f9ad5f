//! The budgeted context out, and what changes its epochs on request.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use recap_core::context::{ContextError, ContextRequest, EpochRecord, Include, Served, Session};
use recap_core::trajectory::OutFormat;

use super::events::Event;
use super::failure::{ERASED, Failure};
use super::keys::Caller;
use super::live::Live;
use super::{Pipeline, compute};
use crate::store::{ChangeError, Engine, EpochRow, PlaybookKey, StoreError, TrajectoryRow};

/// A context as it is asked for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Most tokens; the trajectory's or the configuration's where it is not told.
    pub budget: Option<u32>,
    /// Tokens kept free for the reply.
    pub reserve: u32,
    /// The provider's format.
    pub format: OutFormat,
    /// What the agent is about to do.
    pub query: Option<String>,
    /// Which parts recapd adds.
    pub include: Include,
}

/// What is done with the line of reads that an [`Ask`] names.
#[derive(Debug, Clone)]
pub enum Way {
    /// Served as it stands; a new epoch only where room is needed.
    Read,
    /// Served from a new epoch.
    Compact {
        /// The code of what the receipt is to warn of.
        warning: Option<&'static str>,
    },
    /// Served from a new epoch that repeats the recap of this one.
    Restore(u32),
}

/// A served context.
pub struct Context {
    /// The payload and its receipt.
    pub served: Served,
    /// The format asked for.
    pub format: OutFormat,
    /// Changes exactly when payload or epoch change.
    pub etag: String,
    written: OnceLock<Bytes>,
}

impl Context {
    /// Returns the answer as it is written, which is done once for all who get this context.
    ///
    /// # Errors
    ///
    /// As `write` does.
    pub fn written<E>(&self, write: impl FnOnce(&Self) -> Result<String, E>) -> Result<Bytes, E> {
        if let Some(bytes) = self.written.get() {
            return Ok(bytes.clone());
        }
        let bytes = Bytes::from(write(self)?);
        Ok(self.written.get_or_init(|| bytes).clone())
    }
}

impl Ask {
    /// Returns the request that it is for a trajectory with this budget.
    pub(super) fn request(&self, default_budget: u32) -> ContextRequest {
        ContextRequest {
            budget: self.budget.unwrap_or(default_budget),
            reserve: self.reserve,
            format: self.format,
            query: self.query.clone(),
            include: self.include,
        }
    }
}

impl Pipeline {
    /// Serves a context. An epoch that it begins is stored before this returns.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`], [`Failure::Context`], and what the store fails with.
    pub async fn serve_context(&self, caller: &Caller, id: &str, ask: Ask, way: Way) -> Result<Arc<Context>, Failure> {
        if matches!(way, Way::Read)
            && let Some(context) = self.served_before(caller, id, &ask).await
        {
            return Ok(context);
        }
        let own = self.clone();
        let (caller, id) = (caller.clone(), id.to_owned());
        self.to_the_end(async move {
            match Box::pin(own.serve_to_the_end(&caller, &id, ask.clone(), way.clone())).await {
                // planned anew, with the playbook as it is since
                Err(Failure::CutOff(ERASED)) => Box::pin(own.serve_to_the_end(&caller, &id, ask, way)).await,
                served => served,
            }
        })
        .await
    }

    /// Returns the context that was served before, where nothing happened to the trajectory since. Where other
    /// daemons may write, that is not known here.
    async fn served_before(&self, caller: &Caller, id: &str, ask: &Ask) -> Option<Arc<Context>> {
        if self.store().engine() != Engine::Sqlite {
            return None;
        }
        let mut slot = self.inner.sessions.slot(id).await;
        let live = slot.as_mut().filter(|live| caller.reaches(&live.row.namespace) && self.is_steered_as_now(live))?;
        let context = live.repeats.of(&ask.request(live.budget()))?;
        self.note_read(live, &context.served);
        Some(context)
    }

    async fn serve_to_the_end(&self, caller: &Caller, id: &str, ask: Ask, way: Way) -> Result<Arc<Context>, Failure> {
        let (mut slot, mut live) = self.take_for(caller, id).await?;
        if let Err(failure) = Box::pin(self.bring_lessons(&mut live)).await {
            *slot = Some(live);
            return Err(failure);
        }
        let request = ask.request(live.budget());
        let is_read = matches!(way, Way::Read);
        let warning = if let Way::Compact { warning } = way { warning } else { None };
        let act = match self.act(id, &request, way).await {
            Ok(act) => act,
            Err(failure) => {
                *slot = Some(live);
                return Err(failure);
            }
        };
        let (mut live, request, served) = compute(usize::MAX, move || {
            let mut live = live;
            let served = act.on(&mut live.session, &request);
            (live, request, served)
        })
        .await?;
        let mut served = match served {
            Ok(served) => served,
            Err(error) => {
                *slot = Some(live);
                return Err(error.into());
            }
        };
        if let Some(record) = &served.new_epoch {
            self.store_epoch(&live.row, record).await?;
            if let Some(word) = served.head_word {
                metrics::counter!("recapd_head_epochs_total", "word" => word.name()).increment(1);
            }
            live.derived += 1;
        }
        if let Some(code) = warning {
            served.receipt.warn(code);
        }
        if self.guidelines().get(live.row.guideline_set.as_deref()).is_none() {
            served.receipt.warn("guideline_set_missing");
        }
        self.note_read(&mut live, &served);
        let line = request.line_key();
        let is_preparing = served.receipt.next.compaction == "preparing";
        self.embed_for_next(&mut live, &request, served.receipt.next.compaction != "idle");
        let etag = etag_of(&served);
        let context = Arc::new(Context { served, format: ask.format, etag, written: OnceLock::new() });
        if is_read {
            live.repeats.note(request, &context);
        } else {
            live.repeats.clear();
        }
        self.prepare_later(id, &mut live);
        if is_preparing {
            self.ask_for_history(&mut live, &line);
        }
        *slot = Some(live);
        Ok(context)
    }

    async fn act(&self, id: &str, request: &ContextRequest, way: Way) -> Result<Act, Failure> {
        Ok(match way {
            Way::Read => Act::Serve,
            Way::Compact { .. } => Act::Compact,
            Way::Restore(n) => {
                let line = request.line_key();
                let row = self.store().epoch(id, &line, u64::from(n)).await?;
                let row = row.ok_or_else(|| Failure::NotFound(format!("epoch {n} on the line `{line}`")))?;
                Act::Restore(Box::new(record_of(&row)?))
            }
        })
    }

    async fn store_epoch(&self, of: &TrajectoryRow, record: &EpochRecord) -> Result<(), Failure> {
        let id = of.id.as_str();
        let text = serde_json::to_string(record).map_err(|_| StoreError::Unreadable("an epoch"))?;
        let row = EpochRow {
            line: record.line.clone(),
            n: u64::from(record.n),
            record: text,
            created_ms: self.world().now_ms(),
        };
        let excerpt = record.lessons().and_then(|section| section.playbook.as_ref());
        let stored = match excerpt {
            None => self.store().put_epoch(id, row).await,
            Some(from) => {
                let key = PlaybookKey { namespace: of.namespace.clone(), name: from.name.clone() };
                let stored = self.store().put_epoch_with_excerpt(id, row, key.clone(), from.version).await;
                if matches!(stored, Err(ChangeError::Erased)) {
                    self.reshelve(&[key]).await?;
                }
                stored
            }
        };
        stored.map_err(|error| Failure::of_change(error, id))?;
        self.events().tell(id, Event::Epoch { line: record.line.clone(), epoch: record.n });
        metrics::counter!("recapd_epochs_total").increment(1);
        Ok(())
    }

    fn note_read(&self, live: &mut Live, served: &Served) {
        let tokens = &served.receipt.tokens;
        live.sums.read(served.receipt.length, tokens);
        self.count_read(&live.row.namespace, live.row.agent.as_deref(), tokens.total, tokens.full);
    }
}

enum Act {
    Serve,
    Compact,
    Restore(Box<EpochRecord>),
}

impl Act {
    fn on(&self, session: &mut Session, request: &ContextRequest) -> Result<Served, ContextError> {
        match self {
            Self::Serve => session.serve(request),
            Self::Compact => session.compact(request),
            Self::Restore(record) => session.restore(request, record),
        }
    }
}

/// Reads a stored epoch.
///
/// # Errors
///
/// [`StoreError::Unreadable`]
pub fn record_of(row: &EpochRow) -> Result<EpochRecord, Failure> {
    Ok(serde_json::from_str(&row.record).map_err(|_| StoreError::Unreadable("an epoch"))?)
}

fn etag_of(served: &Served) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&served.receipt.epoch.to_le_bytes());
    let texts: Vec<&String> = served.messages.iter().chain(served.system.iter()).collect();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.update(served.text.as_deref().unwrap_or_default().as_bytes());
    format!("\"{}\"", hasher.finalize().to_hex().get(..32).unwrap_or_default())
}

impl Pipeline {
    /// Returns the epochs of all lines of reads, or of one, newest first.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn epochs(&self, caller: &Caller, id: &str, line: Option<&str>) -> Result<Vec<EpochRow>, Failure> {
        self.record(caller, id).await?;
        let mut rows = self.store().epochs(id, line).await?;
        rows.sort_by_key(|row| std::cmp::Reverse((row.created_ms, row.n)));
        Ok(rows)
    }

    /// Returns the number of the newest epoch of any line of reads.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn newest_epoch(&self, id: &str) -> Result<Option<u64>, Failure> {
        let rows = self.store().epochs(id, None).await?;
        Ok(rows.into_iter().max_by_key(|row| (row.created_ms, row.n)).map(|row| row.n))
    }
}
