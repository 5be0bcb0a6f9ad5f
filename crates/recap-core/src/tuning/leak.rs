//! The leak scan: a candidate may speak of kinds of values, never of one that its training trajectories hold.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use rustc_hash::FxHashMap;
use serde_json::Value;

use super::replay::{Recorded, flat, is_instruction, used_values};
use crate::compress::WeightName;
use crate::trajectory::facts;

/// The least length of a value that is remembered, in characters.
const LEAST_CHARS: usize = 4;
/// Bytes by which a value is known; of a longer one its beginning is remembered.
const MOST_BYTES: usize = 320;
/// Different values that are remembered at most.
const MOST_VALUES: usize = 4_000_000;
/// A name without digits that stands in trajectories of so many tasks is a word of the domain.
const COMMON_TASKS: usize = 3;
/// Leaks that are told at most.
const MOST_LEAKS: usize = 100;

/// A rolling hash modulo the Mersenne prime 2^61 − 1 (Karp and Rabin 1987).
const PRIME: u64 = (1 << 61) - 1;
const BASE: u64 = 0x1f83_d9ab_fb41_bd6b & PRIME;

/// What a part of a character class looks like; source code is full of them, and so are patterns.
static CLASS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^(?:a-z|A-Z|a-f|A-F|0-9|[_.#@:+%/~-])+$").ok());
/// Fields of the front matter whose numbers are settings, beside the weights.
const COUNTS: [&str; 7] =
    ["line_bytes", "list_items", "table_rows", "observation_tokens", "most_tokens", "t_obs", "t_hist"];
/// A setting with its number, between what opens and what ends it.
static SETTING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let counts = COUNTS.join("|");
    let weights = WeightName::ALL.map(WeightName::name).join("|");
    let number =
        format!(r"(?:{counts})[ \t]*:[ \t]*[0-9]+|(?:worth|{weights})[ \t]*:[ \t]*-?[0-9]{{0,2}}(?:\.[0-9]+)?");
    Regex::new(&format!(r"(^|[{{,])[ \t]*(?:{number})[ \t]*([,}}#\r\n]|$)")).ok()
});

/// The specific values of training trajectories, hashed: what their actions use and what can be copied exactly from
/// anything but the instructions.
#[derive(Debug, Default)]
pub struct TrainingValues {
    seen: FxHashMap<u64, Seen>,
    lengths: BTreeSet<usize>,
    left_out: usize,
}

/// Where a value was seen.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Hashes of the first tasks that hold it; 0 where there is none.
    tasks: [u32; COMMON_TASKS],
    /// Whether it is a name that many tasks may share.
    name: bool,
}

impl TrainingValues {
    /// Reads trajectories. Those whose heads are equal are of one task.
    pub fn of<'a>(runs: impl Iterator<Item = &'a Recorded>) -> Self {
        let mut found = Self::default();
        runs.for_each(|run| found.add(run));
        found
    }

    /// Reads one more trajectory.
    pub fn add(&mut self, run: &Recorded) {
        let task = task_of(run.messages());
        for message in run.messages().iter().filter(|message| !is_instruction(message)) {
            let text = flat(message);
            for value in facts(&text).into_iter().filter_map(|fact| text.get(fact.span)) {
                self.remember(value, task);
            }
            for value in used_values(message) {
                self.remember(&value, task);
            }
        }
    }

    /// Returns how many different values it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Tells whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Returns how often a value could not be remembered, for four million others were: then the scan is not whole.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    fn remember(&mut self, value: &str, task: u32) {
        let value = folded(value);
        let value = value.get(..value.floor_char_boundary(MOST_BYTES)).unwrap_or_default();
        let is_class = CLASS.as_ref().is_some_and(|class| class.is_match(value));
        if value.chars().nth(LEAST_CHARS - 1).is_none() || is_class {
            return;
        }
        let hash = value.bytes().fold(0, push);
        if let Some(seen) = self.seen.get_mut(&hash) {
            seen.note(task);
        } else if self.seen.len() < MOST_VALUES {
            let name = !value.contains(|c: char| c.is_numeric() || c == '@');
            self.seen.insert(hash, Seen { tasks: [task, 0, 0], name });
            self.lengths.insert(value.len());
        } else {
            self.left_out += 1;
        }
    }

    fn knows(&self, hash: u64) -> bool {
        self.seen.get(&hash).is_some_and(|seen| !(seen.name && seen.tasks.iter().all(|task| *task != 0)))
    }

    /// Calls back with every value in a text.
    fn each_in<'t>(&self, text: &'t str, mut found: impl FnMut(&'t str)) {
        let mut prefixes = Vec::with_capacity(text.len() + 1);
        prefixes.push(0);
        prefixes.extend(text.bytes().scan(0, |hash, byte| {
            *hash = push(*hash, byte);
            Some(*hash)
        }));
        let powers: Vec<(usize, u64)> = self.lengths.iter().map(|length| (*length, power(*length))).collect();
        for (at, _) in text.char_indices() {
            for &(length, power) in &powers {
                let (Some(&before), Some(&after)) = (prefixes.get(at), prefixes.get(at + length)) else { break };
                let hash = (after + PRIME - times(before, power)) % PRIME;
                if self.knows(hash)
                    && let Some(value) = text.get(at..at + length)
                {
                    found(value);
                }
            }
        }
    }
}

