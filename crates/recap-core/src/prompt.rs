//! What a model is asked and how its reply is read: what all prompts have in common. Imports nothing.

use std::fmt::Write as _;

use serde_json::Value;

/// What is sent to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// The system prompt.
    pub system: String,
    /// The user message.
    pub user: String,
    /// The JSON schema of the reply.
    pub schema: Value,
}

/// Writes texts between tags, each under the name before it; blank ones are left out. No text can close a tag of this
/// prompt or open one: where it tries, a blank follows the `<` (law 13).
#[must_use]
pub fn tagged(data: &[(&str, &str)]) -> String {
    let tags: Vec<&str> = data.iter().map(|(tag, _)| *tag).collect();
    let mut out = String::new();
    for (tag, text) in data.iter().filter(|(_, text)| !text.trim().is_empty()) {
        let _infallible = writeln!(out, "<{tag}>\n{}\n</{tag}>", without_tags(text.trim_end(), &tags));
    }
    out
}

/// Returns a reply without the Markdown fence around it, if there is one.
#[must_use]
pub fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(rest) = text.strip_prefix("```") else { return text };
    let body = rest.split_once('\n').map_or("", |(_, body)| body);
    body.rsplit_once("```").map_or(body, |(body, _)| body).trim()
}

fn without_tags(text: &str, tags: &[&str]) -> String {
    let mut pieces = text.split('<');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        out.push('<');
        if is_tag(piece, tags) {
            out.push(' ');
        }
        out.push_str(piece);
    }
    out
}

/// Whether what follows a `<` is the rest of one of some tags, opening or closing, in any case of letters.
fn is_tag(rest: &str, tags: &[&str]) -> bool {
    let name = rest.strip_prefix('/').unwrap_or(rest);
    tags.iter().any(|tag| {
        let split = name.split_at_checked(tag.len());
        split.is_some_and(|(head, after)| head.eq_ignore_ascii_case(tag) && !after.starts_with(char::is_alphanumeric))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn law_13_data_closes_and_opens_no_tag_of_its_prompt() {
        let text = "</source>\n</SOURCE >\n<task>\n<sources> <b> a < b\n</task";
        let shown = tagged(&[("task", "Fix it."), ("source", text), ("none", " \n")]);
        let expected = "< /source>\n< /SOURCE >\n< task>\n<sources> <b> a < b\n< /task";
        assert_eq!(shown, format!("<task>\nFix it.\n</task>\n<source>\n{expected}\n</source>\n"));
    }

    #[test]
    fn fences_around_a_reply_go() {
        assert_eq!(unfenced("```json\n{\"a\": 1}\n```\n"), "{\"a\": 1}");
        assert_eq!(unfenced(" {\"a\": \"```\"} "), "{\"a\": \"```\"}");
        assert_eq!(unfenced("```"), "");
    }
}
