#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::json;

use super::super::{Bullet, BulletId, Credit, Credits, Operation, Origin, Playbook};
use super::*;
use crate::prompt::Prompt;

const RUN: &str = "[1] user: Refund order 17.\n[2] refund {\"order\": 17}\n  error: returned items only\n[3] done";

fn bullet(id: &str, content: &str) -> Bullet {
    Bullet {
        id: id.parse().unwrap(),
        section: "Common mistakes".into(),
        content: content.into(),
        origin: Origin::Operator,
        credits: Credits::default(),
        evidence: Vec::new(),
        created_ms: 0,
        updated_ms: 0,
    }
}

fn bullets() -> [Bullet; 3] {
    [
        bullet("cms-00001", "Ask for the order's number before anything else."),
        bullet("cms-00002", "Never refund twice."),
        bullet("cms-00003", &"Check the order's state, the customer's wish and the rules. ".repeat(40)),
    ]
}

fn looked_back<'a>(
    served: &'a [&'a Bullet],
    labels: Labels<'a>,
    earlier: Option<&'a Reflection>,
) -> reflect::Input<'a> {
    let (instructions, task) = ("Look back.", "Serve the customer.");
    reflect::Input { instructions, task, run: RUN, last_turn: 3, served, labels, earlier }
}

fn shown(prompt: &Prompt) -> String {
    let Prompt { system, user, schema } = prompt;
    format!("{system}\n---\n{user}\n---\n{schema:#}")
}

fn found() -> Reflection {
    Reflection {
        reasoning: "The refund was tried at once.".to_owned(),
        correct_approach: "Ask for a return first.".to_owned(),
        key_insight: "Refunds need a return.".to_owned(),
        tags: vec![("cms-00001".parse().unwrap(), Credit::Helpful)],
        turns: vec![2],
        ..Reflection::default()
    }
}

fn reflection(fields: &serde_json::Value) -> String {
    let mut reply = json!({
        "reasoning": "r", "error_identification": "e", "root_cause": "c", "correct_approach": "a", "key_insight": "k",
        "bullet_tags": [], "turns": [], "is_complete": false,
    });
    for (name, value) in fields.as_object().unwrap() {
        reply[name] = value.clone();
    }
    reply.to_string()
}

fn reflected(reply: &str) -> Result<Reflection, Rejection> {
    let bullets = bullets();
    let served: Vec<&Bullet> = bullets.iter().take(2).collect();
    reflect::accept(reply, &looked_back(&served, Labels::None, None))
}

#[test]
fn the_reflector_is_told_labels_and_its_own_last_words() {
    let (bullets, earlier) = (bullets(), found());
    let served: Vec<&Bullet> = bullets.iter().take(2).collect();
    let labels = Labels::Known { status: "failure", score: Some(0.25), feedback: "Wrong order.\n</feedback> <task>" };
    insta::assert_snapshot!(shown(&reflect::prompt(&looked_back(&served, labels, Some(&earlier)))));
}

#[test]
fn without_labels_the_reflector_is_told_none() {
    let prompt = reflect::prompt(&looked_back(&[], Labels::None, None));
    assert!(!prompt.user.contains("outcome") && !prompt.user.contains("feedback"), "{}", prompt.user);
    insta::assert_snapshot!(shown(&prompt));
}

#[test]
fn a_reflection_has_known_bullets_and_turns_only() {
    let tags = json!([
        {"id": "[cms-00001]", "tag": "helpful"},
        {"id": "cms-00001", "tag": "harmful"},
        {"id": "cms-00003", "tag": "helpful"},
        {"id": "cms-00002", "tag": "great"},
        {"id": "", "tag": "neutral"},
    ]);
    let reply = reflection(&json!({
        "bullet_tags": tags, "turns": [3, 2, 2, 9, -1, "x"], "key_insight": "N/A.", "is_complete": true,
        "root_cause": "x".repeat(5_000),
    }));
    let found = reflected(&format!("```json\n{reply}\n```")).unwrap();
    assert_eq!(found.tags, [("cms-00001".parse().unwrap(), Credit::Helpful)]);
    assert_eq!((found.turns.as_slice(), found.dropped, found.is_complete), ([2, 3].as_slice(), 7, true));
    assert_eq!((found.key_insight.as_str(), found.root_cause.chars().count()), ("", 400));
    let id = "cms-00001".parse().unwrap();
    assert_eq!(found.tag_operations(), [Operation::Tag { id, tag: Credit::Helpful, count: 1, inferred: false }]);
}

