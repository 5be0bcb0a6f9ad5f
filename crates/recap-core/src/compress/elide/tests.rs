#![allow(clippy::unwrap_used, clippy::expect_used, clippy::unnecessary_literal_bound, reason = "tests")]

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::compress::rules::{Guideline, Rules};

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
        u32::try_from(text.len().div_ceil(4)).unwrap()
    }
}

fn run(text: &str, budget_tokens: u32, query: &[&str], rules: &Rules) -> Option<Elided> {
    let rules = RulesMatcher::new(rules).unwrap();
    let original = OriginalHash::of("the source");
    elide(&Elide { text, original, budget_tokens, counter: &Quarter, query, rules: &rules, scores: &[] })
}

fn shown(text: &str, budget: u32, query: &[&str]) -> String {
    run(text, budget, query, &Rules::default()).unwrap().text
}

fn ruled(text: &str, budget: u32, front: &str) -> String {
    let guideline = Guideline::parse(&format!("---\n{front}\n---\n")).unwrap();
    run(text, budget, &[], &guideline.rules).unwrap().text
}

fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut out, n| {
        writeln!(out, "{}", line(n)).unwrap();
        out
    })
}

#[test]
fn logs_keep_errors_and_fold_the_rest() {
    let text = lines(90, |n| match n {
        40 => "2024-05-01 10:00:40 ERROR payment 7781-AB refused: card expired".to_owned(),
        89 => "2024-05-01 10:01:29 INFO finished, 1 error".to_owned(),
        n => format!("2024-05-01 10:{:02}:{:02} INFO handled request {n}", n / 60, n % 60),
    });
    insta::assert_snapshot!(shown(&text, 130, &[]));
}

#[test]
fn test_output_keeps_failures_and_counts() {
    let text = format!(
        "===== test session starts =====\ncollected 60 items\n{}=== FAILURES ===\n___ test_price ___\n    def test_price():\n>       assert price(3) == 12\nE       assert 11 == 12\n\ntests/test_shop.py:88: AssertionError\n=== short test summary info ===\nFAILED tests/test_shop.py::test_price - assert 11 == 12\n=== 1 failed, 59 passed in 0.31s ===\n",
        lines(59, |n| format!("tests/test_shop.py::test_case_{n} PASSED [{n}%]"))
    );
    insta::assert_snapshot!(shown(&text, 150, &[]));
}

#[test]
fn json_keeps_its_nesting() {
    let items: Vec<String> = (0..30)
        .map(|n| format!("{{\"flight\": \"HAT{n:03}\", \"from\": \"SFO\", \"to\": \"JFK\", \"seats\": {{\"economy\": {}, \"business\": 2}}, \"prices\": {{\"economy\": {}, \"business\": 900, \"note\": \"not refundable after departure\"}}}}", n % 7, 100 + n * 3))
        .collect();
    let text =
        format!("{{\"status\": \"ok\", \"page\": {{\"number\": 1, \"of\": 1}}, \"flights\": [{}]}}", items.join(", "));
    insta::assert_snapshot!(shown(&text, 220, &["book flight HAT017 in economy"]));
}

#[test]
fn tables_keep_their_header() {
    let text = format!(
        "id,name,city,price\n{}",
        lines(60, |n| format!("{},item {n},{},{}", 1000 + n, if n == 33 { "Oslo" } else { "Rome" }, n * 7))
    );
    insta::assert_snapshot!(shown(&text, 110, &["the one in Oslo"]));
}

#[test]
fn code_keeps_signatures_and_what_was_asked() {
    let text = lines(60, |n| match n % 10 {
        0 => format!("{:6}\tdef step_{n}(order, rate):", n + 1),
        5 if n == 35 => format!("{:6}\t    discount = order.total * VOUCHER_RATE", n + 1),
        9 => format!("{:6}\t    return order", n + 1),
        _ => format!("{:6}\t    order = adjust(order, rate)", n + 1),
    });
    insta::assert_snapshot!(shown(&text, 160, &["where is the discount computed?"]));
}

