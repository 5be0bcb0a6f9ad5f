#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::compress::{Guideline, Kind, RulesMatcher};
use crate::context::{
    Compression, ContextError, HistoryBy, Include, Maker, Prepares, RULES, Reformatting, Settings, Told, admit,
};
use crate::tokens::for_model;
use crate::trajectory::generate::{Mess, any_bulky_trajectory};
use crate::trajectory::{AgentKind, Limits, OutFormat, WireFormat, parse_messages};
use crate::tuning::replay::{ContextServer, MessageCache, ReplayBudget, ServedContext, TrajectoryScore, replay_with};

/// A session that is served as a daemon would.
struct Bench<'a> {
    recorded: &'a Recorded,
    session: Session,
    auditor: Auditor,
    losses: Vec<Loss>,
    /// What a model tells of all turns up to one, given once they are there.
    told: Option<Told>,
}

fn request(budget: i64) -> ContextRequest {
    let budget = u32::try_from(budget).unwrap();
    ContextRequest { budget, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() }
}

impl ContextServer for Bench<'_> {
    type Error = ContextError;

    fn serve(&mut self, new: &[Value], budget: i64) -> Result<ServedContext, ContextError> {
        let raw: Vec<Box<RawValue>> = new.iter().map(|value| serde_json::value::to_raw_value(value).unwrap()).collect();
        let raw: Vec<&RawValue> = raw.iter().map(AsRef::as_ref).collect();
        let messages = parse_messages(WireFormat::OpenAi, &raw, &Limits::default()).unwrap();
        let counter = Arc::clone(&self.session.settings().counter);
        self.session.append(messages.into_iter().map(|m| admit(m, &*counter, Reformatting::On)).collect());
        if let Some(told) = self.told.take_if(|told| told.turns[1] < self.session.newest_turn()) {
            assert!(self.session.take(Compression::Told(told)));
        }
        let mut request = request(budget);
        let mut served = self.session.serve(&request);
        if let Err(ContextError::BudgetTooSmall { minimum_budget, .. }) = served {
            request.budget = minimum_budget;
            served = self.session.serve(&request);
        }
        let served = served?;
        let epoch = self.session.epoch_of(&request.line_key()).unwrap();
        self.auditor.note(&self.session, &request, epoch, &served.receipt.pieces);
        let messages = served.messages.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        Ok(ServedContext { messages, refused: false })
    }

    fn lost(&mut self, lost: &Lost) {
        self.losses.extend(self.auditor.explain(self.recorded, &self.session, lost));
    }
}

fn settings(guideline: &str) -> Settings {
    let rules = Guideline::parse(guideline).unwrap().rules;
    let rules = Arc::new(RulesMatcher::new(&rules).unwrap());
    Settings { guideline: Some("test/history@b3:00".to_owned()), ..Settings::new(for_model(Some("gpt-4o")), rules) }
}

fn audited(messages: Vec<Value>, settings: Settings, told: Option<Told>, budget: i64) -> (TrajectoryScore, Vec<Loss>) {
    let recorded = Recorded::new(messages).unwrap();
    let (session, auditor) = (Session::new(settings), Auditor::default());
    let mut bench = Bench { recorded: &recorded, session, auditor, losses: Vec::new(), told };
    let budget = ReplayBudget::Tokens(budget);
    let score = replay_with(&recorded, budget, &mut MessageCache::default(), &mut bench).unwrap();
    let lost = score.lost.iter().filter(|lost| lost.under.contains(&Measure::Bound)).count();
    assert_eq!(lost, bench.losses.len(), "every lost value is explained");
    (score, bench.losses)
}

fn call(id: usize, arguments: &Value) -> Value {
    let function = json!({"name": "look", "arguments": arguments.to_string()});
    json!({"role": "assistant", "content": null, "tool_calls": [{"id": format!("c{id}"), "type": "function", "function": function}]})
}

fn result(id: usize, content: &str) -> Value {
    json!({"role": "tool", "tool_call_id": format!("c{id}"), "content": content})
}

/// Orders whose numbers nobody asks for.
fn filler(seed: usize) -> String {
    (0..60).fold(String::new(), |mut out, n| {
        let number = 1000 * seed + n;
        writeln!(out, "order W{number}7 of customer K{number}3 left store S{n}9 for depot D{number}5 on time").unwrap();
        out
    })
}

/// `first` is the result of the first turn; the last action uses `wanted`, which only it holds.
fn run(first: &str, wanted: &str) -> Vec<Value> {
    let mut messages = vec![
        json!({"role": "system", "content": "Be brief."}),
        json!({"role": "user", "content": "Find what was lost."}),
    ];
    for turn in 0..6 {
        messages.push(call(turn, &json!({"page": turn})));
        messages.push(result(turn, &if turn == 0 { first.to_owned() } else { filler(turn) }));
    }
    messages.push(call(6, &json!({ "id": wanted })));
    messages
}

/// The losses of the last action of [`run`].
fn of_last(losses: Vec<Loss>) -> Loss {
    let mut found = losses.into_iter().filter(|loss| loss.step == 14);
    let loss = found.next().unwrap();
    assert_eq!(found.next(), None);
    loss
}

