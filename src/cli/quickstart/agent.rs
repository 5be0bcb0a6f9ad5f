//! A small scripted agent: what it does next follows from what its commands gave.

use std::collections::{HashSet, VecDeque};

use regex::Regex;

use super::shell::Ask;
use super::survey::Survey;

/// What the agent is to do.
pub const TASK: &str = "Find out where this project enforces its limits on size (a budget, a limit, a maximum), \
                        who relies on that, and which tests hold it. Look with read-only commands, then write a \
                        short report.";
/// Words it looks for, until one is found.
const WORDS: [&str; 5] = ["budget", "limit", "max", "size", "main"];
const WINDOW_LINES: usize = 90;
/// Names that do not carry the word, and are followed all the same.
const MOST_OTHER_NAMES: usize = 5;
/// What lines that enforce something often have.
const ENFORCING: [&str; 8] = [" > ", " < ", "<=", ">=", "min(", "max(", "assert", "raise"];
/// What names folders and files beside the product's code.
const ASIDE: [&str; 6] = ["bench", "example", "fuzz", "snap", "generated", "doc"];

/// One step: what the agent says, and its commands.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its words.
    pub say: String,
    /// One command, or several at once.
    pub asks: Vec<Ask>,
}

/// A line that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hit {
    path: String,
    line: usize,
    enforces: bool,
}

/// The agent's mind.
pub struct Agent {
    survey: Survey,
    hit: Regex,
    definition: Regex,
    plan: VecDeque<Step>,
    done: HashSet<Ask>,
    words: VecDeque<&'static str>,
    word: Option<String>,
    places: Vec<String>,
    names: Vec<String>,
    tests: Vec<String>,
    /// Where it read, files and first lines.
    read: Vec<(String, usize)>,
    unread: Vec<String>,
}

impl Agent {
    /// Makes an agent that explores a folder.
    ///
    /// # Errors
    ///
    /// None but those of patterns that are part of this code.
    pub fn new(survey: Survey) -> Result<Self, regex::Error> {
        let mut by_size = survey.files.clone();
        by_size.sort_by_key(|file| std::cmp::Reverse(file.bytes));
        let mut agent = Self {
            hit: Regex::new(r"(?m)^([^:\n]+):(\d+):(.*)$")?,
            definition: Regex::new(r"\b(?:fn|def|func|function|class|struct)\s+([A-Za-z_][A-Za-z0-9_]{4,})")?,
            plan: VecDeque::new(),
            done: HashSet::new(),
            words: WORDS.into(),
            word: None,
            places: Vec::new(),
            names: Vec::new(),
            tests: Vec::new(),
            read: Vec::new(),
            unread: by_size.iter().map(|file| file.path.clone()).collect(),
            survey,
        };
        agent.begin();
        Ok(agent)
    }

    fn begin(&mut self) {
        let folders = self.roots();
        self.intend("First I look at what is here.", vec![Ask::List(folders)]);
        let largest: Vec<String> = self.unread.iter().take(20).cloned().collect();
        self.intend("Which files are large?", vec![Ask::Count(largest)]);
        self.intend("What was done lately?", vec![Ask::Log(None)]);
        if let Some(readme) = self.survey.files.iter().find(|file| is_readme(&file.path)) {
            let read = Ask::Read { path: readme.path.clone(), first: 1, last: WINDOW_LINES };
            self.intend("The project's own words about itself.", vec![read]);
        }
        self.look_for_next_word();
    }

    fn roots(&self) -> Vec<String> {
        let mut folders = self.survey.folders();
        folders.retain(|folder| !ASIDE.iter().any(|aside| folder.contains(aside)));
        folders.truncate(4);
        folders.sort_by_key(|folder| folder != "src" && folder != "lib");
        if folders.is_empty() { vec![".".to_owned()] } else { folders }
    }

    fn look_for_next_word(&mut self) {
        if let Some(word) = self.words.pop_front() {
            let search = Ask::Search { word: word.to_owned(), paths: self.roots() };
            self.intend(&format!("Limits have names. Is there a `{word}`?"), vec![search]);
        }
    }

