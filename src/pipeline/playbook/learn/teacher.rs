//! The models asked: the reflector round after round, then the curator.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use recap_core::compress::cut_head_tail;
use recap_core::context::LookBack;
use recap_core::playbook::guard::{Guarded, Observations};
use recap_core::playbook::learn::{Curated, Labels, Reflection, Refusal, Refused, another_round, curate, reflect};
use recap_core::playbook::{Bullet, BulletId, Evidence, Operation, Playbook, Query, excerpt, text, tokens, twin_of};
use recap_core::tokens::Counter;
use tokio_util::sync::CancellationToken;

use super::super::embeddings::Points;
use crate::llm::{Attempt, Purpose};
use crate::pipeline::compress::{Compressors, Unmade};
use crate::pipeline::guidelines::{Guidelines, Kind, Steering};
use crate::store::LeftOut;

/// Tokens of a reply's words, as guidelines tell them.
const REPLY_TOKENS: u32 = 700;
/// Share of a model's window that bullets may take: one of this many.
const BULLETS_SHARE: u32 = 3;
/// Tokens of what an earlier round found, and of the rules of recapd's own.
const AROUND_TOKENS: u32 = 900;
/// Tokens that the words on how a run ended may take.
const FEEDBACK_TOKENS: u32 = 600;
/// Tokens that a run may take at least.
const LEAST_RUN_TOKENS: u32 = 200;

/// What asks, and under what.
pub(super) struct Teacher {
    compressors: Compressors,
    reflect: Steering,
    curate: Steering,
    /// Counts playbooks.
    counter: Counter,
    rounds: u32,
    budget: u32,
    now_ms: i64,
}

/// What a playbook is learned into, and what is told of the run.
pub(super) struct Lesson<'a> {
    pub playbook: &'a Arc<Playbook>,
    pub run: &'a LookBack,
    pub served: &'a BTreeSet<BulletId>,
    pub labels: Labels<'a>,
    /// The run's name in evidence.
    pub trajectory: &'a str,
}

/// What models made of a run.
#[derive(Debug, Clone)]
pub(super) struct Findings {
    /// The playbook that they saw.
    pub seen: Arc<Playbook>,
    /// How bullets served.
    pub tags: Vec<Operation>,
    /// Changes of words, looked through.
    pub words: Guarded,
    /// Points of these words and of the bullets, where there is an encoder.
    pub points: Points,
    /// What of the replies was left out as it was written.
    pub left_out: LeftOut,
    /// Guidelines and models (law 12).
    pub makers: Vec<String>,
    /// How often the reflector was asked.
    pub reflections: u32,
}

impl Teacher {
    /// Returns `None` where there is no guideline for one of the steps.
    pub fn new(
        compressors: &Compressors,
        guidelines: &Guidelines,
        set: Option<&str>,
        counter: &Counter,
        rounds: u32,
    ) -> Option<Self> {
        Some(Self {
            compressors: compressors.clone(),
            reflect: guidelines.champion(set, Kind::Reflect)?,
            curate: guidelines.champion(set, Kind::Curate)?,
            counter: Arc::clone(counter),
            rounds: rounds.max(1),
            budget: 0,
            now_ms: 0,
        })
    }

    /// Names the playbook's budget in tokens, and the present.
    pub fn within(self, budget: u32, now_ms: i64) -> Self {
        Self { budget, now_ms, ..self }
    }

    /// Returns the most tokens of a run that fit beside bullets, what is told of its end and all else.
    pub fn run_tokens(&self, labels: Labels<'_>) -> u32 {
        let source = self.compressors.source_tokens();
        let feedback = self.counter.count(&self.feedback(labels));
        source.saturating_sub(source / BULLETS_SHARE + AROUND_TOKENS + feedback).max(LEAST_RUN_TOKENS)
    }

    /// Head and tail of the words on how a run ended.
    fn feedback(&self, labels: Labels<'_>) -> String {
        match labels {
            Labels::None => String::new(),
            Labels::Known { feedback, .. } => cut_head_tail(feedback, FEEDBACK_TOKENS, &*self.counter),
        }
    }

    /// Has models learn from a run.
    pub async fn teach(
        &self,
        lesson: &Lesson<'_>,
        cancelled: &CancellationToken,
    ) -> (Result<Findings, Unmade>, Vec<Attempt>) {
        let mut attempts = Vec::new();
        let findings = self.findings(lesson, cancelled, &mut attempts).await;
        (findings, attempts)
    }

    async fn findings(
        &self,
        lesson: &Lesson<'_>,
        cancelled: &CancellationToken,
        attempts: &mut Vec<Attempt>,
    ) -> Result<Findings, Unmade> {
        let mut makers = vec![named(&self.reflect)];
        let (reflection, reflections) = self.reflect(lesson, cancelled, attempts, &mut makers).await?;
        let mut findings = Findings {
            seen: Arc::clone(lesson.playbook),
            tags: reflection.tag_operations(),
            words: Observations::default().guard(Vec::new()),
            points: Points::default(),
            left_out: LeftOut { refused: reflection.dropped, ..LeftOut::default() },
            makers,
            reflections,
        };
        if reflection.has_lesson() {
            findings.makers.push(named(&self.curate));
            let curated = self.curate(lesson, &reflection, cancelled, attempts, &mut findings.makers).await?;
            let is_twin = |refused: &&Refused| matches!(refused.refusal, Refusal::Twin(_));
            let twins = curated.refused.iter().filter(is_twin).count();
            findings.left_out.twin += twins;
            findings.left_out.refused += curated.refused.len() - twins;
            let observations = Observations::of(lesson.run.observations.iter().map(AsRef::as_ref));
            let operations = curated.operations.into_iter();
            let supported = operations.map(|operation| supported(operation, &reflection, lesson.trajectory));
            findings.words = observations.guard(supported.collect());
        }
        Ok(findings)
    }

