//! Reformat of any text: no panic, a smaller result, and restoring gives what it stands for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use recap_core::compress::reformat::{Reformatted, Step, reformat, restore};
use serde_json::Value;

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
    // JSON comes back as the same data
    if let Ok(data) = serde_json::from_str::<Value>(&text) {
        assert_eq!(serde_json::from_str::<Value>(&rebuilt).expect("still JSON"), data);
    }
    // texts that nobody wrote are refused, not a panic
    for step in [Step::Folds, Step::Json, Step::JsonLines] {
        drop(restore(&text, &[step]));
    }
});
