//! Models asked for better guidelines.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use recap_core::compress::GuidelineKind;
use recap_core::tuning::Objective;
use recap_core::tuning::analyse::{Analysis, Proposal, digest, proposal};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::account::{Account, Limits, Stopped};
use super::{REPLY_TOKENS, Teacher};
use crate::llm::{Attempt, Outcome, Purpose};
use crate::pipeline::compress::Unmade;

/// Tokens that analyses get at least: below that a guideline is too large to be made better by these models.
const LEAST_ANALYSES_TOKENS: u32 = 200;
/// Tokens of what was proposed before, as a share of what a model can read, in hundredths.
const EARLIER_SHARE: u32 = 10;
/// Tokens of the objective.
const OBJECTIVE_TOKENS: u32 = 120;

/// The guideline that is to get better.
#[derive(Debug, Clone, Copy)]
pub struct Champion<'a> {
    /// What it speaks of.
    pub kind: GuidelineKind,
    /// Its whole text.
    pub text: &'a str,
}

/// What is asked for.
pub struct Proposing<'a> {
    /// The guideline.
    pub champion: Champion<'a>,
    /// What was found.
    pub analyses: &'a [Analysis],
    /// What better means.
    pub objective: Objective,
    /// How many candidates.
    pub count: u32,
    /// Which values of the runs a text holds that the champion does not.
    pub leaks: &'a (dyn Fn(&str) -> Vec<String> + Sync),
}

/// What became of one call for a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposed {
    /// The call's number, from 1.
    pub n: u32,
    /// The candidate; `None` where no reply could stand.
    pub proposal: Option<Proposal>,
    /// Why there is none.
    pub refused: Option<String>,
    /// The model that wrote it.
    pub model: Option<String>,
    /// What it cost.
    pub account: Account,
}

impl Teacher {
    /// Has models propose candidates, one call each: every call is told what was proposed before it. What is `known` is
    /// not asked for again; `on_done` is as in [`Teacher::analyses`].
    ///
    /// Returns all that are done, and why not all are.
    ///
    /// # Errors
    ///
    /// What `on_done` fails with.
    pub async fn candidates<E>(
        &self,
        asked: &Proposing<'_>,
        known: Vec<Proposed>,
        (limits, cancelled): (&Limits, &CancellationToken),
        mut on_done: impl AsyncFnMut(Option<&Proposed>, Vec<Attempt>) -> Result<(), E>,
    ) -> Result<(Vec<Proposed>, Option<Stopped>), E> {
        let mut done = known;
        let mut spent = Account::default();
        for n in 1..=asked.count {
            if done.iter().any(|proposed| proposed.n == n) {
                continue;
            }
            if let Err(stopped) = limits.allow(&spent, cancelled) {
                return Ok((done, Some(stopped)));
            }
            let earlier: Vec<Proposal> = done.iter().filter_map(|proposed| proposed.proposal.clone()).collect();
            let (answer, attempts) = self.propose(asked, n, &earlier, cancelled).await;
            let account = Account::of(&attempts);
            spent.add(account);
            let (proposal, refused, model) = match answer {
                Ok((proposal, model)) => (Some(proposal), None, Some(model)),
                Err(Unmade::Never(why)) => (None, Some(why), None),
                Err(Unmade::Later { why, .. }) => {
                    on_done(None, attempts).await?;
                    let is_told = cancelled.is_cancelled();
                    return Ok((done, Some(if is_told { Stopped::Cancelled } else { Stopped::Models(why) })));
                }
            };
            let outcome = if proposal.is_some() { "proposed" } else { "refused" };
            metrics::counter!("recapd_tuning_proposals_total", "outcome" => outcome).increment(1);
            let proposed = Proposed { n, proposal, refused, model, account };
            on_done(Some(&proposed), attempts).await?;
            done.push(proposed);
        }
        Ok((done, None))
    }

    async fn propose(
        &self,
        asked: &Proposing<'_>,
        n: u32,
        earlier: &[Proposal],
        cancelled: &CancellationToken,
    ) -> (Result<(Proposal, String), Unmade>, Vec<Attempt>) {
        let most = REPLY_TOKENS.min(self.compressors.reply_tokens()).to_string();
        let instructions = match self.propose.guideline.render_body(&proposal::variables(&most)) {
            Ok(instructions) => instructions,
            Err(error) => return (Err(Unmade::Never(error.to_string())), Vec::new()),
        };
        let readable = self.compressors.source_tokens();
        let around = self.counter.count(asked.champion.text) + OBJECTIVE_TOKENS + readable * EARLIER_SHARE / 100;
        let Some(left) = readable.checked_sub(around).filter(|left| *left >= LEAST_ANALYSES_TOKENS) else {
            let why = format!("the guideline is too large for the models, which read {readable} tokens at once");
            return (Err(Unmade::Never(why)), Vec::new());
        };
        let analyses = digest(asked.analyses, left, &*self.counter);
        let quotes: BTreeSet<String> = asked.analyses.iter().flat_map(Analysis::quotes).map(str::to_owned).collect();
        let input = proposal::Input {
            instructions: &instructions,
            champion: asked.champion.text,
            kind: asked.champion.kind,
            analyses: &analyses,
            objective: asked.objective,
            n,
            earlier,
            quotes: &quotes,
        };
        // The rules of the last reply that had any without its body, and the how-manieth of those not accepted that was.
        let rules = Mutex::new((0, None));
        let accept = |reply: &str| {
            proposal::accept(reply, &input, asked.leaks).inspect_err(|_| {
                let alone = proposal::accept_rules(reply, &input, asked.leaks).ok();
                let mut rules = rules.lock().unwrap_or_else(PoisonError::into_inner);
                rules.1 = alone.map(|alone| (rules.0, alone)).or(rules.1.take());
                rules.0 += 1;
            })
        };
        let (answer, attempts) =
            self.ask((Purpose::Propose, "proposal"), proposal::prompt(&input), cancelled, accept).await;
        let (_, rules) = rules.into_inner().unwrap_or_else(PoisonError::into_inner);
        let alone = rules.and_then(|(nth, proposal)| {
            let mut unaccepted = attempts.iter().filter(|attempt| attempt.outcome == Outcome::Unaccepted);
            Some((proposal, unaccepted.nth(nth)?.model.clone()))
        });
        match (answer, alone) {
            (Err(Unmade::Never(_)), Some(alone)) => (Ok(alone), attempts),
            (answer, _) => (answer, attempts),
        }
    }
}
