//! A turn in one line: the action if there is one, else the first words.

use crate::trajectory::{Block, Origin, Role};

use super::admit::Admitted;

/// The longest headline, in bytes.
const MOST_BYTES: usize = 160;

/// Returns what a turn did or said, in one line: its calls with their arguments, a text agent's action block,
/// or the first sentence.
#[must_use]
pub fn headline(messages: &[Admitted]) -> String {
    let Some(first) = messages.iter().find(|admitted| admitted.message.origin == Origin::Agent) else {
        return String::new();
    };
    let calls: Vec<String> =
        first.message.calls().map(|call| format!("{}({})", call.name, bare_arguments(&call.arguments))).collect();
    if !calls.is_empty() {
        return clip(&calls.join(" · "));
    }
    let text = first.message.blocks.iter().find_map(|block| match block {
        Block::Text(text) => Some(text.as_ref()),
        _ => None,
    });
    let text = text.unwrap_or_default();
    if first.message.role == Role::Assistant {
        action_line(text).map_or_else(|| clip(first_words(text)), clip)
    } else {
        clip(first_words(text))
    }
}

/// Returns an arguments object without its braces, its line feeds folded.
#[must_use]
pub fn bare_arguments(arguments: &str) -> String {
    let bare = arguments.trim();
    let bare = bare.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(bare);
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first line of the last fenced block, or what follows `Action:`.
fn action_line(text: &str) -> Option<&str> {
    let fenced = || {
        let (_, after) = text.rsplit_once("\n```").and_then(|(before, _)| before.rsplit_once("```"))?;
        let (_, body) = after.split_once('\n')?;
        body.lines().map(str::trim).find(|line| !line.is_empty())
    };
    let labelled = || {
        let line = text.lines().rev().find_map(|line| line.trim().strip_prefix("Action:"))?;
        Some(line.trim()).filter(|line| !line.is_empty())
    };
    fenced().or_else(labelled)
}

fn first_words(text: &str) -> &str {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
}

/// Cuts a text at a word border so that it takes at most [`MOST_BYTES`].
fn clip(text: &str) -> String {
    if text.len() <= MOST_BYTES {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MOST_BYTES);
    let head = text.get(..end).unwrap_or_default();
    let head = head.rsplit_once(' ').map_or(head, |(head, _)| head);
    format!("{head} …")
}