#[test]
fn a_rule_of_the_guideline_is_named() {
    let first = format!("{}trace token ZX9981 was seen\n{}", filler(8), filler(9));
    let guideline = "---\ndrop:\n  - nothing like it\n  - /^trace .* seen$/\n---\n";
    let (score, losses) = audited(run(&first, "ZX9981"), settings(guideline), None, 2500);
    assert_eq!((score.over, score.invalid), (0, 0));
    let loss = of_last(losses);
    let rule = Cause::Rule { field: "drop".to_owned(), pattern: "/^trace .* seen$/".to_owned() };
    assert_eq!((&loss.cause, loss.value.as_str(), loss.compressor.as_str()), (&rule, "ZX9981", RULES));
    let place = &loss.place;
    assert_eq!((place.turn, place.message, place.line), (1, 3, 61));
    assert_eq!((place.text.as_str(), &place.original), ("trace token ZX9981 was seen", &OriginalHash::of(&first)));
    assert_eq!(loss.guideline.as_deref(), Some("test/history@b3:00"));
    assert!(loss.piece.is_some() && loss.under.contains(&Measure::First));
}

#[test]
fn a_line_that_was_worth_less_tells_its_gain() {
    let first = format!("{}there a note in words names ZX9981 beside much else\n{}", filler(8), filler(9));
    let (_, losses) = audited(run(&first, "ZX9981"), settings(""), None, 1200);
    let Cause::Outweighed { gain, least_chosen } = of_last(losses).cause else { panic!("no score to blame") };
    assert!(0.0 < gain && gain <= least_chosen, "{gain} {least_chosen}");
}

#[test]
fn what_a_model_told_without_it_is_untold() {
    let first = format!("{}trace token ZX9981 was seen\n{}", filler(8), filler(9));
    let by = Maker { compressor: "llm:test".to_owned(), ..Maker::default() };
    let text = "The orders of the first pages were looked at and nothing was found among them.";
    let told = Told { turns: [1, 4], agent_kind: AgentKind::Tool, text: text.into(), tokens: 0, by };
    let prepares = Prepares { history: HistoryBy::Told { least_tokens: 10 }, ..Prepares::default() };
    let settings = Settings { prepares, agent_kind: Some(AgentKind::Tool), ..settings("") };
    let (_, losses) = audited(run(&first, "ZX9981"), settings, Some(told), 1200);
    let loss = of_last(losses);
    assert_eq!(loss.cause, Cause::Untold);
    assert!(loss.compressor.starts_with("llm:test+rules:"), "{}", loss.compressor);
}

/// The last turn alone is too large; the action right after it uses what was elided.
fn large_last(wanted: &str, guideline: &str, last: &str) -> Loss {
    let mut messages = run("nothing yet", "W10007");
    messages.truncate(13);
    messages.push(result(5, last));
    messages.push(call(6, &json!({ "id": wanted })));
    let (_, losses) = audited(messages, settings(guideline), None, 1500);
    of_last(losses)
}

#[test]
fn a_last_turn_that_did_not_fit_is_elided() {
    let rows = (0..400).map(|n| format!("plain row K{n}11 of depot D{n}5 with W{n}4 and X{n}8\n"));
    let rows = rows.collect::<Vec<_>>().concat();
    let (loss, lines) = (large_last("K20111", "", &rows), rows.lines().count());
    assert_eq!((loss.cause, loss.place.line, lines), (Cause::Elided, 202, 400));
}

#[test]
fn a_cap_of_the_guideline_is_named() {
    let table: String = (0..300).fold("name,code,amount\n".to_owned(), |out, n| format!("{out}person{n},K{n}11,{n}\n"));
    let loss = large_last("K25011", "---\ncaps:\n  table_rows: 40\n---\n", &table);
    assert_eq!((loss.place.kind, loss.cause), (Kind::Table, Cause::Cap { field: "caps.table_rows".to_owned() }));
}

#[test]
fn a_value_apart_from_its_words_is_said_to_be() {
    let cause = |fate, under: &[Measure]| cause_of(fate, under);
    let outweighed = || Fate::Outweighed { gain: 1.0, least_chosen: 2.0 };
    assert_eq!(cause(outweighed(), &[Measure::Bound, Measure::First]), Cause::Apart);
    assert_eq!(cause(Fate::Stands, &[Measure::Bound]), Cause::Apart);
    assert_eq!(cause(Fate::Thinned, &[Measure::Grounding, Measure::Bound]), Cause::Thinned);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each lost value stands where the audit says it did, before the action that used it.
    #[test]
    fn places_are_true(log in any_bulky_trajectory(Mess::None), budget in 150i64..1500) {
        prop_assume!(log.format == WireFormat::OpenAi);
        let messages: Vec<Value> = log.natives.iter().map(|native| serde_json::from_str(native).unwrap()).collect();
        let (score, losses) = audited(messages.clone(), settings(""), None, budget);
        let lost = score.lost.iter().filter(|lost| lost.under.contains(&Measure::Bound));
        for (lost, loss) in lost.zip(&losses) {
            prop_assert_eq!((lost.step, &lost.value, &lost.under), (loss.step, &loss.value, &loss.under));
            let place = &loss.place;
            prop_assert!(place.message < loss.step && place.text.contains(&loss.value), "{loss:?}");
            prop_assert!(messages[place.message].to_string().len() >= loss.value.len());
            prop_assert_eq!(serde_json::from_str::<Loss>(&serde_json::to_string(loss).unwrap()).unwrap(), loss.clone());
        }
    }
}
