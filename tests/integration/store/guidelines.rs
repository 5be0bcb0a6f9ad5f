//! Guidelines: versions, what steers, and races for it.

use recap_core::trajectory::OriginalHash;
use recapd::app::{App, open_data};
use recapd::pipeline::failure::Failure;
use recapd::pipeline::guidelines::{Activation, Draft};
use recapd::pipeline::keys::Caller;
use recapd::store::{
    GuidelineChange, GuidelineError, GuidelineHead, GuidelineKey, GuidelineStep, GuidelineVersion, Store, StoreUrl,
};
use recapd::world::World;

use super::bed::{Bed, on_each_engine};
use crate::app::config;

on_each_engine!(versions_are_kept_by_content, champions_change_one_at_a_time, files_come_and_go, one_of_many_wins);

fn key() -> GuidelineKey {
    GuidelineKey { set: "coding".into(), kind: "history".into() }
}

fn version(text: &str, created_ms: i64) -> GuidelineVersion {
    GuidelineVersion {
        key: key(),
        hash: OriginalHash::of(text),
        text: text.into(),
        note: Some(format!("note of {text}")),
        origin: "api".into(),
        actor: "me".into(),
        created_ms,
        was_champion: false,
    }
}

fn hash(text: &str) -> OriginalHash {
    OriginalHash::of(text)
}

async fn change(store: &Store, step: GuidelineStep) -> Result<Option<OriginalHash>, GuidelineError> {
    let shipped = Some(hash("shipped"));
    store.change_guideline(GuidelineChange { key: key(), shipped, actor: "me".into(), at_ms: 9, step }).await
}

fn activate(to: &str, from: &str) -> GuidelineStep {
    GuidelineStep::Activate { hash: hash(to), expected: Some(hash(from)) }
}

async fn head(store: &Store) -> GuidelineHead {
    store.guideline_heads().await.unwrap().remove(0)
}

async fn versions_are_kept_by_content(bed: Bed) {
    assert_eq!(bed.store.add_guideline_versions(vec![version("one", 1), version("two", 2)]).await.unwrap(), 2);
    assert_eq!(bed.store.add_guideline_versions(vec![version("two", 7), version("three", 3)]).await.unwrap(), 1);
    let texts = |versions: Vec<GuidelineVersion>| versions.into_iter().map(|version| version.text).collect::<Vec<_>>();
    assert_eq!(texts(bed.store.guideline_versions(Some(&key())).await.unwrap()), ["three", "two", "one"]);
    assert_eq!(bed.store.guideline_versions(None).await.unwrap().len(), 3);
    let other = GuidelineKey { kind: "observation".into(), ..key() };
    assert!(bed.store.guideline_versions(Some(&other)).await.unwrap().is_empty());
    assert_eq!(bed.store.guideline_version(&key(), &hash("two")).await.unwrap(), Some(version("two", 2)));
    assert_eq!(bed.store.guideline_version(&other, &hash("two")).await.unwrap(), None);
}

async fn champions_change_one_at_a_time(bed: Bed) {
    let store = &bed.store;
    let all = ["shipped", "one", "two"].map(|text| version(text, 1));
    store.add_guideline_versions(all.to_vec()).await.unwrap();
    assert_eq!(store.guideline_state().await.unwrap(), 0);
    assert_eq!(change(store, activate("one", "shipped")).await.unwrap(), Some(hash("one")));
    let late = change(store, activate("two", "shipped")).await;
    assert!(matches!(late, Err(GuidelineError::Champion { current }) if current == Some(hash("one"))));
    assert!(matches!(change(store, activate("none", "one")).await, Err(GuidelineError::NoVersion)));
    // What is so already is no change.
    let state = store.guideline_state().await.unwrap();
    change(store, activate("one", "one")).await.unwrap();
    assert_eq!(store.guideline_state().await.unwrap(), state);

    let trial = GuidelineStep::Canary { hash: hash("two"), expected: Some(hash("one")), ppm: 250_000 };
    assert_eq!(change(store, trial.clone()).await.unwrap(), Some(hash("one")));
    assert_ne!(store.guideline_state().await.unwrap(), state);
    assert_eq!(head(store).await.canary, Some((hash("two"), 250_000)));
    assert!(!store.guideline_version(&key(), &hash("two")).await.unwrap().unwrap().was_champion);
    // The first rollback ends the trial, the next goes back.
    assert_eq!(change(store, GuidelineStep::Rollback).await.unwrap(), Some(hash("one")));
    assert_eq!(head(store).await.canary, None);
    assert!(!store.guideline_version(&key(), &hash("two")).await.unwrap().unwrap().was_champion);
    change(store, trial).await.unwrap();
    assert_eq!(change(store, activate("two", "one")).await.unwrap(), Some(hash("two")));
    assert_eq!(head(store).await.canary, None);
    assert_eq!(change(store, GuidelineStep::Rollback).await.unwrap(), Some(hash("one")));
    assert_eq!(change(store, GuidelineStep::Rollback).await.unwrap(), Some(hash("shipped")));
    assert!(matches!(change(store, GuidelineStep::Rollback).await, Err(GuidelineError::NoEarlier)));
    let events = store.guideline_events(&key(), 100).await.unwrap();
    let actions: Vec<&str> = events.iter().rev().map(|event| event.action.as_str()).collect();
    let expected = ["activate", "canary", "rollback", "canary", "activate", "rollback", "rollback"];
    assert_eq!(actions, expected);
    assert_eq!((events[6].from, events[6].to), (Some(hash("shipped")), Some(hash("one"))));
    assert_eq!((events[5].canary_ppm, events[4].from), (250_000, Some(hash("two"))));
    assert!(store.guideline_version(&key(), &hash("two")).await.unwrap().unwrap().was_champion);
}