impl Seen {
    fn note(&mut self, task: u32) {
        if !self.tasks.contains(&task)
            && let Some(free) = self.tasks.iter_mut().find(|known| **known == 0)
        {
            *free = task;
        }
    }
}

/// Returns the values of training trajectories that a candidate's text holds and the champion's does not, each as it
/// stands in the candidate; empty if it leaks none. At most a hundred are told.
///
/// Looks at the text as it is and as its regular expressions read, without regard to ASCII case and line breaks. Numbers
/// of settings in the front matter are no values, and a name without digits that three tasks share is a word of their
/// domain.
#[must_use]
pub fn leaks(candidate: &str, champion: &str, training: &TrainingValues) -> Vec<String> {
    let known: Vec<String> = readings(champion).iter().map(|text| text.to_ascii_lowercase()).collect();
    let mut found: BTreeSet<String> = BTreeSet::new();
    for text in readings(candidate) {
        training.each_in(&text, |value| {
            let lower = value.to_ascii_lowercase();
            if found.len() < MOST_LEAKS && !known.iter().any(|text| text.contains(&lower)) {
                found.insert(value.to_owned());
            }
        });
    }
    let whole: Vec<String> = found
        .iter()
        .filter(|value| !found.iter().any(|other| other != *value && other.contains(*value)))
        .cloned()
        .collect();
    whole
}

/// Returns the texts that a guideline says: as it is written, with its expressions' escapes resolved, and once more for
/// those that stand in a double-quoted scalar.
fn readings(text: &str) -> [String; 3] {
    let plain = spaced(&without_settings(text));
    let once = unescaped(&plain);
    let twice = unescaped(&once);
    [plain, once, twice]
}

