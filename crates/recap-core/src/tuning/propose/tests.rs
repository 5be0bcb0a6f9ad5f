#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::compress::{Kind, RulesMatcher, Verdict};
use crate::context::{PieceKind, Section};
use crate::tokens::for_model;
use crate::trajectory::OriginalHash;
use crate::tuning::audit::{Cause, Loss, Place};
use crate::tuning::replay::{Measure, Recorded};

fn place(text: &str) -> Place {
    Place {
        turn: 2,
        message: 5,
        original: OriginalHash::of(text),
        kind: Kind::Prose,
        line: 1,
        text: text.to_owned(),
        json_pointer: None,
        key: None,
        heading: None,
    }
}

fn loss(text: &str, value: &str, cause: Cause) -> Loss {
    Loss {
        step: 30,
        value: value.to_owned(),
        under: vec![Measure::Grounding, Measure::Bound],
        place: place(text),
        piece: Some(1),
        compressor: "rules:0".to_owned(),
        guideline: None,
        cause,
    }
}

fn idle(case: &str, text: &str) -> IdleLine {
    IdleLine { case: case.to_owned(), place: place(text), tokens: 20 }
}

const OUTWEIGHED: Cause = Cause::Outweighed { gain: 0.02, least_chosen: 0.06 };

/// Confirmation codes are lost in every task, once by a rule; chatter is kept for nothing.
fn evidence(tasks: usize) -> Evidence {
    let mut found = Evidence::default();
    for n in 0..tasks {
        let case = format!("case {n}");
        let code = format!("ZK{}Q", 4_100 + n);
        let line = format!("Booking confirmed, confirmation code: {code} for Mara");
        found.losses.push((case.clone(), loss(&line, &code, OUTWEIGHED)));
        let path = format!("src/part_{n}/main.rs");
        let rule = Cause::Rule { field: "drop".to_owned(), pattern: "/^DEBUG/".to_owned() };
        found.losses.push((case.clone(), loss(&format!("DEBUG open {path}"), &path, rule)));
        let cap = Cause::Cap { field: "caps.list_items".to_owned() };
        found.losses.push((case.clone(), loss("row 12345", "12345", cap)));
        for m in 0..4 {
            found.idle.push(idle(&case, &format!("Thank you for waiting, ticket {n}{m}")));
            found.idle.push(idle(&case, &format!("Booking lookup took {n}{m} ms")));
        }
    }
    found
}

const CHAMPION: &str = "---
kind: history
# what matters
keep:
  - invoice   # bills
drop:
  # noise of the logger
  - '/^DEBUG/'
keys: {drop: ['debug*']} # members
caps: {line_bytes: 200, list_items: 40}
---
# The past turns

Keep  it.\t
";

fn propose(champion: &str, kind: GuidelineKind, objective: Objective, most: usize) -> Vec<Candidate> {
    by_evidence(champion, kind, &evidence(5), objective, most)
}

fn by_evidence(
    champion: &str,
    kind: GuidelineKind,
    evidence: &Evidence,
    objective: Objective,
    most: usize,
) -> Vec<Candidate> {
    by_rules(champion, kind, Ground { evidence, training: &TrainingValues::default() }, objective, most)
}

