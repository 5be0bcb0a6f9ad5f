//! Cuts a text into the units that a selection keeps or drops, with what each needs beside it.

mod build;
mod html;
mod json;
mod lines;
mod prose;
mod records;
mod roles;

use std::ops::Range;

use super::kind::{Kind, classify};
use build::Builder;
pub use build::UNIT_BYTES;
pub(super) use records::is_records;
pub use roles::line_role;

/// What a unit is to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitRole {
    /// Nothing special.
    Plain,
    /// A section heading, signature, file header, hunk header, table header or enclosing key.
    Heading,
    /// An error line, panic, failed assertion, or a trace's last line.
    Error,
    /// Totals, test counts, exit status.
    Summary,
    /// Separators, frames, licences, imports, progress, closing brackets.
    Boilerplate,
    /// A neighbour of an error, a changed line, or a stack frame.
    Detail,
}

/// A stretch of a text that is kept or dropped as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The byte range in the text, on character boundaries; without surrounding line feeds.
    pub span: Range<usize>,
    /// What it is to a reader.
    pub role: UnitRole,
    /// The index of the earlier unit that must also be shown for this one to be understood.
    pub parent: Option<u32>,
}

/// A text's kind and its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// The text's kind.
    pub kind: Kind,
    /// Ascending, disjoint spans that together hold every byte that is not whitespace.
    pub units: Vec<Unit>,
}

/// Returns the units of a text under its own kind. Takes time linear in the text's length.
#[must_use]
pub fn units(text: &str) -> Units {
    units_as(text, classify(text))
}

/// Returns the units of a text with every JSON member a unit of its own, however small its container; for rules on keys.
#[must_use]
pub fn fine_units(text: &str) -> Units {
    cut_as(text, classify(text), 0)
}

/// Returns the units of a text as though it were of a given kind.
#[must_use]
pub fn units_as(text: &str, kind: Kind) -> Units {
    cut_as(text, kind, json::LEAF_BYTES)
}

fn cut_as(text: &str, kind: Kind, leaf_bytes: usize) -> Units {
    let mut builder = Builder::new(text);
    match kind {
        Kind::Json | Kind::Jsonl => json::cut(&mut builder, leaf_bytes),
        Kind::Records => records::cut(&mut builder),
        Kind::Html => html::cut(&mut builder),
        Kind::Prose => prose::cut(&mut builder),
        Kind::Markdown => prose::cut_markdown(&mut builder),
        Kind::Table => lines::cut_table(&mut builder),
        Kind::Diff => lines::cut_diff(&mut builder),
        Kind::Code => lines::cut_code(&mut builder),
        Kind::Listing => lines::cut_listing(&mut builder),
        Kind::Log | Kind::TestOutput | Kind::StackTrace | Kind::Grep => {
            lines::cut_output(&mut builder);
        }
    }
    let mut units = builder.finish();
    if matches!(kind, Kind::Log | Kind::TestOutput | Kind::StackTrace | Kind::Prose) {
        roles::mark_neighbours(&mut units);
    }
    Units { kind, units }
}

#[cfg(test)]
mod tests;
