//! Versions tried with models: both write from the same source at the same time. Only the ledger keeps anything of it.

use futures::future::join_all;
use recap_core::context::{Compression, ContextRequest, Handles, ObservationWork, Served, Session};
use recap_core::tokens::Counter;
use tokio_util::sync::CancellationToken;

use super::attempt::{Bench, Outcome, Trial, checked, outcome_of, request};
use super::{GuidelineSet, Kind, Steering};
use crate::config::Compressor;
use crate::llm;
use crate::pipeline::compress::{Compressors, OnBehalf, Product, in_time, prepare_session};
use crate::pipeline::failure::Failure;
use crate::pipeline::policy::{Effective, Threshold};
use crate::pipeline::settings::settings;
use crate::pipeline::{Pipeline, compute};

/// The champion, where there is one, and the candidate after it.
type Versions = Vec<Steering>;

impl Pipeline {
    /// Has both versions steer models. Models are told to stop when the caller goes away, and after three quarters of a
    /// request's time; what they did not make is shown as rules make it.
    pub(super) async fn try_with_models(
        &self,
        bench: Bench,
        kind: Kind,
        versions: Versions,
        compressor: Compressor,
    ) -> Result<Trial, Failure> {
        let cancelled = CancellationToken::new();
        let _guard = cancelled.clone().drop_guard();
        let own = self.clone();
        self.to_the_end(async move {
            match kind {
                Kind::History => own.tell_past(bench, versions, compressor, &cancelled).await,
                _ => own.shorten_observation(bench, versions, compressor, &cancelled).await,
            }
        })
        .await
    }

    async fn tell_past(
        &self,
        bench: Bench,
        versions: Versions,
        compressor: Compressor,
        cancelled: &CancellationToken,
    ) -> Result<Trial, Failure> {
        let budget = bench.attempt.budget.unwrap_or(bench.live.budget());
        let laid_out = move || {
            let pasts = versions.into_iter().map(|version| Past::lay_out(&bench, version, compressor, budget));
            Ok::<_, Failure>((pasts.collect::<Result<Vec<_>, _>>()?, bench))
        };
        let (mut pasts, bench) = compute(usize::MAX, laid_out).await??;
        let told = join_all(pasts.iter_mut().map(|past| past.tell(self.compressors(), cancelled)));
        let attempts = in_time(self.time_for_models(), cancelled, told).await;
        self.note_trial(&bench, attempts.into_iter().flatten().collect()).await;
        compute(usize::MAX, move || {
            let shift = bench.messages.shift;
            let outcomes = pasts.into_iter().map(|past| past.outcome(shift)).collect::<Result<Vec<_>, _>>()?;
            trial(compressor, budget, None, outcomes)
        })
        .await?
    }

    async fn shorten_observation(
        &self,
        bench: Bench,
        versions: Versions,
        compressor: Compressor,
        cancelled: &CancellationToken,
    ) -> Result<Trial, Failure> {
        let most_tokens = self.compressors().source_tokens();
        let (work, bench) = compute(usize::MAX, move || (observation_work(&bench, most_tokens), bench)).await?;
        let (work, n) = work?;
        let budget = bench.attempt.budget.unwrap_or(work.source_tokens / 2);
        let models = self.compressors();
        let counter = &bench.live.counter;
        let made =
            versions.iter().map(|version| models.condense(&work, (compressor, budget), version, counter, cancelled));
        let mut products = in_time(self.time_for_models(), cancelled, join_all(made)).await;
        let attempts = products.iter_mut().flat_map(|product| std::mem::take(&mut product.attempts)).collect();
        self.note_trial(&bench, attempts).await;
        compute(usize::MAX, move || {
            let outcomes = versions.iter().zip(products).map(|(version, product)| {
                let source = bench.observation()?;
                let rules = || source.shortened(version, budget, &bench.live.counter);
                Ok(shortened(&work, version, product, rules))
            });
            trial(compressor, budget, Some(n), outcomes.collect::<Result<Vec<_>, Failure>>()?)
        })
        .await?
    }

