//! Playbooks for people: tables of at most 100 columns, bullets in full, what a change did.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width};
use serde_json::Value;

/// Columns of a table.
const WIDTH: u16 = 100;
/// Columns of a section's heading in a table.
const SECTION_WIDTH: u16 = 18;
/// Characters of a line that may be indented.
const MOST_CHARS: usize = 96;

/// Returns a member that is a text; empty where it is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Returns the items of a list; none where it is none.
pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(header).set_width(WIDTH).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn row(table: &mut Table, cells: Vec<String>) {
    let mut row = Row::from(cells);
    row.max_height(1);
    table.add_row(row);
}

/// Keeps columns as wide as what they hold.
fn keep_whole(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

/// The words of a text in one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line that fits beside an indentation.
fn cut(line: &str) -> String {
    if line.chars().nth(MOST_CHARS).is_none() {
        return line.to_owned();
    }
    let kept: String = line.chars().take(MOST_CHARS - 1).collect();
    format!("{}…", kept.trim_end())
}

/// Counters as in `+3 −1`; what is neutral follows where there is some, nothing stands for zeros.
fn counters(counters: &Value) -> String {
    let [helpful, harmful, neutral] =
        ["helpful", "harmful", "neutral"].map(|name| counters[name].as_u64().unwrap_or_default());
    match (helpful + harmful, neutral) {
        (0, 0) => String::new(),
        (_, 0) => format!("+{helpful} −{harmful}"),
        (_, _) => format!("+{helpful} −{harmful} ={neutral}"),
    }
}

/// Returns the table of all playbooks.
pub(super) fn list(answer: &Value) -> String {
    let mut table = table(&["playbook", "namespace", "version", "bullets", "tokens", "budget", "waiting", "changed"]);
    for playbook in items(&answer["playbooks"]) {
        let number = |name: &str| playbook[name].to_string();
        let [name, namespace, changed] =
            ["name", "namespace", "updated_at"].map(|name| text(playbook, name).to_owned());
        let day = changed.chars().take("2026-01-01".len()).collect();
        let waiting =
            if playbook["review"] == true { format!("{} of all", number("pending")) } else { number("pending") };
        let numbers = [number("version"), number("bullets"), number("tokens"), number("budget"), waiting];
        row(&mut table, [vec![name, namespace], numbers.to_vec(), vec![day]].concat());
    }
    keep_whole(&mut table, 2..8);
    table.trim_fmt()
}

/// Returns a playbook's head and the table of its bullets.
pub(super) fn playbook(playbook: &Value) -> String {
    let mut table = table(&["id", "section", "said", "inferred", "origin", "words"]);
    for bullet in items(&playbook["bullets"]) {
        let [id, section, origin, content] = ["id", "section", "origin", "content"].map(|name| text(bullet, name));
        let (said, inferred) = (counters(bullet), counters(&bullet["inferred"]));
        let cells = vec![id.to_owned(), section.to_owned(), said, inferred, origin.to_owned(), one_line(content)];
        row(&mut table, cells);
    }
    keep_whole(&mut table, [0, 2, 3, 4]);
    if let Some(section) = table.column_mut(1) {
        section.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(SECTION_WIDTH)));
    }
    for of_counters in [2, 3] {
        if let Some(column) = table.column_mut(of_counters) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if table.is_empty() { head(playbook) } else { format!("{}\n\n{}", head(playbook), table.trim_fmt()) }
}

fn head(playbook: &Value) -> String {
    let count = items(&playbook["bullets"]).count();
    let mut head = format!(
        "{} in namespace {}, version {}: {count} bullets, {} of {} tokens",
        text(playbook, "name"),
        text(playbook, "namespace"),
        playbook["version"],
        playbook["tokens"],
        playbook["budget"]
    );
    if playbook["over_budget_tokens"].as_u64().is_some_and(|over| over > 0) {
        head.extend([format!("\nover its budget by {} tokens: nothing can be added", playbook["over_budget_tokens"])]);
    }
    if playbook["pending"].as_u64().is_some_and(|pending| pending > 0) {
        head.extend([format!("\n{} changes wait for review", playbook["pending"])]);
    }
    head
}

/// Returns what an excerpt is made of and what chose it, in one line.
pub(super) fn served(playbook: &Value) -> String {
    let count = items(&playbook["bullets"]).count();
    let chosen_by = text(playbook, "chosen_by");
    format!("{count} bullets, {} of {} tokens, chosen by: {chosen_by}", playbook["tokens"], playbook["budget"])
}

/// Returns a bullet with all that is known of it.
pub(super) fn bullet(bullet: &Value) -> String {
    let [id, section, origin, content] = ["id", "section", "origin", "content"].map(|name| text(bullet, name));
    let of = |counters: &Value| {
        format!("helpful {}, harmful {}, neutral {}", counters["helpful"], counters["harmful"], counters["neutral"])
    };
    let mut said = format!(
        "{id} under {section}\nwords from {origin}, {} tokens\nsaid: {}\ninferred: {}\nadded {}, changed {}\n",
        bullet["tokens"],
        of(bullet),
        of(&bullet["inferred"]),
        text(bullet, "created_at"),
        text(bullet, "updated_at")
    );
    for run in items(&bullet["evidence"]) {
        let turn = run["turn"].as_u64().map_or_else(String::new, |turn| format!(", turn {turn}"));
        said.extend([format!("evidence: {}{turn}\n", text(run, "trajectory"))]);
    }
    said.extend(["\n", content]);
    said
}

