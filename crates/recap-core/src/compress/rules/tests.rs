#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use super::*;

const TEXT: &str = "---
keep:
  - Booking
  - /id=[0-9]+/
drop: [debug]
keys: {keep: ['*_id'], drop: [meta*]}
sections: {drop: [appendix]}
caps: {line_bytes: 200, table_rows: 5}
---
Keep what was booked.
";

#[test]
fn a_guideline_has_rules_body_and_hash() {
    let guideline = Guideline::parse(TEXT).unwrap();
    assert_eq!(guideline.body, "Keep what was booked.\n");
    assert_eq!(guideline.hash, OriginalHash::of(TEXT));
    assert_eq!(guideline.rules.caps.table_rows, NonZeroU32::new(5));
    assert_eq!(guideline.rules.keep.len(), 2);
}

#[test]
fn keep_beats_drop_and_words_ignore_case() {
    let matcher = RulesMatcher::new(&Guideline::parse(TEXT).unwrap().rules).unwrap();
    assert_eq!(matcher.verdict("DEBUG: booking made"), Verdict::Keep);
    assert_eq!(matcher.verdict("debug: id=44"), Verdict::Keep);
    assert_eq!(matcher.verdict("Debug: nothing"), Verdict::Drop);
    assert_eq!(matcher.verdict("plain"), Verdict::Neutral);
    assert_eq!(matcher.key("user_id"), Verdict::Keep);
    assert_eq!(matcher.key("METAdata"), Verdict::Drop);
    assert_eq!(matcher.key("a_meta"), Verdict::Neutral);
    assert_eq!(matcher.section("Appendix"), Verdict::Drop);
}

#[test]
fn faults_name_line_and_field() {
    let cases = [
        ("---\nkeep: [a]\nkep: [b]\n---\n", "line 3, column 1: unknown field `kep`"),
        ("---\nkeep:\n  - a\n  - /(/\n---\n", "keep: the pattern `/(/` is no usable regular expression"),
        ("---\ncaps: {line_bytes: 0}\n---\n", "caps.line_bytes: invalid value: integer `0`"),
        ("---\nkeep: []\n", "line 1: the front matter is not closed"),
    ];
    for (text, words) in cases {
        let said = Guideline::parse(text).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn no_front_matter_means_no_rules() {
    let guideline = Guideline::parse("Just words.\n---\nmore").unwrap();
    assert_eq!(guideline.rules, Rules::default());
    assert_eq!(Guideline::parse("---\n---\nx").unwrap().rules, Rules::default());
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(yaml in "\\PC*|[a-z:\\[\\]{}\n\\- /(]{0,80}", line in "\\PC*") {
        if let Ok(guideline) = Guideline::parse(&format!("---\n{yaml}\n---\n")) {
            let matcher = RulesMatcher::new(&guideline.rules).unwrap();
            let _ = (matcher.verdict(&line), matcher.key(&line));
        }
    }
}