/// Blanks the numbers of settings, as `list_items: 40`, in the front matter.
fn without_settings(text: &str) -> Cow<'_, str> {
    let Some(setting) = SETTING.as_ref() else { return Cow::Borrowed(text) };
    let opens = text.lines().next().is_some_and(|line| line.trim_end() == "---");
    let end = text.find("\n---").map(|at| at + 1).filter(|_| opens);
    let Some((front, rest)) = end.and_then(|end| text.split_at_checked(end)) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    for line in front.split_inclusive('\n') {
        if line.trim_start().starts_with('#') {
            out.push_str(line);
        } else {
            // settings that follow each other share what stands between them
            out.push_str(&setting.replace_all(&setting.replace_all(line, "$1 $2"), "$1 $2"));
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Resolves a regular expression's escapes: `\.` is a dot, `\d` is no text, `[.]` is a dot.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next) if next.is_alphanumeric() => out.push(' '),
                Some(next) => out.push(next),
                None => {}
            },
            '[' => {
                let mut ahead = chars.clone();
                let only = ahead.next().filter(|_| ahead.next() == Some(']'));
                match only {
                    Some(only) => {
                        out.push(only);
                        chars = ahead;
                    }
                    None => out.push('['),
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// A value as it is remembered.
fn folded(value: &str) -> String {
    spaced(value.trim())
}

/// Makes every run of white space one space.
fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_whitespace() {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

/// Returns the hash of a trajectory's head, never 0.
fn task_of(messages: &[Value]) -> u32 {
    let head = messages.iter().find(|message| !is_instruction(message)).map(flat).unwrap_or_default();
    let [a, b, c, d, ..] = *blake3::hash(head.as_bytes()).as_bytes();
    u32::from_le_bytes([a, b, c, d]).max(1)
}

fn push(hash: u64, byte: u8) -> u64 {
    (times(hash, BASE) + u64::from(byte.to_ascii_lowercase()) + 1) % PRIME
}

fn power(length: usize) -> u64 {
    (0..length).fold(1, |power, _| times(power, BASE))
}

fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b) % u128::from(PRIME);
    u64::try_from(product).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn run(task: &str, observation: &str) -> Recorded {
        let call =
            json!({"id": "1", "type": "function", "function": {"name": "get", "arguments": "{\"q\": \"flat 12 b\"}"}});
        Recorded::new(vec![
            json!({"role": "system", "content": "Policy RULE77."}),
            json!({"role": "user", "content": task}),
            json!({"role": "assistant", "content": null, "tool_calls": [call]}),
            json!({"role": "tool", "tool_call_id": "1", "content": observation}),
        ])
        .unwrap()
    }

    fn training(observation: &str) -> TrainingValues {
        TrainingValues::of([run("Task of mia_li_3668", observation)].iter())
    }

    fn with(pattern: &str) -> String {
        format!("---\nkeep:\n  - '{pattern}'\n---\nKeep what matters.\n")
    }

    const CHAMPION: &str = "---\nkeep:\n  - booking\n---\nKeep what matters.\n";

    #[test]
    fn values_are_found_however_they_are_written() {
        let training = training("order #W2378156 at a.b/c-d.rs of x+y@z.org, wrapped");
        let candidates = [
            ("#W2378156", "#W2378156"),
            (r"/order \#W2378156\b/", "#W2378156"),
            (r"/a\.b\/c\-d\.rs/", "a.b/c-d.rs"),
            (r"/a[.]b/c-d[.]rs/", "a.b/c-d.rs"),
            (r"/x\+y@z\.org/", "x+y@z.org"),
            ("/w2378156/", ""),
            ("/FLAT 12 B/", "FLAT 12 B"),
            ("mia_li_3668", "mia_li_3668"),
        ];
        for (pattern, value) in candidates {
            let found = leaks(&with(pattern), CHAMPION, &training);
            assert_eq!(found.first().map_or("", String::as_str), value, "{pattern}");
        }
        let doubled = "---\nkeep: [\"/a\\\\.b\\\\/c\\\\-d\\\\.rs/\"]\n---\n";
        assert_eq!(leaks(doubled, CHAMPION, &training), ["a.b/c-d.rs"]);
        assert_eq!(leaks("Keep the flat 12\n  b.", CHAMPION, &training), ["flat 12 b"]);
    }

    #[test]
    fn settings_classes_and_instructions_leak_nothing() {
        let training = training("2048 lines matched [a-z0-9_] in t_hist: 2048, status 4096, 0.4321");
        let candidate = "---\nkeep: ['/[a-z0-9_]{3,} RULE77/']\ncaps: {list_items: 2048, table_rows: 4096}\nweigh:\n  path: 0.4321\n---\nKeep.";
        assert_eq!(leaks(candidate, CHAMPION, &training), Vec::<String>::new());
        assert_eq!(leaks("---\nkeep: ['2048']\n---\n", CHAMPION, &training), ["2048"]);
        assert_eq!(leaks("---\n---\nAt most 2048.", CHAMPION, &training), ["2048"]);
    }

    #[test]
    fn names_that_tasks_share_are_words_of_the_domain() {
        let runs: Vec<_> = ["one", "two", "three"].map(|task| run(task, "order_id of user_ref, X99-1")).into();
        let candidate = with("order_id X99-1");
        assert_eq!(leaks(&candidate, CHAMPION, &TrainingValues::of(runs.iter().take(2))), ["X99-1", "order_id"]);
        assert_eq!(leaks(&candidate, CHAMPION, &TrainingValues::of(runs.iter())), ["X99-1"]);
        let again = runs.iter().take(1).cycle().take(9);
        assert_eq!(leaks(&candidate, CHAMPION, &TrainingValues::of(again)).len(), 2);
    }

    proptest! {
        #[test]
        fn a_planted_value_is_found(
            value in "[A-Z]{1,3}[-_/.@#+]?[0-9]{3,6}([-_.][a-z]{1,4}[0-9])?", around in "[a-z ,]{0,12}", escaped in any::<bool>(),
            place in 0usize..3,
        ) {
            let training = training(&format!("{around} {value} {around}"));
            let written = if escaped { regex::escape(&value) } else { value.clone() };
            let candidate = match place {
                0 => with(&format!("/^{around}{written}\\b/")),
                1 => format!("---\nkeys: {{keep: ['*{value}*']}}\n---\n"),
                _ => format!("{CHAMPION}\n{around}{value}{around}"),
            };
            let found = leaks(&candidate, CHAMPION, &training);
            prop_assert!(found.iter().any(|leak| leak.contains(&value)), "{candidate}: {found:?}");
            prop_assert!(leaks(&candidate, &candidate, &training).is_empty());
        }

        #[test]
        fn any_text_is_scanned(text in "\\PC{0,200}", champion in "\\PC{0,60}") {
            let training = training(&text);
            prop_assert!(leaks(&text, &text, &training).is_empty());
            prop_assert!(leaks(&text, &champion, &training).len() <= MOST_LEAKS);
        }
    }
}
