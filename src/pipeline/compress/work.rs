//! Pieces of work for models: the next one of a session, who does it, what stands where nobody can.

use recap_core::context::{
    Compression, Condensed, HistoryBy, HistoryWork, ObservationWork, ScoreWork, Scored, Session, Told,
};
use recap_core::tokens::Counter;
use tokio_util::sync::CancellationToken;

use super::history::untold;
use super::observations::whole;
use super::scores::unscored;
use super::{Compressors, Product, key_of};
use crate::config::Compressor;
use crate::pipeline::guidelines::GuidelineSet;
use crate::pipeline::policy::Effective;

/// One piece of work.
pub(super) enum Work {
    Told(HistoryWork),
    Scored(ScoreWork),
    /// A result, who shortens it, and to how many tokens.
    Condensed(ObservationWork, Compressor, u32),
}

/// What steers those who do it.
#[derive(Clone, Copy)]
pub(super) struct Steered<'a> {
    pub guidelines: &'a GuidelineSet,
    pub counter: &'a Counter,
    pub cancelled: &'a CancellationToken,
}

/// Returns what is to be done next for a line's next epoch.
pub(super) fn next_of_history(session: &mut Session, line: &str, compressors: &Compressors) -> Option<Work> {
    match session.settings().prepares.history {
        HistoryBy::Rules => None,
        HistoryBy::Scored => session.score_work(line).map(Work::Scored),
        HistoryBy::Told { least_tokens } => {
            let told = session.history_work(line, least_tokens, compressors.source_tokens()).map(Work::Told);
            told.or_else(|| compressors.scorer().and_then(|_| session.undone_work(line)).map(Work::Scored))
        }
    }
}

/// Returns the next result that a model should shorten, whatever policy says about it.
pub(super) fn next_observation(
    session: &Session,
    held: &Effective,
    guidelines: &GuidelineSet,
    compressors: &Compressors,
) -> Option<Work> {
    let most_tokens = held.t_obs.under(guidelines.observation.guideline.thresholds.t_obs);
    let read_tokens = match held.observation {
        Compressor::Llm => compressors.source_tokens(),
        _ => u32::MAX,
    };
    let work = session.observation_work(most_tokens, read_tokens)?;
    Some(Work::Condensed(work, held.observation, most_tokens))
}

impl Work {
    /// Names the work: who does it, under what, on what.
    pub fn key(&self, compressors: &Compressors, guidelines: &GuidelineSet) -> String {
        let names = |compressor| compressors.names(compressor);
        match self {
            Self::Told(work) => {
                let hash = guidelines.history.hash.to_string();
                key_of(&["told", &names(Compressor::Llm), &hash, &work.task, &work.query, &work.previous, &work.source])
            }
            Self::Scored(work) => {
                let lines: Vec<String> = work.lines.iter().map(|(number, line)| format!("{number} {line}")).collect();
                key_of(&["scored", &names(Compressor::Extract), &work.query, &lines.join("\n")])
            }
            Self::Condensed(work, compressor, most) => {
                let hash = guidelines.observation.hash.to_string();
                let most = most.to_string();
                key_of(&["condensed", &names(*compressor), &hash, &most, &work.task, &work.query, &work.source])
            }
        }
    }

    /// Has models do it.
    pub async fn by(&self, compressors: &Compressors, steered: Steered<'_>) -> Product {
        let Steered { guidelines, counter, cancelled } = steered;
        match self {
            Self::Told(work) => compressors.tell(work, &guidelines.history, counter, cancelled).await,
            Self::Scored(work) => compressors.score(work, cancelled).await,
            Self::Condensed(work, compressor, most) => {
                compressors.condense(work, (*compressor, *most), &guidelines.observation, counter, cancelled).await
            }
        }
    }

    /// What stands where no model can do it, so that it is not tried for ever.
    pub fn undone(&self, why: String) -> Compression {
        match self {
            Self::Told(work) => untold(work, why),
            Self::Scored(work) => unscored(work, why),
            Self::Condensed(work, ..) => whole(work, why),
        }
    }

    /// What the same work led to elsewhere, for this trajectory's turns; `None` where that says nothing.
    pub fn reuse(&self, known: Compression) -> Option<Compression> {
        match (self, known) {
            (Self::Told(work), Compression::Told(told)) if !told.text.is_empty() => {
                Some(Compression::Told(Told { turns: work.turns, agent_kind: work.agent_kind, ..told }))
            }
            (Self::Scored(work), Compression::Scored(scored)) if !scored.scores.is_empty() => {
                Some(Compression::Scored(Scored { turn: work.turn, agent_kind: work.agent_kind, ..scored }))
            }
            (Self::Condensed(work, ..), Compression::Condensed(condensed)) if !condensed.text.is_empty() => {
                Some(Compression::Condensed(Condensed { original: work.original, ..condensed }))
            }
            _ => None,
        }
    }
}
