//! Trajectories as real agents write them, for property tests here and in other packages.

#![allow(clippy::missing_panics_doc, clippy::expect_used, reason = "only tests call this")]

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{AgentKind, Limits, Message, WireFormat, parse_messages};

/// Native messages and what wrote them.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The provider format.
    pub format: WireFormat,
    /// The kind of agent.
    pub kind: AgentKind,
    /// The messages' JSON.
    pub natives: Vec<String>,
}

impl Generated {
    /// Returns the messages as read from their JSON.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        let raws: Vec<Box<RawValue>> = self
            .natives
            .iter()
            .map(|json| RawValue::from_string(json.clone()).expect("generated JSON is valid"))
            .collect();
        let raws: Vec<&RawValue> = raws.iter().map(AsRef::as_ref).collect();
        parse_messages(self.format, &raws, &Limits::default()).expect("generated messages are valid")
    }
}

/// How well a log was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mess {
    /// Every call has its result and ids are unique.
    None,
    /// Results are missing or have no call, ids repeat, contents are empty.
    Real,
}

/// Returns trajectories of every kind of agent.
pub fn any_trajectory(mess: Mess) -> impl Strategy<Value = Generated> {
    prop_oneof![
        3 => tool_agent(WireFormat::OpenAi, mess),
        2 => tool_agent(WireFormat::Anthropic, mess),
        1 => text_agent(),
    ]
}

/// Returns trajectories of every kind of agent whose observations are mostly long: what budgets are for.
pub fn any_bulky_trajectory(mess: Mess) -> impl Strategy<Value = Generated> {
    let tool = |format| agent(format, mess, vec(event(mess, bulky), 1..14));
    prop_oneof![
        3 => tool(WireFormat::OpenAi),
        2 => tool(WireFormat::Anthropic),
        2 => text_steps(vec((sentence(), bulky()), 2..10)),
    ]
}

/// Returns trajectories of an agent that calls tools.
pub fn tool_agent(format: WireFormat, mess: Mess) -> impl Strategy<Value = Generated> {
    agent(format, mess, vec(event(mess, any_observation), 0..12))
}

fn agent(
    format: WireFormat,
    mess: Mess,
    events: impl Strategy<Value = Vec<Event>>,
) -> impl Strategy<Value = Generated> {
    let system = vec(sentence(), 0..2);
    (system, sentence(), events).prop_map(move |(system, task, events)| {
        let mut log = Log { format, mess, natives: Vec::new(), calls: 0 };
        for text in &system {
            log.say("system", text);
        }
        log.say("user", &task);
        for event in events {
            log.add(event);
        }
        let natives = log.natives.iter().map(Value::to_string).collect();
        Generated { format, kind: AgentKind::Tool, natives }
    })
}

/// Returns trajectories of an agent that writes its actions as text.
pub fn text_agent() -> impl Strategy<Value = Generated> {
    text_steps(vec((sentence(), observation()), 2..12))
}

fn text_steps(steps: impl Strategy<Value = Vec<(String, String)>>) -> impl Strategy<Value = Generated> {
    (sentence(), sentence(), steps).prop_map(|(system, task, steps)| {
        let mut natives = vec![json!({"role": "system", "content": system}), json!({"role": "user", "content": task})];
        for (thought, observation) in steps {
            let action = format!("THOUGHT: {thought}\n\n```bash\ngrep -rn '{thought}' src/\n```");
            natives.push(json!({"role": "assistant", "content": action}));
            natives.push(json!({"role": "user", "content": observation}));
        }
        let natives = natives.iter().map(Value::to_string).collect();
        Generated { format: WireFormat::OpenAi, kind: AgentKind::Text, natives }
    })
}

#[derive(Debug, Clone)]
enum Event {
    Exchange { text: String, calls: Vec<Call> },
    Said(String),
    Orphan(String),
    Operator(String),
}

#[derive(Debug, Clone)]
struct Call {
    repeats_id: bool,
    name: &'static str,
    arguments: String,
    result: Option<String>,
    aside: Option<String>,
}

/// Makes the strategy of a tool's results.
type Results = fn() -> BoxedStrategy<String>;

fn event(mess: Mess, results: Results) -> BoxedStrategy<Event> {
    let exchange =
        (words(mess), vec(call(mess, results), 0..4)).prop_map(|(text, calls)| Event::Exchange { text, calls });
    match mess {
        Mess::None => prop_oneof![8 => exchange, 1 => sentence().prop_map(Event::Said)].boxed(),
        Mess::Real => prop_oneof![
            8 => exchange,
            2 => words(mess).prop_map(Event::Said),
            1 => words(mess).prop_map(Event::Orphan),
            1 => words(mess).prop_map(Event::Operator),
        ]
        .boxed(),
    }
}

