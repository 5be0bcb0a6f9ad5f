//! Messages of any JSON: no panic; what is taken keeps its bytes and is counted and rendered.

#![no_main]

use libfuzzer_sys::fuzz_target;
use recap_core::tokens::TokenCounter;
use recap_core::trajectory::{
    Limits, OutFormat, RenderItem, WireFormat, count_message, detect_agent_kind, parse_messages, parse_system,
    render_sequence,
};
use serde_json::value::RawValue;

/// Four bytes a token: fuzzing looks for faults of reading, not of counting.
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

// The input is a list of messages, or one.
fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let raws: Vec<&RawValue> = match serde_json::from_str(&text) {
        Ok(list) => list,
        Err(_) => match serde_json::from_str(&text) {
            Ok(one) => vec![one],
            Err(_) => return,
        },
    };
    for format in [WireFormat::OpenAi, WireFormat::Anthropic] {
        for raw in &raws {
            drop(parse_system(raw, &Limits::default()));
        }
        let Ok(messages) = parse_messages(format, &raws, &Limits::default()) else {
            continue;
        };
        for (message, raw) in messages.iter().zip(&raws) {
            assert_eq!(&*message.native, raw.get());
            assert!(count_message(message, &Quarter).tokens > 0);
        }
        assert!(messages.is_empty() || detect_agent_kind(&messages, true).is_some());
        let items: Vec<RenderItem<'_>> =
            messages.iter().map(|message| RenderItem::Message { message, edits: None }).collect();
        for out in [OutFormat::OpenAi, OutFormat::Anthropic, OutFormat::Responses, OutFormat::Text] {
            let rendered = render_sequence(&items, out);
            if out != OutFormat::Text {
                for json in &rendered.messages {
                    serde_json::from_str::<&RawValue>(json).expect("rendered messages are JSON");
                }
            }
        }
    }
});