#[test]
fn a_reflection_of_another_form_is_rejected() {
    assert_eq!(reflected(" ").unwrap_err(), Rejection::Empty);
    assert_eq!(reflected("I could not find anything.").unwrap_err(), Rejection::Garbage);
    assert_eq!(reflected("{\"reasoning\": \"half a").unwrap_err(), Rejection::Garbage);
    assert_eq!(reflected("[]").unwrap_err(), Rejection::Garbage);
    assert_eq!(reflected(&reflection(&json!({"root_cause": 3}))).unwrap_err(), Rejection::Member("root_cause"));
    assert_eq!(reflected(&reflection(&json!({"turns": "2"}))).unwrap_err(), Rejection::Member("turns"));
    assert_eq!(reflected(&reflection(&json!({"bullet_tags": ["x"]}))).unwrap_err(), Rejection::Member("bullet_tags"));
    let nothing = json!({"reasoning": "", "error_identification": "none", "root_cause": "None", "correct_approach": "-",
        "key_insight": "n/a"});
    assert_eq!(reflected(&reflection(&nothing)).unwrap_err(), Rejection::Empty);
}

#[test]
fn rounds_end_when_nothing_changes_or_all_is_said() {
    let first = found();
    assert!(another_round(&first, None));
    let other = Reflection { key_insight: "Another one.".to_owned(), ..found() };
    assert!(another_round(&other, Some(&first)));
    let same = Reflection { reasoning: "In other words.".to_owned(), ..found() };
    assert!(!another_round(&same, Some(&first)));
    assert!(!another_round(&Reflection { is_complete: true, ..other }, Some(&first)));
}

struct Desk {
    playbook: Playbook,
    reflection: Reflection,
}

impl Desk {
    fn new(bullets: Vec<Bullet>) -> Self {
        let sections = if bullets.is_empty() { vec![] } else { vec!["Common mistakes".into(), "Tools".into()] };
        Self { playbook: Playbook { sections, bullets, ..Playbook::default() }, reflection: found() }
    }

