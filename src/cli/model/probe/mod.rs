//! `recapd model probe`: how well a model finds a value that was planted in a text, by the length of the text (the needle
//! test; the largest length that holds is called the maximum effective context window).

mod curve;
mod page;
mod round;

use clap::Args;
use recap_core::tokens::Counter;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::shelf;
use crate::app::{models_dir, secret_of};
use crate::cli::{BadUse, Done, Setting, output};
use crate::config::{Config, Log};
use crate::llm::{self, Backend};
use crate::pipeline::counters::Counters;
use crate::telemetry;
use crate::world::World;
use curve::{Curve, Proposal};
use round::{Account, Limits, Round};

/// The shortest length of the default ones.
const SHORTEST: u32 = 512;

/// Measure how finding a planted value falls with the length of the context, and propose a budget.
///
/// Texts of made-up notes with six-digit codes planted at several depths; each question asks for one code, under a JSON
/// schema, and counts if the code is exact. The proposal is the largest length up to which every recall is at least
/// `--keep` of the shortest length's. It says how far back the model reads, not how well it does a task: take it as an upper
/// bound for agents that run on this model. Tokens of a remote model cost money; the limits of `[llm]` hold, without
/// what a daemon spends meanwhile.
#[derive(Debug, Args)]
pub struct Probe {
    /// The configured model's name, or a local model's; without it, every configured chat model
    #[arg(value_name = "MODEL")]
    name: Option<String>,
    /// Lengths of the texts; doubled from 512 to the model's window where none is told
    #[arg(long, value_name = "TOKENS", num_args = 1.., value_delimiter = ',')]
    lengths: Vec<u32>,
    /// Depths in a text at which codes are planted and asked for
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    depths: u32,
    /// Texts of each length
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    repeats: u32,
    /// Share of the shortest length's recall that a length must keep
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    keep: f64,
    /// Stop before a model was sent more tokens than this
    #[arg(long, value_name = "TOKENS", default_value_t = 1_000_000)]
    max_tokens: u64,
    /// Stop once a remote model cost this many US dollars; needs its price in `llm.prices`
    #[arg(long, value_name = "USD")]
    max_cost_usd: Option<f64>,
    /// Other texts for another number
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A model's curve and what it cost.
struct Report {
    model: String,
    counter: Counter,
    curve: Curve,
    account: Account,
    stopped: Option<String>,
}

impl Probe {
    /// Probes.
    ///
    /// # Errors
    ///
    /// Fails where there is no chat model; exit code 1 where a model could not be asked to the end.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        self.check()?;
        let config = self.config(setting)?;
        telemetry::start_logs(&Log { filter: "warn".to_owned(), ..config.log.clone() })?;
        let key = key(&config)?;
        let loaded = llm::load(&config, &models_dir(&config, &setting.data_dir()), key, &World::real())?;
        if loaded.chats.is_empty() {
            return Err(BadUse("there is no chat model: set llm.model or models.chat, or name one".to_owned()).into());
        }
        let counters = Counters::load(&config.tokens)?;
        let mut reports = Vec::new();
        for backend in &loaded.chats {
            let report = self.probe(backend, &config, &counters).await?;
            if !setting.json {
                report.tell(self.keep)?;
            }
            reports.push(report);
        }
        let whole = reports.iter().all(|report| report.stopped.is_none());
        if setting.json {
            output::say_json(&reports.iter().map(|report| report.json(self.keep)).collect::<Vec<_>>())?;
        }
        Ok(if whole { Done::Well } else { Done::Badly })
    }

    fn check(&self) -> Result<(), BadUse> {
        let told = |what: &str| Err(BadUse(what.to_owned()));
        if self.depths == 0 || self.depths > 50 || self.repeats == 0 || self.lengths.contains(&0) {
            return told("--depths is 1 to 50; --repeats and --lengths are above 0");
        }
        if !(0.0..=1.0).contains(&self.keep) {
            return told("--keep: it is from 0 to 1");
        }
        if self.max_cost_usd.is_some_and(|usd| !usd.is_finite() || usd < 0.0) {
            return told("--max-cost-usd: it is 0 or more");
        }
        Ok(())
    }