fn shown(candidates: &[Candidate]) -> String {
    let shown = candidates.iter().map(|candidate| {
        let front = candidate.text.split("\n---\n").next().unwrap_or_default();
        format!("# {}\n{front}\n", candidate.note)
    });
    shown.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_history_gets_candidates_of_each_kind() {
    insta::assert_snapshot!(shown(&propose(CHAMPION, GuidelineKind::History, Objective::Utility, 5)));
}

#[test]
fn tokens_are_saved_by_dropping_what_is_idle_and_by_keeping_blocks() {
    insta::assert_snapshot!(shown(&propose(CHAMPION, GuidelineKind::History, Objective::Compression, 5)));
}

#[test]
fn an_observation_keeps_names_and_narrow_lines() {
    let mut evidence = evidence(5);
    for (n, (_, loss)) in evidence.losses.iter_mut().enumerate() {
        loss.place.key = Some(format!("item_{n}_ref"));
        loss.place.heading = Some("Payment methods".to_owned());
    }
    for n in 0..12 {
        evidence.idle.push(idle(&format!("case {}", n % 4), &format!("\"created_at\": {n}")));
    }
    let champion = "Keep what is asked for.\n";
    let found = by_evidence(champion, GuidelineKind::Observation, &evidence, Objective::Utility, 5);
    insta::assert_snapshot!(shown(&found));
}

#[test]
fn lost_lines_are_favoured_and_idle_ones_are_not() {
    let found = propose(CHAMPION, GuidelineKind::History, Objective::Utility, 5);
    let all = found.iter().find(|candidate| candidate.note.starts_with("all")).unwrap();
    let guideline = Guideline::parse_as(GuidelineKind::History, &all.text).unwrap();
    let matcher = RulesMatcher::new(&guideline.rules).unwrap();
    assert!(matcher.favour("Booking confirmed, confirmation code: AA1111B") > 0.0);
    assert!(matcher.favour("Booking lookup took 3 ms").abs() < f32::EPSILON);
    assert_eq!(matcher.verdict("DEBUG open src/x.rs"), Verdict::Neutral);
    assert_eq!(matcher.verdict("Thank you for waiting, ticket 9"), Verdict::Drop);
}

#[test]
fn a_pattern_with_a_value_of_a_training_run_is_left_out_alone() {
    let mut evidence = evidence(5);
    for n in 0..5 {
        let code = format!("QX{}R", 7_300 + n);
        evidence.losses.push((format!("case {n}"), loss(&format!("held_rota {code}"), &code, OUTWEIGHED)));
    }
    let messages = serde_json::json!([
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": "```bash\ncat held_rota\n```"},
    ]);
    let mut training = TrainingValues::default();
    let free = by_evidence(CHAMPION, GuidelineKind::History, &evidence, Objective::Utility, 5);
    training.add(&Recorded::new(messages.as_array().unwrap().clone()).unwrap());
    let ground = Ground { evidence: &evidence, training: &training };
    let held = by_rules(CHAMPION, GuidelineKind::History, ground, Objective::Utility, 5);
    assert!(shown(&free).contains("held_rota"), "{}", shown(&free));
    assert!(!shown(&held).contains("held_rota"), "{}", shown(&held));
    assert_eq!(held.len(), free.len());
    assert!(shown(&held).contains("confirmation"));
}

#[test]
fn two_tasks_teach_nothing() {
    for objective in [Objective::Utility, Objective::Both] {
        let found = by_evidence(CHAMPION, GuidelineKind::History, &evidence(2), objective, 9);
        assert!(
            found.iter().all(|candidate| candidate.changes.iter().all(|change| matches!(change, Change::Set { .. })))
        );
    }
    assert!(by_evidence(CHAMPION, GuidelineKind::History, &evidence(2), Objective::Utility, 9).is_empty());
    let mut one_task = evidence(5);
    one_task.tasks = (0..5).map(|n| (format!("case {n}"), "the same".to_owned())).collect();
    assert!(by_evidence(CHAMPION, GuidelineKind::History, &one_task, Objective::Utility, 9).is_empty());
}

#[test]
fn candidates_differ_from_each_other_and_from_the_champion() {
    let found = propose(CHAMPION, GuidelineKind::History, Objective::Both, 12);
    let parsed: Vec<_> =
        found.iter().map(|one| Guideline::parse_as(GuidelineKind::History, &one.text).unwrap()).collect();
    for (at, one) in parsed.iter().enumerate() {
        assert!(parsed.iter().skip(at + 1).all(|other| !says_the_same(one, other)));
        let again = by_evidence(&found[at].text, GuidelineKind::History, &Evidence::default(), Objective::Utility, 5);
        assert!(again.is_empty());
    }
    let commented = CHAMPION.replace("# what matters", "# what matters most");
    let parse = |text: &str| Guideline::parse_as(GuidelineKind::History, text).unwrap();
    assert!(says_the_same(&parse(CHAMPION), &parse(&commented)));
    assert!(!says_the_same(&parse(CHAMPION), &parse(&CHAMPION.replace("invoice", "bill"))));
}

#[test]
fn edits_leave_the_rest_as_it_is_written() {
    let add = |field: &str, item: &str| Change::Add { field: field.to_owned(), item: item.to_owned() };
    let remove = |field: &str, item: &str| Change::Remove { field: field.to_owned(), item: item.to_owned() };
    let set = |field: &str, to: f64| Change::Set { field: field.to_owned(), from: None, to };
    let changes = [
        add("keep", "it's"),
        add("keys.keep", "*_id"),
        add("sections.drop", "changelog"),
        remove("drop", "/^DEBUG/"),
        remove("keys.drop", "debug*"),
        set("caps.list_items", 80.0),
        set("caps.table_rows", 9.0),
        set("weigh.path", 0.6),
        Change::Favour { pattern: "/^Total/".to_owned(), worth: 0.5 },
        Change::Unset { field: "caps.line_bytes".to_owned() },
    ];
    insta::assert_snapshot!(edited(CHAMPION, GuidelineKind::History, &changes).unwrap());
    let none = edited("Words alone.", GuidelineKind::History, &changes[..2]).unwrap();
    assert_eq!(none, "---\nkeep:\n  - 'it''s'\nkeys:\n  keep:\n    - '*_id'\n---\nWords alone.");
    assert_eq!(edited(CHAMPION, GuidelineKind::History, &[]).unwrap(), CHAMPION);
    assert!(matches!(
        edited(CHAMPION, GuidelineKind::History, &[remove("drop", "absent")]),
        Err(EditError::NoPlace { .. })
    ));
    assert!(matches!(edited(CHAMPION, GuidelineKind::History, &[set("weigh.path", 99.0)]), Err(EditError::Refused(_))));
    let anchored = "---\nkeep: &a [x]\n---\n";
    assert!(matches!(edited(anchored, GuidelineKind::History, &changes[..1]), Err(EditError::Unknown)));
}

#[test]
fn lines_without_a_later_value_are_idle() {
    let text = "<recapd_context>\nEarlier turns of this\n[4] look up\norder W1234 is here\nnothing of it\n…\n[5] next\nticket T99\n</recapd_context>";
    let section = Section {
        kind: PieceKind::Recap,
        text: text.into(),
        tokens: 30,
        turns: [4, 5],
        full_tokens: 99,
        originals: Vec::new(),
        cuts: Vec::new(),
        by: None,
        playbook: None,
        bullets: Vec::new(),
    };
    let used = ["W1234".to_owned()].into();
    let found = idle_lines("a", &section, &used, &*for_model(None));
    let lines: Vec<_> = found.iter().map(|line| (line.place.turn, line.place.text.as_str())).collect();
    assert_eq!(lines, [(4, "nothing of it"), (5, "ticket T99")]);
}

/// Front matter in the styles that people write.
fn any_champion() -> impl Strategy<Value = String> {
    let item = "[a-z]{3,8}";
    let list = proptest::collection::vec(item, 0..4);
    let block = |name: &'static str| {
        proptest::collection::vec(("[a-z]{3,8}", any::<bool>()), 1..4).prop_map(move |items| {
            let lines = items.iter().map(|(item, said)| {
                let said = if *said { " # why" } else { "" };
                format!("  # on {item}\n  - {item}{said}\n")
            });
            format!("{name}:\n{}", lines.collect::<String>())
        })
    };
    let flow =
        |name: &'static str| list.clone().prop_map(move |items| format!("{name}: [{}] # all\n", items.join(", ")));
    let lines = |name: &'static str| prop_oneof![Just(String::new()), block(name), flow(name)];
    let caps = prop_oneof![
        Just(String::new()),
        Just("caps: {list_items: 40}\n".to_owned()),
        Just("caps:\n  list_items: 40 # few\n\n  table_rows: 3000\n".to_owned()),
        Just("caps: {\n  line_bytes: 9,\n}\n".to_owned()),
    ];
    let keys = prop_oneof![
        Just(String::new()),
        Just("keys: {keep: ['*_id', \"a\\\\b\"], drop: []}\n".to_owned()),
        Just("keys:\n  drop:\n  - 'debug*'\n".to_owned()),
    ];
    (lines("keep"), lines("drop"), caps, keys, "[ -~]{0,20}\n").prop_filter_map(
        "parses",
        |(keep, drop, caps, keys, body)| {
            let text = format!("---\n# first\n{keep}{caps}{drop}{keys}# last\n---\n{}", body.replace(['{', '}'], ""));
            Guideline::parse(&text).is_ok().then_some(text)
        },
    )
}

