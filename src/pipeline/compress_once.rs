//! The stateless sibling of the context: messages in, the context that fits out, nothing stored.

use recap_core::context::{ContextRequest, Handles, Served, Session};

use super::append_messages::{Incoming, limits};
use super::failure::Failure;
use super::policy::Policy;
use super::{Pipeline, compute};

/// What is to be compressed.
pub struct Compress {
    /// The messages.
    pub incoming: Incoming,
    /// The tool schemas' JSON as sent.
    pub tools: Option<String>,
    /// The model whose tokenizer counts.
    pub model: Option<String>,
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
        let counter = self.inner.counters.of(compress.model.as_deref());
        let held = Policy::default().over(self.config());
        let messages = compress
            .incoming
            .admitted(limits(self.config()), counter.clone(), held.reformatting)
            .await?;
        let settings =
            self.inner
                .settings(counter, &held, compress.tools.as_deref(), Handles::Hidden)?;
        let request = compress.request;
        let served = compute(usize::MAX, move || {
            let mut session = Session::new(settings);
            session.append(messages);
            session.serve(&request)
        });
        let mut served = served.await??;
        // Nothing is stored: there is nothing to read by address.
        served.expand_tool = None;
        for omitted in &mut served.receipt.omitted {
            omitted.expand = None;
        }
        Ok(served)
    }
}