    async fn note_trial(&self, bench: &Bench, attempts: Vec<llm::Attempt>) {
        let row = &bench.live.row;
        let of = OnBehalf {
            namespace: row.namespace.clone(),
            agent: row.agent.clone().unwrap_or_default(),
            trajectory: Some(row.id.clone()),
            job: None,
        };
        self.note_attempts(&of, attempts).await;
    }
}

fn trial(
    compressor: Compressor,
    budget: u32,
    observation: Option<usize>,
    mut outcomes: Vec<Outcome>,
) -> Result<Trial, Failure> {
    let candidate = outcomes.pop().ok_or(Failure::CutOff("a version was not tried"))?;
    Ok(Trial { compressor: compressor.name(), budget, observation, champion: outcomes.pop(), candidate })
}

/// One version's way to compress the past turns.
struct Past {
    version: Steering,
    set: GuidelineSet,
    held: Effective,
    counter: Counter,
    session: Session,
    request: ContextRequest,
    served: Served,
    failed: Vec<String>,
}

impl Past {
    /// Serves the turns by rules. A model may then tell any number of tokens: that is what is tried.
    fn lay_out(bench: &Bench, version: Steering, compressor: Compressor, budget: u32) -> Result<Self, Failure> {
        let set = GuidelineSet { history: version.clone(), ..(*bench.sets).clone() };
        let counter = bench.live.counter.clone();
        let held = Effective {
            history: compressor,
            observation: Compressor::Rules,
            t_hist: Threshold::Policy(0),
            ..bench.live.held.clone()
        };
        let tools = bench.live.row.tools.as_deref();
        let mut session = Session::new(settings(&set, counter.clone(), &held, tools, Handles::Shown)?);
        session.append(bench.messages.numbered.iter().map(|(_, admitted)| admitted.clone()).collect());
        let request = request(budget);
        let served = session.serve(&request)?;
        Ok(Self { version, set, held, counter, session, request, served, failed: Vec::new() })
    }

    /// Has models tell or score what does not fit as it is.
    async fn tell(&mut self, models: &Compressors, cancelled: &CancellationToken) -> Vec<llm::Attempt> {
        if !self.served.is_shortened() {
            return Vec::new();
        }
        let Self { set, held, counter, session, request, .. } = self;
        let prepared = prepare_session(models, session, &request.line_key(), set, counter, held, cancelled).await;
        self.failed = prepared.failed;
        prepared.attempts
    }

    fn outcome(mut self, shift: u32) -> Result<Outcome, Failure> {
        self.session.forget_served();
        let served = self.session.serve(&self.request)?;
        let outcome = outcome_of(&self.session, served, &self.version, shift);
        Ok(Outcome { failed: self.failed, ..outcome })
    }
}

/// The observation as a model gets it, and the number of its message.
fn observation_work(bench: &Bench, most_tokens: u32) -> Result<(ObservationWork, usize), Failure> {
    let source = bench.observation()?;
    let Bench { live, sets, messages, .. } = bench;
    let tools = live.row.tools.as_deref();
    let mut session = Session::new(settings(sets, live.counter.clone(), &live.held, tools, Handles::Shown)?);
    session.append(messages.numbered.iter().map(|(_, admitted)| admitted.clone()).collect());
    let found = session.observation_work_of(source.original, most_tokens);
    let work = found.ok_or_else(|| Failure::field("/observation", "its turn is the task: nothing shortens that"))?;
    Ok((work, source.n))
}

fn shortened(work: &ObservationWork, version: &Steering, product: Product, rules: impl FnOnce() -> Outcome) -> Outcome {
    match product.made {
        Ok(Compression::Condensed(condensed)) => Outcome {
            guideline: version.label.clone(),
            tokens: condensed.tokens,
            full_tokens: work.source_tokens,
            ..checked(condensed.text.to_string(), std::slice::from_ref(&work.source))
        },
        Ok(_) => rules(),
        Err(unmade) => Outcome { failed: vec![unmade.to_string()], ..rules() },
    }
}
