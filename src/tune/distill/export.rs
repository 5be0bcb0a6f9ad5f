//! Examples of a compressor's work as lines of JSON, one run after the other.

use std::collections::BTreeMap;
use std::io::Write;

use recap_core::compress::llm::Input;
use recap_core::context::{Compression, EpochRecord, Session};
use recap_core::secrets::Secrets;
use recap_core::tuning::{By, ChatExample, LeftOut, Piece, Run, Side, Split, pieces_made, pieces_served};
use serde::{Deserialize, Serialize};

use super::Library;
use crate::pipeline::compress::instructions;
use crate::pipeline::failure::Failure;
use crate::pipeline::stored_run::StoredRun;
use crate::store::{OutcomeStatus, StoreError};

/// Why an export stops.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A line cannot be written.
    #[error("an example cannot be written: {0}")]
    Write(#[from] std::io::Error),
    /// An example is no JSON.
    #[error("an example cannot be put into JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Which runs become examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcomes {
    /// Those of which it is known that they succeeded.
    #[default]
    Succeeded,
    /// All.
    Any,
}

/// What is exported.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whose work.
    pub by: By,
    /// Of which runs.
    pub outcomes: Outcomes,
    /// Most tokens of an input.
    pub most_source_tokens: u32,
    /// Parts the examples by task; all are for training where it is left out.
    pub split: Option<Split>,
}

/// A run with what was made for it.
pub struct Material<'a> {
    /// Its name.
    pub id: &'a str,
    /// Its task's name.
    pub task: &'a str,
    /// Whether the agent succeeded, where that is known.
    pub success: Option<bool>,
    /// All of it.
    pub session: &'a Session,
    /// Its epochs, in order.
    pub epochs: &'a [EpochRecord],
    /// What models made for it.
    pub made: &'a [Compression],
    /// The label of the guideline that steers rules on its past turns.
    pub steered_by: &'a str,
}

/// A stored trajectory that was asked for.
pub enum Read {
    /// It is there.
    Run(Box<StoredRun>),
    /// It was deleted meanwhile.
    Gone,
    /// It cannot be read or served, whoever asks.
    Unreadable(Failure),
}

impl Read {
    /// Tells what came of reading one trajectory.
    ///
    /// # Errors
    ///
    /// Fails where the store does.
    pub fn of(read: Result<StoredRun, Failure>) -> Result<Self, Failure> {
        match read {
            Ok(run) => Ok(Self::Run(Box::new(run))),
            Err(Failure::NotFound(_)) => Ok(Self::Gone),
            Err(failure @ Failure::Store(StoreError::Unreadable(_))) => Ok(Self::Unreadable(failure)),
            Err(failure @ Failure::Store(_)) => Err(failure),
            Err(failure) => Ok(Self::Unreadable(failure)),
        }
    }
}

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Runs that examples were looked for in.
    pub runs: u64,
    /// Runs that did not succeed, or of which that is not known.
    pub unsuccessful: u64,
    /// Runs that could not be read or served.
    pub unreadable: u64,
    /// Examples written.
    pub examples: u64,
    /// Of those, for training.
    pub train: u64,
    /// Of those, held out.
    pub held_out: u64,
    /// Secrets that were masked.
    pub masked: u64,
    /// Pieces that became no example, by reason.
    pub left_out: BTreeMap<LeftOut, u64>,
    /// Bytes written.
    pub bytes: u64,
}

/// An export at work.
pub struct Export<'a, W> {
    terms: Terms,
    library: &'a Library,
    train: W,
    held_out: Option<W>,
    report: Report,
}

impl<'a, W: Write> Export<'a, W> {
    /// Begins an export. Without a writer for what is held out, all lines go to the first.
    pub fn new(terms: Terms, library: &'a Library, train: W, held_out: Option<W>) -> Self {
        Self { terms, library, train, held_out, report: Report::default() }
    }

    /// Counts runs that cannot be read or served.
    pub fn unreadable(&mut self, runs: usize) {
        self.report.unreadable += runs as u64;
    }

