//! The stateless sibling of the context: messages in, the context that fits out, nothing stored.

use std::sync::Arc;

use recap_core::context::{ContextRequest, Handles, Prepares, Served, Session, admit};
use recap_core::tokens::Counter;
use tokio_util::sync::CancellationToken;

use super::append_messages::{Incoming, limits};
use super::compress::{Compressors, OnBehalf, Prepared, in_time, prepare_session};
use super::counters::Counters;
use super::failure::Failure;
use super::guidelines::{GuidelineSet, Guidelines};
use super::keys::Caller;
use super::policy::{Effective, over};
use super::settings::settings;
use super::trajectories::DEFAULT_NAMESPACE;
use super::{Pipeline, checks, compute};
use crate::config::{Config, Policy};

/// What is to be compressed.
pub struct Compress {
    /// The messages.
    pub incoming: Incoming,
    /// The tool schemas' JSON as sent.
    pub tools: Option<String>,
    /// The model whose tokenizer counts.
    pub model: Option<String>,
    /// The guideline set that steers; the default one where it is not told.
    pub guideline_set: Option<String>,
    /// What is asked for.
    pub request: ContextRequest,
}

impl Pipeline {
    /// Compresses messages by rules without storing them; its markers carry no handles.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`], [`Failure::Context`].
    pub async fn compress_once(&self, compress: Compress) -> Result<Served, Failure> {
        let mut desk = self.desk(compress).await?;
        compute(usize::MAX, move || desk.serve()).await?
    }

    /// The same, waiting for the models that the configuration names. Where there are none, the receipt warns with
    /// `no_model`; where they fail or have no time, with `model_failed`, and rules serve what they did not make. Only
    /// the ledger keeps anything of it.
    ///
    /// Models are told to stop when the caller goes away.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`], [`Failure::Context`].
    pub async fn compress_with_models(&self, caller: &Caller, compress: Compress) -> Result<Served, Failure> {
        let cancelled = CancellationToken::new();
        let _guard = cancelled.clone().drop_guard();
        let (own, caller) = (self.clone(), caller.clone());
        self.to_the_end(async move { own.with_models(&caller, compress, &cancelled).await }).await
    }

    async fn with_models(
        &self,
        caller: &Caller,
        compress: Compress,
        cancelled: &CancellationToken,
    ) -> Result<Served, Failure> {
        let mut desk = self.desk(compress).await?;
        let (mut desk, served) = compute(usize::MAX, move || {
            let served = desk.serve();
            (desk, served)
        })
        .await?;
        let mut served = served?;
        if desk.session.settings().prepares == Prepares::default() {
            served.receipt.warn("no_model");
            return Ok(served);
        }
        if !served.is_shortened() {
            return Ok(served);
        }
        let prepared = desk.prepare(self.compressors(), cancelled);
        let prepared = in_time(self.time_for_models(), cancelled, prepared).await;
        let of = OnBehalf {
            namespace: caller.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
            ..OnBehalf::default()
        };
        self.note_attempts(&of, prepared.attempts).await;
        if prepared.made > 0 {
            served = compute(usize::MAX, move || desk.serve_anew()).await??;
        }
        if !prepared.failed.is_empty() {
            tracing::warn!(why = prepared.failed.join("; "), "models did not make all of a compression: rules serve");
            served.receipt.warn("model_failed");
        }
        Ok(served)
    }

    async fn desk(&self, compress: Compress) -> Result<Desk, Failure> {
        let inner = Arc::clone(&self.inner);
        compute(usize::MAX, move || Desk::new(&inner.config, &inner.counters, &inner.guidelines, compress)).await?
    }
}

/// Compresses messages by rules in this thread.
///
/// # Errors
///
/// [`Failure::Invalid`], [`Failure::Context`].
pub fn compress_here(
    config: &Config,
    counters: &Counters,
    guidelines: &Guidelines,
    compress: Compress,
) -> Result<Served, Failure> {
    Desk::new(config, counters, guidelines, compress)?.serve()
}

/// Messages under the configuration's settings, and what is asked for.
struct Desk {
    session: Session,
    guidelines: Arc<GuidelineSet>,
    counter: Counter,
    held: Effective,
    request: ContextRequest,
}

impl Desk {
    fn new(config: &Config, counters: &Counters, guidelines: &Guidelines, compress: Compress) -> Result<Self, Failure> {
        let Compress { incoming, tools, model, guideline_set, request } = compress;
        checks::tools(tools.as_deref())?;
        let counter = counters.of(model.as_deref());
        let guidelines = guidelines.asked(guideline_set.as_deref())?;
        let held = over(&Policy::default(), config);
        let messages = incoming.parse(&limits(config)).map_err(Failure::Invalid)?;
        let admitted =
            messages.into_iter().map(|message| admit(message, counter.as_ref(), held.reformatting)).collect();
        let settings = settings(&guidelines, Counter::clone(&counter), &held, tools.as_deref(), Handles::Hidden)?;
        let mut session = Session::new(settings);
        session.append(admitted);
        Ok(Self { session, guidelines, counter, held, request })
    }

    fn serve(&mut self) -> Result<Served, Failure> {
        let mut served = self.session.serve(&self.request)?;
        // Nothing is stored: there is nothing to read by address.
        served.expand_tool = None;
        for omitted in &mut served.receipt.omitted {
            omitted.expand = None;
        }
        Ok(served)
    }

    /// Serves as if nothing had been served before.
    fn serve_anew(&mut self) -> Result<Served, Failure> {
        self.session.forget_served();
        self.serve()
    }

    async fn prepare(&mut self, compressors: &Compressors, cancelled: &CancellationToken) -> Prepared {
        let Self { session, guidelines, counter, held, request } = self;
        prepare_session(compressors, session, &request.line_key(), guidelines, counter, held, cancelled).await
    }
}
