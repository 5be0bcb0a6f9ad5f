//! Models asked about one case after the other.

use std::collections::HashMap;

use recap_core::tuning::analyse::{Analysis, Contrast, Spare, failure, unused};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::Teacher;
use super::account::{Account, Limits, Stopped};
use crate::llm::{Attempt, Purpose};
use crate::pipeline::compress::Unmade;

/// Shares of what a model can read, in hundredths: the guideline, the task, and full and compressed text each.
const GUIDELINE_SHARE: u32 = 30;
const TASK_SHARE: u32 = 10;
const TEXT_SHARE: u32 = 22;
/// The same for action, losses, outcome, and lists of lines and values.
const SMALL_SHARE: u32 = 5;

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum Case {
    /// A pair: the full context did, the compressed one did not.
    Pair(Contrast),
    /// A run that did well under compression.
    Spare(Spare),
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Analysed {
    /// The hash of the case, the guideline and the makers: as long as these are the same, so is the analysis.
    pub key: String,
    /// The case's name.
    pub case: String,
    /// What was found; `None` where no reply could stand.
    pub analysis: Option<Analysis>,
    /// Why there is none.
    pub refused: Option<String>,
    /// The model that wrote it.
    pub model: Option<String>,
    /// What it cost.
    pub account: Account,
}

/// What became of all cases.
#[derive(Debug, Default)]
pub struct Found {
    /// One for each case that is done, in the order of the cases.
    pub analysed: Vec<Analysed>,
    /// Of those, known before.
    pub known: usize,
    /// What was spent now.
    pub spent: Account,
    /// Why not all are done.
    pub stopped: Option<Stopped>,
}

impl Case {
    /// Returns the case's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Pair(contrast) => &contrast.case,
            Self::Spare(spare) => &spare.case,
        }
    }
}

impl Found {
    /// Returns the analyses, without the cases that have none.
    #[must_use]
    pub fn analyses(&self) -> Vec<Analysis> {
        self.analysed.iter().filter_map(|one| one.analysis.clone()).collect()
    }

    /// Returns how many cases have no analysis because no reply could stand.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.analysed.iter().filter(|one| one.refused.is_some()).count()
    }
}

impl Teacher {
    /// Returns the key under which the analysis of a case is found again.
    #[must_use]
    pub fn key(&self, guideline: &str, case: &Case) -> String {
        let makers = self.analysts();
        let names: Vec<&str> = std::iter::once(guideline).chain(makers.iter().map(String::as_str)).collect();
        match case {
            Case::Pair(contrast) => contrast.key(&names),
            Case::Spare(spare) => spare.key(&names),
        }
    }

    /// Has models say of each case what the guideline lost or could spare. What is `known` by its key is not asked again;
    /// `on_done` is handed each new analysis with the calls that it took and awaited before the next one is asked; calls that
    /// came to nothing because the models cannot be asked come without one.
    ///
    /// A case without a usable reply is done, too: asked again, it would fail again.
    ///
    /// # Errors
    ///
    /// What `on_done` fails with. Limits and models that cannot be asked are no errors but [`Found::stopped`].
    pub async fn analyses<E>(
        &self,
        guideline: &str,
        cases: &[Case],
        known: &HashMap<String, Analysed>,
        (limits, cancelled): (&Limits, &CancellationToken),
        mut on_done: impl AsyncFnMut(Option<&Analysed>, Vec<Attempt>) -> Result<(), E>,
    ) -> Result<Found, E> {
        let mut found = Found::default();
        for case in cases {
            let key = self.key(guideline, case);
            if let Some(analysed) = known.get(&key) {
                found.analysed.push(analysed.clone());
                found.known += 1;
                continue;
            }
            if let Err(stopped) = limits.allow(&found.spent, cancelled) {
                found.stopped = Some(stopped);
                break;
            }
            let (answer, attempts) = self.analyse(guideline, case, cancelled).await;
            let account = Account::of(&attempts);
            found.spent.add(account);
            let (analysis, refused, model) = match answer {
                Ok((analysis, model)) => (Some(analysis), None, Some(model)),
                Err(Unmade::Never(why)) => (None, Some(why), None),
                Err(Unmade::Later { why, .. }) => {
                    on_done(None, attempts).await?;
                    found.stopped =
                        Some(if cancelled.is_cancelled() { Stopped::Cancelled } else { Stopped::Models(why) });
                    break;
                }
            };
            let outcome = if analysis.is_some() { "found" } else { "refused" };
            metrics::counter!("recapd_tuning_analyses_total", "outcome" => outcome).increment(1);
            let analysed = Analysed { key, case: case.name().to_owned(), analysis, refused, model, account };
            on_done(Some(&analysed), attempts).await?;
            found.analysed.push(analysed);
        }
        Ok(found)
    }

    async fn analyse(
        &self,
        guideline: &str,
        case: &Case,
        cancelled: &CancellationToken,
    ) -> (Result<(Analysis, String), Unmade>, Vec<Attempt>) {
        let instructions = match self.instructions() {
            Ok(instructions) => instructions,
            Err(why) => return (Err(Unmade::Never(why)), Vec::new()),
        };
        let guideline = self.cut(guideline, self.share(GUIDELINE_SHARE));
        match case {
            Case::Pair(contrast) => {
                let contrast = self.fitted(contrast);
                let input = failure::Input { instructions: &instructions, guideline: &guideline, contrast: &contrast };
                let accept = |reply: &str| failure::accept(reply, &input).map(Analysis::Failure);
                self.ask((Purpose::Analyse, "analysis"), failure::prompt(&input), cancelled, accept).await
            }
            Case::Spare(spare) => {
                let spare = self.spared(spare);
                let input = unused::Input { instructions: &instructions, guideline: &guideline, spare: &spare };
                let accept = |reply: &str| unused::accept(reply, &input).map(Analysis::Unused);
                self.ask((Purpose::Analyse, "unused"), unused::prompt(&input), cancelled, accept).await
            }
        }
    }

    /// Tokens of a share of what every model can read.
    fn share(&self, hundredths: u32) -> u32 {
        self.compressors.source_tokens() * hundredths / 100
    }

    /// The contrast as much of it as a model can read.
    fn fitted(&self, contrast: &Contrast) -> Contrast {
        let cut = |text: &str, share: u32| self.cut(text, self.share(share));
        Contrast {
            case: contrast.case.clone(),
            task: cut(&contrast.task, TASK_SHARE),
            full: cut(&contrast.full, TEXT_SHARE),
            compressed: cut(&contrast.compressed, TEXT_SHARE),
            action: cut(&contrast.action, SMALL_SHARE),
            lost: cut(&contrast.lost, SMALL_SHARE),
            outcome: cut(&contrast.outcome, SMALL_SHARE),
            last_turn: contrast.last_turn,
        }
    }

    fn spared(&self, spare: &Spare) -> Spare {
        let cut = |text: &str, share: u32| self.cut(text, self.share(share));
        let lines = |lines: &[String], share| cut(&lines.join("\n"), share).lines().map(str::to_owned).collect();
        Spare {
            case: spare.case.clone(),
            task: cut(&spare.task, TASK_SHARE),
            compressed: cut(&spare.compressed, TEXT_SHARE),
            idle: lines(&spare.idle, TEXT_SHARE),
            // what was used is not only told, replies are held against it: all of it
            used: spare.used.clone(),
            outcome: cut(&spare.outcome, SMALL_SHARE),
        }
    }
}
