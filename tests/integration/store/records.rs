//! Records: creation, changes, lists, forks, pins, epochs, snapshots, keys, usage, audit.

use recapd::store::{
    AuditEntry, ChangeError, EpochRow, Fork, HandleError, KeyRow, Outcome, OutcomeStatus, Patch, Pinned, Snapshot,
    StoreError, TrajectoryFilter, UsageRow,
};
use serde_json::json;

use super::bed::{Bed, message, new_trajectory, on_each_engine, request};

on_each_engine!(
    a_record_is_made_once_and_changed,
    lists_are_filtered_and_paged,
    a_fork_shares_the_first_messages,
    a_message_is_pinned,
    a_handle_names_an_original_of_the_trajectory,
    epochs_and_snapshots_are_kept,
    keys_usage_and_audit_are_kept,
    health_and_migrations,
);

async fn a_record_is_made_once_and_changed(bed: Bed) {
    let mut new = new_trajectory("t");
    new.policy = Some(json!({"compress": {"t_obs": 5}}));
    new.tools = Some("[ {\"b\":1, \"a\":2} ]".into());
    bed.store.create_trajectory(new.clone()).await.unwrap();
    assert!(matches!(bed.store.create_trajectory(new).await, Err(ChangeError::Exists)));
    let row = bed.store.trajectory("t").await.unwrap().unwrap();
    assert_eq!(row.tools.as_deref(), Some("[ {\"b\":1, \"a\":2} ]"));
    let outcome = Outcome { status: OutcomeStatus::Partial, score: Some(0.5), feedback: None, used_bullets: vec![] };
    let patch = Patch {
        budget: Some(Some(9)),
        policy: Some(None),
        outcome: Some(Some(outcome.clone())),
        expected_version: Some(1),
        ..Patch::default()
    };
    let changed = bed.store.patch_trajectory("t", patch.clone(), 5).await.unwrap();
    assert_eq!(bed.store.trajectory("t").await.unwrap(), Some(changed.clone()));
    assert_eq!((changed.budget, changed.policy, changed.outcome, changed.version), (Some(9), None, Some(outcome), 2));
    let late = bed.store.patch_trajectory("t", patch.clone(), 5).await;
    assert!(matches!(late, Err(ChangeError::VersionMismatch { current: 2 })));
    assert!(matches!(bed.store.patch_trajectory("u", patch, 5).await, Err(ChangeError::NoTrajectory)));
    assert!(bed.store.trajectory("u").await.unwrap().is_none());
}

