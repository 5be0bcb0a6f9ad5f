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

const FULL: &str = "---
kind: history
write:
  - {name: Reasoning}
  - {name: To do, most_tokens: 200}
variables: [task, most_tokens]
thresholds: {t_hist: 4096}
drop: [debug]
---
{% if task %}The task is {{ task }}.
{% endif %}At most {{ most_tokens }} tokens.
";

#[test]
fn a_guideline_tells_a_model_what_to_write() {
    let guideline = Guideline::parse_as(GuidelineKind::History, FULL).unwrap();
    assert_eq!(guideline.kind, Some(GuidelineKind::History));
    let sections: Vec<_> = guideline.write.iter().map(|section| (section.name.as_str(), section.most_tokens)).collect();
    assert_eq!(sections, [("Reasoning", None), ("To do", NonZeroU32::new(200))]);
    assert_eq!(guideline.thresholds, Thresholds { t_obs: None, t_hist: NonZeroU32::new(4096) });
    assert_eq!(guideline.rules.drop.len(), 1);
    assert!(guideline.places("task") && !guideline.places("turns"));
    let values = [("task", "2 < {{ task }}"), ("most_tokens", "300"), ("turns", "unused")];
    assert_eq!(guideline.render_body(&values).unwrap(), "The task is 2 < {{ task }}.\nAt most 300 tokens.");
    assert_eq!(guideline.render_body(&[("task", ""), ("most_tokens", "3")]).unwrap(), "At most 3 tokens.");
    let said = guideline.render_body(&[("task", "")]).unwrap_err().to_string();
    assert!(said.contains("undefined value"), "{said}");
}

#[test]
fn what_a_model_is_told_is_checked() {
    let cases = [
        ("kind: histroy", "", "line 2, column 7: kind: unknown variant `histroy`"),
        ("kind: observation", "", "kind: it is `observation`, and this is the guideline for `history`"),
        ("write: [{name: A}, {name: a}]", "", "write: `a` stands twice"),
        ("write: [{name: '# A'}]", "", "write: `# A` is no heading"),
        ("write: [{name: A, tokens: 3}]", "", "unknown field `tokens`"),
        ("variables: [task, task]", "{{ task }}", "variables: `task` stands twice"),
        (
            "variables: [observation]",
            "{{ observation }}",
            "variables: `observation` is none of `history`, which has task",
        ),
        ("variables: [task]", "x", "variables: the body does not place `task`"),
        ("", "{{ task }}", "variables: the body places `task`, which is not named here"),
        ("", "{{ range(3) }}", "variables: the body places `range`"),
        ("thresholds: {t_obs: 5}", "", "thresholds: `t_obs` belongs to `observation`, not to `history`"),
        ("keep: [a]", "one\ntwo {{ 1 + }}\n", "line 5: syntax error"),
        ("keep: [a]", "one\n{%- if false %}{% include 'x' %}{% endif %}", "line 5: there is no tag `include` here"),
        ("variables: [task]", "\n{{ task.x.y }}", "line 5: undefined value"),
        ("keep: [a]", "{% for a in 'x' * 9999 %}{% for b in 'x' * 9999 %}.{% endfor %}{% endfor %}", "line 4: "),
        ("keep: [a]", "{{ 'x' * 50000000 }}", "line 4: engine ran out of fuel"),
    ];
    for (front, body, words) in cases {
        let said = Guideline::parse_as(GuidelineKind::History, &format!("---\n{front}\n---\n{body}")).unwrap_err();
        assert!(said.to_string().contains(words), "{front} {body}: {said}");
    }
}

#[test]
fn values_may_be_large_and_are_never_read_as_templates() {
    let text = "---\nvariables: [turns]\n---\n{{ turns }}\n{{ turns }}\n";
    let guideline = Guideline::parse(text).unwrap();
    let turns = "{% if x %} {{ y }} ".repeat(200_000);
    let filled = guideline.render_body(&[("turns", &turns)]).unwrap();
    assert_eq!(filled.len(), turns.len() * 2 + 1);
}

#[test]
fn a_recaps_weights_are_named_and_checked() {
    let text = "---\nfavour:\n  - {pattern: '/^Total/', worth: 0.5}\n  - {pattern: refund, worth: 9.8}\nweigh: {path: 0.6, age: -1}\n---\n";
    let guideline = Guideline::parse_as(GuidelineKind::History, text).unwrap();
    assert_eq!(guideline.weigh.iter().collect::<Vec<_>>(), [(WeightName::Age, -1.0), (WeightName::Path, 0.6)]);
    let matcher = RulesMatcher::new(&guideline.rules).unwrap();
    let worths = ["nothing", "Total: 3", "a REFUND of 3", "Total refund"].map(|line| matcher.favour(line));
    assert_eq!(format!("{worths:?}"), "[0.0, 0.5, 9.8, 10.0]");
    let cases = [
        ("weigh: {pth: 1}", "weigh: unknown variant `pth`, expected one of `age`"),
        ("weigh: {path: 11}", "weigh: `path` is 11; it must be from 0 to 10"),
        ("weigh: {density: .nan}", "it must be from 0.3 to 1.5"),
        ("weigh: {path: 1, path: 2}", "`path` stands twice"),
        ("weigh: [path]", "expected weights by name"),
        ("favour: [{pattern: a, worth: -1}]", "`worth` is -1; it must be from 0 to 10"),
        ("favour: [{pattern: a}]", "missing field `worth`"),
        ("favour: [{pattern: '/(/', worth: 1}]", "is no usable regular expression"),
    ];
    for (front, words) in cases {
        let said = Guideline::parse(&format!("---\n{front}\n---\n")).unwrap_err().to_string();
        assert!(said.contains(words), "{front}: {said}");
    }
    for field in ["weigh: {path: 1}", "favour: [{pattern: a, worth: 1}]"] {
        let said = Guideline::parse_as(GuidelineKind::Observation, &format!("---\n{field}\n---\n")).unwrap_err();
        assert!(said.to_string().contains("it belongs to `history`, not to `observation`"), "{said}");
    }
}