    /// Returns the configuration with no model but those that are probed.
    fn config(&self, setting: &Setting) -> anyhow::Result<Config> {
        let mut config = setting.load(&[])?.config;
        config.models.reranker = None;
        config.models.encoder = None;
        let Some(name) = &self.name else { return Ok(config) };
        if config.llm.model.as_ref() == Some(name) {
            config.models.chat = None;
            return Ok(config);
        }
        let found = super::entry(&shelf(setting, &config), name)?;
        config.llm.model = None;
        config.models.chat = Some(found.path.to_string_lossy().into_owned());
        Ok(config)
    }

    async fn probe(&self, backend: &Backend, config: &Config, counters: &Counters) -> anyhow::Result<Report> {
        let remote = backend.is_remote();
        let window = if remote { config.llm.window_tokens } else { config.models.window_tokens };
        if self.max_cost_usd.is_some() && remote && !config.llm.prices.contains_key(backend.model()) {
            return Err(BadUse(format!("--max-cost-usd: llm.prices has no {}", backend.model())).into());
        }
        let mut lengths = if self.lengths.is_empty() { lengths_within(window) } else { self.lengths.clone() };
        lengths.sort_unstable();
        lengths.dedup();
        let counter = counters.of(Some(backend.model()));
        let round = Round { backend, counter: &counter, depths: self.depths, repeats: self.repeats, seed: self.seed };
        let most: u64 = lengths.iter().map(|length| u64::from(*length) * round.questions()).sum();
        output::note(&format!(
            "{}: {} questions, about {most} tokens, at most {}",
            backend.model(),
            round.questions() * lengths.len() as u64,
            self.max_tokens
        ));
        let limits = Limits { tokens: self.max_tokens, cost_usd: self.max_cost_usd };
        let mut account = Account::default();
        let (points, stopped) = round.run(&lengths, &limits, &mut account).await?;
        Ok(Report { model: backend.label(), counter: counter.clone(), curve: Curve { points }, account, stopped })
    }
}

fn key(config: &Config) -> anyhow::Result<Option<SecretString>> {
    let from_file = config.llm.api_key_file.as_deref();
    let from_file = from_file.map(|path| secret_of("llm.api_key_file", path)).transpose()?;
    Ok(config.llm.api_key.clone().or(from_file))
}

/// Returns lengths up to three quarters of a window: the rest is for the question, the reply, and a model that counts more
/// tokens than the counter does.
fn lengths_within(window: u32) -> Vec<u32> {
    let most = (window / 4 * 3).max(1);
    let mut lengths: Vec<u32> = std::iter::successors(Some(SHORTEST), |length| length.checked_mul(2))
        .take_while(|length| *length <= most)
        .collect();
    // The end itself, where it is well beyond the last doubling.
    if lengths.last().is_none_or(|last| most / 5 * 4 > *last) {
        lengths.push(most);
    }
    lengths
}

impl Report {
    fn tell(&self, keep: f64) -> anyhow::Result<()> {
        output::say(&format!("{}, lengths in tokens of {}", self.model, self.counter.name()))?;
        for point in &self.curve.points {
            output::say(&format!("  {point}"))?;
        }
        if let Some(why) = &self.stopped {
            output::say(&format!("  stopped: {why}"))?;
        }
        output::say(&match self.curve.proposal(keep) {
            None => "no proposal: the model hardly finds values even in the shortest text".to_owned(),
            Some(Proposal { budget, length, falls: true }) => {
                format!("holds up to {length}; as an upper bound: context.budget = {budget}")
            }
            Some(Proposal { budget, length, falls: false }) => {
                format!("holds at every length asked, {length} the largest; context.budget = {budget}, perhaps more")
            }
        })?;
        output::say("This measures finding planted values, not the quality of an agent's work.")?;
        Ok(output::say(&self.account.to_string())?)
    }

    fn json(&self, keep: f64) -> Value {
        let proposal = self.curve.proposal(keep);
        json!({ "model": self.model, "counter": self.counter.name(), "points": self.curve.points,
                "keep": keep, "proposal": proposal, "account": self.account, "stopped": self.stopped,
                "measures": "finding planted values" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_double_and_end_with_the_window() {
        assert_eq!(lengths_within(4096), [512, 1024, 2048, 3072]);
        assert_eq!(lengths_within(2800), [512, 1024, 2048]);
        assert_eq!(lengths_within(400), [300]);
    }
}