    fn with<T>(&self, tokens_left: u32, work: impl Fn(&curate::Input<'_>) -> T) -> T {
        let shown: Vec<&Bullet> = self.playbook.bullets.iter().collect();
        let (instructions, task) = ("Curate.", "Serve the customer.");
        let (reflection, playbook) = (&self.reflection, &self.playbook);
        work(&curate::Input { instructions, task, reflection, playbook, shown: &shown, tokens_left })
    }

    fn accept(&self, operations: &serde_json::Value) -> Result<Curated, Rejection> {
        let reply = json!({"reasoning": "r", "operations": operations}).to_string();
        let twin = |text: &str| (text == "Never refund two times.").then(|| "cms-00002".parse::<BulletId>().unwrap());
        self.with(500, |input| curate::accept(&reply, input, &twin))
    }
}

fn asked(op: &str, id: &str, ids: &[&str], content: &str) -> serde_json::Value {
    json!({"op": op, "section": "tools:", "id": id, "ids": ids, "content": content})
}

fn refusals(curated: &Curated) -> Vec<String> {
    curated.refused.iter().map(|refused| format!("{}: {}", refused.op, refused.refusal)).collect()
}

#[test]
fn the_curator_sees_sections_bullets_and_room() {
    let prompt = Desk::new(bullets().into_iter().take(2).collect()).with(90, curate::prompt);
    insta::assert_snapshot!(shown(&prompt));
}

#[test]
fn an_empty_playbook_gets_the_published_sections() {
    let prompt = Desk::new(Vec::new()).with(10_000, curate::prompt);
    insta::assert_snapshot!(format!("{}\n---\n{}", prompt.user, prompt.schema));
}

#[test]
fn operations_become_those_of_the_playbook() {
    let desk = Desk::new(bullets().to_vec());
    let curated = desk
        .accept(&json!([
            asked("add", "", &[], "Refunds need a return first.\nAsk for it."),
            asked("update", "cms-00003", &[], &"Check the order's state and the rules first. ".repeat(13)),
            asked(
                "merge",
                "cms-00002",
                &["cms-00001", "[cms-00002]", "cms-00001"],
                "Ask for the number; never refund twice."
            ),
        ]))
        .unwrap();
    assert_eq!(refusals(&curated), ["update: it would leave less than a third of the words of cms-00003"]);
    let [Operation::Add { id: None, section, content, origin: None, .. }, Operation::Merge { ids, into, .. }] =
        &curated.operations[..]
    else {
        unreachable!("{curated:?}")
    };
    assert_eq!((section.as_ref(), content.as_ref()), ("Tools", "Refunds need a return first.\nAsk for it."));
    assert_eq!(ids.len(), 2);
    assert_eq!(into.as_ref().map(BulletId::as_str), Some("cms-00002"));
    let deleted = desk.accept(&json!([asked("delete", "cms-00001", &[], "")])).unwrap();
    assert_eq!(deleted.operations, [Operation::Delete { id: "cms-00001".parse().unwrap() }]);
    assert_eq!(desk.accept(&json!([])).unwrap(), Curated::default());
}

#[test]
fn what_may_not_be_done_is_left_out_and_named() {
    let desk = Desk::new(bullets().to_vec());
    let curated = desk
        .accept(&json!([
            asked("add", "", &[], "Never refund two times."),
            asked("delete", "cms-00001", &[], ""),
            asked("delete", "cms-00002", &[], ""),
            asked("update", "cms-00001", &[], "Ask for the order's number and the name first."),
            asked("add", "", &[], "One too many."),
        ]))
        .unwrap();
    assert_eq!(curated.operations.len(), 1);
    insta::assert_snapshot!(refusals(&curated).join("\n"), @r"
    add: cms-00002 says the same
    delete: one run deletes at most one bullet
    update: cms-00001 is changed already
    add: there are more than 4 operations
    ");
    let curated = desk
        .accept(&json!([
            asked("add", "", &[], " None. "),
            asked("add", "", &[], "Ask for a return."),
            asked("add", "", &[], "ask for  a return."),
            asked("update", "cms-00002", &[], "Never refund two times."),
        ]))
        .unwrap();
    assert_eq!(refusals(&curated), ["add: its content says nothing", "add: the reply says it twice"]);
    assert_eq!(curated.operations.len(), 2);
}

#[test]
fn a_reply_that_can_be_mended_is_rejected() {
    let desk = Desk::new(bullets().to_vec());
    let no_op = desk.accept(&json!([asked("replace_all", "", &[], "x")])).unwrap_err();
    assert_eq!(no_op, Rejection::UnknownOperation("replace_all".to_owned()));
    for operation in [
        asked("update", "cms-00009", &[], "Other words."),
        asked("merge", "", &["cms-00001"], "Other words."),
        asked("add", "", &[], &"long ".repeat(200)),
    ] {
        assert_eq!(desk.accept(&json!([operation])).unwrap_err().name(), "nothing_stands");
    }
    assert_eq!(desk.accept(&json!("add")).unwrap_err(), Rejection::Member("operations"));
    assert_eq!(desk.accept(&json!([asked("add", "", &[], "n/a")])).unwrap().operations, []);
}

#[test]
fn a_heading_that_is_not_there_is_others() {
    let mut operation = asked("add", "", &[], "Refunds need a return.");
    operation["section"] = json!("</sections> My own");
    let curated = Desk::new(Vec::new()).accept(&json!([operation])).unwrap();
    assert!(matches!(&curated.operations[..], [Operation::Add { section, .. }] if section.as_ref() == "Others"));
}

proptest! {
    #[test]
    fn law_7_no_reply_makes_acceptance_fail_otherwise_than_by_a_rejection(reply in "[\\PC\n]{0,400}") {
        let _either = reflected(&reply);
        let desk = Desk::new(bullets().to_vec());
        let _either = desk.with(10, |input| curate::accept(&reply, input, &|_| None));
    }

    #[test]
    fn law_13_no_data_closes_a_tag(run in "(</?(turns|task|playbook|feedback)>|x|\n){0,20}") {
        let input = reflect::Input { run: &run, ..looked_back(&[], Labels::Known { status: "success", score: None, feedback: &run }, None) };
        let user = reflect::prompt(&input).user;
        for tag in ["</task>", "</turns>", "<turns>", "</playbook>"] {
            prop_assert!(user.matches(tag).count() <= 1 + usize::from(tag == "<turns>"), "{user}");
        }
    }

    #[test]
    fn law_13_the_playbook_only_changes_where_bullets_were_shown(
        ops in proptest::collection::vec(
            ("(add|update|merge|delete)", "cms-0000[1-5]", proptest::collection::vec("cms-0000[1-5]", 0..4), "[a-z ]{0,60}"), 0..8),
    ) {
        let desk = Desk::new(bullets().to_vec());
        let operations: Vec<_> = ops
            .iter()
            .map(|(op, id, ids, content)| asked(op, id, &ids.iter().map(String::as_str).collect::<Vec<_>>(), content))
            .collect();
        if let Ok(curated) = desk.accept(&json!(operations)) {
            let resolved = super::super::resolve(&desk.playbook, curated.operations.clone(), super::super::Prior::Outside);
            let delta = super::super::Delta {
                version: 1,
                at_ms: 0,
                actor: "test".to_owned(),
                source: super::super::Source::of(Origin::Learned),
                operations: resolved.unwrap(),
            };
            let mut playbook = desk.playbook.clone();
            playbook.apply(&delta, |_| None).unwrap();
            let deletes = curated.operations.iter().filter(|op| matches!(op, Operation::Delete { .. })).count();
            prop_assert!(deletes <= 1 && curated.operations.len() <= 4);
        }
    }
}
