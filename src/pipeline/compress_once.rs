//! The stateless sibling of the context: messages in, the context that fits out, nothing stored.

use std::sync::Arc;

use recap_core::context::{ContextRequest, Handles, Served, Session, admit};

use super::append_messages::{Incoming, limits};
use super::counters::Counters;
use super::failure::Failure;
use super::guidelines::Guidelines;
use super::policy::over;
use super::settings::settings;
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
    /// Compresses messages without storing them; its markers carry no handles.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`], [`Failure::Context`].
    pub async fn compress_once(&self, compress: Compress) -> Result<Served, Failure> {
        let inner = Arc::clone(&self.inner);
        compute(usize::MAX, move || compress_here(&inner.config, &inner.counters, &inner.guidelines, &compress)).await?
    }
}

/// Compresses messages in this thread.
///
/// # Errors
///
/// [`Failure::Invalid`], [`Failure::Context`].
pub fn compress_here(
    config: &Config,
    counters: &Counters,
    guidelines: &Guidelines,
    compress: &Compress,
) -> Result<Served, Failure> {
    checks::tools(compress.tools.as_deref())?;
    let counter = counters.of(compress.model.as_deref());
    let set = guidelines.asked(compress.guideline_set.as_deref())?;
    let held = over(&Policy::default(), config);
    let messages = compress.incoming.parse(&limits(config)).map_err(Failure::Invalid)?;
    let admitted = messages.into_iter().map(|message| admit(message, counter.as_ref(), held.reformatting)).collect();
    let settings = settings(&set, counter, &held, compress.tools.as_deref(), Handles::Hidden)?;
    let mut session = Session::new(settings);
    session.append(admitted);
    let mut served = session.serve(&compress.request)?;
    // Nothing is stored: there is nothing to read by address.
    served.expand_tool = None;
    for omitted in &mut served.receipt.omitted {
        omitted.expand = None;
    }
    Ok(served)
}
