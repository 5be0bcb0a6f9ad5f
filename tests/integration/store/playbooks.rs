//! Playbooks: state and log, races, what waits, and what a deletion takes out.

use std::convert::Infallible;
use std::sync::Arc;

use recap_core::playbook::{
    BulletId, Credit, Delta, Evidence, Operation, Origin, Playbook, Prior, Source, replay, resolve,
};
use recapd::store::{
    ClaimRequest, Claimed, NewJob, PlaybookChange, PlaybookChanged, PlaybookDecision, PlaybookError, PlaybookKey,
    PlaybookNow, PlaybookPatch, Store, StoreUrl,
};
use serde_json::json;
use sqlx::{Connection as _, Executor as _};

use super::bed::{Bed, on_each_engine};

on_each_engine!(
    the_log_makes_the_state,
    one_of_two_writers_wins,
    all_parallel_tags_count,
    nothing_of_a_refused_change_is_stored,
    waiting_changes_are_decided_once,
    what_a_run_was_credited_with_is_known,
    a_change_and_its_job_are_one,
    law_11_playbooks_forget_a_trajectory,
    pages_hold_everything_once,
    a_check_finds_a_state_that_its_log_does_not_make
);

type Decided = Result<PlaybookDecision, Infallible>;

fn key(name: &str) -> PlaybookKey {
    PlaybookKey { namespace: "default".into(), name: name.into() }
}

fn change(name: &str, decide: impl Fn(&PlaybookNow) -> Decided + Send + Sync + 'static) -> PlaybookChange<Infallible> {
    PlaybookChange {
        key: key(name),
        create: true,
        expected_version: None,
        at_ms: 5,
        actor: "me".into(),
        source: Source::of(Origin::Operator),
        run: None,
        accepts: None,
        review_id: "r1".into(),
        job: None,
        lesson: None,
        reads_waiting: false,
        decide: Arc::new(decide),
    }
}

fn add(content: &str) -> Operation {
    Operation::Add { id: None, section: "Rules".into(), content: content.into(), origin: None, evidence: vec![] }
}

fn tag(id: &BulletId, count: i64, inferred: bool) -> Operation {
    Operation::Tag { id: id.clone(), tag: Credit::Helpful, count, inferred }
}

/// Applies operations as they are asked for.
fn applied(operations: Vec<Operation>) -> impl Fn(&PlaybookNow) -> Decided + Send + Sync + 'static {
    move |now| {
        let resolved = resolve(&now.row.playbook, operations.clone(), Prior::Trusted).unwrap();
        Ok(PlaybookDecision::apply(resolved))
    }
}

async fn apply(store: &Store, name: &str, operations: Vec<Operation>) -> PlaybookChanged {
    store.change_playbook(change(name, applied(operations))).await.unwrap()
}

async fn state(store: &Store, name: &str) -> Playbook {
    Playbook::clone(&store.playbook(&key(name)).await.unwrap().unwrap().playbook)
}

