//! The agent's one tool: read-only commands, done by the machine's programs, or here where it lacks one.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use regex::Regex;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::survey::{SKIPPED, Survey};

/// Longest wait for a program.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of output that are read.
const MOST_BYTES: u64 = 256 << 10;
const MOST_LINES: usize = 110;
const MOST_LINE_CHARS: usize = 160;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ask {
    /// All entries below folders.
    List(Vec<String>),
    /// Lines of files.
    Count(Vec<String>),
    /// Lines that hold a word, below paths.
    Search { word: String, paths: Vec<String> },
    /// Lines of a file, the first from 1, both included.
    Read { path: String, first: usize, last: usize },
    /// The newest commits, of a path or of all.
    Log(Option<String>),
}

/// What a command gave.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its lines, the first of them where they are many.
    pub text: String,
    /// Whether it was done here, for lack of a program.
    pub own: bool,
}

impl Ask {
    /// Returns program and arguments.
    fn words(&self) -> Vec<String> {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        match self {
            Self::List(folders) => [own(&["ls", "-R"]), folders.clone()].concat(),
            Self::Count(files) => [own(&["wc", "-l"]), files.clone()].concat(),
            Self::Search { word, paths } => {
                let skipped = SKIPPED.iter().take(2).map(|name| format!("--exclude-dir={name}")).collect();
                [own(&["grep", "-rHnIw", word]), paths.clone(), skipped].concat()
            }
            Self::Read { path, first, last } => own(&["sed", "-n", &format!("{first},{last}p"), path]),
            Self::Log(path) => {
                let tail = path.iter().flat_map(|path| ["--".to_owned(), path.clone()]);
                own(&["git", "--no-pager", "log", "--oneline", "-n", "15"]).into_iter().chain(tail).collect()
            }
        }
    }

    /// Does it.
    pub async fn run(&self, survey: &Survey) -> Output {
        let (lines, own) = match (self.by_program(survey).await, self) {
            (Some(text), _) => (text.lines().map(str::to_owned).collect(), false),
            (None, Self::Log(_)) => (vec!["fatal: no history of versions here".to_owned()], true),
            (None, _) => (self.here(survey), true),
        };
        Output { text: fitted(&lines), own }
    }

    /// Asks the program; `None` where it is not there, does not know the options, or takes too long.
    async fn by_program(&self, survey: &Survey) -> Option<String> {
        let words = self.words();
        let (program, arguments) = words.split_first()?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&survey.root).env("LC_ALL", "C").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let mut bytes = Vec::new();
        let mut out = child.stdout.take()?.take(MOST_BYTES);
        tokio::time::timeout(PATIENCE, out.read_to_end(&mut bytes)).await.ok()?.ok()?;
        let cut = bytes.len() as u64 == MOST_BYTES;
        if !cut {
            let status = tokio::time::timeout(PATIENCE, child.wait()).await.ok()?.ok()?;
            // grep says 1 where nothing was found.
            let fine = status.success() || (matches!(self, Self::Search { .. }) && status.code() == Some(1));
            fine.then_some(())?;
        }
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Does it without a program, over the files of the survey.
    fn here(&self, survey: &Survey) -> Vec<String> {
        match self {
            Self::List(folders) => folders
                .iter()
                .flat_map(|folder| survey.below(folder))
                .map(|file| format!("{:>8} {}", file.bytes, file.path))
                .collect(),
            Self::Count(files) => files.iter().map(|path| format!("{:>7} {path}", survey.lines(path).len())).collect(),
            Self::Search { word, paths } => {
                let Ok(pattern) = Regex::new(&format!(r"\b{}\b", regex::escape(word))) else { return Vec::new() };
                let files = paths.iter().flat_map(|path| survey.below(path));
                files.flat_map(|file| matches_of(&pattern, &file.path, &survey.lines(&file.path))).collect()
            }
            Self::Read { path, first, last } => {
                let count = (last + 1).saturating_sub(*first);
                survey.lines(path).into_iter().skip(first.saturating_sub(1)).take(count).collect()
            }
            Self::Log(_) => Vec::new(),
        }
    }
}

fn matches_of(pattern: &Regex, path: &str, lines: &[String]) -> Vec<String> {
    let hits = lines.iter().enumerate().filter(|(_, line)| pattern.is_match(line));
    hits.map(|(n, line)| format!("{path}:{}:{line}", n + 1)).collect()
}

/// Returns what of an output goes to the agent, as tools bound what they hand over.
fn fitted(lines: &[String]) -> String {
    if lines.is_empty() {
        return "(nothing)".to_owned();
    }
    let mut kept: Vec<String> = lines.iter().take(MOST_LINES).map(|line| clipped(line, MOST_LINE_CHARS)).collect();
    if lines.len() > MOST_LINES {
        kept.push(format!("({} more lines)", lines.len() - MOST_LINES));
    }
    kept.join("\n")
}

/// Returns a line of at most so many characters.
pub fn clipped(line: &str, most: usize) -> String {
    if line.chars().count() <= most {
        return line.to_owned();
    }
    line.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |word: &str| word.chars().all(|c| c.is_alphanumeric() || "-_./=,:+@".contains(c));
        let quoted = |word: &String| if plain(word) { word.clone() } else { format!("'{word}'") };
        f.write_str(&self.words().iter().map(quoted).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn folder() -> (tempfile::TempDir, Survey) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("src/target")).unwrap();
        std::fs::write(folder.path().join("src/a b.rs"), "fn one() {}\nlet budget = 1;\nbudgets\n").unwrap();
        std::fs::write(folder.path().join("src/target/c.rs"), "budget\n").unwrap();
        std::fs::write(folder.path().join("notes.md"), "a budget\n").unwrap();
        let survey = Survey::of(folder.path()).unwrap();
        (folder, survey)
    }

    #[tokio::test]
    async fn what_is_done_here_is_what_programs_do() {
        let (_folder, survey) = folder();
        let paths = vec!["src".to_owned(), "notes.md".to_owned()];
        let search = Ask::Search { word: "budget".to_owned(), paths };
        assert_eq!(search.here(&survey), ["src/a b.rs:2:let budget = 1;", "notes.md:1:a budget"]);
        let read = Ask::Read { path: "src/a b.rs".to_owned(), first: 2, last: 3 };
        assert_eq!(read.here(&survey), ["let budget = 1;", "budgets"]);
        for ask in [search, read] {
            assert_eq!(ask.run(&survey).await.text, ask.here(&survey).join("\n"), "{ask}");
        }
    }

    #[tokio::test]
    async fn outputs_are_bounded_and_absent_history_is_told() {
        let (_folder, survey) = folder();
        assert!(Ask::Log(None).run(&survey).await.text.starts_with("fatal"));
        let lines: Vec<String> = (0..200).map(|n| "ä".repeat(n * 3)).collect();
        let text = fitted(&lines);
        assert!(text.ends_with("(90 more lines)"));
        assert!(text.lines().all(|line| line.chars().count() <= MOST_LINE_CHARS));
        assert_eq!(fitted(&[]), "(nothing)");
    }

    #[test]
    fn commands_read_as_typed() {
        let read = Ask::Read { path: "src/a b.rs".to_owned(), first: 2, last: 3 };
        assert_eq!(read.to_string(), "sed -n 2,3p 'src/a b.rs'");
    }
}
