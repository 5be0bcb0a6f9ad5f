//! What proposals are drawn from: values that were lost, and lines that were kept for nothing.

use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;

use serde::{Deserialize, Serialize};

use crate::compress::{Kind, classify};
use crate::context::Section;
use crate::tokens::TokenCounter;
use crate::trajectory::OriginalHash;
use crate::tuning::audit::{Loss, Place};
use crate::tuning::replay::{Recorded, used_values};

/// Characters of an idle line that are told.
const LINE_CHARS: usize = 400;

/// What training runs showed.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Lost values, each with its case.
    pub losses: Vec<(String, Loss)>,
    /// Lines that were kept and not used.
    pub idle: Vec<IdleLine>,
    /// The task of each case; a case that is not here is a task of its own.
    pub tasks: BTreeMap<String, String>,
}

/// A line that a context kept and whose values no later action used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdleLine {
    /// The case.
    pub case: String,
    /// Where it stands: turn and line are those of the served section.
    pub place: Place,
    /// Its tokens.
    pub tokens: u32,
}

impl Evidence {
    /// Returns the task of a case.
    #[must_use]
    pub fn task<'a>(&'a self, case: &'a str) -> &'a str {
        self.tasks.get(case).map_or(case, String::as_str)
    }
}

/// Returns the values that the assistant messages from `from` on use, by their place in the trajectory.
#[must_use]
pub fn later_values(recorded: &Recorded, from: usize) -> HashSet<String> {
    let later = recorded.messages().iter().skip(from);
    later.filter(|message| message.get("role").is_some_and(|role| role == "assistant")).flat_map(used_values).collect()
}

/// Returns the lines of a served section that hold none of the values that later actions `used`, frames and markers
/// apart.
#[must_use]
pub fn idle_lines<S: BuildHasher>(
    case: &str,
    section: &Section,
    used: &HashSet<String, S>,
    counter: &dyn TokenCounter,
) -> Vec<IdleLine> {
    let original = section.originals.first().copied().unwrap_or_else(|| OriginalHash::of(&section.text));
    let kind = classify(&section.text);
    let mut turn = section.turns[0];
    let mut found = Vec::new();
    for (line, text) in (1u32..).zip(section.text.lines()) {
        match own_line(text) {
            Own::Turn(number) => turn = number,
            Own::Mark => {}
            Own::Quoted if used.iter().any(|value| text.contains(value.as_str())) => {}
            Own::Quoted => {
                let place = place(turn, original, kind, line, text);
                found.push(IdleLine { case: case.to_owned(), place, tokens: counter.count(text) });
            }
        }
    }
    found
}

/// What a line of a section is.
enum Own {
    /// It opens a turn.
    Turn(u32),
    /// recapd wrote it.
    Mark,
    /// It is the trajectory's.
    Quoted,
}

fn own_line(text: &str) -> Own {
    let is_mark = text.trim().is_empty() || text.starts_with(['<', '…']) || text.starts_with("Earlier turns of");
    let number = text.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map(|(number, _)| number.parse());
    match number {
        Some(Ok(number)) => Own::Turn(number),
        _ if is_mark => Own::Mark,
        _ => Own::Quoted,
    }
}

fn place(turn: u32, original: OriginalHash, kind: Kind, line: u32, text: &str) -> Place {
    let text: String = text.chars().take(LINE_CHARS).collect();
    Place { turn, message: 0, original, kind, line, text, json_pointer: None, key: None, heading: None }
}
