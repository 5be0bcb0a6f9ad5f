//! How fast messages come in: read from JSON, counted, reformatted.

mod inputs {
    pub mod agent;
    pub mod dice;
    pub mod texts;
}

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use inputs::agent::Agent;
use inputs::texts::Text;
use recap_core::context::{Reformatting, admit as admit_message};
use recap_core::tokens::for_model;
use recap_core::trajectory::{Limits, Message, WireFormat, parse_messages};
use serde_json::json;
use serde_json::value::RawValue;

fn main() {
    // the encoding's tables are built on first use
    for_model(Some("gpt-4o")).count("warm");
    divan::main();
}

/// A hundred turns read from their JSON.
#[divan::bench(args = Agent::ALL)]
fn parse(bencher: Bencher, agent: Agent) {
    let natives = natives(agent);
    let raws: Vec<&RawValue> = natives.iter().map(|json| raw(json)).collect();
    bencher
        .counter(ItemsCount::new(raws.len()))
        .counter(BytesCount::new(natives.iter().map(String::len).sum::<usize>()))
        .bench_local(|| parse_messages(agent.format(), &raws, &Limits::default()));
}

/// A hundred turns counted and reformatted.
#[divan::bench(args = Agent::ALL)]
fn admit(bencher: Bencher, agent: Agent) {
    let counter = for_model(Some("gpt-4o"));
    let messages = messages(agent.format(), &natives(agent));
    bencher.counter(ItemsCount::new(messages.len())).with_inputs(|| messages.clone()).bench_local_values(|messages| {
        messages.into_iter().map(|message| admit_message(message, &*counter, Reformatting::On)).collect::<Vec<_>>()
    });
}

/// One result of 4 KB, read and admitted.
#[divan::bench(args = Text::ALL, max_time = 0.5)]
fn one_result(bencher: Bencher, text: Text) {
    let counter = for_model(Some("gpt-4o"));
    let native = json!({"role": "tool", "tool_call_id": "call_1", "content": text.write(4_096, 1)}).to_string();
    let raw = raw(&native);
    bencher.counter(ItemsCount::new(1usize)).counter(BytesCount::of_str(&native)).bench_local(|| {
        parse_messages(WireFormat::OpenAi, &[raw], &Limits::default()).map(|messages| {
            messages.into_iter().map(|message| admit_message(message, &*counter, Reformatting::On)).collect::<Vec<_>>()
        })
    });
}

fn natives(agent: Agent) -> Vec<String> {
    let turns = (0..100).flat_map(|n| agent.turn(n));
    Agent::head().into_iter().chain(turns).collect()
}

#[expect(clippy::expect_used, reason = "a benchmark's own input is valid")]
fn raw(json: &str) -> &RawValue {
    serde_json::from_str(json).expect("valid JSON")
}

#[expect(clippy::expect_used, reason = "a benchmark's own input is valid")]
fn messages(format: WireFormat, natives: &[String]) -> Vec<Message> {
    let raws: Vec<&RawValue> = natives.iter().map(|json| raw(json)).collect();
    parse_messages(format, &raws, &Limits::default()).expect("valid messages")
}
