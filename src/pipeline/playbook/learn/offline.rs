//! Learning from recorded runs that are not stored: over and over, in order, going on where it stopped.

use std::collections::BTreeSet;
use std::sync::Arc;

use recap_core::context::{Handles, Session, admit};
use recap_core::tokens::Counter;
use tokio_util::sync::CancellationToken;

use super::decide::Effect;
use super::job::{count, effect_of};
use super::labels_of;
use super::teacher::Lesson;
use crate::llm::{Attempt, Site};
use crate::pipeline::append_messages::{Incoming, limits};
use crate::pipeline::compress::{OnBehalf, Unmade};
use crate::pipeline::failure::Failure;
use crate::pipeline::policy::over;
use crate::pipeline::settings::settings;
use crate::pipeline::{Pipeline, compute};
use crate::store::{Outcome, PlaybookKey, PlaybookLesson};

const NO_GUIDELINE: &str = "the default guideline set has no champion of the kind `reflect` or `curate`";
const NO_TURN: &str = "the run has no turn of an assistant";

/// A recorded run.
pub struct Recorded {
    /// Its messages.
    pub incoming: Incoming,
    /// The agent's model, whose tokenizer counts.
    pub model: Option<String>,
    /// How it ended; `None` where that is not known or is not to be told.
    pub outcome: Option<Outcome>,
}

/// What was learned from a recorded run.
#[derive(Debug, Default)]
pub struct Taught {
    /// How often the reflector was asked.
    pub reflections: u32,
    /// What became of it.
    pub effect: Effect,
    /// Why the models made nothing, where that is so.
    pub unmade: Option<Unmade>,
    /// Why no model was asked, where that is so.
    pub skipped: Option<&'static str>,
    /// Tokens that models read and wrote.
    pub tokens: u64,
    /// Millionths of a US dollar, as far as prices are known.
    pub cost_usd_micros: i64,
    /// Whether a model has no price.
    pub is_unpriced: bool,
}

impl Recorded {
    /// Returns the hash of the run and of what is told of its end: the same run is learned from once in an epoch.
    #[must_use]
    pub fn key(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        add(self.incoming.system.as_ref().map_or("", |system| system.get()));
        self.incoming.messages.iter().for_each(|message| add(message.get()));
        add(&self.outcome.as_ref().and_then(|outcome| serde_json::to_string(outcome).ok()).unwrap_or_default());
        hasher.finalize().to_hex().to_string()
    }
}

impl Pipeline {
    /// Learns from a recorded run, unless that was done in this epoch: then `None`. A run from which models could learn
    /// nothing is not noted, and learned from when asked again.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] for messages that are none; what the store fails with.
    pub async fn learn_from(
        &self,
        key: &PlaybookKey,
        recorded: &Recorded,
        epoch: u32,
    ) -> Result<Option<Taught>, Failure> {
        let lesson = PlaybookLesson { run: recorded.key(), epoch };
        if self.store().has_lesson(key, &lesson).await? {
            return Ok(None);
        }
        let Some(teacher) = self.teacher(None) else { return Ok(Some(Taught::skipped(NO_GUIDELINE))) };
        let known = self.store().playbook(key).await?;
        let teacher = teacher.within(self.budget_of(known.as_ref()), self.world().now_ms());
        let playbook = known.map_or_else(Arc::default, |row| row.playbook);
        let mut session = self.private_session(recorded)?;
        let (labels, named) = labels_of(recorded.outcome.as_ref());
        let most_tokens = teacher.run_tokens(labels);
        let Some(run) = compute(usize::MAX, move || session.look_back(most_tokens)).await? else {
            return Ok(Some(Taught::skipped(NO_TURN)));
        };
        let name = format!("recorded:{}", lesson.run.chars().take(16).collect::<String>());
        let used = recorded.outcome.iter().flat_map(|outcome| &outcome.used_bullets);
        let served: BTreeSet<_> = used.filter_map(|id| id.parse().ok()).collect();
        let asked = Lesson { playbook: &playbook, run: &run, served: &served, labels, trajectory: &name };
        let (findings, attempts) = teacher.teach(&asked, &CancellationToken::new()).await;
        let mut taught = Taught::default();
        taught.account(&attempts);
        let of = OnBehalf { namespace: key.namespace.clone(), ..OnBehalf::default() };
        self.note_attempts(&of, attempts).await;
        count(&findings);
        match findings {
            Err(unmade) => taught.unmade = Some(unmade),
            Ok(findings) => {
                taught.reflections = findings.reflections;
                let mut change = self.learned(key.clone(), findings, named, name).await;
                change.lesson = Some(lesson);
                taught.effect = effect_of(&self.change_playbook(change).await?);
            }
        }
        Ok(Some(taught))
    }

    /// Returns a session with a recorded run's messages, under the configuration's settings.
    fn private_session(&self, recorded: &Recorded) -> Result<Session, Failure> {
        let config = self.config();
        let counter = self.inner.counters.of(recorded.model.as_deref());
        let held = over(&crate::config::Policy::default(), config);
        let set = self.guidelines().default_set();
        let settings = settings(&set, Counter::clone(&counter), &held, None, Handles::Shown)?;
        let messages = recorded.incoming.parse(&limits(config)).map_err(Failure::Invalid)?;
        let admitted = messages.into_iter().map(|message| admit(message, counter.as_ref(), held.reformatting));
        let mut session = Session::new(settings);
        session.append(admitted.collect());
        Ok(session)
    }
}

impl Taught {
    fn skipped(why: &'static str) -> Self {
        Self { skipped: Some(why), ..Self::default() }
    }

    fn account(&mut self, attempts: &[Attempt]) {
        for attempt in attempts {
            self.tokens += attempt.prompt_tokens + attempt.reply_tokens;
            self.cost_usd_micros += attempt.cost_usd_micros.unwrap_or(0);
            self.is_unpriced |= attempt.backend == Site::Remote && attempt.cost_usd_micros.is_none();
        }
    }
}
