//! What compressors were asked, rebuilt from a whole run.

use super::admit::Admitted;
use super::session::Session;
use super::work::{HistoryWork, ObservationWork};
use crate::trajectory::{Origin, OriginalHash};

/// Why an input cannot be rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unrebuilt {
    /// The run has no such turns, or no such result.
    #[error("the run does not have it")]
    Unknown,
    /// It has more tokens than may be read at once.
    #[error("it is too long")]
    TooLong,
}

impl Session {
    /// Returns the work that a recap of these turns, first and last, was. `query` is what the agent did next, where the run
    /// goes on; `previous` holds only recaps that models wrote.
    ///
    /// # Errors
    /// [`Unrebuilt`]; too long is more than `most_tokens` of source.
    pub fn past_history_work(&self, turns: [u32; 2], most_tokens: u32) -> Result<HistoryWork, Unrebuilt> {
        let [first, last] = turns.map(|turn| turn as usize);
        if first == 0 || last < first || self.turn_messages(last).is_empty() {
            return Err(Unrebuilt::Unknown);
        }
        let mut source = String::new();
        let mut tokens = 0_u32;
        for turn in first..=last {
            let text = self.told_text(turn, most_tokens);
            tokens = tokens.saturating_add(self.settings().counter.count(&text));
            if tokens > most_tokens {
                return Err(Unrebuilt::TooLong);
            }
            source.push_str(&text);
        }
        Ok(HistoryWork {
            turns,
            agent_kind: self.grouping(),
            source,
            source_tokens: (first..=last).map(|turn| self.served_tokens(turn)).sum(),
            task: self.task(),
            query: self.said_in(last + 1),
            previous: self.recaps_up_to(turns[0] - 1),
        })
    }

    /// Returns the work that shortening a result was.
    ///
    /// # Errors
    /// [`Unrebuilt`]; too long is more than `most_tokens` of source.
    pub fn past_observation_work(
        &self,
        original: OriginalHash,
        most_tokens: u32,
    ) -> Result<ObservationWork, Unrebuilt> {
        let turns = (1..).take_while(|turn| !self.turn_messages(*turn).is_empty());
        let blocks = turns.flat_map(|turn| {
            let agent = |admitted: &&Admitted| admitted.message.origin == Origin::Agent;
            let messages = self.turn_messages(turn).iter().filter(agent);
            messages.flat_map(move |admitted| (0..admitted.message.blocks.len()).map(move |at| (turn, admitted, at)))
        });
        let mut found = blocks.filter(|(_, admitted, at)| admitted.original(*at) == Some(original));
        let (turn, served) = found
            .find_map(|(turn, admitted, at)| {
                let text = self.result_in(turn, admitted, at)?;
                Some((turn, admitted.reformatted_text(at).unwrap_or(text)))
            })
            .ok_or(Unrebuilt::Unknown)?;
        let source_tokens = self.settings().counter.count(served);
        if source_tokens > most_tokens {
            return Err(Unrebuilt::TooLong);
        }
        let source = served.to_string();
        Ok(ObservationWork { original, source, source_tokens, task: self.task(), query: self.calls_of(turn) })
    }

    /// Returns every text of the run as it was sent, oldest first.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let turns = (0..).take_while(|turn| !self.turn_messages(*turn).is_empty());
        turns
            .flat_map(|turn| self.turn_messages(turn))
            .flat_map(|admitted| admitted.message.originals().map(AsRef::as_ref))
    }
}
