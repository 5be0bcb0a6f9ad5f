//! Chat examples of a compressor's work: what it was told and asked, and what it wrote.
//!
//! One example stands for one section of one epoch, or one shortened result: none goes over an epoch's border.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::compress::GuidelineKind;
use crate::compress::llm::{Input, prompt};
use crate::context::{
    Compression, EpochRecord, HistoryWork, Maker, ObservationWork, PieceKind, Section, Session, Unrebuilt, said_in,
};
use crate::secrets::{Masking, secret_in};
use crate::trajectory::OriginalHash;

/// Sections before one that are shown with it.
const SHOWN_BEFORE: usize = 2;

/// Whose work becomes examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// What rules made, alone or with scored lines.
    Rules,
    /// What chat models wrote.
    Llm,
    /// Both.
    #[default]
    Any,
}

impl By {
    fn takes(self, maker: Option<&Maker>) -> bool {
        let is_llm = maker.is_some_and(|maker| maker.compressor.starts_with("llm:"));
        maker.is_none_or(|maker| maker.failed.is_none())
            && match self {
                Self::Rules => !is_llm,
                Self::Llm => is_llm,
                Self::Any => true,
            }
    }
}

/// The place of an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its line of reads.
    pub line: String,
    /// Its number on that line, from 0.
    pub n: u32,
}

/// One piece of a compressor's work.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// What it was made of.
    of: Source,
    /// The epoch that it was served in first, where that is known.
    epoch: Option<Epoch>,
    /// What was written.
    text: Arc<str>,
    tokens: u32,
    /// Sections before it.
    previous: String,
    compressor: String,
    guideline: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    Turns([u32; 2]),
    Result(OriginalHash),
}

/// Returns the recaps' sections that epochs showed, each once, in the order of the epochs. `steered_by` names the guideline of
/// sections that rules made.
#[must_use]
pub fn pieces_served<'a>(
    epochs: impl IntoIterator<Item = &'a EpochRecord>,
    by: By,
    steered_by: Option<&str>,
) -> Vec<Piece> {
    let mut seen = HashSet::new();
    let mut pieces = Vec::new();
    for record in epochs {
        let recaps: Vec<&Section> = record.sections.iter().filter(|section| section.kind == PieceKind::Recap).collect();
        for (at, section) in recaps.iter().enumerate().filter(|(_, section)| by.takes(section.by.as_ref())) {
            if !seen.insert((section.turns, Arc::clone(&section.text))) {
                continue;
            }
            let before = recaps.get(at.saturating_sub(SHOWN_BEFORE)..at).unwrap_or_default();
            let maker = section.by.as_ref();
            pieces.push(Piece {
                of: Source::Turns(section.turns),
                epoch: Some(Epoch { line: record.line.clone(), n: record.n }),
                text: said_in(&section.text).into(),
                tokens: section.tokens,
                previous: before.iter().map(|section| said_in(&section.text)).collect::<Vec<_>>().join("\n"),
                compressor: maker.map_or_else(|| "rules".to_owned(), |maker| maker.compressor.clone()),
                guideline: maker.and_then(|maker| maker.guideline.clone()).or(steered_by.map(str::to_owned)),
            });
        }
    }
    pieces
}

/// Returns what models made for a run, each once.
#[must_use]
pub fn pieces_made<'a>(made: impl IntoIterator<Item = &'a Compression>, by: By) -> Vec<Piece> {
    let made = made.into_iter().filter_map(|made| {
        let (of, text, tokens, maker) = match made {
            Compression::Told(told) => (Source::Turns(told.turns), &told.text, told.tokens, &told.by),
            Compression::Condensed(done) => (Source::Result(done.original), &done.text, done.tokens, &done.by),
            Compression::Scored(_) => return None,
        };
        by.takes(Some(maker)).then(|| Piece {
            of,
            epoch: None,
            text: Arc::clone(text),
            tokens,
            previous: String::new(),
            compressor: maker.compressor.clone(),
            guideline: maker.guideline.clone(),
        })
    });
    let mut seen = HashSet::new();
    made.filter(|piece| !piece.text.trim().is_empty() && seen.insert((piece.of, Arc::clone(&piece.text)))).collect()
}

/// The run that pieces are from.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Its name.
    pub id: &'a str,
    /// Its task's name.
    pub task: &'a str,
    /// Whether the agent succeeded, where that is known.
    pub success: Option<bool>,
    /// All of it.
    pub session: &'a Session,
    /// Masks its secrets.
    pub masking: &'a Masking,
    /// Most tokens of a source.
    pub most_tokens: u32,
}

/// Why a piece becomes no example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// The turns or the result are not in the run.
    #[error("its input is not in the run")]
    Unknown,
    /// The input is longer than asked for.
    #[error("its input is too long")]
    TooLong,
    /// The guideline that steered it is not there any more.
    #[error("its guideline is gone")]
    NoGuideline,
    /// Something in it still looks like a secret.
    #[error("it holds a secret that cannot be masked")]
    Secret,
}

