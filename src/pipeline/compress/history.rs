//! Recaps of old turns.

use std::sync::Arc;

use recap_core::context::{Compression, HistoryWork, Maker, Told};
use recap_core::tokens::Counter;
use tokio_util::sync::CancellationToken;

use super::compressors::Question;
use super::{Compressors, Product, nobody};
use crate::llm::Purpose;
use crate::pipeline::guidelines::Steering;

/// Share of a source that its recap may take: one token of this many.
const RATIO: u32 = 4;
/// Tokens that a recap may take at least.
const LEAST_TOKENS: u32 = 120;

impl Compressors {
    /// Has turns told by a chat model.
    pub async fn tell(
        &self,
        work: &HistoryWork,
        steering: &Steering,
        counter: &Counter,
        cancelled: &CancellationToken,
    ) -> Product {
        let question = Question {
            purpose: Purpose::CompressHistory,
            guideline: &steering.guideline,
            task: &work.task,
            query: &work.query,
            previous: &work.previous,
            source: &work.source,
            source_tokens: work.source_tokens,
            most_tokens: (work.source_tokens / RATIO).max(LEAST_TOKENS),
            counter,
        };
        let (reply, attempts) = self.write(&question, cancelled).await;
        let told = |reply: super::compressors::Reply| {
            let by = Maker {
                compressor: reply.maker,
                guideline: Some(steering.label.clone()),
                facts_appended: 0,
                rejected: reply.written.rejected,
                failed: None,
            };
            let text = Arc::from(reply.written.text);
            let (turns, agent_kind, tokens) = (work.turns, work.agent_kind, reply.written.tokens);
            Compression::Told(Told { turns, agent_kind, text, tokens, by })
        };
        Product { made: reply.map(told), attempts }
    }
}

/// What stands for turns that no model can tell: nothing, so that the next ones get their recap.
pub(super) fn untold(work: &HistoryWork, why: String) -> Compression {
    let by = nobody(why);
    Compression::Told(Told { turns: work.turns, agent_kind: work.agent_kind, text: Arc::from(""), tokens: 0, by })
}
