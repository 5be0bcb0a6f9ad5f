//! Heads: versions, which of them scores, and distillation runs.

use recap_core::context::MOST_HEAD_BYTES;
use recap_core::trajectory::OriginalHash;
use recapd::store::{
    ClaimRequest, Claimed, DistillationEnd, DistillationRow, DistillationState, DistillationStep, Expected, HeadChange,
    HeadError, HeadState, HeadStep, HeadVerdict, JobState, Lease, Measured, NewHead, NewJob, Store,
};
use serde_json::json;

use super::bed::{Bed, on_each_engine};

on_each_engine!(
    heads_are_kept_by_content,
    heads_score_one_at_a_time,
    a_verdict_holds_beside_the_champion_that_it_was_won_against,
    a_distillation_goes_on_and_ends_with_its_job,
    a_distillation_that_was_cancelled_stays_so,
    a_distillation_whose_job_is_dead_has_failed
);

fn verdict(passes: bool, against: Measured) -> HeadVerdict {
    HeadVerdict { said: json!({ "passes": passes }), passes, against }
}

fn head(weights: &[u8], passed: Option<bool>) -> NewHead {
    NewHead {
        weights: weights.to_vec(),
        manifest: json!({ "seed": 7 }),
        verdict: passed.map(|passes| verdict(passes, Measured::Rules)),
        actor: "me".into(),
        created_ms: 5,
    }
}

fn hash(weights: &[u8]) -> OriginalHash {
    OriginalHash::from_bytes(*blake3::hash(weights).as_bytes())
}

async fn change(store: &Store, step: HeadStep) -> Result<HeadState, HeadError> {
    store.change_head(HeadChange { actor: "me".into(), at_ms: 9, step }).await
}

async fn heads_are_kept_by_content(bed: Bed) {
    let store = &bed.store;
    assert_eq!(store.add_head(head(b"one", None)).await.unwrap(), hash(b"one"));
    let first = store.head(&hash(b"one")).await.unwrap().unwrap();
    assert_eq!((first.passed, first.verdict, first.bytes), (false, None, 3));
    // the gate's word comes later, with its record, and is not lost by a head without one
    let again = |seed: u32, passed| NewHead { manifest: json!({ "seed": seed }), ..head(b"one", passed) };
    store.add_head(again(8, Some(true))).await.unwrap();
    store.add_head(again(9, None)).await.unwrap();
    let judged = store.head(&hash(b"one")).await.unwrap().unwrap();
    assert_eq!((judged.passed, judged.verdict), (true, Some(json!({ "passes": true }))));
    assert_eq!(judged.manifest, json!({ "seed": 8 }));
    assert_eq!(store.head_weights(&hash(b"one")).await.unwrap().unwrap(), b"one");
    assert_eq!(store.head_weights(&hash(b"two")).await.unwrap(), None);
    assert_eq!(store.heads().await.unwrap().len(), 1);
    let large = store.add_head(head(&vec![0; MOST_HEAD_BYTES + 1], None)).await;
    assert!(matches!(large, Err(HeadError::TooLarge)));
}

