//! Prose in sentences, Markdown under its headings.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::build::Builder;
use super::{UnitRole, line_role};
use crate::compress::kind::{is_markdown_row, is_separator};

/// The shortest line that is cut into sentences, in bytes.
const SENTENCES_FROM: usize = 160;

/// Cuts prose: short lines whole, long ones in sentences.
pub fn cut(builder: &mut Builder<'_>) {
    for (span, line) in builder.lines() {
        push_sentences(builder, span, line, line_role(line), None);
    }
}

/// Cuts Markdown: each line under its section's heading, table rows under the table's head.
pub fn cut_markdown(builder: &mut Builder<'_>) {
    let mut headings: Vec<(usize, Option<u32>)> = Vec::new();
    let mut fenced = false;
    let mut table: Option<u32> = None;
    for (span, line) in builder.lines() {
        let parent = headings.last().and_then(|(_, unit)| *unit);
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            builder.push(span, UnitRole::Boilerplate, parent);
        } else if let Some(level) = heading_level(line).filter(|_| !fenced) {
            headings.retain(|(above, _)| *above < level);
            let parent = headings.last().and_then(|(_, unit)| *unit);
            let unit = builder.push(span, UnitRole::Heading, parent);
            headings.push((level, unit));
        } else if is_markdown_row(line) && !fenced {
            let role = if table.is_none() { UnitRole::Heading } else { line_role(line) };
            let unit = builder.push(span, role, table.or(parent));
            table = table.or(unit);
            continue;
        } else {
            push_sentences(builder, span, line, line_role(line), parent);
        }
        table = None;
    }
}

fn heading_level(line: &str) -> Option<usize> {
    let hashes = line.bytes().take_while(|b| *b == b'#').count();
    let spaced = line.get(hashes..).is_some_and(|rest| rest.starts_with(' '));
    ((1..=6).contains(&hashes) && spaced && !is_separator(line)).then_some(hashes)
}

/// Adds a line whole if it is short, otherwise sentence by sentence.
pub fn push_sentences(builder: &mut Builder<'_>, span: Range<usize>, line: &str, role: UnitRole, parent: Option<u32>) {
    if line.len() < SENTENCES_FROM {
        builder.push(span, role, parent);
        return;
    }
    for (at, sentence) in line.split_sentence_bound_indices() {
        let start = span.start + at;
        let own = if role == UnitRole::Boilerplate { role } else { line_role(sentence) };
        builder.push(start..start + sentence.len(), own, parent);
    }
}