#[test]
fn diffs_keep_changes_before_context() {
    let text = format!(
        "diff --git a/src/shop.py b/src/shop.py\nindex 12ab..34cd 100644\n--- a/src/shop.py\n+++ b/src/shop.py\n@@ -10,40 +10,40 @@ def price(n):\n{}-    return n * 4 - 1\n+    return n * 4\n{}",
        lines(25, |n| format!("     context before {n}")),
        lines(25, |n| format!("     context after {n}")),
    );
    insta::assert_snapshot!(shown(&text, 90, &[]));
}

#[test]
fn listings_keep_folders() {
    let text = format!(
        "src:\ntotal 90\n{}drwxr-xr-x 2 u u 4096 Jan 1 10:00 store\n\ndocs:\n{}",
        lines(40, |n| format!("-rw-r--r-- 1 u u {n} Jan 1 10:00 part_{n}.rs")),
        lines(3, |n| format!("-rw-r--r-- 1 u u {n} Jan 1 10:00 page{n}.md"))
    );
    insta::assert_snapshot!(shown(&text, 120, &[]));
}

#[test]
fn pages_keep_texts_links_and_fields() {
    let text = format!(
        "<html><head><title>Shop</title><script>var x = 1;</script></head><body class=\"page\"><h1>Lamps</h1>{}<form action=\"/find\"><input name=\"q\" type=\"text\"></form></body></html>",
        lines(30, |n| format!(
            "<div class=\"card card-{n}\"><a class=\"link\" href=\"/lamp/{}\">Lamp number {n}</a><span>{} euros</span></div>",
            5000 + n,
            n * 10
        ))
    );
    insta::assert_snapshot!(shown(&text, 140, &["lamp number 17"]));
}

#[test]
fn prose_keeps_what_is_specific() {
    let text = format!(
        "{}The reservation code is K7-22910 and the desk closes at 18:30. {}",
        "It was a calm day and nothing much happened in the harbour. ".repeat(12),
        "People walked along the water and talked about the weather. ".repeat(12)
    );
    insta::assert_snapshot!(shown(&text, 70, &[]));
}

/// What rules out the last place of a value in a text, as field and pattern.
fn ruled_by(text: &str, value: &str, front: &str) -> Option<(&'static str, String)> {
    let guideline = Guideline::parse(&format!("---\n{front}\n---\n")).unwrap();
    let rules = RulesMatcher::new(&guideline.rules).unwrap();
    ruled_out(text, &rules, text.rfind(value).unwrap()).map(|ruled| match ruled {
        Ruled::Rule(rule) => (rule.field, rule.pattern),
        Ruled::Cap(field) => (field, String::new()),
    })
}

#[test]
fn what_rules_out_a_line_is_named() {
    let rule = |field, pattern: &str| Some((field, pattern.to_owned()));
    let rows: String =
        (0..40).map(|n| format!("    {{\"id\": \"K{n}\", \"my_note\": \"N{n}\"}},\n")).collect::<Vec<_>>().concat();
    let json = format!(
        "{{\n  \"rows\": [\n{rows}    {{\"id\": \"K40\"}}\n  ],\n  \"log\": {{\"deep\": [\"D1\", \"D2\"]}}\n}}"
    );
    let front = "keys: {keep: [kept_*], drop: [none, '*note', log]}\ncaps: {list_items: 3}";
    assert_eq!(ruled_by(&json, "N2\"", front), rule("keys.drop", "*note"));
    assert_eq!(ruled_by(&json, "D2", front), rule("keys.drop", "log"));
    assert_eq!(ruled_by(&json, "K30", front), rule("caps.list_items", ""));
    assert_eq!(ruled_by(&json, "K2\"", front), None);
    let markdown = "# Top\n\nwords one\n\n## Appendix\n\nwords two\n\n## Rest\n\nwords three\n";
    let front = "sections: {drop: [append*]}\ndrop: [other, 'words one', '/three$/']\nkeep: [never]";
    assert_eq!(ruled_by(markdown, "two", front), rule("sections.drop", "append*"));
    assert_eq!(ruled_by(markdown, "one", front), rule("drop", "words one"));
    assert_eq!(ruled_by(markdown, "three", front), rule("drop", "/three$/"));
    assert_eq!(ruled_by(markdown, "Rest", front), None);
    let long = format!("start {} end77", "word ".repeat(200));
    assert_eq!(ruled_by(&long, "end77", "caps: {line_bytes: 100}"), rule("caps.line_bytes", ""));
    assert_eq!(ruled_by(&long, "start", "caps: {line_bytes: 100}"), None);
}