async fn files_come_and_go(bed: Bed) {
    let store = &bed.store;
    store.add_guideline_versions(vec![version("shipped", 1), version("drafted", 1)]).await.unwrap();
    let file = |text: &str| GuidelineStep::File(GuidelineVersion { origin: "file".into(), ..version(text, 5) });
    assert_eq!(change(store, file("mine")).await.unwrap(), Some(hash("mine")));
    let state = store.guideline_state().await.unwrap();
    change(store, file("mine")).await.unwrap();
    assert_eq!(store.guideline_state().await.unwrap(), state);
    // An activation goes before the file, a later edit of the file before the activation.
    change(store, activate("drafted", "mine")).await.unwrap();
    assert_eq!(change(store, file("mine")).await.unwrap(), Some(hash("drafted")));
    assert_eq!(change(store, file("edited")).await.unwrap(), Some(hash("edited")));
    assert_eq!(change(store, GuidelineStep::FileGone).await.unwrap(), None);
    let head = head(store).await;
    assert_eq!((head.champion, head.file), (None, None));
    assert_eq!(change(store, GuidelineStep::Rollback).await.unwrap(), Some(hash("edited")));
    assert_eq!(store.guideline_version(&key(), &hash("mine")).await.unwrap().unwrap().origin, "file");
}

async fn one_of_many_wins(bed: Bed) {
    let names: Vec<String> = (0..8).map(|n| format!("version {n}")).collect();
    let mut all: Vec<_> = names.iter().map(|name| version(name, 1)).collect();
    all.push(version("shipped", 1));
    bed.store.add_guideline_versions(all).await.unwrap();
    let attempts = names.iter().map(|name| {
        let (store, step) = (bed.store.clone(), activate(name, "shipped"));
        tokio::spawn(async move { change(&store, step).await })
    });
    let attempts: Vec<_> = attempts.collect();
    let mut winners = Vec::new();
    for attempt in attempts {
        match attempt.await.unwrap() {
            Ok(champion) => winners.push(champion),
            Err(GuidelineError::Champion { current }) => assert_ne!(current, Some(hash("shipped"))),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(head(&bed.store).await.champion, winners[0]);
}

/// Two daemons share a database only where it is a server.
#[tokio::test(flavor = "multi_thread")]
async fn another_daemon_takes_up_an_activation() {
    let Some(bed) = Bed::postgres().await else { return };
    let StoreUrl::Postgres(url) = &bed.url else { panic!("no server") };
    let mut apps = Vec::new();
    for _ in 0..2 {
        let config = config(bed.folder(), &[("storage.database_url", url), ("guidelines.watch_ms", "0")]);
        let data = open_data(&config, bed.folder()).await.unwrap();
        apps.push(App::start(config, data, World::real()).await.unwrap());
    }
    let [one, other] = apps.try_into().ok().unwrap();
    let steers = |app: &App| app.pipeline().guidelines().for_trajectory(Some("coding"), "t").unwrap().history.hash;
    let shipped = steers(&one);
    let draft = Draft { text: "Ours.".to_owned(), note: None, origin: "api" };
    let caller = Caller::local();
    one.pipeline().draft_guideline(&caller, "coding", "history", draft).await.unwrap();
    let activation = || Activation { hash: hash("Ours."), expected_champion: Some(shipped), canary_share: None };
    one.pipeline().activate_guideline(&caller, "coding", "history", activation()).await.unwrap();
    assert_eq!((steers(&one), steers(&other)), (hash("Ours."), shipped));
    // Who has not looked yet is told.
    let late = other.pipeline().activate_guideline(&caller, "coding", "history", activation()).await;
    assert!(matches!(late, Err(Failure::Champion { current }) if current == Some(hash("Ours."))));
    other.pipeline().watch_guidelines().await.unwrap();
    assert_eq!(steers(&other), hash("Ours."));
    one.close().await.unwrap();
    other.close().await.unwrap();
}
