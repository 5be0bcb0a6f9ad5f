//! Where a value stands in its original, as rules and people speak of it.

use std::collections::HashMap;
use std::ops::Range;

use super::Place;
use super::pointer::locate;
use crate::compress::{Kind, UnitRole, Units, bare_heading, units};
use crate::context::Spot;
use crate::trajectory::OriginalHash;

/// Characters of a line that are told at most.
const LINE_CHARS: usize = 400;
/// Characters of a heading or a key that are told at most.
const NAME_CHARS: usize = 120;
/// Bytes of texts whose shapes are remembered at most.
const MOST_BYTES: usize = 32 << 20;

/// The shapes of originals, so that each is cut once however many values it lost.
#[derive(Default)]
pub(super) struct Shapes {
    known: HashMap<OriginalHash, Units>,
    bytes: usize,
}

/// A text that holds a value, with what is known of its place.
pub(super) struct Held<'a> {
    pub(super) turn: u32,
    pub(super) message: usize,
    pub(super) original: OriginalHash,
    pub(super) text: &'a str,
    /// Where the value stands in the text.
    pub(super) at: Range<usize>,
}

impl<'a> Held<'a> {
    pub(super) fn of(spot: &Spot<'a>, value: &str) -> Self {
        Self {
            turn: spot.turn,
            message: spot.message,
            original: spot.original,
            text: spot.text,
            at: spot.at..spot.at + value.len(),
        }
    }
}

impl Shapes {
    /// Returns the place of a value.
    pub(super) fn place(&mut self, held: &Held<'_>) -> Place {
        let Held { turn, message, original, text, ref at } = *held;
        let shape = self.of(original, text);
        let start = text.get(..at.start).and_then(|before| before.rfind('\n')).map_or(0, |feed| feed + 1);
        let end = text.get(at.end..).and_then(|after| after.find('\n')).map_or(text.len(), |feed| at.end + feed);
        let line = memchr::memchr_iter(b'\n', text.as_bytes().get(..at.start).unwrap_or_default()).count() + 1;
        let data = match shape.kind {
            Kind::Json => locate(text, at.start),
            Kind::Jsonl => text.get(start..end).and_then(|line| locate(line, at.start - start)),
            _ => None,
        };
        let (json_pointer, key) = data.map_or((None, None), |found| (Some(found.pointer), found.key));
        Place {
            turn,
            message,
            original,
            kind: shape.kind,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            text: around(text, start..end, at),
            json_pointer,
            key: key.map(|key| clip(&key)),
            heading: heading(text, shape, at.start),
        }
    }

    fn of(&mut self, original: OriginalHash, text: &str) -> &Units {
        if self.bytes > MOST_BYTES {
            self.known.clear();
            self.bytes = 0;
        }
        let bytes = &mut self.bytes;
        self.known.entry(original).or_insert_with(|| {
            *bytes += text.len();
            units(text)
        })
    }
}

/// The words of a line, cut to what stands around a value.
fn around(text: &str, line: Range<usize>, at: &Range<usize>) -> String {
    let spare = LINE_CHARS.saturating_sub(text.get(at.clone()).map_or(0, |value| value.chars().count())) / 2;
    let before = text.get(line.start..at.start).unwrap_or_default();
    let after = text.get(at.end..line.end).unwrap_or_default();
    let from = before.char_indices().rev().take(spare).last().map_or(at.start, |(at, _)| line.start + at);
    let to = after.char_indices().nth(spare).map_or(line.end, |(offset, _)| at.end + offset);
    text.get(from..to).unwrap_or_default().trim().chars().take(LINE_CHARS).collect()
}

/// The nearest heading that encloses a byte; in marked-up words the nearest before it.
fn heading(text: &str, shape: &Units, at: usize) -> Option<String> {
    if matches!(shape.kind, Kind::Json | Kind::Jsonl | Kind::Records) {
        return None;
    }
    let own = shape.units.partition_point(|unit| unit.span.end <= at);
    let parent = |at: usize| shape.units.get(at).and_then(|unit| unit.parent).map(|parent| parent as usize);
    let is_heading = |at: &usize| shape.units.get(*at).is_some_and(|unit| unit.role == UnitRole::Heading);
    let enclosing = std::iter::successors(parent(own), |at| parent(*at)).find(is_heading);
    let before = || {
        let marked = matches!(shape.kind, Kind::Markdown | Kind::Html);
        (0..own).rev().filter(|_| marked).find(is_heading)
    };
    let span = shape.units.get(enclosing.or_else(before)?)?.span.clone();
    let named = bare_heading(text.get(span)?);
    (!named.is_empty()).then(|| clip(named))
}

fn clip(name: &str) -> String {
    name.chars().take(NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn place(text: &str, value: &str) -> Place {
        let at = text.rfind(value).unwrap();
        let original = OriginalHash::of(text);
        let held = Held { turn: 3, message: 7, original, text, at: at..at + value.len() };
        Shapes::default().place(&held)
    }

    #[test]
    fn a_member_is_named_by_pointer_and_key() {
        let found =
            place("{\n  \"orders\": [\n    {\"order_id\": \"#W1\"},\n    {\"order_id\": \"#W2\"}\n  ]\n}", "#W2");
        assert_eq!((found.kind, found.line, found.text.as_str()), (Kind::Json, 4, "{\"order_id\": \"#W2\"}"));
        assert_eq!(found.json_pointer.as_deref(), Some("/orders/1/order_id"));
        assert_eq!((found.key.as_deref(), found.heading), (Some("order_id"), None));
    }

    #[test]
    fn json_lines_are_located_line_by_line() {
        let found = place("{\"id\": \"a1\"}\n{\"id\": \"b2\", \"n\": [1]}\n", "b2");
        assert_eq!((found.kind, found.line, found.json_pointer.as_deref()), (Kind::Jsonl, 2, Some("/id")));
    }

    #[test]
    fn a_heading_is_told_without_its_marks() {
        let found = place("# Guide\n\nIntro words here.\n\n## Refund policy\n\nAsk for form RF-12 first.\n", "RF-12");
        assert_eq!((found.kind, found.heading.as_deref()), (Kind::Markdown, Some("Refund policy")));
        assert_eq!(found.text, "Ask for form RF-12 first.");
    }

    #[test]
    fn long_lines_are_cut_around_the_value() {
        let text = format!("{}AB123{}", "ü".repeat(900), "é".repeat(900));
        let found = place(&text, "AB123");
        assert!(found.text.chars().count() <= LINE_CHARS && found.text.contains("üAB123é"));
        let short = format!("AB123{}", "é".repeat(900));
        assert!(place(&short, "AB123").text.starts_with("AB123é"));
    }
}