#[test]
fn rules_steer_keys_sections_lines_and_caps() {
    let items: Vec<String> = (0..40).map(|n| format!("{{\"id\": \"A{n:03}\", \"secret_note\": \"x{n}-{n}\", \"kept_name\": \"the name of number {n}\", \"more\": \"{}\"}}", "word ".repeat(20))).collect();
    let json = format!("[{}]", items.join(","));
    let text = ruled(&json, 200, "keys: {keep: [kept_*], drop: ['*note']}\ncaps: {list_items: 3}");
    assert!(!text.contains("secret_note") && text.contains("number 2") && !text.contains("number 3\""), "{text}");
    let markdown = format!(
        "# Intro\n{}# Appendix\n{}",
        lines(20, |n| format!("Intro words {n}.")),
        lines(20, |n| format!("Appendix words id-{n}."))
    );
    let text = ruled(&markdown, 60, "sections: {drop: [appendix]}\ndrop: [words 3]\nkeep: ['/words 1[12]\\./']");
    assert!(text.contains("Intro words 11.") && !text.contains("Appendix words"), "{text}");
    let kept = ruled(&markdown, 60, "keep: [Appendix words id-19]");
    assert!(kept.contains("Appendix words id-19."), "{kept}");
}

/// Says what in a result is neither source nor marker.
fn invented(source: &str, result: &str) -> Option<String> {
    let marker = regex::Regex::new(
        r"\[… [^\]\n]{1,40}\]|\[…\]|\[cut by recapd: full text is b3:[0-9a-f]{8}\]|\[… middle cut …\]|…",
    )
    .unwrap();
    marker.split(result).flat_map(str::split_whitespace).find(|word| !source.contains(word)).map(str::to_owned)
}

fn texts() -> impl Strategy<Value = String> {
    let part = "[a-z]{1,8} |[A-Z0-9]{4,7} |\n|[{}\\[\\],:\"]|\"k[0-9]\": |é ü 漢字 |INFO |ERROR x |<a href=\"/[0-9]{4}\">|</p>|  |error: bad\n|@@ -1 \n|    def f\\(\\):\n|# T\n|\\. ";
    prop_oneof![
        (prop::collection::vec(part, 0..250), 1..6_usize).prop_map(|(parts, times)| parts.concat().repeat(times)),
        any::<String>(),
        "\\PC{0,2000}",
    ]
}

proptest! {
    #[test]
    fn law_4_elided_texts_fit_shrink_and_invent_nothing(text in texts(), budget in 0..400_u32, query in "[a-z]{0,8}") {
        let query = [query.as_str()];
        let first = run(&text, budget, &query, &Rules::default());
        prop_assert_eq!(&first, &run(&text, budget, &query, &Rules::default()));
        let Some(elided) = first else { return Ok(()) };
        prop_assert!(elided.tokens <= budget, "{} of {}", elided.tokens, budget);
        prop_assert_eq!(elided.tokens, Quarter.count(&elided.text));
        prop_assert!(elided.tokens < Quarter.count(&text));
        if budget >= 24 {
            prop_assert!(elided.text.ends_with(&closing_line(elided.handle)), "{}", elided.text);
            prop_assert_eq!(invented(&text, &elided.text), None, "{}", elided.text);
        }
    }

    #[test]
    fn head_and_tail_fit_any_budget(text in texts(), budget in 0..300_u32) {
        let cut = cut_head_tail(&text, budget, &Quarter);
        prop_assert!(Quarter.count(&cut) <= budget);
        if Quarter.count(&text) <= budget {
            prop_assert_eq!(cut, text);
        }
    }
}
