//! Properties of reformatting over generated data and texts.

use proptest::prelude::*;
use serde_json::Value;

use super::super::data::Data;
use super::super::scan::Scanner;
use super::super::{Step, embed, fold, noise, notation, read, reformat, restore, rewrite_json};

/// Texts that look like something else.
fn odd_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,8}",
        2 => "[ -~]{0,16}",
        1 => "\\PC{0,8}",
        1 => "(\"[a-z]\"\n){1,9}[ \n]{0,4}",
        1 => "(END[0-9]?\n){0,14}",
        2 => prop::sample::select(vec![
            "", "true", "null", "1", "-0", "1.0", "1e5", "NaN", "01", "+1", "{", "a{", "[", "a[", "]", "a}", "(", "a)",
            "<<END", "\"", "a\"b", "a:b", "a: b", "\u{1b}[31m", "\r", "\n", " ", "\u{85}", "\u{feff}", "\u{2028}",
            "[above line repeats 3 more times]", "# x", "\\u0041", "\u{7f}", "é", "日本語",
        ])
        .prop_map(str::to_owned),
    ]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => odd_text().prop_map(|text| serde_json::to_string(&text).unwrap()),
        2 => prop::sample::select(vec![
            "null", "true", "false", "0", "-0", "1", "1.0", "1.50", "1e5", "1E+5", "-1e-5",
            "123456789012345678901234567890", "0.1234567890123456789012345",
        ])
        .prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|n| n.to_string()),
    ]
}

fn object(entries: &[(String, String)]) -> String {
    let mut seen = std::collections::HashSet::new();
    let entries: Vec<String> = entries
        .iter()
        .filter(|(key, _)| seen.insert(key.clone()))
        .map(|(key, value)| format!("{}: {value}", serde_json::to_string(key).unwrap()))
        .collect();
    format!("{{{}}}", entries.join(", "))
}

fn records(keys: &[String], rows: &[Vec<String>]) -> Vec<String> {
    rows.iter().map(|row| object(&keys.iter().cloned().zip(row.iter().cloned()).collect::<Vec<_>>())).collect()
}

/// JSON texts: nested, with like records as lists and as maps.
fn json() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 48, 6, |inner| {
        let rows = prop::collection::vec(prop::collection::vec(inner.clone(), 4), 0..6);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec((odd_text(), inner), 0..6).prop_map(|entries| object(&entries)),
            (prop::collection::vec(odd_text(), 1..5), rows.clone())
                .prop_map(|(keys, rows)| format!("[{}]", records(&keys, &rows).join(",\n "))),
            (prop::collection::vec(odd_text(), 1..5), prop::collection::vec(odd_text(), 6), rows).prop_map(
                |(keys, labels, rows)| {
                    let values = records(&keys, &rows);
                    object(&labels.into_iter().zip(values).collect::<Vec<_>>())
                }
            ),
        ]
    })
}

fn document() -> impl Strategy<Value = String> {
    json().prop_map(|json| format!("[{json}, {{\"k\": {json}}}]"))
}

fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        3 => prop::sample::select(vec![
            "", "  ", "a", "ok   ", "the quick brown fox jumps", "{\"a\": \"b c\", \"d\": 1}", "[1, 2]", "{", "[x",
            " 10% |#   |\r 20% |##  |\r100% |####|", "one\rtwo", "\u{1b}[1mbold\u{1b}[0m", "\u{1b}]0;title\u{7}x",
            "[above line repeats 2 more times]", "tail\r", "\u{1b}\u{1b}[0m[0m",
        ])
        .prop_map(str::to_owned),
        1 => "[ -~\r\u{1b}]{0,12}",
        1 => "\\PC{0,8}",
    ];
    (prop::collection::vec((line, 1usize..6), 0..8), 1usize..5).prop_map(|(runs, times)| {
        let block: Vec<&str> = runs.iter().flat_map(|(line, n)| vec![line.as_str(); *n]).collect();
        vec![block.join("\n"); times].join("\n")
    })
}

fn check_settled(text: &str) -> Result<(), TestCaseError> {
    if let Some(once) = reformat(text) {
        prop_assert_eq!(&once, &reformat(text).unwrap());
        prop_assert!(once.text.len() < text.len());
        if let Some(twice) = reformat(&once.text) {
            prop_assert_eq!(twice.text, once.text);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn law_1_the_notation_reads_back_as_the_same_data(json in json()) {
        let mut scanner = Scanner::new(&json);
        let data = Data::read_json(&mut scanner).unwrap();
        let written = notation::write(&data);
        let mut scanner = Scanner::new(&written);
        prop_assert_eq!(read::read(&mut scanner), Some(data), "{}", written);
        prop_assert_eq!(scanner.rest(), "");
    }

    #[test]
    fn law_1_json_is_rebuilt_as_the_same_data(json in document()) {
        if let Some(done) = reformat(&json) {
            let rebuilt = restore(&done.text, &done.steps).unwrap().text;
            prop_assert_eq!(&rebuilt, &embed::minify(&json).unwrap());
            let (left, right): (Value, Value) =
                (serde_json::from_str(&rebuilt).unwrap(), serde_json::from_str(&json).unwrap());
            prop_assert_eq!(left, right);
        }
        check_settled(&json)?;
    }

    #[test]
    fn law_1_json_lines_are_rebuilt(keys in prop::collection::vec("[a-z]{1,6}", 1..5),
        rows in prop::collection::vec(prop::collection::vec(scalar(), 4), 2..8)) {
        let text = records(&keys, &rows).join("\n");
        if let Some(done) = reformat(&text) {
            let rebuilt = restore(&done.text, &done.steps).unwrap().text;
            prop_assert_eq!(rebuilt, embed::minify(&text).unwrap());
        }
        check_settled(&text)?;
    }

    #[test]
    fn law_1_text_is_rebuilt_without_its_noise(text in lines()) {
        if let Some(done) = reformat(&text) {
            let (clean, _) = noise::strip(&text);
            let rebuilt = restore(&done.text, &done.steps).unwrap().text;
            let json = done.steps.iter().any(|step| matches!(step, Step::Json | Step::JsonLines));
            // space around a text that is JSON from end to end is no data; elsewhere it stays
            let clean = if rewrite_json(&text).is_some() { clean.trim_start() } else { clean.as_str() };
            let expected = if json { embed::minify(clean).unwrap() } else { clean.to_owned() };
            prop_assert_eq!(rebuilt.trim_end(), expected.trim_end());
        }
        check_settled(&text)?;
    }

    #[test]
    fn noise_is_gone_after_one_pass(text in lines()) {
        let (clean, _) = noise::strip(&text);
        prop_assert!(noise::is_clean(&clean));
        prop_assert!(noise::strip(&clean).1.is_empty());
    }

    #[test]
    fn folds_are_exact(text in lines()) {
        if let Some(folded) = fold::fold(&text) {
            prop_assert_eq!(fold::unfold(&folded), Some(text));
        }
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_settled(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn restoring_anything_ends(text in "[\\[\\](){}:<\" \na1E]{0,60}", step in prop::sample::select(vec![
        Step::Json, Step::JsonLines, Step::Folds, Step::Ansi])) {
        let first = restore(&text, &[step]);
        prop_assert_eq!(first, restore(&text, &[step]));
    }
}

#[test]
fn space_around_json_goes_with_its_own() {
    let done = reformat("\n{\"a\": \"b c\", \"d\": 1}\n").unwrap();
    assert_eq!(done.steps, [Step::Json]);
    assert_eq!(restore(&done.text, &done.steps).unwrap().text, "{\"a\":\"b c\",\"d\":1}");
}