    fn intend(&mut self, say: &str, asks: Vec<Ask>) {
        let new: Vec<Ask> = asks.into_iter().filter(|ask| self.done.insert(ask.clone())).collect();
        if !new.is_empty() {
            self.plan.push_back(Step { say: say.to_owned(), asks: new });
        }
    }

    /// Returns the next step; `None` where nothing is left to look at.
    pub fn next(&mut self) -> Option<Step> {
        while self.plan.is_empty() {
            if self.unread.is_empty() {
                return None;
            }
            self.read_on();
        }
        self.plan.pop_front()
    }

    /// Plans to read files that no search led to.
    fn read_on(&mut self) {
        let paths: Vec<String> = self.unread.drain(..self.unread.len().min(2)).collect();
        let say = format!("Not read yet, and among the largest: {}.", paths.join(" and "));
        let read = |path| Ask::Read { path, first: 1, last: WINDOW_LINES };
        self.intend(&say, paths.into_iter().map(read).collect());
    }

    /// Takes what a command gave.
    pub fn learn(&mut self, ask: &Ask, output: &str) {
        match ask {
            Ask::Search { word, .. } => self.learn_hits(word, &self.hits(output)),
            Ask::Read { path, .. } => self.learn_text(path, output),
            Ask::List(_) | Ask::Count(_) | Ask::Log(_) => {}
        }
    }

    fn hits(&self, output: &str) -> Vec<Hit> {
        let found = self.hit.captures_iter(output).filter_map(|hit| {
            let (path, text) = (hit.get(1)?.as_str().to_owned(), hit.get(3)?.as_str());
            let enforces = ENFORCING.iter().any(|sign| text.contains(sign));
            Some(Hit { path, line: hit.get(2)?.as_str().parse().ok()?, enforces })
        });
        found.collect()
    }

    fn learn_hits(&mut self, word: &str, hits: &[Hit]) {
        if hits.is_empty() {
            if self.word.is_none() {
                self.look_for_next_word();
            }
            return;
        }
        self.word.get_or_insert_with(|| word.to_owned());
        let central = hits.iter().filter(|hit| !ASIDE.iter().any(|aside| hit.path.to_lowercase().contains(aside)));
        let (tests, code): (Vec<&Hit>, Vec<&Hit>) = central.partition(|hit| is_test(&hit.path));
        let (code, tests) = (most_hit(&code), most_hit(&tests));
        for pair in code.get(..4).unwrap_or(&code).chunks(2) {
            self.places.extend(pair.iter().map(|hit| format!("{}:{} ({word})", hit.path, hit.line)));
            self.read_around(&format!("{} has `{word}`; what stands around it?", told(pair)), pair);
        }
        let tests = tests.get(..2).unwrap_or(&tests);
        self.tests.extend(tests.iter().map(|hit| format!("{}:{}", hit.path, hit.line)));
        self.read_around(&format!("{} looks like a test of `{word}`.", told(tests)), tests);
        let word_in = code.first().map(|hit| hit.path.clone());
        if self.done.iter().filter(|ask| matches!(ask, Ask::Log(_))).count() < 3 {
            self.intend("Who changed this, and why?", vec![Ask::Log(word_in)]);
        }
    }

    fn read_around(&mut self, say: &str, hits: &[&Hit]) {
        let mut asks = Vec::new();
        for hit in hits {
            let first = hit.line.saturating_sub(WINDOW_LINES / 4).max(1);
            let near = |(path, line): &(String, usize)| *path == hit.path && line.abs_diff(first) < WINDOW_LINES / 2;
            if !self.read.iter().any(near) {
                self.read.push((hit.path.clone(), first));
                asks.push(Ask::Read { path: hit.path.clone(), first, last: first + WINDOW_LINES - 1 });
            }
            self.unread.retain(|path| *path != hit.path);
        }
        self.intend(say, asks);
    }