fn call(mess: Mess, results: Results) -> BoxedStrategy<Call> {
    let name = prop::sample::select(vec!["read_file", "search", "run_tests", "book_flight"]);
    if mess == Mess::None {
        let clean = |(name, arguments, result): (&'static str, String, String)| Call {
            repeats_id: false,
            name,
            arguments,
            result: Some(result),
            aside: None,
        };
        return (name, arguments(), results()).prop_map(clean).boxed();
    }
    let arguments = prop_oneof![
        6 => arguments(),
        1 => any::<String>(),
        1 => Just("{\"cut\": \"of".to_owned()),
        1 => Just("[1]".to_owned()),
    ];
    let result = prop::option::weighted(0.85, results());
    let aside = prop::option::weighted(0.15, sentence());
    (prop::bool::weighted(0.15), name, arguments, result, aside)
        .prop_map(|(repeats_id, name, arguments, result, aside)| Call { repeats_id, name, arguments, result, aside })
        .boxed()
}

fn arguments() -> impl Strategy<Value = String> {
    (path(), 0..5000_u32, sentence())
        .prop_map(|(path, line, why)| json!({"path": path, "line": line, "why": why}).to_string())
}

fn path() -> impl Strategy<Value = String> {
    "(src|lib|tests)/[a-z]{3,8}(_[a-z]{2,6})?/[a-z]{3,9}\\.(rs|py|json)"
}

fn sentence() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[A-Z][a-z]{2,8}( [a-z]{1,9}){2,12}\\.",
        1 => Just("Prüfe Ärger: 日本語 🎉 e\u{301}t\u{e9}.".to_owned()),
    ]
}

/// Words that in a real log may be empty, blank or odd.
fn words(mess: Mess) -> BoxedStrategy<String> {
    match mess {
        Mess::None => sentence().boxed(),
        Mess::Real => prop_oneof![
            6 => sentence(),
            1 => Just(String::new()),
            1 => Just(" \n".to_owned()),
            1 => any::<String>(),
        ]
        .boxed(),
    }
}

/// Returns a tool's result: log, rows of JSON, listing, prose, nothing, or something giant.
fn observation() -> impl Strategy<Value = String> {
    let log = vec((0..60_u32, path(), sentence()), 1..40).prop_map(|lines| {
        let line = |(second, path, text): (u32, String, String)| format!("12:00:{second:02} INFO {path}: {text}");
        lines.into_iter().map(line).collect::<Vec<_>>().join("\n")
    });
    let rows = vec(("[A-Z]{3}[0-9]{3}", 1..900_u32, sentence()), 0..20).prop_map(|rows| {
        let row = |(id, price, note)| json!({"id": id, "price": price, "note": note});
        Value::from(rows.into_iter().map(row).collect::<Vec<Value>>()).to_string()
    });
    let listing = vec(path(), 1..60).prop_map(|paths| paths.join("\n"));
    let giant = (sentence(), 500..2000_usize).prop_map(|(text, times)| format!("{text}\n").repeat(times));
    prop_oneof![
        6 => log,
        6 => rows,
        4 => listing,
        4 => sentence(),
        1 => Just(String::new()),
        1 => any::<String>(),
        1 => giant,
    ]
}

fn any_observation() -> BoxedStrategy<String> {
    observation().boxed()
}

/// Returns results of up to some thousands of tokens, each of one shape, and now and then a short one.
fn bulky() -> BoxedStrategy<String> {
    let shaped = (0..SHAPES.len(), 20..200_usize, any::<u32>()).prop_map(|(shape, lines, seed)| {
        let line = SHAPES.get(shape).expect("an index of it");
        let mut seed = u64::from(seed);
        (0..lines).map(|at| line(at, &mut seed)).collect::<Vec<_>>().join("\n")
    });
    let rows = (4..80_usize, any::<u32>()).prop_map(|(rows, seed)| {
        let mut seed = u64::from(seed);
        let rows: Vec<Value> = (0..rows).map(|at| row(at, &mut seed)).collect();
        serde_json::to_string_pretty(&rows).expect("a value is JSON")
    });
    let one_line = (200..6000_usize, any::<u32>()).prop_map(|(words, seed)| {
        let mut seed = u64::from(seed);
        (0..words).map(|_| word(&mut seed)).collect::<Vec<_>>().join(" ")
    });
    prop_oneof![8 => shaped, 3 => rows, 1 => one_line, 3 => observation()].boxed()
}

/// Writes line `n` of a text.
type Line = fn(usize, &mut u64) -> String;

