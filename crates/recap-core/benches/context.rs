//! How long a read takes, against the trajectory's length and against the budget.
//!
//! Sessions are built outside of the timed parts. A read's time must not depend on the length.

mod inputs {
    pub mod agent;
    pub mod dice;
    pub mod texts;
}

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use divan::Bencher;
use inputs::agent::Agent;
use inputs::texts::Text;
use recap_core::compress::RulesMatcher;
use recap_core::context::{Admitted, ContextRequest, Include, Reformatting, Session, Settings, admit};
use recap_core::tokens::for_model;
use recap_core::trajectory::{Limits, OutFormat, WireFormat, parse_messages};
use serde_json::value::RawValue;

fn main() {
    // the encoding's tables are built on first use
    for_model(Some("gpt-4o")).count("warm");
    divan::main();
}

const LENGTHS: [u64; 4] = [10, 100, 1_000, 10_000];
const BUDGETS: [u32; 6] = [2_000, 4_000, 8_000, 16_000, 32_000, 64_000];
const BUDGET: u32 = 8_000;
/// Samples of what makes the trajectory longer.
const GROWING_SAMPLES: u32 = 32;

thread_local! {
    static ADMITTED: RefCell<HashMap<u64, Vec<Admitted>>> = RefCell::default();
}

/// A read with nothing new since the last.
#[divan::bench(args = LENGTHS)]
fn read_again(bencher: Bencher, length: u64) {
    again(bencher, length, BUDGET);
}

/// A read with nothing new, of 1,000 turns.
#[divan::bench(args = BUDGETS)]
fn read_again_by_budget(bencher: Bencher, budget: u32) {
    again(bencher, 1_000, budget);
}

fn again(bencher: Bencher, length: u64, budget: u32) {
    let mut session = session(length);
    let request = request(budget);
    serve(&mut session, &request);
    bencher.bench_local(|| serve(&mut session, &request));
}

/// A read after one more turn. The slowest samples are those that begin an epoch.
#[divan::bench(args = LENGTHS, sample_count = GROWING_SAMPLES, sample_size = 1)]
fn read_after_a_turn(bencher: Bencher, length: u64) {
    after_a_turn(bencher, length, BUDGET);
}

/// A read of 1,000 turns after one more.
#[divan::bench(args = BUDGETS, sample_count = GROWING_SAMPLES, sample_size = 1)]
fn read_after_a_turn_by_budget(bencher: Bencher, budget: u32) {
    after_a_turn(bencher, 1_000, budget);
}

fn after_a_turn(bencher: Bencher, length: u64, budget: u32) {
    let session = RefCell::new(session(length));
    let request = request(budget);
    serve(&mut session.borrow_mut(), &request);
    let mut next = length;
    bencher
        .with_inputs(|| {
            session.borrow_mut().append(turn(next));
            next += 1;
        })
        .bench_local_values(|()| serve(&mut session.borrow_mut(), &request));
}

/// A read that begins an epoch.
#[divan::bench(args = LENGTHS)]
fn epoch(bencher: Bencher, length: u64) {
    begin(bencher, length, BUDGET);
}

/// A read of 1,000 turns that begins an epoch.
#[divan::bench(args = BUDGETS)]
fn epoch_by_budget(bencher: Bencher, budget: u32) {
    begin(bencher, 1_000, budget);
}

fn begin(bencher: Bencher, length: u64, budget: u32) {
    let mut session = session(length);
    let request = request(budget);
    bencher.bench_local(|| compact(&mut session, &request));
}

/// A read of 100 turns that begins an epoch, by the sort of agent.
#[divan::bench(args = Agent::ALL)]
fn epoch_by_agent(bencher: Bencher, agent: Agent) {
    let mut session = empty();
    session.append(admit_all(agent, &Agent::head()));
    (0..100).for_each(|n| session.append(admit_all(agent, &agent.turn(n))));
    let format = match agent.format() {
        WireFormat::OpenAi => OutFormat::OpenAi,
        WireFormat::Anthropic => OutFormat::Anthropic,
    };
    let request = ContextRequest { format, ..request(BUDGET) };
    bencher.bench_local(|| compact(&mut session, &request));
}

/// A read of 100 turns that begins an epoch, of which the last brought 256 KB.
#[divan::bench(args = Text::ALL, sample_count = 5, sample_size = 1)]
fn epoch_after_giant_result(bencher: Bencher, text: Text) {
    let agent = Agent::OpenAiTools;
    let mut session = session(100);
    session.append(admit_all(agent, &agent.turn_with(100, &text.write(256 << 10, 1))));
    let request = request(BUDGET);
    bencher.bench_local(|| compact(&mut session, &request));
}

#[expect(clippy::expect_used, reason = "the budgets hold the head")]
fn compact(session: &mut Session, request: &ContextRequest) -> u32 {
    session.compact(request).expect("it fits").receipt.tokens.total
}

/// One more turn taken in, not read.
#[divan::bench(args = LENGTHS, sample_count = GROWING_SAMPLES, sample_size = 1)]
fn append(bencher: Bencher, length: u64) {
    let mut session = session(length);
    let mut next = length;
    bencher
        .with_inputs(|| {
            next += 1;
            turn(next - 1)
        })
        .bench_local_values(|turn| session.append(turn));
}

/// A cold start: all messages, already admitted, taken in at once, and the first read.
#[divan::bench(args = LENGTHS, sample_count = 3, sample_size = 1)]
fn rebuild(bencher: Bencher, length: u64) {
    let request = request(BUDGET);
    bencher.with_inputs(|| admitted(length)).bench_local_values(|messages| {
        let mut session = empty();
        session.append(messages);
        serve(&mut session, &request)
    });
}

fn empty() -> Session {
    let rules = Arc::new(RulesMatcher::default());
    Session::new(Settings::new(for_model(Some("gpt-4o")), rules))
}

fn session(length: u64) -> Session {
    let mut session = empty();
    session.append(admitted(length));
    session
}

fn request(budget: u32) -> ContextRequest {
    ContextRequest { budget, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() }
}

#[expect(clippy::expect_used, reason = "the budgets hold the head")]
fn serve(session: &mut Session, request: &ContextRequest) -> u32 {
    session.serve(request).expect("it fits").receipt.tokens.total
}

/// The head and `length` turns, admitted once for each length.
fn admitted(length: u64) -> Vec<Admitted> {
    ADMITTED.with_borrow_mut(|known| {
        known
            .entry(length)
            .or_insert_with(|| {
                let mut messages = admit_all(Agent::OpenAiTools, &Agent::head());
                messages.extend((0..length).flat_map(turn));
                messages
            })
            .clone()
    })
}

fn turn(n: u64) -> Vec<Admitted> {
    admit_all(Agent::OpenAiTools, &Agent::OpenAiTools.turn(n))
}

#[expect(clippy::expect_used, reason = "a benchmark's own input is valid")]
fn admit_all(agent: Agent, natives: &[String]) -> Vec<Admitted> {
    let counter = for_model(Some("gpt-4o"));
    let raws: Vec<&RawValue> = natives.iter().map(|json| serde_json::from_str(json).expect("valid JSON")).collect();
    parse_messages(agent.format(), &raws, &Limits::default())
        .expect("valid messages")
        .into_iter()
        .map(|message| admit(message, &*counter, Reformatting::On))
        .collect()
}
