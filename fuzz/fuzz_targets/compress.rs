//! Kinds, units and elision of any text: no panic, whole cover, a result that fits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use recap_core::compress::{Elide, RulesMatcher, elide, units};
use recap_core::tokens::TokenCounter;
use recap_core::trajectory::OriginalHash;

/// Four bytes a token: fuzzing looks for faults of cutting, not of counting.
struct Quarter;

impl TokenCounter for Quarter {
    fn name(&self) -> &str {
        "quarter"
    }
    fn exact(&self) -> bool {
        false
    }
    fn stated_error(&self) -> Option<f64> {
        None
    }
    fn count(&self, text: &str) -> u32 {
        u32::try_from(text.len().div_ceil(4)).unwrap_or(u32::MAX)
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut covered = 0;
    for unit in units(&text).units {
        let gap = text.get(covered..unit.span.start);
        assert!(gap.is_some_and(|gap| gap.trim().is_empty()));
        covered = unit.span.end;
    }
    assert!(text.get(covered..).is_some_and(|rest| rest.trim().is_empty()));
    let budget_tokens = u32::from(data.first().copied().unwrap_or(40)) * 2;
    let request = Elide {
        text: &text,
        original: OriginalHash::of(&text),
        budget_tokens,
        counter: &Quarter,
        query: &["fuzz", "42"],
        rules: &RulesMatcher::default(),
    };
    if let Some(elided) = elide(&request) {
        assert!(elided.tokens <= budget_tokens);
        assert!(elided.tokens < Quarter.count(&text));
    }
});