impl From<Unrebuilt> for LeftOut {
    fn from(why: Unrebuilt) -> Self {
        match why {
            Unrebuilt::Unknown => Self::Unknown,
            Unrebuilt::TooLong => Self::TooLong,
        }
    }
}

/// A message of an example.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

/// Where an example is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The run.
    pub trajectory: String,
    /// Its task.
    pub task: String,
    /// `history` or `observation`.
    pub kind: String,
    /// The epoch that it was served in first, where that is known.
    pub epoch: Option<Epoch>,
    /// First and last turn, for a history.
    pub turns: Option<[u32; 2]>,
    /// Set, kind and hash of the guideline.
    pub guideline: Option<String>,
    /// Who wrote it: `rules`, or kind and name as in `llm:name`.
    pub compressor: String,
    /// Whether the agent succeeded, where that is known.
    pub success: Option<bool>,
    /// Tokens of what it stands for.
    pub source_tokens: u32,
    /// Tokens of what was written.
    pub tokens: u32,
    /// Secrets that were masked.
    pub masked: usize,
}

/// One line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatExample {
    /// System, user, assistant.
    pub messages: Vec<ChatMessage>,
    /// Where it is from.
    pub metadata: Metadata,
}

/// What a piece was made of.
struct Asked {
    task: String,
    query: String,
    previous: String,
    source: String,
    source_tokens: u32,
}

impl From<HistoryWork> for Asked {
    fn from(work: HistoryWork) -> Self {
        let HistoryWork { source, source_tokens, task, query, previous, .. } = work;
        Self { task, query, previous, source, source_tokens }
    }
}

impl From<ObservationWork> for Asked {
    fn from(work: ObservationWork) -> Self {
        let ObservationWork { source, source_tokens, task, query, .. } = work;
        Self { task, query, previous: String::new(), source, source_tokens }
    }
}

impl Piece {
    /// Returns the kind of guideline that steered it.
    #[must_use]
    pub fn kind(&self) -> GuidelineKind {
        match self.of {
            Source::Turns(_) => GuidelineKind::History,
            Source::Result(_) => GuidelineKind::Observation,
        }
    }

    /// Returns set, kind and hash of the guideline that steered it, where that is known.
    #[must_use]
    pub fn guideline(&self) -> Option<&str> {
        self.guideline.as_deref()
    }

    /// Writes the example. `instructions` renders the guideline's body for an input and returns `None` where it is gone.
    ///
    /// # Errors
    /// [`LeftOut`]
    pub fn example(
        &self,
        run: &Run<'_>,
        instructions: impl FnOnce(&Input<'_>) -> Option<String>,
    ) -> Result<ChatExample, LeftOut> {
        let mut asked: Asked = match self.of {
            Source::Turns(turns) => run.session.past_history_work(turns, run.most_tokens)?.into(),
            Source::Result(original) => run.session.past_observation_work(original, run.most_tokens)?.into(),
        };
        if asked.previous.is_empty() {
            asked.previous.clone_from(&self.previous);
        }
        let input = Input {
            instructions: "",
            parts: &[],
            task: &asked.task,
            query: &asked.query,
            previous: &asked.previous,
            source: &asked.source,
            most_tokens: self.most_tokens(asked.source_tokens),
        };
        let system = instructions(&input).ok_or(LeftOut::NoGuideline)?;
        let (mut masked, mut holds_secret) = (0, false);
        let mut message = |role: &str, text: &str| {
            let done = run.masking.mask(text);
            masked += done.secrets;
            holds_secret |= secret_in(&done.text).is_some();
            ChatMessage { role: role.to_owned(), content: done.text }
        };
        let messages = vec![
            message("system", system.trim()),
            message("user", &prompt(&input).user),
            message("assistant", self.text.trim_end()),
        ];
        if holds_secret {
            return Err(LeftOut::Secret);
        }
        let metadata = Metadata { masked, ..self.metadata(run, asked.source_tokens) };
        Ok(ChatExample { messages, metadata })
    }

    /// A quarter of the source, as live compressors are asked for, or what was written if that is more.
    fn most_tokens(&self, source_tokens: u32) -> u32 {
        const LEAST: u32 = 120;
        (source_tokens / 4).max(LEAST).max(self.tokens)
    }

    fn metadata(&self, run: &Run<'_>, source_tokens: u32) -> Metadata {
        Metadata {
            trajectory: run.id.to_owned(),
            task: run.masking.mask(run.task).text,
            kind: self.kind().name().to_owned(),
            epoch: self.epoch.clone(),
            turns: match self.of {
                Source::Turns(turns) => Some(turns),
                Source::Result(_) => None,
            },
            guideline: self.guideline.clone(),
            compressor: self.compressor.clone(),
            success: run.success,
            source_tokens,
            tokens: self.tokens,
            masked: 0,
        }
    }
}
