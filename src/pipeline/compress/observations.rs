//! Single tool results, shortened.

use std::fmt::Write as _;

use recap_core::compress::llm::Grounds;
use recap_core::compress::{Verdict, units};
use recap_core::context::{Compression, Condensed, Maker, ObservationWork};
use recap_core::tokens::Counter;
use tokio_util::sync::CancellationToken;

use super::compressors::Question;
use super::{Compressors, Product, Unmade, maker, nobody};
use crate::config::Compressor;
use crate::llm::Purpose;
use crate::pipeline::guidelines::Steering;

/// Tokens of a source that are scored.
const SCORED_TOKENS: usize = 16_384;
/// Lines that are appended because a model lost them, at most.
const MOST_APPENDED: usize = 8;

impl Compressors {
    /// Shortens a result to about `most_tokens`, with the compressor that policy names.
    pub async fn condense(
        &self,
        work: &ObservationWork,
        (compressor, most_tokens): (Compressor, u32),
        steering: &Steering,
        counter: &Counter,
        cancelled: &CancellationToken,
    ) -> Product {
        let mut attempts = Vec::new();
        let mut failed = None;
        if compressor == Compressor::Llm {
            let (made, tried) = self.rewritten(work, most_tokens, steering, counter, cancelled).await;
            attempts = tried;
            match made {
                Ok(made) => return Product { made: Ok(made), attempts },
                // it is asked again later; what extracts serves where it never will
                Err(later @ Unmade::Later { .. }) => return Product { made: Err(later), attempts },
                Err(unmade) => failed = Some(unmade),
            }
        }
        let extracted = self.extracted(work, most_tokens, steering, counter);
        let made = match cancelled.run_until_cancelled(extracted).await {
            Some(Some(made)) => made,
            None => Err(Unmade::cancelled()),
            Some(None) => Err(failed.unwrap_or_else(|| Unmade::Never("there is nothing that scores lines".to_owned()))),
        };
        Product { made, attempts }
    }

    async fn rewritten(
        &self,
        work: &ObservationWork,
        most_tokens: u32,
        steering: &Steering,
        counter: &Counter,
        cancelled: &CancellationToken,
    ) -> (Result<Compression, Unmade>, Vec<crate::llm::Attempt>) {
        let question = Question {
            purpose: Purpose::CompressObservation,
            guideline: &steering.guideline,
            task: &work.task,
            query: &work.query,
            previous: "",
            source: &work.source,
            source_tokens: work.source_tokens,
            most_tokens,
            counter,
        };
        let (reply, attempts) = self.write(&question, cancelled).await;
        let made = reply.map(|reply| {
            let (text, facts_appended) = with_lost_lines(&reply.written.text, work, steering);
            let by = Maker {
                compressor: reply.maker,
                guideline: Some(steering.label.clone()),
                facts_appended,
                rejected: reply.written.rejected,
                failed: None,
            };
            condensed(work, text, by, counter)
        });
        (made, attempts)
    }

    /// The lines that a model scores best, with what rules keep; `None` where nothing scores.
    async fn extracted(
        &self,
        work: &ObservationWork,
        most_tokens: u32,
        steering: &Steering,
        counter: &Counter,
    ) -> Option<Result<Compression, Unmade>> {
        let scorer = self.scorer()?;
        let cut = units(&work.source);
        let texts: Vec<String> =
            cut.units.iter().map(|unit| work.source.get(unit.span.clone()).unwrap_or_default().to_owned()).collect();
        let query = format!("{}\n{}", work.query, work.task);
        let scores = match scorer.score(query, texts, SCORED_TOKENS).await {
            Ok(scores) => scores,
            Err(error) => return Some(Err(Unmade::of(&error))),
        };
        let scores: Vec<f32> = scores.into_iter().map(Option::unwrap_or_default).collect();
        let elided = recap_core::compress::elide(&recap_core::compress::Elide {
            text: &work.source,
            original: work.original,
            budget_tokens: most_tokens,
            counter: &**counter,
            query: &[&work.query],
            rules: &steering.rules,
            scores: &scores,
        });
        let by = Maker {
            compressor: maker("extract", &scorer.label()),
            guideline: Some(steering.label.clone()),
            ..Maker::default()
        };
        let text = elided.map(|elided| elided.text).ok_or_else(|| Unmade::Never("it cannot be shortened".to_owned()));
        Some(text.map(|text| condensed(work, text, by, counter)))
    }
}

fn condensed(work: &ObservationWork, text: String, by: Maker, counter: &Counter) -> Compression {
    let tokens = counter.count(&text);
    Compression::Condensed(Condensed { original: work.original, text: text.into(), tokens, by })
}

/// A model's text, after it the lines that the guideline keeps and whose values it lacks, and the handle.
fn with_lost_lines(text: &str, work: &ObservationWork, steering: &Steering) -> (String, u32) {
    let mut out = text.to_owned();
    let mut appended = 0;
    for line in work.source.lines().filter(|line| steering.rules.verdict(line) == Verdict::Keep) {
        let lost = Grounds::of([out.as_str()]).invented(line).len();
        if lost > 0 && appended < MOST_APPENDED {
            let _infallible = writeln!(out, "{}", line.trim());
            appended += 1;
        }
    }
    let _infallible = write!(out, "[shortened; whole: {}]", work.original);
    (out, u32::try_from(appended).unwrap_or(u32::MAX))
}

/// What stands for a result that no model can shorten: itself.
pub(super) fn whole(work: &ObservationWork, why: String) -> Compression {
    let by = nobody(why);
    Compression::Condensed(Condensed { original: work.original, text: "".into(), tokens: work.source_tokens, by })
}
