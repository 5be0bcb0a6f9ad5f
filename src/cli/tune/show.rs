//! Tuning runs for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::Value;

use crate::cli::output;

/// Columns of a hash's beginning: enough to name a version.
const SHORT_HASH: usize = "b3:".len() + 8;
/// Held-out cases that are shown.
const MOST_CASES: usize = 40;
/// Columns of a case's or task's name.
const NAME: usize = 40;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn short(hash: &Value) -> String {
    hash.as_str().map_or_else(|| "-".to_owned(), |hash| hash.chars().take(SHORT_HASH).collect())
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn tokens(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".to_owned(), |tokens| format!("{tokens:.0}"))
}

/// Returns the table of runs.
pub(super) fn list(answer: &Value) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["run", "made", "guideline", "objective", "state", "steps", "what came out"]);
    for run in items(&answer["tuning_runs"]) {
        let spec = &run["spec"];
        let steps = format!("{}/{}", run["done"], run["total"]);
        let why: String = text(run, "why").chars().take(80).collect();
        let [id, made, state] = ["id", "created_at", "state"].map(|name| text(run, name).to_owned());
        let [guideline, objective] = ["guideline", "objective"].map(|name| text(spec, name).to_owned());
        table.add_row([id, made, guideline, objective, state, steps, why]);
    }
    table.trim_fmt()
}

/// Returns where a run stands, in one line.
pub(super) fn line(run: &Value) -> String {
    let why = match text(run, "why") {
        "" => String::new(),
        why => format!(": {why}"),
    };
    format!("{} {}{why}", text(run, "id"), text(run, "state"))
}

/// Returns what steers since a promotion.
pub(super) fn state(state: &Value) -> String {
    let trial = match state["canary"]["share"].as_f64() {
        Some(share) => format!("{} ({share})", short(&state["canary"]["hash"])),
        None => "-".to_owned(),
    };
    let champion = short(&state["champion"]);
    format!("{}/{}: champion {champion}, on trial {trial}", text(state, "set"), text(state, "kind"))
}

/// Returns all of a run.
pub(super) fn whole(run: &Value) -> String {
    let mut parts = vec![head(run)];
    parts.push(candidates(run));
    parts.extend(items(&run["candidates"]).map(diff).filter(|diff| !diff.is_empty()));
    parts.push(verdict(&run["verdict"]));
    parts.push(cases(run));
    parts.push(advice(run));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn head(run: &Value) -> String {
    let (spec, cases, spent) = (&run["spec"], &run["cases"], &run["spent"]);
    let partial = if spent["cost_is_partial"] == true { " and more, without prices" } else { "" };
    let mut said = format!(
        "{}\n{} for {}, champion {}; stage {}, {} of {} steps",
        line(run),
        text(spec, "guideline"),
        text(spec, "objective"),
        short(&run["champion"]),
        text(run, "stage"),
        run["done"],
        run["total"]
    );
    // Writing to a String cannot fail.
    write!(
        said,
        "\n{} training and {} held-out cases of {} tasks; {:.1} s, {} tokens, ${:.4}{partial}",
        cases["train"],
        cases["held_out"],
        cases["tasks"],
        spent["seconds"].as_f64().unwrap_or_default(),
        spent["tokens"],
        spent["cost_usd"].as_f64().unwrap_or_default()
    )
    .unwrap_or_default();
    match run["unscanned_values"].as_u64() {
        None | Some(0) => {}
        Some(count) => said.extend([format!(
            "\nthe leak scan is not whole: {count} values of training runs could not be remembered; read the candidate"
        )]),
    }
    said
}

fn candidates(run: &Value) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(["on training tasks", "by", "status", "grounding", "bound", "first", "billed", "faults", ""]);
    let row = |name: String, [by, status]: [&str; 2], train: &Value, said: &str| {
        let [grounding, bound, first] = ["grounding", "bound", "first"].map(|measure| percent(&train[measure]));
        let faults = train["faults"].as_u64().map_or_else(|| "-".to_owned(), |faults| faults.to_string());
        let [by, status] = [by, status].map(str::to_owned);
        [name, by, status, grounding, bound, first, tokens(&train["billed"]), faults, said.to_owned()]
    };
    table.add_row(row("champion".to_owned(), ["", ""], &run["champion_train"], ""));
    for candidate in items(&run["candidates"]) {
        let name = format!("{} {}", candidate["n"], short(&candidate["hash"]));
        let said = Some(text(candidate, "why")).filter(|why| !why.is_empty()).unwrap_or(text(candidate, "note"));
        let told = [text(candidate, "proposer"), text(candidate, "status")];
        table.add_row(row(name, told, &candidate["train"], said));
    }
    table.trim_fmt()
}

fn diff(candidate: &Value) -> String {
    if text(candidate, "status") == "duplicate" {
        return String::new();
    }
    output::coloured_diff(text(candidate, "diff").trim_end())
}