    /// Counts a run that did not succeed, or of which that is not known.
    pub fn unsuccessful(&mut self) {
        self.report.unsuccessful += 1;
    }

    /// Returns what was done so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Writes a run's examples.
    ///
    /// # Errors
    ///
    /// [`ExportError`]
    pub fn take(&mut self, from: &Material<'_>) -> Result<(), ExportError> {
        if self.terms.outcomes == Outcomes::Succeeded && from.success != Some(true) {
            self.unsuccessful();
            return Ok(());
        }
        self.report.runs += 1;
        let masking = secrets_of(from).masking();
        let Terms { most_source_tokens: most_tokens, by, .. } = self.terms;
        let &Material { id, task, success, session, .. } = from;
        let run = Run { id, task, success, session, masking: &masking, most_tokens };
        for piece in pieces(from, by) {
            match self.example(&piece, &run) {
                Ok(example) => self.write(&example, task)?,
                Err(why) => *self.report.left_out.entry(why).or_default() += 1,
            }
        }
        Ok(())
    }

    fn example(&self, piece: &Piece, run: &Run<'_>) -> Result<ChatExample, LeftOut> {
        let guideline = piece.guideline().and_then(|label| self.library.get(label));
        piece.example(run, |input: &Input<'_>| instructions(guideline?, input).ok())
    }

    fn write(&mut self, example: &ChatExample, task: &str) -> Result<(), ExportError> {
        let mut line = serde_json::to_vec(example)?;
        line.push(b'\n');
        let side = self.terms.split.map_or(Side::Train, |split| split.side(task));
        let out = match (&mut self.held_out, side) {
            (Some(held_out), Side::HeldOut) => held_out,
            _ => &mut self.train,
        };
        out.write_all(&line)?;
        let report = &mut self.report;
        report.examples += 1;
        match side {
            Side::Train => report.train += 1,
            Side::HeldOut => report.held_out += 1,
        }
        report.masked += example.metadata.masked as u64;
        report.bytes += line.len() as u64;
        Ok(())
    }

    /// Writes what is left, and returns the writers with what was done.
    ///
    /// # Errors
    ///
    /// [`ExportError::Write`]
    pub fn finish(mut self) -> Result<(W, Option<W>, Report), ExportError> {
        self.train.flush()?;
        self.held_out.as_mut().map(Write::flush).transpose()?;
        Ok((self.train, self.held_out, self.report))
    }
}

/// The pieces of a run. Where models wrote recaps, what they made stands for itself, and the epochs' sections of theirs are
/// the same texts again.
fn pieces(from: &Material<'_>, by: By) -> Vec<Piece> {
    let mut pieces = Vec::new();
    if by != By::Llm {
        pieces.extend(pieces_served(from.epochs, By::Rules, Some(from.steered_by)));
    }
    if by != By::Rules {
        pieces.extend(pieces_made(from.made, By::Llm));
    }
    pieces
}

fn secrets_of(from: &Material<'_>) -> Secrets {
    let mut secrets = Secrets::default();
    from.session.texts().for_each(|text| secrets.learn(text));
    secrets
}

impl<'a> Material<'a> {
    /// Takes a stored trajectory.
    #[must_use]
    pub fn stored(run: &'a StoredRun) -> Self {
        Self {
            id: &run.row.id,
            task: &run.task,
            success: run.row.outcome.as_ref().and_then(|outcome| match outcome.status {
                OutcomeStatus::Success => Some(true),
                OutcomeStatus::Failure | OutcomeStatus::Partial => Some(false),
                OutcomeStatus::Unknown => None,
            }),
            session: &run.session,
            epochs: &run.epochs,
            made: &run.made,
            steered_by: &run.guidelines.history.label,
        }
    }
}

impl<W: Write> Export<'_, W> {
    /// Writes a stored trajectory's examples.
    ///
    /// # Errors
    ///
    /// [`ExportError`]
    pub fn take_stored(&mut self, run: &StoredRun) -> Result<(), ExportError> {
        self.take(&Material::stored(run))
    }
}