async fn lists_are_filtered_and_paged(bed: Bed) {
    for n in 0..7 {
        let mut new = new_trajectory(&format!("id.{n}"));
        new.created_ms = n / 2;
        new.agent = Some(format!("agent{}", n % 2));
        new.task = Some(format!("Do 100% of_{n}"));
        bed.store.create_trajectory(new).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = bed.store.list_trajectories(&TrajectoryFilter::default(), cursor.as_deref(), 3).await.unwrap();
        seen.extend(page.trajectories.into_iter().map(|row| row.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["id.6", "id.5", "id.4", "id.3", "id.2", "id.1", "id.0"]);
    let ids = async |filter: TrajectoryFilter| {
        let page = bed.store.list_trajectories(&filter, None, 9).await.unwrap();
        page.trajectories.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let filter = TrajectoryFilter { q: Some("100% OF_3".into()), ..Default::default() };
    assert_eq!(ids(filter).await, ["id.3"]);
    let filter = TrajectoryFilter {
        agent: Some("agent0".into()),
        since_ms: Some(1),
        until_ms: Some(3),
        namespace: Some("default".into()),
        ..Default::default()
    };
    assert_eq!(ids(filter).await, ["id.4", "id.2"]);
    let none = TrajectoryFilter { outcome: Some(OutcomeStatus::Success), ..Default::default() };
    assert!(ids(none).await.is_empty());
    let bad = bed.store.list_trajectories(&TrajectoryFilter::default(), Some("x"), 3).await;
    assert!(matches!(bad, Err(StoreError::BadCursor)));
}

async fn a_fork_shares_the_first_messages(bed: Bed) {
    bed.trajectory("t").await;
    let messages = ["a", &"b".repeat(900), "c"].map(message).to_vec();
    bed.store.append(request("t", messages)).await.unwrap();
    let fork = |length, id: &str| Fork { trajectory: "t".into(), length, id: id.into(), now_ms: 3 };
    let row = bed.store.fork(fork(2, "f")).await.unwrap();
    assert_eq!((row.length, row.full_tokens, row.forked_from), (2, 14, Some(("t".into(), 2))));
    bed.store.append(request("f", vec![message("d")])).await.unwrap();
    let forked = bed.store.messages("f", 0..9).await.unwrap();
    let source = bed.store.messages("t", 0..9).await.unwrap();
    assert_eq!((&forked[..2], forked.len(), source.len()), (&source[..2], 3, 3));
    assert!(matches!(bed.store.fork(fork(4, "g")).await, Err(ChangeError::TooShort { current: 3 })));
    assert!(matches!(bed.store.fork(fork(1, "f")).await, Err(ChangeError::Exists)));
    let report = bed.store.delete_trajectory("t", "me", 9).await.unwrap();
    assert_eq!((report.originals, report.shared_originals, report.released_forks), (1, 2, 1));
    assert_eq!(bed.store.messages("f", 0..9).await.unwrap(), forked);
    assert!(bed.store.check().await.unwrap().is_sound());
}

async fn a_message_is_pinned(bed: Bed) {
    bed.trajectory("t").await;
    bed.store.append(request("t", vec![message("a"), message("b")])).await.unwrap();
    let pins = async || {
        let messages = bed.store.messages("t", 0..9).await.unwrap();
        messages.iter().map(|message| message.pinned).collect::<Vec<_>>()
    };
    bed.store.set_pinned("t", 1, Pinned::Yes, 4).await.unwrap();
    assert_eq!(pins().await, [false, true]);
    bed.store.set_pinned("t", 1, Pinned::No, 4).await.unwrap();
    assert_eq!(pins().await, [false, false]);
    assert!(matches!(bed.store.set_pinned("t", 2, Pinned::Yes, 4).await, Err(ChangeError::NoMessage)));
    assert!(matches!(bed.store.set_pinned("u", 0, Pinned::Yes, 4).await, Err(ChangeError::NoTrajectory)));
}

async fn a_handle_names_an_original_of_the_trajectory(bed: Bed) {
    bed.trajectory("t").await;
    bed.trajectory("u").await;
    let message = message("some text");
    let hash = message.originals[0].0;
    bed.store.append(request("t", vec![message])).await.unwrap();
    assert_eq!(bed.store.resolve_handle("t", &hash.handle()).await.unwrap(), hash);
    assert_eq!(bed.store.resolve_handle("t", &hash.to_string()).await.unwrap(), hash);
    assert!(matches!(bed.store.resolve_handle("u", &hash.handle()).await, Err(HandleError::Unknown)));
    for bad in ["b3:1234567", "b3:1234567g", "", "b3:", &"é".repeat(9), &"0".repeat(65)] {
        assert!(matches!(bed.store.resolve_handle("t", bad).await, Err(HandleError::Malformed)), "{bad}");
    }
    assert_eq!(&*bed.store.originals_of("t", 0).await.unwrap()[0].1, "some text");
    assert!(bed.store.originals_of("t", 1).await.unwrap().is_empty());
    assert!(bed.store.original_in_namespace(hash, "default").await.unwrap().is_some());
    assert!(bed.store.original_in_namespace(hash, "other").await.unwrap().is_none());
}

async fn epochs_and_snapshots_are_kept(mut bed: Bed) {
    bed.trajectory("t").await;
    let epoch = |line: &str, n, record: &str| EpochRow { line: line.into(), n, record: record.into(), created_ms: 1 };
    for epoch in [epoch("b", 0, "{}"), epoch("a", 0, "{}"), epoch("a", 1, "{}"), epoch("a", 1, "[1]")] {
        bed.store.put_epoch("t", epoch).await.unwrap();
    }
    assert!(matches!(bed.store.put_epoch("u", epoch("a", 0, "")).await, Err(ChangeError::NoTrajectory)));
    for at_length in [3, 5] {
        bed.store.put_snapshot("t", Snapshot { at_length, record: vec![0, 255] }).await.unwrap();
    }
    bed.reopen().await;
    let all = bed.store.epochs("t", None).await.unwrap();
    assert_eq!(all, [epoch("a", 0, "{}"), epoch("a", 1, "[1]"), epoch("b", 0, "{}")]);
    assert_eq!(bed.store.epochs("t", Some("b")).await.unwrap(), all[2..]);
    assert_eq!(bed.store.latest_epoch("t", "a").await.unwrap().as_ref(), all.get(1));
    assert_eq!(bed.store.epoch("t", "a", 0).await.unwrap().as_ref(), all.first());
    let snapshot = Snapshot { at_length: 5, record: vec![0, 255] };
    assert_eq!(bed.store.latest_snapshot("t").await.unwrap(), Some(snapshot));
    assert_eq!(bed.store.latest_snapshot("u").await.unwrap(), None);
}

async fn keys_usage_and_audit_are_kept(bed: Bed) {
    let key = KeyRow {
        id: "k".into(),
        hash: [7; 32],
        name: "laptop".into(),
        scope: "agent".into(),
        namespace: Some("n".into()),
        created_ms: 1,
        last_used_ms: None,
    };
    bed.store.add_key(key.clone()).await.unwrap();
    assert!(bed.store.add_key(key.clone()).await.is_err());
    assert!(bed.store.touch_key("k", 9).await.unwrap());
    let touched = KeyRow { last_used_ms: Some(9), ..key };
    assert_eq!(bed.store.key_by_hash(&[7; 32]).await.unwrap(), Some(touched.clone()));
    assert_eq!(bed.store.list_keys().await.unwrap(), [touched]);
    assert!(bed.store.delete_key("k").await.unwrap());
    assert!(!bed.store.delete_key("k").await.unwrap());
    assert_eq!(bed.store.key_by_hash(&[7; 32]).await.unwrap(), None);

    let usage = UsageRow { namespace: "n".into(), agent: "a".into(), day: 3, reads: 2, ..UsageRow::default() };
    bed.store.add_usage(vec![usage.clone(), usage.clone()]).await.unwrap();
    assert_eq!(bed.store.usage(None, 0, 4).await.unwrap(), [UsageRow { reads: 4, ..usage }]);
    assert!(bed.store.usage(Some("m"), 0, 4).await.unwrap().is_empty());

    let entry = |at_ms| AuditEntry {
        at_ms,
        namespace: None,
        actor: "local".into(),
        action: "create_key".into(),
        subject: "k".into(),
        detail: Some(json!({"n": at_ms})),
    };
    for at_ms in 0..3 {
        bed.store.add_audit(entry(at_ms)).await.unwrap();
    }
    let page = bed.store.list_audit(None, None, 2).await.unwrap();
    assert_eq!(page.entries, [entry(2), entry(1)]);
    let rest = bed.store.list_audit(None, page.next_cursor.as_deref(), 2).await.unwrap();
    assert_eq!((rest.entries, rest.next_cursor), (vec![entry(0)], None));
}

async fn health_and_migrations(bed: Bed) {
    let health = bed.store.health().await.unwrap();
    assert_eq!(health.schema_version, health.latest_schema_version);
    bed.store.migrate().await.unwrap();
    bed.store.vacuum().await.unwrap();
    bed.store.close().await;
    assert!(bed.store.health().await.is_err());
    assert!(bed.store.create_trajectory(new_trajectory("t")).await.is_err());
}