async fn heads_score_one_at_a_time(bed: Bed) {
    let store = &bed.store;
    assert_eq!(store.head_state().await.unwrap(), HeadState::default());
    assert!(matches!(change(store, HeadStep::Rollback).await, Err(HeadError::NoEarlier)));
    for (weights, passed) in [(b"one", Some(true)), (b"two", Some(true)), (b"bad", Some(false)), (b"new", None)] {
        store.add_head(head(weights, passed)).await.unwrap();
    }
    let activate = |to: &[u8], expected: Option<&[u8]>| HeadStep::Activate {
        hash: hash(to),
        expected: Expected::Champion(expected.map(hash)),
    };
    for refused in [b"bad", b"new"] {
        assert!(matches!(change(store, activate(refused, None)).await, Err(HeadError::NotPassed)));
    }
    assert!(matches!(change(store, activate(b"none", None)).await, Err(HeadError::NoHead)));
    let one = change(store, activate(b"one", None)).await.unwrap();
    assert_eq!(one, HeadState { champion: Some(hash(b"one")), version: 1 });
    let late = change(store, activate(b"two", None)).await;
    assert!(matches!(late, Err(HeadError::Champion { current }) if current == Some(hash(b"one"))));
    // what is so already is no change
    assert_eq!(change(store, activate(b"one", Some(b"one"))).await.unwrap(), one);
    change(store, activate(b"two", Some(b"one"))).await.unwrap();
    assert_eq!(change(store, HeadStep::Rollback).await.unwrap().champion, Some(hash(b"one")));
    assert_eq!(change(store, HeadStep::Rollback).await.unwrap().champion, None);
    assert!(matches!(change(store, HeadStep::Rollback).await, Err(HeadError::NoEarlier)));
    assert_eq!(store.head_state().await.unwrap(), HeadState { champion: None, version: 4 });
    let events = store.head_events(10).await.unwrap();
    let steps: Vec<_> = events.iter().rev().map(|event| (event.action.as_str(), event.from, event.to)).collect();
    let (one, two) = (Some(hash(b"one")), Some(hash(b"two")));
    let expected = [("activate", None, one), ("activate", one, two), ("rollback", two, one), ("rollback", one, None)];
    assert_eq!(steps, expected);
}

async fn a_verdict_holds_beside_the_champion_that_it_was_won_against(bed: Bed) {
    let store = &bed.store;
    let add = async |weights: &[u8], passes: bool, against: Measured| {
        let judged = NewHead { verdict: Some(verdict(passes, against)), ..head(weights, None) };
        store.add_head(judged).await.unwrap()
    };
    let measured = |hash| HeadStep::Activate { hash, expected: Expected::Measured };
    let one = add(b"one", true, Measured::Rules).await;
    let two = add(b"two", true, Measured::Rules).await;
    assert_eq!(change(store, measured(one)).await.unwrap().champion, Some(one));
    assert_eq!(change(store, measured(one)).await.unwrap().champion, Some(one), "it is the champion already");
    let late = change(store, measured(two)).await;
    assert!(matches!(late, Err(HeadError::Champion { current }) if current == Some(one)), "{late:?}");
    // the same weights trained again while they score: they are no better than themselves
    add(b"one", false, Measured::Head(one)).await;
    let kept = store.head(&one).await.unwrap().unwrap();
    assert_eq!((kept.passed, kept.measured), (true, Some(Measured::Rules)));
    add(b"two", true, Measured::Head(one)).await;
    assert_eq!(store.head(&two).await.unwrap().unwrap().measured, Some(Measured::Head(one)));
    assert_eq!(change(store, measured(two)).await.unwrap().champion, Some(two));
}

async fn asked(store: &Store, id: &str) -> Lease {
    let row = DistillationRow {
        id: id.into(),
        namespace: "default".into(),
        spec: json!({ "kind": "export" }),
        state: DistillationState::Queued,
        stage: "queued".into(),
        report: json!({}),
        head: None,
        error: None,
        actor: "me".into(),
        created_ms: 1,
        updated_ms: 1,
    };
    let job = NewJob {
        id: format!("job-{id}"),
        kind: "distill".into(),
        key: id.into(),
        trajectory: None,
        namespace: "default".into(),
        payload: json!({}),
        run_after_ms: 1,
        now_ms: 1,
    };
    store.add_distillation(row.clone(), job).await.unwrap();
    assert_eq!(store.distillation(id).await.unwrap(), Some(row));
    let token = format!("token-{id}");
    let claim =
        ClaimRequest { kinds: vec!["distill"], token: token.clone(), lease_ms: 1_000, max_attempts: 3, now_ms: 2 };
    let Some(Claimed::Job(job)) = store.claim_job(claim).await.unwrap() else { panic!("no job is due") };
    Lease { job: job.id, token }
}

fn step(id: &str, checkpoint: Option<&[u8]>) -> DistillationStep {
    DistillationStep {
        id: id.into(),
        stage: "train".into(),
        report: json!({ "epochs": 1 }),
        checkpoint: checkpoint.map(<[u8]>::to_vec),
        now_ms: 3,
    }
}

