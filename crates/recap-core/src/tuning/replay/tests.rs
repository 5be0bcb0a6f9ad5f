#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::cast_precision_loss, reason = "tests")]

use serde_json::json;

use super::super::text::tokens;
use super::super::{RecordError, Summary};
use super::*;

fn call(id: &str, arguments: &str) -> Value {
    json!({"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function", "function": {"name": "get", "arguments": arguments}}]})
}

fn result(id: &str, content: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": content})
}

/// Steps: 2 needs nothing; 4 needs `AB123` (last turn); 6 needs `CD456` (far, first), `AB123` (in the last turn: the call names it);
/// `ZZ999` stands in the task and does not count.
fn trajectory() -> Vec<Value> {
    vec![
        json!({"role": "system", "content": "Be brief."}),
        json!({"role": "user", "content": "Look up ZZ999."}),
        call("1", r#"{"id": "ZZ999"}"#),
        result("1", "order AB123 shipped Paris\nticket CD456 blue Rome"),
        call("2", r#"{"id": "AB123"}"#),
        result("2", "nothing here"),
        call("3", r#"{"id": "CD456", "other": "AB123", "task": "ZZ999"}"#),
    ]
}

fn size(message: &Value) -> i64 {
    tokens(&super::super::text::flat(message)) + 4
}

const RULE: Replay = Replay { fraction: 0.5, floor: 10 };

fn run(mut serve: impl FnMut(&[Value]) -> Vec<Value>) -> TrajectoryScore {
    let recorded = Recorded::new(trajectory()).unwrap();
    let serve = |sent: &[Value], _| Ok::<_, ()>(ServedContext { messages: serve(sent), refused: false });
    replay(&recorded, RULE, &mut MessageCache::default(), serve).unwrap()
}

#[test]
fn full_contexts_lose_nothing() {
    let mut all = Vec::new();
    let score = run(|sent| {
        all.extend_from_slice(sent);
        all.clone()
    });
    assert_eq!((score.steps, score.need, score.kept, score.bound), (3, 3, 3, 3));
    assert_eq!((score.far, score.far_kept, score.first, score.first_kept, score.whole_kept), (1, 1, 1, 1, 1));
    let sizes: Vec<i64> = trajectory().iter().map(size).collect();
    assert_eq!(score.full_peak, sizes[1..6].iter().sum::<i64>());
    assert_eq!((score.peak, score.dep, score.billed), (score.full_peak, score.full_dep, score.full_billed));
    let before = |i: usize| sizes[..i].iter().sum::<i64>();
    assert_eq!((score.pre, score.pre_of), (before(2) + before(4), before(2) + before(4)));
    let new = (before(2) + sizes[2] + sizes[3] + sizes[4] + sizes[5]) as f64;
    assert!((score.billed - new - 0.1 * (before(2) + before(4)) as f64).abs() < 1e-9);
    let dep: i64 = [2, 4, 6].iter().map(|&i| (before(i) - sizes[0] + 2 * sizes[i]) * sizes[i]).sum();
    assert_eq!(score.dep, dep as f64 / 2.0);
    assert_eq!((score.budget, score.floored), (sizes[0] + (score.full_peak / 2).max(10), false));
    assert_eq!((score.over, score.invalid), (2, 0));
    assert!(score.lost.is_empty() && score.invalid_contexts.is_empty());
    let summary = Summary::of(&[score]);
    assert_eq!(
        (summary.grounding, summary.prefix, summary.peak, summary.billed),
        (Some(1.0), Some(1.0), Some(1.0), Some(1.0))
    );
}

#[test]
fn a_list_of_values_is_present_but_neither_bound_nor_whole() {
    let head = trajectory()[..2].to_vec();
    let score = run(|_| [head.clone(), vec![json!({"role": "user", "content": "AB123 CD456"})]].concat());
    assert_eq!((score.need, score.kept, score.bound), (3, 3, 0));
    assert_eq!((score.far_kept, score.first_kept, score.whole_kept), (1, 0, 0));
    let first =
        Lost { step: 6, value: "CD456".to_owned(), under: vec![Measure::Bound, Measure::First, Measure::Whole] };
    assert_eq!(score.lost[2], first);
    assert_eq!(score.lost[0].under, [Measure::Bound]);
}

#[test]
fn words_without_the_line_bind_but_are_not_whole() {
    let head = trajectory()[..2].to_vec();
    let served = json!({"role": "user", "content": "ticket: CD456, colour blue, city Rome; order: AB123 Paris"});
    let score = run(|_| [head.clone(), vec![served.clone()]].concat());
    assert_eq!((score.bound, score.first_kept, score.whole_kept), (3, 1, 0));
    assert_eq!(score.lost, [Lost { step: 6, value: "CD456".to_owned(), under: vec![Measure::Whole] }]);
}

#[test]
fn an_empty_context_loses_everything_and_is_invalid() {
    let score = run(|_| Vec::new());
    assert_eq!((score.need, score.kept, score.far_kept, score.invalid, score.over), (3, 0, 0, 3, 0));
    let all = [Measure::Grounding, Measure::Far, Measure::Bound, Measure::First, Measure::Whole];
    assert_eq!(score.lost.iter().find(|l| l.value == "CD456").unwrap().under, all);
    assert_eq!((score.pre, score.pre_of, score.billed), (0, 0, 0.0));
    assert_eq!(score.invalid_contexts.len(), 3);
}

#[test]
fn changed_messages_end_the_prefix() {
    let mut n = 0;
    let head = trajectory()[..2].to_vec();
    let score = run(|_| {
        n += 1;
        [
            head.clone(),
            vec![json!({"role": "user", "content": format!("note {n}")}), json!({"role": "user", "content": "same"})],
        ]
        .concat()
    });
    let head_tokens: i64 = head.iter().map(size).sum();
    assert_eq!(score.pre, 2 * head_tokens);
    assert!(score.pre_of > score.pre);
}

#[test]
fn refused_contexts_may_exceed_the_budget() {
    let recorded = Recorded::new(trajectory()).unwrap();
    let rule = Replay { fraction: 0.0, floor: 1 };
    let mut all = Vec::new();
    let serve = |sent: &[Value], budget| {
        all.extend_from_slice(sent);
        assert_eq!(budget, size(&trajectory()[0]) + 1);
        Ok::<_, ()>(ServedContext { messages: all.clone(), refused: true })
    };
    let score = replay(&recorded, rule, &mut MessageCache::default(), serve).unwrap();
    assert_eq!((score.refused, score.over, score.floored), (3, 0, true));
}

#[test]
fn an_absolute_budget_is_the_one_asked_for() {
    let recorded = Recorded::new(trajectory()).unwrap();
    let serve = |budget: i64| {
        let mut all = Vec::new();
        move |sent: &[Value], asked: i64| {
            assert_eq!(asked, budget);
            all.extend_from_slice(sent);
            Ok::<_, ()>(ServedContext { messages: all.clone(), refused: false })
        }
    };
    // One token less than the second context's, of whose framing one token a message is granted.
    let budget = trajectory()[..4].iter().map(size).sum::<i64>() - 4 - 1;
    let score = replay_at(&recorded, budget, &mut MessageCache::default(), serve(budget)).unwrap();
    assert_eq!((score.budget, score.floored, score.over), (budget, false, 2));
    let system = size(&trajectory()[0]);
    let by_rule =
        replay(&recorded, Replay { fraction: 0.0, floor: 9 }, &mut MessageCache::default(), serve(system + 9));
    let at = replay_at(&recorded, system + 9, &mut MessageCache::default(), serve(system + 9));
    assert_eq!(by_rule.unwrap(), TrajectoryScore { floored: true, ..at.unwrap() });
}

#[test]
fn errors_of_the_server_end_the_replay() {
    let recorded = Recorded::new(trajectory()).unwrap();
    let failed = replay(&recorded, RULE, &mut MessageCache::default(), |_, _| Err::<ServedContext, _>("down"));
    assert_eq!(failed, Err("down"));
}

#[test]
fn messages_need_roles() {
    let error = Recorded::new(vec![json!({"role": "user", "content": ""}), json!({"content": ""})]).unwrap_err();
    assert_eq!(error, RecordError::NotAMessage { index: 1 });
}
