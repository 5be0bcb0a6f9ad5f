//! Reformat of any text: no panic, a smaller result, and restoring gives what it stands for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use recap_core::compress::reformat::{Reformatted, Step, reformat, restore};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let Some(Reformatted { text: smaller, steps }) = reformat(&text) else {
        return;
    };
    assert!(smaller.len() < text.len());
    let rebuilt = restore(&smaller, &steps).expect("what reformat wrote can be restored").text;
    // folds alone take nothing away: the text comes back byte for byte
    if steps == [Step::Folds] {
        assert_eq!(rebuilt, text);
    }
    // what was restored stands for the same data: reformatted once more it restores to itself
    if let Some(again) = reformat(&rebuilt) {
        let twice = restore(&again.text, &again.steps).expect("what reformat wrote can be restored").text;
        if again.steps.iter().all(|step| matches!(step, Step::Json | Step::JsonLines | Step::Folds)) {
            assert_eq!(twice, rebuilt);
        }
    }
    // texts that nobody wrote are refused, not a panic
    for step in [Step::Folds, Step::Json, Step::JsonLines] {
        drop(restore(&text, &[step]));
    }
});
