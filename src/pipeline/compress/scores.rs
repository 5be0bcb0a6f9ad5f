//! Lines of old turns, scored by how well they answer what the agent is doing.

use recap_core::context::{Compression, Maker, ScoreWork, Scored};
use tokio_util::sync::CancellationToken;

use super::{Compressors, Product, Unmade, maker, nobody};

/// Tokens of one turn that are scored.
const SCORED_TOKENS: usize = 8_192;

impl Compressors {
    /// Has a turn's lines scored.
    pub async fn score(&self, work: &ScoreWork, cancelled: &CancellationToken) -> Product {
        let scored = cancelled.run_until_cancelled(self.scored(work)).await;
        Product { made: scored.unwrap_or_else(|| Err(Unmade::cancelled())), attempts: Vec::new() }
    }

    async fn scored(&self, work: &ScoreWork) -> Result<Compression, Unmade> {
        let scorer = self.scorer().ok_or_else(|| Unmade::Never("there is nothing that scores lines".to_owned()))?;
        let texts = work.lines.iter().map(|(_, text)| text.clone()).collect();
        let scores = scorer.score(work.query.clone(), texts, SCORED_TOKENS).await;
        let scores = scores.map_err(|error| Unmade::of(&error))?;
        let numbered = work.lines.iter().zip(scores).filter_map(|((line, _), score)| Some((*line, score?))).collect();
        let by = Maker { compressor: maker("extract", &scorer.label()), ..Maker::default() };
        Ok(Compression::Scored(Scored { turn: work.turn, agent_kind: work.agent_kind, scores: numbered, by }))
    }
}

/// What stands for a turn whose lines cannot be scored: no scores.
pub(super) fn unscored(work: &ScoreWork, why: String) -> Compression {
    let by = nobody(why);
    Compression::Scored(Scored { turn: work.turn, agent_kind: work.agent_kind, scores: Vec::new(), by })
}
