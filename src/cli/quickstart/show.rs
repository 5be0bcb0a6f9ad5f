//! How the tour looks: lines for people, or JSON.

use std::path::Path;

use serde_json::{Value, json};

use super::shell::clipped;
use super::survey::Survey;
use super::tour::{Expanded, Totals, Turn};
use crate::cli::output::{say, say_json};

const WIDTH: usize = 104;
const CALL_WIDTH: usize = 52;
/// Lines shown of the first message that holds a recap, and of others.
const RECAP_LINES: usize = 14;
const OTHER_LINES: usize = 2;
const ORIGINAL_LINES: usize = 6;
/// Items shown of each list of the receipt.
const MOST_ITEMS: usize = 4;

/// How results are shown.
#[derive(Debug, Clone, Copy)]
pub struct Show {
    /// As JSON, one object a line.
    pub json: bool,
    /// With colours.
    pub colours: bool,
    /// The budget, tokens.
    pub budget: u32,
}

#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Dim,
    Green,
    Yellow,
    Cyan,
}

impl Show {
    fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => 1,
            Ink::Dim => 2,
            Ink::Green => 32,
            Ink::Yellow => 33,
            Ink::Cyan => 36,
        };
        if self.colours { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn heading(self, text: &str) -> anyhow::Result<()> {
        Ok(say(&format!("\n{}", self.ink(Ink::Bold, text)))?)
    }

    /// Says what is about to happen.
    pub fn welcome(self, url: &str, folder: &Path, survey: &Survey) -> anyhow::Result<()> {
        let (root, folder) = (survey.root.display().to_string(), folder.display().to_string());
        if self.json {
            return say_json(&json!({ "url": url, "data": folder, "explores": root, "budget": self.budget }));
        }
        say(&format!("{} listens on {}", self.ink(Ink::Bold, "recapd"), self.ink(Ink::Cyan, url)))?;
        say(&format!("  its database   {folder}"))?;
        say(&format!("  the agent      explores {root} ({} text files), read-only", survey.files.len()))?;
        Ok(say(&format!("  the budget     {} tokens for each context", counted(self.budget)))?)
    }

    /// Opens the table of steps.
    pub fn table_head(self) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        self.heading("Step by step: what the agent runs, its history in full, and what its model is served")?;
        let head = format!(
            "{:>4}  {:<CALL_WIDTH$} {:>7} {:>7} {:>6}  {:>6} {:>6}",
            "step", "command", "full", "served", "epoch", "cached", "read"
        );
        Ok(say(&self.ink(Ink::Dim, &head))?)
    }

    /// Shows a step.
    pub fn turn(self, turn: &Turn) -> anyhow::Result<()> {
        if self.json {
            return say_json(turn);
        }
        let mut call = match turn.calls.as_slice() {
            [] => "(system prompt and task)".to_owned(),
            [only] => only.clone(),
            [first, rest @ ..] => {
                let more = format!(" (+{})", rest.len());
                format!("{}{more}", clipped(first, CALL_WIDTH - more.len()))
            }
        };
        if turn.own.contains(&true) {
            call = format!("*{call}");
        }
        let epoch = if turn.begins && turn.step > 0 { format!("new {}", turn.epoch) } else { turn.epoch.to_string() };
        let epoch = format!("{epoch:>6}");
        let epoch = if turn.begins && turn.step > 0 { self.ink(Ink::Yellow, &epoch) } else { epoch };
        Ok(say(&format!(
            "{:>4}  {:<CALL_WIDTH$} {:>7} {} {epoch}  {} {:>6}",
            turn.step,
            clipped(&call, CALL_WIDTH),
            counted(turn.full),
            self.ink(Ink::Green, &format!("{:>7}", counted(turn.served))),
            self.ink(Ink::Dim, &format!("{:>6}", counted(turn.kept))),
            counted(turn.read)
        ))?)
    }

    /// Shows what the steps cost together, and the agent's report.
    pub fn totals(self, totals: &Totals, report: &str) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        say(&self.ink(
            Ink::Dim,
            "      full, served: tokens · cached: the prefix that the provider's cache has from the step before ·",
        ))?;
        say(&self.ink(
            Ink::Dim,
            "      read: the rest · epoch: the recap changes only where one begins · *: done without a program",
        ))?;
        self.heading("In total")?;
        let saved = |full: f64, served: f64| if full > 0.0 { 100.0 * (1.0 - served / full) } else { 0.0 };
        let (full, served) = (totals.full_peak, totals.served_peak);
        let percent = saved(f64::from(full), f64::from(served));
        say(&format!(
            "  largest context      {:>9} tokens in full, {:>7} served ({percent:.0} % less)",
            counted(full),
            counted(served)
        ))?;
        let (full, served) = (totals.full_billed, totals.served_billed);
        let percent = saved(full, served);
        say(&format!(
            "  billed input tokens  {full:>9.0} in full,        {served:>7.0} served ({percent:.0} % less; cached prefixes at a tenth)"
        ))?;
        say(&format!("  epochs               {:>9}", totals.epochs))?;
        self.heading("The agent's answer, from that context")?;
        say(&wrapped(report, 2))?;
        Ok(())
    }

    /// Shows the context that was served last, and its receipt.
    pub fn context(self, answer: &Value) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        let none = Vec::new();
        let messages = answer.get("messages").and_then(Value::as_array).unwrap_or(&none);
        self.heading(&format!("The context that was served last: {} messages", messages.len()))?;
        let pieces = answer.get("pieces").and_then(Value::as_array).unwrap_or(&none);
        let mut first = true;
        for (n, message) in messages.iter().enumerate() {
            let kinds = kinds_at(pieces, n);
            let is_recap = kinds.iter().any(|kind| kind == "recap" || kind == "facts");
            self.message(n, message, &kinds, if is_recap && first { RECAP_LINES } else { OTHER_LINES })?;
            first &= !is_recap;
        }
        self.heading("Its receipt (without the messages; long lists shortened)")?;
        let mut receipt = answer.clone();
        if let Some(fields) = receipt.as_object_mut() {
            fields.shift_remove("messages");
            fields.shift_remove("expand_tool");
        }
        Ok(say(&pretty(&receipt))?)
    }

    fn message(self, n: usize, message: &Value, kinds: &[String], most: usize) -> anyhow::Result<()> {
        let role = message.get("role").and_then(Value::as_str).unwrap_or("?");
        let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        say(&self.ink(Ink::Cyan, &format!("  [{n}] {role}{kinds}")))?;
        let mut lines: Vec<String> = text_of(message).lines().map(str::to_owned).collect();
        let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        lines.extend(calls.map(|call| format!("→ {}", call.get("function").unwrap_or(call))));
        lines.retain(|line| !line.trim().is_empty());
        for line in lines.iter().take(most) {
            say(&format!("      {}", clipped(line, WIDTH - 6)))?;
        }
        if lines.len() > most {
            say(&self.ink(Ink::Dim, &format!("      … {} more lines", lines.len() - most)))?;
        }
        Ok(())
    }

    /// Shows an original that was left out.
    pub fn expanded(self, expanded: Option<&Expanded>) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        let Some(Expanded { address, text, turn, call }) = expanded else {
            return self.heading("Nothing was left out: the history fits the budget. Try a smaller --budget.");
        };
        self.heading("Nothing is lost: an original that was left out, read by its address")?;
        say(&format!("  {}", self.ink(Ink::Cyan, &format!("GET /v1/originals/{address}"))))?;
        say(&format!("  {} bytes, the same as step {turn}'s output of `{}`", text.len(), clipped(call, 60)))?;
        for line in text.lines().take(ORIGINAL_LINES) {
            say(&format!("      {}", clipped(line, WIDTH - 6)))?;
        }
        let more = text.lines().count().saturating_sub(ORIGINAL_LINES);
        if more > 0 {
            say(&self.ink(Ink::Dim, &format!("      … {more} more lines")))?;
        }
        Ok(())
    }

    /// Says what to try next.
    pub fn farewell(
        self,
        url: &str,
        id: &str,
        totals: &Totals,
        answer: &Value,
        expanded: Option<&Expanded>,
    ) -> anyhow::Result<()> {
        let commands = commands(url, id, expanded);
        if self.json {
            let last = json!({ "trajectory_id": id, "totals": totals, "context": answer, "expanded": expanded, "try": commands });
            return say_json(&last);
        }
        self.heading("Try next, in another terminal")?;
        for command in commands {
            say(&format!("  {command}"))?;
        }
        Ok(say("\nCtrl-C stops the daemon.")?)
    }
}