    async fn reflect(
        &self,
        lesson: &Lesson<'_>,
        cancelled: &CancellationToken,
        attempts: &mut Vec<Attempt>,
        makers: &mut Vec<String>,
    ) -> Result<(Reflection, u32), Unmade> {
        let most = REPLY_TOKENS.min(self.compressors.reply_tokens()).to_string();
        let instructions = rendered(&self.reflect, &reflect::variables(&most))?;
        let served = self.readable(lesson);
        let feedback = self.feedback(lesson.labels);
        let labels = match lesson.labels {
            Labels::None => Labels::None,
            Labels::Known { status, score, .. } => Labels::Known { status, score, feedback: &feedback },
        };
        let mut last: Option<Reflection> = None;
        let mut rounds = 0;
        while rounds < self.rounds {
            let input = reflect::Input {
                instructions: &instructions,
                task: &lesson.run.task,
                run: &lesson.run.text,
                last_turn: lesson.run.last_turn,
                served: &served,
                labels,
                earlier: last.as_ref(),
            };
            let accept = |reply: &str| reflect::accept(reply, &input).map_err(|rejection| rejection.to_string());
            let asked = reflect::prompt(&input);
            let (found, tried) = self.compressors.ask(Purpose::Reflect, "reflection", asked, cancelled, accept).await;
            attempts.extend(tried);
            let found = match (found, last.take()) {
                (Ok((found, model)), before) => {
                    note(makers, &model);
                    rounds += 1;
                    let goes_on = another_round(&found, before.as_ref());
                    last = Some(found);
                    if goes_on {
                        continue;
                    }
                    break;
                }
                (Err(unmade), None) => Err(unmade),
                // What was found before is worth as much as it was.
                (Err(_), Some(before)) => Ok(before),
            };
            last = Some(found?);
            break;
        }
        last.map(|found| (found, rounds)).ok_or_else(|| Unmade::Never("there is no round of looking back".to_owned()))
    }

    async fn curate(
        &self,
        lesson: &Lesson<'_>,
        reflection: &Reflection,
        cancelled: &CancellationToken,
        attempts: &mut Vec<Attempt>,
        makers: &mut Vec<String>,
    ) -> Result<Curated, Unmade> {
        let most = REPLY_TOKENS.min(self.compressors.reply_tokens()).to_string();
        let instructions = rendered(&self.curate, &curate::variables(&most))?;
        let playbook = lesson.playbook;
        let found = reflection.text();
        let query = Query { task: &found, recent: &[], embedding: None };
        let most_tokens = self.compressors.source_tokens() / BULLETS_SHARE;
        let near = excerpt(playbook, &query, &HashMap::new(), most_tokens, self.now_ms, &*self.counter);
        let shown: Vec<&Bullet> = near.bullets.iter().filter_map(|id| playbook.bullet(id)).collect();
        let input = curate::Input {
            instructions: &instructions,
            task: &lesson.run.task,
            reflection,
            playbook,
            shown: &shown,
            tokens_left: self.budget.saturating_sub(tokens(playbook, &*self.counter)),
        };
        let twin = |content: &str| twin_of(playbook, content).map(|(id, ..)| id);
        let accept = |reply: &str| curate::accept(reply, &input, &twin).map_err(|rejection| rejection.to_string());
        let asked = curate::prompt(&input);
        let (curated, tried) = self.compressors.ask(Purpose::Curate, "curation", asked, cancelled, accept).await;
        attempts.extend(tried);
        let (curated, model) = curated?;
        note(makers, &model);
        Ok(curated)
    }

    /// The bullets that were served and are there, in the playbook's order, as many as fit.
    fn readable<'a>(&self, lesson: &Lesson<'a>) -> Vec<&'a Bullet> {
        let most = self.compressors.source_tokens() / BULLETS_SHARE;
        let in_order = lesson.playbook.by_section().flat_map(|(_, bullets)| bullets);
        let mut served: Vec<&Bullet> = in_order.filter(|bullet| lesson.served.contains(&bullet.id)).collect();
        while !served.is_empty() && self.counter.count(&text(served.iter().copied())) > most {
            served.truncate(served.len() * 3 / 4);
        }
        served
    }
}

/// Adds where an operation's words come from.
fn supported(mut operation: Operation, reflection: &Reflection, trajectory: &str) -> Operation {
    let of = |turn| Evidence { trajectory: trajectory.to_owned(), turn };
    let turns = reflection.turns.iter().map(|turn| of(Some(*turn)));
    let named: Vec<Evidence> = if reflection.turns.is_empty() { vec![of(None)] } else { turns.collect() };
    if let Operation::Add { evidence, .. } | Operation::Update { evidence, .. } = &mut operation {
        *evidence = named;
    }
    operation
}

fn rendered(steering: &Steering, values: &[(&str, &str)]) -> Result<String, Unmade> {
    steering.guideline.render_body(values).map_err(|error| Unmade::Never(error.to_string()))
}

/// Set, kind and whole hash of a guideline.
fn named(steering: &Steering) -> String {
    let place = steering.label.split('@').next().unwrap_or_default();
    format!("{place}@{}", steering.hash)
}

fn note(makers: &mut Vec<String>, model: &str) {
    let maker = format!("llm:{model}");
    if !makers.contains(&maker) {
        makers.push(maker);
    }
}