/// Returns what became of a change.
pub(super) fn change(answer: &Value) -> String {
    if let Some(id) = answer["pending"].as_str() {
        let reasons: Vec<&str> = items(&answer["reasons"]).filter_map(Value::as_str).collect();
        return format!("waits for review as {id}: {}", reasons.join("; "));
    }
    let mut said = format!("version {}", answer["version"]);
    for operation in items(&answer["applied"]) {
        said.extend(["\n", &self::operation(operation)]);
    }
    said.push_str(&twins(&answer["duplicates"]));
    said
}

fn twins(pairs: &Value) -> String {
    let line = |pair: &Value| format!("\n{} says the same as {}", word(&pair[0]), word(&pair[1]));
    items(pairs).map(line).collect()
}

/// A value without quotes.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn operation(operation: &Value) -> String {
    let [id, section, content] = ["id", "section", "content"].map(|name| text(operation, name));
    let words = one_line(content);
    cut(&match text(operation, "op") {
        "add" if id.is_empty() => format!("add under {section}: {words}"),
        "add" => format!("add {id} under {section}: {words}"),
        "update" if section.is_empty() => format!("update {id}: {words}"),
        "update" => format!("update {id} under {section}: {words}"),
        "merge" => {
            let ids: Vec<String> = items(&operation["ids"]).map(word).collect();
            format!("merge {} into {}: {words}", ids.join(", "), text(operation, "into"))
        }
        "tag" => format!("tag {id} {}", text(operation, "tag")),
        other => format!("{other} {id}{section}"),
    })
}

/// Returns the changes that wait.
pub(super) fn reviews(answer: &Value) -> String {
    let mut said = Vec::new();
    for review in items(&answer["review"]) {
        let reasons: Vec<&str> = items(&review["reasons"]).filter_map(Value::as_str).collect();
        let head = format!("{} by {} at {}", text(review, "id"), text(review, "actor"), text(review, "at"));
        let operations = items(&review["operations"]).map(|one| format!("\n  {}", operation(one)));
        said.push(format!("{head}\n  because: {}{}", reasons.join("; "), operations.collect::<String>()));
    }
    if said.is_empty() { "nothing waits".to_owned() } else { said.join("\n\n") }
}

/// Returns what became of a file.
pub(super) fn import(answer: &Value) -> String {
    let count = |name: &str| items(&answer[name]).count();
    let mut said = format!(
        "version {}: {} bullets imported, {} were there, {} got other ids, {} say what others say",
        answer["version"],
        answer["imported"],
        count("skipped"),
        count("renamed"),
        count("duplicates")
    );
    for pair in items(&answer["renamed"]) {
        said.extend([format!("\n{} is {} now", word(&pair[0]), word(&pair[1]))]);
    }
    said.push_str(&twins(&answer["duplicates"]));
    if answer["over_budget_tokens"].as_u64().is_some_and(|over| over > 0) {
        let over = &answer["over_budget_tokens"];
        said.extend([format!(
            "\nover its budget by {over} tokens: nothing can be added until it fits; prune or dedupe it"
        )]);
    }
    said
}

/// Returns bullets that say the same, as they were before.
pub(super) fn duplicates(answer: &Value, before: &Value) -> String {
    let found = &answer["duplicates"];
    let mut said = String::new();
    for pair in items(found) {
        let score = pair["score"].as_f64().unwrap_or_default();
        said.extend([format!("{} {score:.2}\n", text(pair, "how"))]);
        for id in items(&pair["ids"]).filter_map(Value::as_str) {
            said.extend(["  ", &cut(&format!("{id}  {}", words_of(before, id))), "\n"]);
        }
    }
    let count = items(found).count();
    match answer["version"].as_u64() {
        Some(version) => format!("{said}version {version}: {} bullets went into others", answer["merged"]),
        None if count == 0 => "no two bullets say the same".to_owned(),
        None => format!("{said}{count} pairs; nothing is changed without --apply"),
    }
}

/// Returns bullets that should go, as they were before.
pub(super) fn prunable(answer: &Value, before: &Value) -> String {
    let found = &answer["candidates"];
    let mut table = table(&["id", "said", "rule", "words"]);
    for one in items(found) {
        let id = text(one, "id");
        row(&mut table, vec![id.to_owned(), counters(one), text(one, "rule").to_owned(), words_of(before, id)]);
    }
    keep_whole(&mut table, 0..3);
    let count = items(found).count();
    let said = table.trim_fmt();
    match answer["version"].as_u64() {
        Some(version) => format!("{said}\n\nversion {version}: {} bullets were removed", answer["deleted"]),
        None if count == 0 => "no bullet should go".to_owned(),
        None => format!("{said}\n\n{count} bullets; nothing is changed without --apply"),
    }
}

fn words_of(playbook: &Value, id: &str) -> String {
    let bullet = items(&playbook["bullets"]).find(|bullet| text(bullet, "id") == id);
    bullet.map(|bullet| one_line(text(bullet, "content"))).unwrap_or_default()
}