/// Returns commands that work as they stand.
fn commands(url: &str, id: &str, expanded: Option<&Expanded>) -> Vec<String> {
    let at = format!("{url}/v1/trajectories/{id}");
    let mut commands = vec![
        format!("curl '{at}/context?budget=2000&format=text'"),
        format!("curl '{url}/v1/search?q=test&trajectory={id}&limit=3'"),
    ];
    if let Some(Expanded { address, .. }) = expanded {
        commands.push(format!("curl '{url}/v1/originals/{address}?trajectory={id}&range=1-10'"));
    }
    commands.extend([
        format!("curl '{at}/epochs?limit=2'"),
        format!("curl '{at}/messages' -H 'content-type: application/json' -d '{{\"messages\":[{{\"role\":\"user\",\"content\":\"Thanks. What is left to do?\"}}]}}'"),
        format!("curl '{url}/metrics'"),
    ]);
    commands
}

fn kinds_at(pieces: &[Value], n: usize) -> Vec<String> {
    let here = pieces.iter().filter(|piece| piece.get("index").and_then(Value::as_u64) == Some(n as u64));
    let mut kinds: Vec<String> = here.filter_map(|piece| Some(piece.get("kind")?.as_str()?.to_owned())).collect();
    kinds.dedup();
    kinds
}

