//! Guidelines for people: tables, coloured diffs, two texts side by side.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use comfy_table::presets::{ASCII_FULL_CONDENSED, NOTHING};
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

use crate::cli::output;

/// Columns of a hash's beginning: enough to name a version.
const SHORT_HASH: usize = "b3:".len() + 8;
/// Lost values that are shown of each side.
const MOST_LOST: usize = 12;
/// Columns where the output is no terminal.
const WIDTH: u16 = 140;

/// Returns a member that is a text; empty where it is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn short(value: &Value) -> String {
    value.as_str().map_or_else(|| "-".to_owned(), |hash| hash.chars().take(SHORT_HASH).collect())
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn canary(state: &Value) -> String {
    match state["canary"]["share"].as_f64() {
        Some(share) => format!("{} ({share})", short(&state["canary"]["hash"])),
        None => "-".to_owned(),
    }
}

/// Returns the table of all guidelines, and what is wrong.
pub(super) fn list(answer: &Value) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["guideline", "champion", "on trial", "drafts"]);
    for state in items(&answer["guidelines"]) {
        let drafts: Vec<String> = items(&state["drafts"]).map(short).collect();
        let name = format!("{}/{}", text(state, "set"), text(state, "kind"));
        table.add_row([name, short(&state["champion"]), canary(state), drafts.join(" ")]);
    }
    let mut said = table.trim_fmt();
    for fault in items(&answer["faults"]).filter_map(Value::as_str) {
        said.extend(["\nfault: ", fault]);
    }
    said
}

/// Returns what steers now, in one line.
pub(super) fn state(state: &Value) -> String {
    let name = format!("{}/{}", text(state, "set"), text(state, "kind"));
    format!("{name}: champion {}, on trial {}", short(&state["champion"]), canary(state))
}

/// Returns versions and events.
pub(super) fn history(answer: &Value) -> String {
    let mut versions = Table::new();
    versions.load_preset(NOTHING).set_header(["version", "made", "from", "by", "note"]);
    for version in items(&answer["versions"]) {
        let [made, origin, actor] = ["created_at", "origin", "actor"].map(|name| text(version, name).to_owned());
        versions.add_row([short(&version["hash"]), made, origin, actor, text(version, "note").to_owned()]);
    }
    let mut events = Table::new();
    events.load_preset(NOTHING).set_header(["at", "by", "what", "from", "to", "share"]);
    for event in items(&answer["events"]) {
        let share = event["canary_share"].as_f64().map_or_else(String::new, |share| share.to_string());
        let [at, actor, action] = ["at", "actor", "action"].map(|name| text(event, name).to_owned());
        events.add_row([at, actor, action, short(&event["from"]), short(&event["to"]), share]);
    }
    format!("{}\n\n{}\n\n{}", state(answer), versions.trim_fmt(), events.trim_fmt())
}

/// Returns a diff, coloured on a terminal.
pub(super) fn diff(answer: &Value) -> String {
    let said = text(answer, "diff").trim_end();
    if said.is_empty() {
        return "the versions are the same".to_owned();
    }
    output::coloured_diff(said)
}

/// Returns what two versions make of the same source, side by side.
pub(super) fn trial(answer: &Value) -> String {
    let sides = [&answer["champion"], &answer["candidate"]];
    let mut table = Table::new();
    table.load_preset(ASCII_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_width(WIDTH);
    }
    table.set_header(["champion", "candidate"]);
    table.add_row(sides.map(summary));
    table.add_row(sides.map(lost));
    table.add_row(sides.map(|side| text(side, "text").to_owned()));
    let what = answer["observation"].as_u64().map_or_else(String::new, |n| format!(", result in message {n}"));
    format!("compressor {}, budget {} tokens{what}\n{table}", text(answer, "compressor"), answer["budget"])
}

fn summary(side: &Value) -> String {
    if side.is_null() {
        return "none".to_owned();
    }
    let mut said = text(side, "guideline").to_owned();
    match side["turns"].as_array().map(Vec::as_slice) {
        Some([first, last]) => said.extend([format!("\nturns {first}-{last}")]),
        _ if text(side, "text").is_empty() => said.push_str("\nall fits as it is: try a smaller --budget"),
        _ => {}
    }
    let facts = &side["facts"];
    // Writing to a String cannot fail.
    write!(
        said,
        "\n{} of {} tokens; {} values kept, {} lost",
        side["tokens"], side["full_tokens"], facts["kept"], facts["lost"]
    )
    .unwrap_or_default();
    for why in items(&side["failed"]).filter_map(Value::as_str) {
        said.extend(["\na model failed, rules served: ", why]);
    }
    said
}

fn lost(side: &Value) -> String {
    let values: Vec<&str> = items(&side["facts"]["lost_values"]).filter_map(Value::as_str).take(MOST_LOST).collect();
    let more = side["facts"]["lost"].as_u64().unwrap_or_default().saturating_sub(values.len() as u64);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    if values.is_empty() { "lost: none".to_owned() } else { format!("lost: {}{rest}", values.join(", ")) }
}
