//! How fast texts are counted.

mod inputs {
    pub mod dice;
    pub mod texts;
}

use divan::Bencher;
use divan::counter::BytesCount;
use inputs::texts::Text;
use recap_core::tokens::for_model;

fn main() {
    // the encoding's tables are built on first use
    for_model(Some("gpt-4o")).count("warm");
    divan::main();
}

/// The encoding of current OpenAI models.
#[divan::bench(args = Text::ALL, consts = [4_096, 65_536, 1_048_576], max_time = 0.3)]
fn o200k<const BYTES: usize>(bencher: Bencher, text: Text) {
    let counter = for_model(Some("gpt-4o"));
    let text = text.write(BYTES, 1);
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| counter.count(&text));
}

/// One line, as an epoch's plan and a digest count it.
#[divan::bench(args = Text::ALL, max_time = 0.3)]
fn o200k_line(bencher: Bencher, text: Text) {
    let counter = for_model(Some("gpt-4o"));
    let text = text.write(64, 1);
    bencher.counter(BytesCount::of_str(&text)).bench_local(|| counter.count(&text));
}