fn text_of(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Returns JSON with a line for each field, and for each item of a list of objects; long lists of texts shortened.
fn pretty(value: &Value) -> String {
    let Some(fields) = value.as_object() else { return value.to_string() };
    let lines = fields.iter().map(|(key, value)| match value {
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let more = items.len().saturating_sub(MOST_ITEMS);
            let more = (more > 0).then(|| format!("    \"… {more} more\""));
            let items: Vec<String> =
                items.iter().take(MOST_ITEMS).map(|item| format!("    {}", shortened(item))).chain(more).collect();
            format!("  \"{key}\": [\n{}\n  ]", items.join(",\n"))
        }
        other => format!("  \"{key}\": {}", shortened(other)),
    });
    format!("{{\n{}\n}}", lines.collect::<Vec<_>>().join(",\n"))
}

fn shortened(value: &Value) -> Value {
    match value {
        Value::Array(items) if items.len() > 2 && items.iter().all(Value::is_string) => {
            let first = items.first().map(shortened).unwrap_or_default();
            json!([first, format!("… {} more", items.len() - 1)])
        }
        Value::Array(items) => items.iter().map(shortened).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), shortened(value))).collect(),
        Value::String(text) if text.starts_with("b3:") => clipped(text, 16).into(),
        other => other.clone(),
    }
}

/// Returns a text in lines of at most the width, each indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = vec![" ".repeat(indent)];
    for word in text.split_whitespace() {
        let full = lines.last().is_some_and(|line| line.chars().count() + word.chars().count() >= WIDTH);
        if full {
            lines.push(" ".repeat(indent));
        }
        if let Some(line) = lines.last_mut() {
            if line.len() > indent {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

/// Returns a count with commas.
fn counted(tokens: u32) -> String {
    let digits = tokens.to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
