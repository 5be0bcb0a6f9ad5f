//! Actions in the text of agents that have no tool calls.

use super::message::{Block, Message};

/// Names of fenced blocks that are commands wherever they stand.
const COMMAND_FENCES: [&str; 8] = ["sh", "bash", "shell", "zsh", "console", "command", "action", "powershell"];

/// Names of fenced blocks that are commands where they end the message; the empty name is a bare fence.
const CLOSING_FENCES: [&str; 6] = ["", "python", "py", "json", "tool", "code"];

/// Beginnings of tags that hold an action.
const TAGS: [&str; 11] =
    ["action", "act", "execute", "tool", "function", "invoke", "command", "bash", "run", "code", "cmd"];

/// Tells whether a message of an agent carries an action in its text.
pub(super) fn carries_action(message: &Message) -> bool {
    message.blocks.iter().any(|block| match block {
        Block::Text(text) => has_action_line(text) || has_tag(text) || has_fence(text),
        _ => false,
    })
}

/// Looks for a line such as `Action: open[door]` or `**Action 3:** …`.
fn has_action_line(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start().trim_start_matches(['*', '#', ' ', '[']);
        let Some((word, rest)) = line.split_at_checked("action".len()) else {
            return false;
        };
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ' || c == '*' || c == ']');
        word.eq_ignore_ascii_case("action") && rest.starts_with(':')
    })
}

/// Looks for a tag such as `<action>`, `<execute_bash>` or `<function=run>`, and for its end.
fn has_tag(text: &str) -> bool {
    let names = text.match_indices('<').filter_map(|(at, _)| text.get(at + 1..)).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        rest.split_at_checked(end).unwrap_or((rest, ""))
    });
    names
        .filter(|(name, rest)| TAGS.contains(name) && rest.starts_with(['>', '_', '=', ' ']))
        .any(|(name, rest)| rest.contains('>') && text.contains(&format!("</{name}")))
}

/// Looks for a fenced command.
fn has_fence(text: &str) -> bool {
    let fences = || text.lines().map(str::trim).filter_map(|line| line.strip_prefix("```"));
    let names: Vec<&str> = fences().step_by(2).collect();
    if fences().count() < 2 {
        return false;
    }
    let command = |name: &&str| COMMAND_FENCES.iter().any(|known| name.split('_').any(|word| word == *known));
    let closes = text.trim_end().ends_with("```");
    names.iter().any(command) || (closes && names.last().is_some_and(|name| CLOSING_FENCES.contains(name)))
}
