#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Instant;

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn picks_encodings_by_model() {
    for (model, name) in [
        ("gpt-4o", "o200k_base"),
        ("openai/gpt-4o-2024-08-06", "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "o200k_base"),
        ("gpt-4.1-mini", "o200k_base"),
        ("gpt-5.2-codex", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("GPT-4-turbo", "cl100k_base"),
        ("azure/gpt-35-turbo", "cl100k_base"),
        ("gpt-3.5-turbo-0613", "cl100k_base"),
        ("openai/gpt-oss-120b:free", "o200k_harmony"),
        ("text-davinci-003", "p50k_base"),
        ("gpt2", "r50k_base"),
    ] {
        let counter = for_model(Some(model));
        assert_eq!(counter.name(), name, "{model}");
        assert!(counter.exact() && counter.stated_error().is_none(), "{model}");
    }
}

#[test]
fn names_approximations_with_their_error() {
    for (model, name) in [
        (None, "o200k_base"),
        (Some("anthropic/claude-sonnet-4"), "o200k_base*1.3 (claude)"),
        (Some("us.anthropic.claude-opus-4-1:0"), "o200k_base*1.3 (claude)"),
        (Some("meta-llama/Llama-3.3-70B-Instruct"), "o200k_base*1.1 (llama)"),
        (Some("codellama-7b"), "o200k_base*1.1 (llama)"),
        (Some("Qwen/Qwen3-32B"), "o200k_base*1.2 (qwen)"),
        (Some("gpt-9"), "o200k_base*1.25 (gpt-9)"),
        (Some("dolphin"), "o200k_base*1.25 (dolphin)"),
    ] {
        let counter = for_model(model);
        assert_eq!(counter.name(), name, "{model:?}");
        assert!(!counter.exact() && counter.stated_error().is_some_and(|error| error > 0.0), "{model:?}");
    }
    assert_eq!(for_model(Some("claude")).count("hello world"), 3);
    assert_eq!(for_model(None).count("hello world"), 2);
}

#[test]
fn counts_special_tokens_as_plain_text() {
    assert!(for_model(Some("gpt-4o")).count("<|endoftext|>") > 1);
    assert!(for_model(Some("gpt-oss-20b")).count("<|start|>") > 1);
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test of time spent")]
fn counts_long_runs_in_about_linear_time() {
    let counter = for_model(Some("gpt-4o"));
    counter.count("warm up");
    let megabyte = 1 << 20;
    for text in [
        "a".repeat(megabyte),
        "A".repeat(megabyte),
        " ".repeat(3 * megabyte),
        format!("{}x", " ".repeat(3 * megabyte)),
        "\n".repeat(megabyte),
        " \n".repeat(megabyte),
        "=".repeat(megabyte),
        "日".repeat(megabyte / 3),
        "QWxhZGRpbjpvcGVuIHNlc2FtZQ".repeat(megabyte / 26),
        "e\u{301}".repeat(megabyte / 3),
    ] {
        let start = Instant::now();
        assert!(counter.count(&text) > 0);
        let seconds = start.elapsed().as_secs_f64();
        let head = text.get(..6).unwrap_or("");
        assert!(seconds < 20.0, "{head:?}: {seconds} s");
    }
}

#[test]
fn long_texts_count_as_the_encoding_does() {
    let text = "def run(x):\n    return x + 1\n\nSome words stand here, 12345 of them.\n".repeat(20_000);
    let whole = tiktoken_rs::o200k_base_singleton().count_ordinary(&text);
    assert_eq!(for_model(Some("gpt-4o")).count(&text), u32::try_from(whole).unwrap());
}

#[test]
fn counts_tools_by_the_stated_rule() {
    let counter = for_model(Some("gpt-4o"));
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}});
    let chat = json!({"type": "function", "function": {"name": "read", "description": "Reads.", "parameters": schema}});
    let anthropic = json!({"name": "read", "description": "Reads.", "input_schema": schema});
    let expected = TOOLS_TOKENS
        + TOOL_TOKENS
        + counter.count("read")
        + counter.count("Reads.")
        + counter.count(&schema.to_string());
    assert_eq!(count_tools(&[chat], counter.as_ref()), expected);
    assert_eq!(count_tools(&[anthropic], counter.as_ref()), expected);
    assert_eq!(count_tools(&[], counter.as_ref()), 0);
}

#[test]
fn prices_pictures_by_the_published_rules() {
    assert_eq!(openai_image_tokens(None, Detail::Low), Some(85));
    assert_eq!(openai_image_tokens(None, Detail::High), None);
    assert_eq!(openai_image_tokens(Some((1024, 1024)), Detail::High), Some(765));
    assert_eq!(openai_image_tokens(Some((2048, 4096)), Detail::High), Some(1105));
    assert_eq!(anthropic_image_tokens(Some((1000, 1000))), Some(1334));
    assert_eq!(anthropic_image_tokens(None), None);
}

#[test]
fn sizes_pictures_from_their_headers() {
    let png = [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &[0, 0, 2, 0, 0, 0, 1, 0]].concat();
    assert_eq!(image_size(&png), Some((512, 256)));
    assert_eq!(image_size(b"GIF89a\x0a\x00\x14\x00"), Some((10, 20)));
    let jpeg = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 11, 8, 0, 100, 0, 200, 3];
    assert_eq!(image_size(&jpeg), Some((200, 100)));
    assert_eq!(decode_base64("aGVsbG8=", 100), b"hello");
    assert_eq!(decode_base64("aGVsbG8=", 2), b"he");
}

/// A word-level tokenizer in the form that the `tokenizers` library writes.
const TOKENIZER: &str = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
"model":{"type":"WordLevel","vocab":{"hello":0,"world":1,"[UNK]":2},"unk_token":"[UNK]"}}"#;

#[test]
fn counts_with_a_supplied_tokenizer() {
    let counter = from_tokenizer_json("words", TOKENIZER.as_bytes()).unwrap();
    assert_eq!((counter.name(), counter.exact()), ("words", true));
    assert_eq!(counter.count("hello world again"), 3);
    assert!(matches!(from_tokenizer_json("x", b"{}"), Err(CounterError::Tokenizer(_))));
}

proptest! {
    #[test]
    fn counts_are_the_encodings_own(text in any::<String>()) {
        let whole = tiktoken_rs::o200k_base_singleton().count_ordinary(&text);
        prop_assert_eq!(for_model(Some("gpt-4o")).count(&text) as usize, whole);
    }

    #[test]
    fn sizes_never_panic(bytes in any::<Vec<u8>>(), text in any::<String>()) {
        let jpeg = [&[0xff, 0xd8, 0xff], bytes.as_slice()].concat();
        let webp = [b"RIFF0000WEBPVP8X".as_slice(), bytes.as_slice()].concat();
        for data in [bytes, jpeg, webp, decode_base64(&text, 50)] {
            let size = image_size(&data);
            let _ = openai_image_tokens(size, Detail::High);
            let _ = anthropic_image_tokens(size);
        }
    }
}