fn any_evidence() -> impl Strategy<Value = Evidence> {
    let cause = prop_oneof![
        Just(OUTWEIGHED),
        Just(Cause::Apart),
        Just(Cause::Untold),
        Just(Cause::Cap { field: "caps.list_items".to_owned() }),
        Just(Cause::Cap { field: "caps.table_rows".to_owned() }),
    ];
    let one = ("(code|order id|total)(: |=)", "[A-Z]{2}[0-9]{3,5}", cause, proptest::option::of("(ref|item_9|x)"));
    let losses = proptest::collection::vec((0usize..5, one), 0..40);
    (losses, proptest::collection::vec((0usize..5, "(Thank you|note well) [a-z0-9]{0,9}"), 0..40)).prop_map(
        |(losses, idles)| {
            let losses = losses.into_iter().map(|(task, (label, value, cause, key))| {
                let mut loss = loss(&format!("the {label}{value} of it"), &value, cause);
                loss.place.key = key;
                (format!("case {task}"), loss)
            });
            let idle = idles.into_iter().map(|(task, text)| idle(&format!("case {task}"), &text)).collect();
            Evidence { losses: losses.collect(), idle, ..Evidence::default() }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_candidate_parses_keeps_body_and_comments_and_holds_no_value(
        champion in any_champion(), evidence in any_evidence(), most in 1usize..8, observation in any::<bool>(),
    ) {
        let kind = if observation { GuidelineKind::Observation } else { GuidelineKind::History };
        let before = Guideline::parse(&champion).unwrap();
        for objective in [Objective::Utility, Objective::Compression, Objective::Both] {
            let found = by_evidence(&champion, kind, &evidence, objective, most);
            prop_assert!(found.len() <= most);
            prop_assert_eq!(&found, &by_evidence(&champion, kind, &evidence, objective, most));
            for candidate in found {
                let after = Guideline::parse_as(kind, &candidate.text).unwrap();
                prop_assert_eq!(&after.body, &before.body);
                prop_assert!(!says_the_same(&before, &after));
                for comment in champion.lines().filter(|line| line.trim_start().starts_with('#')) {
                    prop_assert!(candidate.text.lines().any(|line| line == comment), "{}", candidate.text);
                }
                for (_, loss) in &evidence.losses {
                    prop_assert!(champion.contains(&loss.value) || !candidate.text.contains(&loss.value), "{}", candidate.text);
                }
            }
        }
    }

    #[test]
    fn edits_of_any_style_say_what_they_were_to_say(champion in any_champion(), item in "[a-z' \"#:,{}*]{1,12}[a-z]") {
        for field in ["keep", "drop", "keys.keep", "keys.drop", "sections.keep"] {
            let add = Change::Add { field: field.to_owned(), item: item.clone() };
            let with = edited(&champion, GuidelineKind::Observation, std::slice::from_ref(&add)).unwrap();
            let remove = Change::Remove { field: field.to_owned(), item: item.clone() };
            let without = edited(&with, GuidelineKind::Observation, &[remove]).unwrap();
            let parse = |text: &str| Guideline::parse(text).unwrap();
            prop_assert!(says_the_same(&parse(&champion), &parse(&without)), "{with}\n{without}");
            prop_assert!(!says_the_same(&parse(&champion), &parse(&with)));
        }
        for (field, to) in [("caps.list_items", 7.0), ("caps.line_bytes", 8.0), ("thresholds.t_obs", 900.0)] {
            let set = Change::Set { field: field.to_owned(), from: None, to };
            let with = edited(&champion, GuidelineKind::Observation, &[set]).unwrap();
            let unset = Change::Unset { field: field.to_owned() };
            let without = edited(&with, GuidelineKind::Observation, &[unset]).unwrap();
            let (with, without) = (Guideline::parse(&with).unwrap(), Guideline::parse(&without).unwrap());
            prop_assert!(with.rules.caps != without.rules.caps || with.thresholds != without.thresholds);
        }
    }
}