async fn assert_sound(store: &Store) {
    let report = store.check().await.unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

async fn the_log_makes_the_state(mut bed: Bed) {
    let first = apply(&bed.store, "p", vec![add("one"), add("two")]).await;
    let id = first.row.playbook.bullets[0].id.clone();
    apply(&bed.store, "p", vec![tag(&id, 3, false), Operation::Delete { id: id.clone() }]).await;
    apply(&bed.store, "p", vec![Operation::Revert { to: 1 }]).await;
    let last = apply(&bed.store, "p", vec![add("three")]).await;
    assert_eq!(last.applied.unwrap().version, 4);
    bed.reopen().await;
    let stored = state(&bed.store, "p").await;
    assert_eq!(stored.bullets.iter().map(|bullet| &*bullet.content).collect::<Vec<_>>(), ["one", "two", "three"]);
    assert_eq!(stored.bullet(&id).unwrap().credits.helpful.count(), 0);
    let log = bed.store.playbook_log(&key("p"), None).await.unwrap();
    assert_eq!(replay(&log, None).unwrap(), stored);
    let until_two = bed.store.playbook_log(&key("p"), Some(2)).await.unwrap();
    assert_eq!(replay(&until_two, None).unwrap().bullets.len(), 1);
    let gone = bed.store.change_playbook(change("p", applied(vec![Operation::Revert { to: 9 }]))).await;
    assert!(matches!(gone, Err(PlaybookError::Fault(_))), "{gone:?}");
    assert_sound(&bed.store).await;
}

async fn one_of_two_writers_wins(bed: Bed) {
    apply(&bed.store, "p", vec![add("base")]).await;
    let writers = (0..8).map(|n| {
        let store = bed.store.clone();
        tokio::spawn(async move {
            let one = change("p", applied(vec![add(&format!("of {n}"))]));
            store.change_playbook(PlaybookChange { expected_version: Some(1), ..one }).await
        })
    });
    let mut won = 0;
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(changed) => won += changed.row.playbook.version - 1,
            Err(PlaybookError::Version { current }) => assert_eq!(current, 2),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((won, state(&bed.store, "p").await.bullets.len()), (1, 2));
}

async fn all_parallel_tags_count(bed: Bed) {
    let id = apply(&bed.store, "p", vec![add("base")]).await.row.playbook.bullets[0].id.clone();
    let writers = (0..20).map(|_| {
        let (store, id) = (bed.store.clone(), id.clone());
        tokio::spawn(async move { apply(&store, "p", vec![tag(&id, 1, false)]).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let stored = state(&bed.store, "p").await;
    assert_eq!((stored.version, stored.bullets[0].credits.helpful.count()), (21, 20));
    assert_sound(&bed.store).await;
}

async fn nothing_of_a_refused_change_is_stored(bed: Bed) {
    let refused = PlaybookChange {
        key: key("p"),
        create: true,
        expected_version: None,
        at_ms: 5,
        actor: "me".into(),
        source: Source::of(Origin::Agent),
        run: None,
        accepts: None,
        review_id: "r1".into(),
        job: None,
        lesson: None,
        reads_waiting: false,
        decide: Arc::new(|_: &PlaybookNow| Err("no")),
    };
    assert!(matches!(bed.store.change_playbook(refused).await, Err(PlaybookError::Refused("no"))));
    assert_eq!(bed.store.playbook(&key("p")).await.unwrap(), None);

    apply(&bed.store, "p", vec![add("base")]).await;
    let before = state(&bed.store, "p").await;
    let unknown: BulletId = "nope-1".parse().unwrap();
    let half = change("p", move |now| {
        let mut operations = resolve(&now.row.playbook, vec![add("half")], Prior::Trusted).unwrap();
        operations.push(Operation::Delete { id: unknown.clone() });
        Ok(PlaybookDecision::apply(operations))
    });
    assert!(matches!(bed.store.change_playbook(half).await, Err(PlaybookError::Fault(_))));
    assert_eq!(state(&bed.store, "p").await, before);
    assert_eq!(bed.store.playbook_log(&key("p"), None).await.unwrap().len(), 1);
    let missing = PlaybookChange { create: false, ..change("q", applied(vec![add("x")])) };
    assert!(matches!(bed.store.change_playbook(missing).await, Err(PlaybookError::NoPlaybook)));
    let nothing = bed.store.change_playbook(change("p", |_| Ok(PlaybookDecision::nothing()))).await.unwrap();
    assert_eq!((nothing.applied, nothing.row.playbook.version), (None, 1));
}

fn waiting(id: &str, content: &str) -> PlaybookChange<Infallible> {
    let operations = vec![add(content)];
    let wait = change("p", move |_| Ok(PlaybookDecision::wait(operations.clone(), vec!["why".into()])));
    let source = Source { trajectory: Some("run".into()), ..Source::of(Origin::Learned) };
    PlaybookChange { review_id: id.into(), source, ..wait }
}

async fn waiting_changes_are_decided_once(bed: Bed) {
    let waits = bed.store.change_playbook(waiting("r1", "one")).await.unwrap();
    assert_eq!((waits.applied, waits.waits), (None, Some(("r1".into(), vec!["why".into()]))));
    bed.store.change_playbook(waiting("r2", "two")).await.unwrap();
    let row = bed.store.playbook(&key("p")).await.unwrap().unwrap();
    assert_eq!((row.pending, row.playbook.version), (2, 0));
    let page = bed.store.playbook_reviews(&key("p"), None, 1).await.unwrap();
    assert_eq!((page.reviews[0].id.as_str(), page.reviews[0].operations.len()), ("r1", 1));
    let next = bed.store.playbook_reviews(&key("p"), page.next_cursor.as_deref(), 1).await.unwrap();
    assert_eq!((next.reviews[0].id.as_str(), next.next_cursor), ("r2", None));

    let accept = || {
        let decide = |now: &PlaybookNow| {
            let review = now.review.as_ref().unwrap();
            applied(review.operations.clone())(now)
        };
        PlaybookChange { accepts: Some("r1".into()), ..change("p", decide) }
    };
    let accepted = bed.store.change_playbook(accept()).await.unwrap().applied.unwrap();
    assert_eq!((accepted.actor.as_str(), accepted.source.origin), ("me", Origin::Learned));
    assert_eq!(state(&bed.store, "p").await.bullets[0].origin, Origin::Learned);
    assert!(matches!(bed.store.change_playbook(accept()).await, Err(PlaybookError::NoReview)));
    bed.store.reject_playbook_review(key("p"), "r2", "me", 9).await.unwrap();
    let again = bed.store.reject_playbook_review(key("p"), "r2", "me", 9).await;
    assert!(matches!(again, Err(PlaybookError::NoReview)));
    assert_eq!(bed.store.playbook(&key("p")).await.unwrap().unwrap().pending, 0);
}

async fn what_a_run_was_credited_with_is_known(bed: Bed) {
    bed.trajectory("run").await;
    let id = apply(&bed.store, "p", vec![add("base")]).await.row.playbook.bullets[0].id.clone();
    let credit = |count: i64, expected: &'static [u64]| {
        let id = id.clone();
        let decide = move |now: &PlaybookNow| {
            assert_eq!(now.run.as_ref().unwrap().id, "run");
            assert_eq!(now.of_run.iter().map(|delta| delta.version).collect::<Vec<_>>(), expected);
            Ok(PlaybookDecision::apply(vec![tag(&id, count, true)]))
        };
        let source = Source { trajectory: Some("run".into()), ..Source::of(Origin::Agent) };
        PlaybookChange { run: Some("run".into()), source, ..change("p", decide) }
    };
    bed.store.change_playbook(credit(1, &[])).await.unwrap();
    bed.store.change_playbook(credit(1, &[2])).await.unwrap();
    // What was reverted is not credited any more; what is in force again is.
    apply(&bed.store, "p", vec![Operation::Revert { to: 2 }]).await;
    bed.store.change_playbook(credit(1, &[2])).await.unwrap();
    apply(&bed.store, "p", vec![Operation::Revert { to: 3 }]).await;
    bed.store.change_playbook(credit(1, &[2, 3])).await.unwrap();
    let none = PlaybookChange { run: Some("gone".into()), ..change("p", |_| Ok(PlaybookDecision::nothing())) };
    assert!(matches!(bed.store.change_playbook(none).await, Err(PlaybookError::NoTrajectory)));
    assert_sound(&bed.store).await;
}

async fn a_change_and_its_job_are_one(bed: Bed) {
    let job = NewJob {
        id: "j".into(),
        kind: "learn".into(),
        key: "run".into(),
        trajectory: None,
        namespace: "default".into(),
        payload: json!({}),
        run_after_ms: 0,
        now_ms: 0,
    };
    bed.store.enqueue_job(job).await.unwrap();
    let claim = ClaimRequest { kinds: vec!["learn"], token: "t".into(), lease_ms: 99, max_attempts: 3, now_ms: 1 };
    let Some(Claimed::Job(job)) = bed.store.claim_job(claim).await.unwrap() else { panic!("no job") };
    let with = |token: &str| PlaybookChange {
        job: Some(job.lease(token.into())),
        ..change("p", applied(vec![add("learned")]))
    };
    assert!(matches!(bed.store.change_playbook(with("other")).await, Err(PlaybookError::LeaseLost)));
    assert_eq!(bed.store.playbook(&key("p")).await.unwrap(), None);
    bed.store.change_playbook(with("t")).await.unwrap();
    assert!(matches!(bed.store.change_playbook(with("t")).await, Err(PlaybookError::LeaseLost)));
    assert_eq!(state(&bed.store, "p").await.version, 1);
}

async fn law_11_playbooks_forget_a_trajectory(bed: Bed) {
    bed.trajectory("run").await;
    apply(&bed.store, "p", vec![add("stays")]).await;
    let source = Source { trajectory: Some("run".into()), ..Source::of(Origin::Learned) };
    let learned = PlaybookChange { source, ..change("p", applied(vec![add("secret of the run")])) };
    let learned = bed.store.change_playbook(learned).await.unwrap().row.playbook.bullets[1].id.clone();
    apply(&bed.store, "p", vec![tag(&learned, 1, false)]).await;
    let evidence = |run: &str| Evidence { trajectory: run.into(), turn: Some(3) };
    let both = Operation::Add {
        id: None,
        section: "Rules".into(),
        content: "also seen".into(),
        origin: None,
        evidence: vec![evidence("run"), evidence("other")],
    };
    apply(&bed.store, "p", vec![both.clone()]).await;
    apply(&bed.store, "q", vec![add("of another playbook")]).await;
    bed.store.change_playbook(waiting("r1", "secret that waits")).await.unwrap();
    let others = change("p", move |_| Ok(PlaybookDecision::wait(vec![both.clone()], vec![])));
    bed.store.change_playbook(PlaybookChange { review_id: "r2".into(), ..others }).await.unwrap();

    let report = bed.store.delete_trajectory("run", "me", 77).await.unwrap();
    assert_eq!((report.playbook_operations, report.reviews), (2, 1));
    assert_eq!(report.playbooks, [key("p")]);
    let row = bed.store.playbook(&key("p")).await.unwrap().unwrap();
    let contents: Vec<&str> = row.playbook.bullets.iter().map(|bullet| &*bullet.content).collect();
    assert_eq!(contents, ["stays", "also seen"]);
    assert_eq!(row.playbook.bullets[1].evidence, [evidence("other")]);
    assert_eq!((row.playbook.version, row.pending), (5, 1));
    let log: Vec<Delta> = bed.store.playbook_log(&key("p"), None).await.unwrap();
    assert_eq!(log.iter().map(|delta| delta.version).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(log[1].operations, [Operation::Retire { id: learned }]);
    let last = log.last().unwrap();
    assert_eq!((last.actor.as_str(), last.at_ms, last.operations.len()), ("me", 77, 0));
    let reviews = bed.store.playbook_reviews(&key("p"), None, 9).await.unwrap().reviews;
    let all = format!("{:?}{log:?}{reviews:?}", row.playbook);
    assert!(!all.contains("secret") && !all.contains("\"run\""), "{all}");
    assert_eq!(state(&bed.store, "q").await.version, 1);
    assert_sound(&bed.store).await;
}

async fn pages_hold_everything_once(bed: Bed) {
    for name in ["c", "a", "b"] {
        for n in 0..3 {
            apply(&bed.store, name, vec![add(&format!("{n}"))]).await;
        }
    }
    let first = bed.store.list_playbooks(Some("default"), None, 2).await.unwrap();
    let second = bed.store.list_playbooks(None, first.next_cursor.as_deref(), 2).await.unwrap();
    let names: Vec<_> = first.playbooks.iter().chain(&second.playbooks).map(|row| row.key.name.as_str()).collect();
    assert_eq!((names, second.next_cursor), (vec!["a", "b", "c"], None));
    assert!(bed.store.list_playbooks(Some("other"), None, 2).await.unwrap().playbooks.is_empty());
    let first = bed.store.playbook_deltas(&key("a"), None, 2).await.unwrap();
    let second = bed.store.playbook_deltas(&key("a"), first.next_cursor.as_deref(), 2).await.unwrap();
    let versions: Vec<_> = first.deltas.iter().chain(&second.deltas).map(|delta| delta.version).collect();
    assert_eq!((versions, second.next_cursor), (vec![3, 2, 1], None));

    let changes = bed.store.playbook_changes(&key("a")).await.unwrap();
    let patch = PlaybookPatch { budget: Some(Some(500)), review: Some(Some(true)) };
    bed.store.patch_playbook(key("a"), patch, 9).await.unwrap();
    let row = bed.store.playbook(&key("a")).await.unwrap().unwrap();
    assert_eq!((row.budget, row.review, row.updated_ms), (Some(500), Some(true), 9));
    assert_eq!(bed.store.playbook_changes(&key("a")).await.unwrap(), changes.map(|changes| changes + 1));
    let back = PlaybookPatch { budget: Some(None), review: None };
    let row = bed.store.patch_playbook(key("a"), back, 9).await.unwrap();
    assert_eq!((row.budget, row.review), (None, Some(true)));
    let none = bed.store.patch_playbook(key("z"), back, 9).await;
    assert!(matches!(none, Err(PlaybookError::NoPlaybook)));
}

async fn damage(bed: &Bed) {
    let sql = "UPDATE playbooks SET state = REPLACE(state, 'two', 'too')";
    match &bed.url {
        StoreUrl::Sqlite(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
            connection.execute(sql).await.unwrap();
        }
        StoreUrl::Postgres(url) => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            connection.execute(sql).await.unwrap();
        }
    }
}

async fn a_check_finds_a_state_that_its_log_does_not_make(bed: Bed) {
    apply(&bed.store, "p", vec![add("one"), add("two")]).await;
    assert_sound(&bed.store).await;
    damage(&bed).await;
    let report = bed.store.check().await.unwrap();
    assert_eq!((report.playbooks, report.problem_count), (1, 1));
    assert!(report.problems[0].starts_with("playbook default/p: "), "{:?}", report.problems);
}