const SHAPES: [Line; 5] = [
    |at, seed| {
        let level = if next(seed) % 9 == 0 { "ERROR" } else { "INFO" };
        let (file, what) = (word(seed), word(seed));
        format!("2026-01-02T12:{:02}:00Z {level} src/{file}.rs:{at}: {what} took {} ms", at % 60, next(seed) % 900)
    },
    |at, seed| match at % 6 {
        0 => format!("def {}_{at}({}, limit={}):", word(seed), word(seed), next(seed) % 90),
        5 => String::new(),
        _ => format!("    {} = {}({}, {})", word(seed), word(seed), word(seed), next(seed) % 999),
    },
    |at, seed| format!("{}/{}_{}.{at:03}.csv", word(seed), word(seed), next(seed) % 99),
    |_, seed| {
        let words: Vec<String> = (0..9).map(|_| word(seed)).collect();
        format!("Die Prüfung von {} ergab {} für 日本 {}.", words.join(" "), next(seed) % 5000, word(seed))
    },
    |at, seed| format!("test {}::{} ... {}", word(seed), word(seed), if at % 7 == 3 { "FAILED" } else { "ok" }),
];

fn row(at: usize, seed: &mut u64) -> Value {
    json!({"id": format!("ORD-{:06}", next(seed) % 1_000_000), "at": at, "name": word(seed), "price": next(seed) % 900,
           "note": format!("{} {} {}", word(seed), word(seed), word(seed))})
}

/// Returns a word that looks like one.
fn word(seed: &mut u64) -> String {
    const SYLLABLES: [&str; 16] =
        ["ba", "ke", "lo", "mi", "nu", "ra", "sto", "ti", "ver", "za", "gon", "pel", "dri", "fa", "ho", "qu"];
    (0..2 + next(seed) % 3)
        .filter_map(|_| SYLLABLES.get(usize::try_from(next(seed) % 16).unwrap_or(0)))
        .copied()
        .collect()
}

/// Steps a small generator of numbers (Knuth's constants).
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// A log being written.
struct Log {
    format: WireFormat,
    mess: Mess,
    natives: Vec<Value>,
    calls: usize,
}

impl Log {
    fn say(&mut self, role: &str, text: &str) {
        self.natives.push(json!({"role": role, "content": text}));
    }

    fn add(&mut self, event: Event) {
        match event {
            Event::Said(text) => self.say("user", &text),
            Event::Operator(text) => self.say("system", &text),
            Event::Orphan(text) => self.results(vec![("never_called".to_owned(), text)], None),
            Event::Exchange { text, calls } => self.exchange(&text, &calls),
        }
    }

    fn exchange(&mut self, text: &str, calls: &[Call]) {
        let ids: Vec<String> = calls.iter().map(|call| self.id(call.repeats_id)).collect();
        self.natives.push(match self.format {
            WireFormat::OpenAi => openai_call(text, calls, &ids, self.mess),
            WireFormat::Anthropic => anthropic_call(text, calls, &ids),
        });
        let answered = calls.iter().zip(ids).filter_map(|(call, id)| Some((id, call.result.clone()?)));
        let answered: Vec<(String, String)> = answered.collect();
        let aside = calls.iter().find_map(|call| call.aside.clone());
        if !answered.is_empty() {
            self.results(answered, aside);
        }
    }

    fn id(&mut self, repeats: bool) -> String {
        self.calls += usize::from(!repeats);
        format!("call.{}:0", self.calls)
    }

    fn results(&mut self, results: Vec<(String, String)>, aside: Option<String>) {
        match self.format {
            WireFormat::OpenAi => {
                let message = |(id, text)| json!({"role": "tool", "tool_call_id": id, "content": text});
                self.natives.extend(results.into_iter().map(message));
            }
            WireFormat::Anthropic => {
                let block = |(id, text)| json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": text}]});
                let aside = aside.into_iter().map(|text| json!({"type": "text", "text": text}));
                let blocks: Vec<Value> = aside.chain(results.into_iter().map(block)).collect();
                self.natives.push(json!({"role": "user", "content": blocks}));
            }
        }
    }
}

fn openai_call(text: &str, calls: &[Call], ids: &[String], mess: Mess) -> Value {
    let content = if text.is_empty() { Value::Null } else { Value::from(text) };
    let call = |(call, id): (&Call, &String)| json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}});
    let calls: Vec<Value> = calls.iter().zip(ids).map(call).collect();
    if calls.is_empty() && mess == Mess::None {
        return json!({"role": "assistant", "content": content});
    }
    json!({"role": "assistant", "content": content, "tool_calls": calls})
}

fn anthropic_call(text: &str, calls: &[Call], ids: &[String]) -> Value {
    let mut blocks = vec![json!({"type": "thinking", "thinking": "I look.", "signature": "c2ln"})];
    if !text.is_empty() {
        blocks.push(json!({"type": "text", "text": text}));
    }
    blocks.extend(calls.iter().zip(ids).map(|(call, id)| {
        let input = serde_json::from_str::<Value>(&call.arguments).ok().filter(Value::is_object);
        json!({"type": "tool_use", "id": id, "name": call.name, "input": input.unwrap_or_else(|| json!({}))})
    }));
    json!({"role": "assistant", "content": blocks})
}