async fn a_distillation_goes_on_and_ends_with_its_job(bed: Bed) {
    let store = &bed.store;
    let lease = asked(store, "one").await;
    assert!(store.note_distillation(step("one", Some(b"after epoch 1"))).await.unwrap());
    assert!(store.note_distillation(step("one", None)).await.unwrap());
    assert_eq!(store.distillation_checkpoint("one").await.unwrap().unwrap(), b"after epoch 1");
    let running = store.distillation("one").await.unwrap().unwrap();
    assert_eq!((running.state, running.stage.as_str()), (DistillationState::Running, "train"));
    let end =
        DistillationEnd { id: "one".into(), result: Ok((json!({ "examples": 4 }), Some(hash(b"one")))), now_ms: 4 };
    store.end_distillation(end.clone(), lease.clone()).await.unwrap();
    assert!(store.end_distillation(end, lease).await.is_err(), "its job is gone");
    let done = store.distillation("one").await.unwrap().unwrap();
    assert_eq!(
        (done.state, done.head, done.report),
        (DistillationState::Done, Some(hash(b"one")), json!({ "examples": 4 }))
    );
    assert_eq!(store.distillation_checkpoint("one").await.unwrap(), None);
    assert!(!store.note_distillation(step("one", None)).await.unwrap());
    let page = store.list_distillations(Some("default"), None, 10).await.unwrap();
    assert_eq!((page.runs.len(), page.next_cursor), (1, None));
    assert!(store.list_distillations(Some("other"), None, 10).await.unwrap().runs.is_empty());
}

async fn a_distillation_that_was_cancelled_stays_so(bed: Bed) {
    let store = &bed.store;
    let lease = asked(store, "one").await;
    assert!(store.cancel_distillation("one", 3).await.unwrap());
    assert!(!store.cancel_distillation("one", 3).await.unwrap());
    assert!(!store.note_distillation(step("one", None)).await.unwrap());
    let end = DistillationEnd { id: "one".into(), result: Err("late".into()), now_ms: 4 };
    store.end_distillation(end, lease).await.unwrap();
    let row = store.distillation("one").await.unwrap().unwrap();
    assert_eq!((row.state, row.error), (DistillationState::Cancelled, None));
}

async fn a_distillation_whose_job_is_dead_has_failed(bed: Bed) {
    let store = &bed.store;
    let lease = asked(store, "one").await;
    assert!(store.note_distillation(step("one", Some(b"after epoch 1"))).await.unwrap());
    let cases = json!([{ "id": "t", "length": 4 }]);
    store.keep_distillation_cases("one", &cases).await.unwrap();
    assert_eq!(store.distillation_cases("one").await.unwrap(), Some(cases));
    assert_eq!(store.fail_job(lease.clone(), "busy", Some(3), 3).await.unwrap(), Some(JobState::Ready));
    let waiting = store.distillation("one").await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.error), (DistillationState::Running, None), "it is tried again");
    let claim =
        ClaimRequest { kinds: vec!["distill"], token: "again".into(), lease_ms: 1_000, max_attempts: 3, now_ms: 4 };
    let Some(Claimed::Job(job)) = store.claim_job(claim).await.unwrap() else { panic!("no job is due") };
    let lease = job.lease("again".into());
    assert_eq!(store.fail_job(lease, "the disk is full", None, 5).await.unwrap(), Some(JobState::Dead));
    let failed = store.distillation("one").await.unwrap().unwrap();
    assert_eq!((failed.state, failed.stage.as_str()), (DistillationState::Failed, "failed"));
    assert_eq!(failed.error.as_deref(), Some("the disk is full"));
    assert_eq!(store.list_distillations(None, None, 10).await.unwrap().runs[0].state, DistillationState::Failed);
    assert!(store.distillation_checkpoint("one").await.unwrap().is_some(), "a job that is retried goes on from it");
    assert!(store.cancel_distillation("one", 6).await.unwrap());
    assert_eq!(store.distillation_cases("one").await.unwrap(), None);
}
