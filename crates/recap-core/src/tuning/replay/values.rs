//! The values that an action uses: what a context must hold for the action to be grounded.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::python_json::{scalars_of_text, scalars_of_value};
use super::text::{calls, content_text};

/// What looks like a value: paths, dotted and underscored names, codes, long numbers, addresses.
///
/// A word character is a letter, a number or an underscore, in any script; no alternative crosses white space.
pub(super) static TOKENISH: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"[A-Za-z0-9_@#$%+:.\-]*[A-Za-z0-9](?:/[A-Za-z0-9_@#$%+:.\-]+)+",
        r"|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+",
        r"|[A-Za-z]+_[A-Za-z0-9_]+",
        r"|#?[A-Z0-9]{2,}[0-9][A-Z0-9]*",
        r"|[A-Za-z]*\d{3,}[A-Za-z0-9]*",
        r"|[\p{L}\p{N}_.+\-]+@[\p{L}\p{N}_.\-]+",
    ))
});
/// What makes a short argument a value rather than a word.
static SPECIFIC: LazyLock<Regex> = LazyLock::new(|| pattern(r"[\d_@/#-]"));
/// A text agent's commands.
static COMMANDS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?s)```(?:bash|sh|python)?\n(.*?)```"));

#[allow(clippy::expect_used, reason = "the patterns are constants; the tests build each")]
fn pattern(source: &str) -> Regex {
    Regex::new(source).expect("a valid pattern")
}

/// Returns the values that an assistant message (`OpenAI` chat shape) uses.
///
/// Of tool calls: the scalars of their arguments of 4 to 80 characters that hold a digit or one of `_@/#-`, and
/// the value-like tokens of longer ones. Of a message without calls: those of its fenced commands, from 5 characters.
#[must_use]
pub fn used_values(message: &Value) -> BTreeSet<String> {
    let mut values = BTreeSet::new();
    let mut called = false;
    for call in calls(message) {
        called = true;
        let scalars = match call.get("arguments") {
            None => continue,
            Some(Value::String(text)) => {
                scalars_of_text(text).unwrap_or_else(|| vec![super::python_json::strip(text).to_owned()])
            }
            Some(other) => scalars_of_value(other),
        };
        for scalar in scalars {
            add_scalar(scalar, &mut values);
        }
    }
    if !called {
        for block in COMMANDS.captures_iter(&content_text(message)).filter_map(|c| c.get(1)) {
            let tokens = TOKENISH.find_iter(block.as_str()).filter(|t| at_least(t.as_str(), 5));
            values.extend(tokens.map(|t| t.as_str().trim_matches(['.', ':']).to_owned()));
        }
    }
    values
}

fn add_scalar(scalar: String, values: &mut BTreeSet<String>) {
    if scalar.chars().count() <= 80 && !scalar.contains('\n') {
        if at_least(&scalar, 4) && SPECIFIC.is_match(&scalar) {
            values.insert(scalar);
        }
    } else {
        let tokens = TOKENISH.find_iter(&scalar).filter(|t| at_least(t.as_str(), 4));
        values.extend(tokens.map(|t| t.as_str().to_owned()));
    }
}

fn at_least(text: &str, chars: usize) -> bool {
    text.chars().nth(chars - 1).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_arguments(arguments: &Value) -> Vec<String> {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
        used_values(&json!({"role": "assistant", "content": null, "tool_calls": [call]})).into_iter().collect()
    }

    #[test]
    fn short_scalars_count_if_specific() {
        let arguments =
            json!(r##"{"a": "plain words", "b": "#W12", "c": "ab1", "d": 1234, "e": 2.50, "f": ["x_y_z", true]}"##);
        assert_eq!(of_arguments(&arguments), ["#W12", "1234", "x_y_z"]);
        assert_eq!(of_arguments(&json!({"b": "a/b/c", "n": 12.5, "m": 10.25})), ["10.25", "12.5", "a/b/c"]);
    }

    #[test]
    fn long_scalars_give_their_tokens() {
        let arguments = json!(format!(r#"{{"c": "{} see src/app/main.rs and os.path, ÄÖ@b.de"}}"#, "word ".repeat(20)));
        assert_eq!(of_arguments(&arguments), ["os.path", "src/app/main.rs", "ÄÖ@b.de"]);
    }

    #[test]
    fn arguments_that_are_no_json_count_as_one_scalar() {
        assert_eq!(of_arguments(&json!(" not json 7 ")), ["not json 7"]);
    }

    #[test]
    fn text_agents_use_the_tokens_of_their_commands() {
        let content = "Look at file_one.\n```bash\ncat src/a.py: | grep my_name\n```\nand\n```\nab_c ab_cd\n```";
        let got = used_values(&json!({"role": "assistant", "content": content}));
        assert_eq!(got.into_iter().collect::<Vec<_>>(), ["ab_cd", "my_name", "src/a.py"]);
    }

    #[test]
    fn the_first_alternative_that_fits_wins() {
        let found: Vec<_> =
            TOKENISH.find_iter("a.b/c.d x.y_z #AB12x abc1234d ١٢٣٤ me@x.org").map(|m| m.as_str()).collect();
        assert_eq!(found, ["a.b/c.d", "x.y_z", "#AB12", "abc1234d", "١٢٣٤", "me@x.org"]);
    }
}
