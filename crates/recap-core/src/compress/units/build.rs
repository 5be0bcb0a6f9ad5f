//! Collects units so that they ascend, never overlap, miss nothing and stay short.

use std::ops::Range;

use super::{Unit, UnitRole};

/// The longest unit in bytes.
pub const UNIT_BYTES: usize = 400;
/// The shortest first part that a cut at a natural border may leave, in bytes.
const LEAST_PART: usize = 160;

/// Units of one text in the making.
pub struct Builder<'a> {
    text: &'a str,
    cursor: usize,
    units: Vec<Unit>,
}

impl<'a> Builder<'a> {
    /// Returns a builder without units.
    pub fn new(text: &'a str) -> Self {
        Self { text, cursor: 0, units: Vec::new() }
    }

    /// Returns the whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Returns where the last unit ended.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Returns the lines of the whole text that are not blank, with their spans (no line feed, no blanks at the end).
    pub fn lines(&self) -> impl Iterator<Item = (Range<usize>, &'a str)> + use<'a> {
        lines_in(self.text, 0..self.text.len())
    }

    /// Adds a unit, cut further where it is too long; what was skipped since the last unit is added before it.
    ///
    /// Returns the index of its first part; `None` if nothing but whitespace is left of it.
    pub fn push(&mut self, span: Range<usize>, role: UnitRole, parent: Option<u32>) -> Option<u32> {
        let start = span.start.max(self.cursor);
        if start > self.cursor {
            self.add(self.cursor..start, UnitRole::Plain, None);
        }
        self.add(start..span.end, role, parent)
    }

    /// Returns the units, the rest of the text included.
    pub fn finish(mut self) -> Vec<Unit> {
        self.add(self.cursor..self.text.len(), UnitRole::Plain, None);
        self.units
    }

    fn add(&mut self, span: Range<usize>, role: UnitRole, parent: Option<u32>) -> Option<u32> {
        let end = span.end.max(self.cursor);
        let mut rest = trim(self.text, span.start.max(self.cursor)..end);
        self.cursor = end;
        let mut first = None;
        while !rest.is_empty() {
            let part = first_part(self.text, rest.clone());
            let index = u32::try_from(self.units.len()).unwrap_or(u32::MAX);
            let parent = first.or(parent);
            let role = if first.is_some() && role == UnitRole::Heading { UnitRole::Plain } else { role };
            self.units.push(Unit { span: part.clone(), role, parent });
            first = first.or(Some(index));
            rest = trim(self.text, part.end..rest.end);
        }
        first
    }
}

/// Returns the lines of a range that are not blank, with their spans.
pub fn lines_in(text: &str, range: Range<usize>) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut at = range.start;
    text.get(range).unwrap_or_default().split_inclusive('\n').filter_map(move |line| {
        let start = at;
        at += line.len();
        let kept = line.trim_end();
        (!kept.is_empty()).then(|| (start..start + kept.len(), kept))
    })
}

/// Returns a range without whitespace at its end and blank lines at its start; indentation stays.
fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let Some(inner) = text.get(range.clone()) else {
        return range.end..range.end;
    };
    let kept = inner.trim_end();
    let lead = kept.len() - kept.trim_start().len();
    let skip = kept.get(..lead).and_then(|blank| blank.rfind('\n')).map_or(0, |at| at + 1);
    range.start + skip..range.start + kept.len()
}

/// Returns the first part of a range, at most [`UNIT_BYTES`] long, ended at the strongest border near its end.
fn first_part(text: &str, range: Range<usize>) -> Range<usize> {
    if range.len() <= UNIT_BYTES {
        return range;
    }
    let most = text.floor_char_boundary(range.start + UNIT_BYTES);
    let window = text.get(range.start..most).unwrap_or_default();
    let borders: [&[&str]; 4] =
        [&["\n"], &[". ", "; ", "! ", "? ", "\\n"], &[", ", "} ", "> ", "| ", ","], &[" ", "&", "/"]];
    let cut = borders.iter().find_map(|marks| {
        marks
            .iter()
            .filter_map(|mark| window.rfind(mark).map(|at| at + mark.len()))
            .max()
            .filter(|cut| *cut >= LEAST_PART)
    });
    let end = cut.map_or(most, |cut| range.start + cut);
    range.start..end.max(text.ceil_char_boundary(range.start + 1)).min(range.end)
}
