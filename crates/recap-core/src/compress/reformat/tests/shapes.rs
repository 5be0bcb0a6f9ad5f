//! Single shapes: what is left alone, and large inputs of awkward form.

use super::super::{RestoreError, Step, reformat, restore};

fn round_trip(text: &str) -> String {
    let done = reformat(text).expect("shrinks");
    restore(&done.text, &done.steps).expect("restores").text
}

#[test]
fn number_texts_and_key_order_survive() {
    let text = r#"{"z": 1.0, "a": 12345678901234567890123, "m": 1e5, "s": "1e5", "t": "true", "e": ""}"#;
    assert_eq!(round_trip(text), r#"{"z":1.0,"a":12345678901234567890123,"m":1e5,"s":"1e5","t":"true","e":""}"#);
}

#[test]
fn escapes_that_json_does_not_need_are_decoded() {
    let done = reformat(r#"{"city": "Gen\u00e8ve", "path": "a\/b", "note": "x"}"#).unwrap();
    assert_eq!(done.text, "{city:Genève path:a/b note:x}");
}

#[test]
fn repeated_keys_and_lone_surrogates_are_left_alone() {
    assert_eq!(reformat(r#"{"a": 1, "b": 2, "a": 3}"#), None);
    assert_eq!(reformat(r#"{"a": "\ud800", "b": 2}"#), None);
}

#[test]
fn text_that_does_not_shrink_is_left_alone() {
    for text in ["", "plain words", "{}", "[1,2,3]", "\"x\"", "fn main() {\n    run();\n}\n"] {
        assert_eq!(reformat(text), None, "{text}");
    }
}

#[test]
fn a_trivial_saving_is_left_alone() {
    assert_eq!(reformat(&format!("{} \nend", "word ".repeat(100).trim_end())), None);
}

#[test]
fn json_after_words_is_rewritten_and_the_words_stay() {
    let done = reformat("Found 1 match:\n{\"id\": \"a1\", \"name\": \"Ada\"}\nDone.\n").unwrap();
    assert_eq!(done.text, "Found 1 match:\n{id:a1 name:Ada}\nDone.\n");
    assert_eq!(done.steps, [Step::Json]);
}

#[test]
fn brackets_that_are_no_json_keep_the_text_as_it_is() {
    assert_eq!(reformat("[INFO] start\n{\"id\": \"a1\", \"name\": \"Ada\"}\n"), None);
}

#[test]
fn line_ends_of_other_systems_keep_their_lines() {
    assert_eq!(reformat("one\rtwo\rthree\r\n").unwrap().text, "one\ntwo\nthree\n");
}

#[test]
fn a_marker_in_the_source_forbids_folding() {
    let text = format!("{}[above line repeats 2 more times]\n", "the same line again and again\n".repeat(9));
    assert_eq!(reformat(&text), None);
}

#[test]
fn markers_that_fit_nothing_are_refused() {
    assert_eq!(restore("[above line repeats 2 more times]", &[Step::Folds]), Err(RestoreError::Fold));
    let endless = format!("x\n[above line repeats {} more times]", usize::MAX);
    assert_eq!(restore(&endless, &[Step::Folds]), Err(RestoreError::Fold));
    assert_eq!(restore("{a:", &[Step::Json]), Err(RestoreError::Notation));
    assert_eq!(restore("[() a]", &[Step::Json]), Err(RestoreError::Notation));
}

#[test]
fn deep_nesting_is_left_alone() {
    for (open, close) in [("[", "]"), ("{\"a\": ", "}")] {
        for depth in [127, 128, 129, 100_000] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            if let Some(done) = reformat(&text) {
                assert!(depth <= 128);
                restore(&done.text, &done.steps).unwrap();
            }
        }
        assert_eq!(reformat(&open.repeat(100_000)), None);
    }
    assert_eq!(restore(&"[".repeat(100_000), &[Step::Json]), Err(RestoreError::Notation));
    assert_eq!(restore(&format!("[{}", "(a{".repeat(100_000)), &[Step::Json]), Err(RestoreError::Notation));
}

#[test]
fn large_awkward_inputs_end() {
    const BYTES: usize = 1 << 20;
    let nest = format!("{}1{}", "{\"a\":{\"b\":1},\"c\":".repeat(100), "}".repeat(100));
    let fill = |part: &str| part.repeat(BYTES / part.len());
    for text in [
        fill("\u{1b}"),
        fill("\u{1b}]"),
        fill("\u{1b}["),
        fill("1\r"),
        fill("\n"),
        fill("a\nb\nc\nd\n"),
        fill("\"\\"),
        fill("{"),
        fill("[[],"),
        fill("{}\n"),
        format!("[{}1]", fill("1, ")),
        format!("[{}{{}}]", fill("{\"a\": 1, \"b\": \"x\"}, ")),
        format!("[{}{{}}]", fill("{\"a\": {\"b\": {\"c\": [1, {}]}}}, ")),
        format!("[{}{{}}]", fill(&format!("{nest}, "))),
        format!("{{\"text\": {}}}", serde_json::to_string(&fill("END\n")).unwrap()),
        format!(
            "{{\"text\": {}}}",
            serde_json::to_string(&(1..60_000).map(|n| format!("END{n}")).collect::<Vec<_>>().join("\n")).unwrap()
        ),
    ] {
        if let Some(done) = reformat(&text) {
            restore(&done.text, &done.steps).unwrap();
        }
    }
}

#[test]
fn values_in_tables_stay_near_their_header() {
    let record = |n: usize| format!("{{\"name\": \"n{n}\", \"place\": \"p{n}\", \"size\": {n}, \"state\": \"open\"}}");
    let text = format!("[{}]", (1000..1400).map(record).collect::<Vec<_>>().join(", "));
    let done = reformat(&text).unwrap();
    for n in 1000..1400 {
        let at = done.text.find(&format!("n{n} p{n} {n}")).expect("a row");
        let (before, _) = done.text.split_at(at);
        let header_end = before.rfind(')').expect("a header");
        assert!(at - header_end <= 180, "{n}");
    }
}