fn verdict(verdict: &Value) -> String {
    if verdict.is_null() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["on held-out tasks", "champion", "candidate", "change", "interval"]);
    let rate = &verdict["success"]["rate"];
    let shares = ["grounding", "bound", "first"].map(|name| (name, &verdict[name]));
    let success = Some(("success", rate)).filter(|(_, rate)| !rate.is_null());
    for (name, change) in success.into_iter().chain(shares) {
        if change.is_null() {
            table.add_row([name, "not measured", "", "", ""]);
            continue;
        }
        table.add_row([
            name.to_owned(),
            percent(&change["champion"]),
            percent(&change["candidate"]),
            percent(&change["by"]),
            interval(change),
        ]);
    }
    let billed = &verdict["billed"];
    let by_task = [("bound recall", "bound_by_task"), ("billed tokens", "billed_by_task")].map(|(name, test)| {
        let test = &verdict[test];
        let p = test["p"].as_f64().map(|p| format!("{p:.4}"))?;
        Some(format!("\n{name}: {} tasks better, {} worse, p = {p}", test["better"], test["worse"]))
    });
    let [champion, candidate] = ["champion", "candidate"].map(|side| tokens(&billed[side]));
    table.add_row(["billed".to_owned(), champion, candidate, percent(&billed["by"]), interval(billed)]);
    let mut said = format!("{}\n\n{}", text(verdict, "reason"), table.trim_fmt());
    said.extend(by_task.into_iter().flatten());
    let success = &verdict["success"];
    said.extend(
        success["p_better"]
            .as_f64()
            .map(|p| format!("\nsuccess: {} tasks gained, {} lost, p = {p:.4}", success["gained"], success["lost"])),
    );
    said.extend([format!(
        "\n{} cases of {} tasks, {} without a score; faults: champion {}, candidate {}; level {}, seed {}",
        verdict["cases"],
        verdict["tasks"],
        verdict["missing"],
        verdict["champion_faults"],
        verdict["candidate_faults"],
        verdict["margins"]["level"],
        verdict["seed"]
    )]);
    said
}

fn interval(change: &Value) -> String {
    format!("{} to {}", percent(&change["interval"][0]), percent(&change["interval"][1]))
}

/// Returns how the held-out cases did under both sides.
fn cases(run: &Value) -> String {
    let mut by_case: BTreeMap<(&str, &str), [Option<&Value>; 2]> = BTreeMap::new();
    for score in items(&run["scores"]).filter(|score| text(score, "side") == "held_out") {
        let sides = by_case.entry((text(score, "task"), text(score, "case"))).or_default();
        sides[usize::from(!score["candidate"].is_null())] = Some(score);
    }
    if by_case.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header([
        "task",
        "held-out case",
        "needed",
        "bound",
        "→",
        "billed",
        "→",
        "solved",
        "→",
    ]);
    let all = by_case.len();
    for ((task, case), sides) in by_case.into_iter().take(MOST_CASES) {
        let of = |side: usize, name: &str| {
            let score = sides.get(side).copied().flatten().map(|score| &score["score"][name]);
            score.map_or_else(|| "-".to_owned(), tokens)
        };
        let solved = |side: usize| {
            let score = sides.get(side).copied().flatten().and_then(|score| score["score"]["success"].as_bool());
            score.map_or("-", |solved| if solved { "yes" } else { "no" }).to_owned()
        };
        let [task, case] = [task, case].map(|name| name.chars().take(NAME).collect::<String>());
        let counted = [of(0, "need"), of(0, "bound"), of(1, "bound"), of(0, "billed"), of(1, "billed")];
        table.add_row([task, case].into_iter().chain(counted).chain([solved(0), solved(1)]));
    }
    let more = all.saturating_sub(MOST_CASES);
    let rest = if more > 0 { format!("\nand {more} more; --json has all") } else { String::new() };
    format!("{}{rest}", table.trim_fmt())
}

/// Returns what can be done next.
fn advice(run: &Value) -> String {
    let id = text(run, "id");
    match text(run, "state") {
        "done" if run["winner"].is_string() => {
            format!("The winner {} is a draft: `recapd tune promote {id}` activates it.", short(&run["winner"]))
        }
        "paused" | "failed" | "cancelled" if run["by_command"] == true => {
            format!("`recapd tune run --resume {id}` goes on where it stopped.")
        }
        "paused" | "failed" | "cancelled" => format!("`recapd tune resume {id}` goes on where it stopped."),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_is_told() {
        let measure = json!({ "champion": 10.0, "candidate": 9.0, "by": -0.1, "interval": [-0.2, -0.05], "tasks": 6 });
        let test = json!({ "better": 5, "worse": 1, "p": 0.109_375 });
        let said =
            whole(&json!({ "unscanned_values": 3, "verdict": { "reason": "refused", "bound": measure, "first": null,
            "billed": measure, "billed_by_task": test,
            "success": { "gained": 3, "lost": 1, "p_better": 0.3125, "rate": { "champion": 0.25, "candidate": 0.75,
                "by": 0.5, "interval": [-0.1, 0.9] } } } }));
        for part in [
            "3 values of training runs could not be remembered",
            "not measured",
            "5 tasks better, 1 worse, p = 0.1094",
            "success: 3 tasks gained, 1 lost, p = 0.3125",
            "75.0 %",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}
