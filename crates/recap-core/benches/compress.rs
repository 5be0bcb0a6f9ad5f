//! How fast texts are reformatted, cut into units and elided. The time for a byte must not grow with the size.

mod inputs {
    pub mod dice;
    pub mod texts;
}

use divan::Bencher;
use divan::counter::BytesCount;
use inputs::texts::Text;
use recap_core::compress::reformat::{reformat as reformat_text, restore as restore_text};
use recap_core::compress::{Elide, RulesMatcher, elide as elide_text, units as units_of};
use recap_core::tokens::for_model;
use recap_core::trajectory::OriginalHash;

fn main() {
    // the encoding's tables are built on first use
    for_model(Some("gpt-4o")).count("warm");
    divan::main();
}

#[divan::bench(args = Text::ALL, consts = [4_096, 65_536, 1_048_576], max_time = 0.3)]
fn reformat<const BYTES: usize>(bencher: Bencher, text: Text) {
    let text = text.write(BYTES, 1);
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| reformat_text(&text));
}

/// Only kinds that are reformatted do anything here.
#[divan::bench(args = Text::ALL, consts = [4_096, 65_536, 1_048_576], max_time = 0.3)]
fn restore<const BYTES: usize>(bencher: Bencher, text: Text) {
    let reformatted = reformat_text(&text.write(BYTES, 1));
    let bytes = reformatted.as_ref().map_or(0, |smaller| smaller.text.len());
    bencher
        .counter(BytesCount::new(bytes))
        .bench_local(|| reformatted.as_ref().map(|smaller| restore_text(&smaller.text, &smaller.steps)));
}

#[divan::bench(args = Text::ALL, consts = [4_096, 65_536, 1_048_576], max_time = 0.3)]
fn units<const BYTES: usize>(bencher: Bencher, text: Text) {
    let text = text.write(BYTES, 1);
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| units_of(&text));
}

/// To 512 tokens.
#[divan::bench(args = Text::ALL, consts = [4_096, 65_536, 1_048_576], max_time = 0.3)]
fn elide<const BYTES: usize>(bencher: Bencher, text: Text) {
    let counter = for_model(Some("gpt-4o"));
    let rules = RulesMatcher::default();
    let text = text.write(BYTES, 1);
    let request = Elide {
        text: &text,
        original: OriginalHash::of(&text),
        budget_tokens: 512,
        counter: &*counter,
        query: &["why did worker 3 time out on order W0000410"],
        rules: &rules,
        scores: &[],
    };
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| elide_text(&request));
}