    /// Picks a name that a text defines and looks for its users.
    fn learn_text(&mut self, path: &str, output: &str) {
        let names: Vec<String> = self
            .definition
            .captures_iter(output)
            .filter_map(|found| Some(found.get(1)?.as_str().to_owned()))
            .filter(|name| !self.names.contains(name))
            .collect();
        let word = self.word.clone().unwrap_or_default();
        let about = names.iter().find(|name| !word.is_empty() && name.to_lowercase().contains(&word));
        let other = names.first().filter(|_| self.names.len() < MOST_OTHER_NAMES);
        if let Some(name) = about.or(other).cloned() {
            self.names.push(name.clone());
            let say = format!("{path} defines `{name}`. Who uses it?");
            self.intend(&say, vec![Ask::Search { word: name, paths: self.roots() }]);
        }
    }

    /// Returns what it found out.
    pub fn report(&self) -> String {
        let list = |items: &[String], most: usize| match items.len() {
            0 => "none found".to_owned(),
            _ => items.iter().take(most).cloned().collect::<Vec<_>>().join(", "),
        };
        format!(
            "Report. The word to follow is `{}`. It is enforced around: {}. Names that carry it: {}. Tests that hold it: {}.",
            self.word.as_deref().unwrap_or("(none)"),
            list(&self.places, 4),
            list(&self.names, 6),
            list(&self.tests, 4)
        )
    }
}

/// Returns a hit in each file, one that enforces something if there is one; files with most hits first.
fn most_hit<'a>(hits: &[&'a Hit]) -> Vec<&'a Hit> {
    // A hit that enforces something weighs as much as three others.
    let weight = |hit: &Hit| if hit.enforces { 3 } else { 1 };
    let mut files: Vec<(&Hit, usize)> = Vec::new();
    for hit in hits {
        match files.iter_mut().find(|(first, _)| first.path == hit.path) {
            Some((best, count)) => {
                *count += weight(hit);
                if hit.enforces && !best.enforces {
                    *best = hit;
                }
            }
            None => files.push((hit, weight(hit))),
        }
    }
    files.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    files.into_iter().map(|(hit, _)| hit).collect()
}

fn told(hits: &[&Hit]) -> String {
    hits.iter().map(|hit| format!("{}:{}", hit.path, hit.line)).collect::<Vec<_>>().join(" and ")
}

fn is_test(path: &str) -> bool {
    path.to_lowercase().contains("test") || path.contains("spec")
}

fn is_readme(path: &str) -> bool {
    let lower = path.to_lowercase();
    ["readme.md", "changelog.md", "cargo.toml", "package.json", "pyproject.toml", "go.mod"].contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn steps_follow_from_what_was_found_and_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.py"), "def check_limit(n):\n    return n < 3\n").unwrap();
        std::fs::write(folder.path().join("test_a.py"), "from a import check_limit\n").unwrap();
        let mut agent = Agent::new(Survey::of(folder.path()).unwrap()).unwrap();
        let mut seen = Vec::new();
        while let Some(step) = agent.next() {
            for ask in step.asks {
                let output = match &ask {
                    Ask::Search { word, .. } if word == "budget" => "(nothing)",
                    Ask::Search { word, .. } if word == "limit" => "a.py:1:limit\ntest_a.py:1:limit",
                    Ask::Read { path, .. } if path == "a.py" => "def check_limit(n):",
                    _ => "",
                };
                agent.learn(&ask, output);
                seen.push(ask.to_string());
            }
        }
        let at = |needle: &str| seen.iter().position(|ask| ask.contains(needle)).unwrap();
        assert!(at(" budget ") < at(" limit ") && at(" limit ") < at("p a.py") && at("p a.py") < at("check_limit"));
        assert!(seen.len() < 20, "{seen:?}");
        let report = agent.report();
        assert!(report.contains("a.py:1 (limit)") && report.contains("test_a.py:1"), "{report}");
    }
}
