//! Runs that cannot go on, beside runs that can.

use std::path::Path;
use std::sync::Arc;

use recap_core::context::{FEATURE_SET, FEATURES, Head, Layer};
use recapd::app::{models, open_data};
use recapd::pipeline::Pipeline;
use recapd::pipeline::counters::Counters;
use recapd::pipeline::failure::Failure;
use recapd::pipeline::keys::{Caller, Keys};
use recapd::store::{NewHead, TuningState};
use recapd::tune::run::{Attempts, Caps, Sources, Tuning, Worker};
use recapd::world::World;
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;

use super::{BAD, GOOD, champion, draft, ended, spec, start, store_runs};
use crate::app::TestApp;

/// A stopped daemon's data with two runs that were paused after their first case.
async fn two_paused_runs() -> (tempfile::TempDir, [String; 2]) {
    let app = TestApp::start().await;
    champion(&app, BAD).await;
    store_runs(&app, 0..12).await;
    let good = draft(&app, GOOD).await;
    let capped = json!({ "candidates": 0, "drafts": [good], "caps": { "max_seconds": 0.001 } });
    let mut ids = Vec::new();
    for _ in 0..2 {
        let run = ended(&app, &start(&app, &spec(&capped)).await).await;
        assert_eq!(run["state"], "paused", "{run}");
        ids.push(run["id"].as_str().unwrap().to_owned());
    }
    (app.stop().await, ids.try_into().unwrap())
}

/// The use cases on a data folder, without workers.
async fn opened(folder: &Path) -> (Tuning, impl Sized) {
    let config = crate::app::config(folder, &[]);
    let (data, world) = (open_data(&config, folder).await.unwrap(), World::real());
    let counters = Counters::load(&config.tokens).unwrap();
    let keys = Keys::new(data.store.clone(), world.clone(), None);
    let models = models(&config, &data, &world).await.unwrap();
    let pipeline = Pipeline::new(data.store.clone(), Arc::new(config), world, counters, keys, models).unwrap();
    pipeline.open_guidelines().await.unwrap();
    (Tuning::of(&pipeline), data)
}

async fn resumed(tuning: &Tuning, id: &str) {
    tuning.resume(&Caller::local(), id, Some(Caps::default())).await.unwrap();
}

async fn state(tuning: &Tuning, id: &str) -> (TuningState, String) {
    let run = tuning.pipeline().store().tuning_run(id).await.unwrap().unwrap();
    (run.state, run.why.unwrap_or_default())
}

async fn change(folder: &Path, sql: &str, id: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("recapd.db"));
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).bind(id).execute(&mut connection).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_go_on_is_passed_over_and_fails_at_the_last_attempt() {
    let (folder, [broken, whole]) = two_paused_runs().await;
    let sql = "INSERT INTO tuning_candidates (run_id, n, hash, text, note, proposer, status, why) \
               VALUES ($1, 0, 'b3:00', '', '', 'rules', 'of another version', NULL)";
    change(folder.path(), sql, &broken).await;
    let (tuning, _data) = opened(folder.path()).await;
    resumed(&tuning, &broken).await;
    resumed(&tuning, &whole).await;
    let stop = CancellationToken::new();
    assert!(tuning.work_off(Attempts::More, &stop).await.is_err(), "it is to be tried again");
    assert_eq!(state(&tuning, &whole).await.0, TuningState::Done);
    assert_eq!(state(&tuning, &broken).await.0, TuningState::Running);
    tuning.work_off(Attempts::Last, &stop).await.unwrap();
    let (state, why) = state(&tuning, &broken).await;
    assert!(state == TuningState::Failed && why.contains("unreadable"), "{state:?}: {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_run_and_no_other() {
    let (folder, [broken, whole]) = two_paused_runs().await;
    let (tuning, _data) = opened(folder.path()).await;
    resumed(&tuning, &broken).await;
    resumed(&tuning, &whole).await;
    let stop = CancellationToken::new();
    let mut watch = |run: &recapd::store::TuningRun| assert!(run.done < 3, "a secret of a trajectory");
    let (run, _) = tuning.work(&broken, Sources::default(), &stop, &mut watch).await.unwrap();
    assert_eq!(run.unwrap().state, TuningState::Failed);
    let (_, why) = state(&tuning, &broken).await;
    assert!(why.starts_with("recapd failed inside") && !why.contains("secret"), "{why}");
    tuning.work_off(Attempts::More, &stop).await.unwrap();
    assert_eq!(state(&tuning, &whole).await.0, TuningState::Done);
}

/// Notes another head with a run.
fn scored_by(head: &str) -> String {
    format!("UPDATE tuning_runs SET beside = json_set(beside, '$.scorer', json_object('head', '{head}')) WHERE id = $1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_with_the_head_that_it_began_with() {
    let (folder, [gone, whole]) = two_paused_runs().await;
    let head = format!("b3:{}", "7".repeat(64));
    change(folder.path(), &scored_by(&head), &gone).await;
    let (tuning, _data) = opened(folder.path()).await;
    let run = tuning.pipeline().store().tuning_run(&whole).await.unwrap().unwrap();
    let beside: Value = serde_json::from_str(&run.beside).unwrap();
    assert_eq!(beside["scorer"], "none");
    // One that does not score any more is still stored.
    let layer = Layer { weights: vec![vec![0.0; FEATURES]], bias: vec![0.0] };
    let head_file = Head { features: FEATURE_SET.to_owned(), layers: vec![layer], familiar: None }.to_bytes().unwrap();
    let (manifest, actor) = (json!({}), "me".to_owned());
    let stored = NewHead { weights: head_file, manifest, verdict: None, actor, created_ms: 5 };
    let stored = tuning.pipeline().store().add_head(stored).await.unwrap();
    change(folder.path(), &scored_by(&stored.to_string()), &whole).await;
    resumed(&tuning, &gone).await;
    resumed(&tuning, &whole).await;
    tuning.work_off(Attempts::More, &CancellationToken::new()).await.unwrap();
    assert_eq!(state(&tuning, &whole).await.0, TuningState::Done);
    let (state, why) = state(&tuning, &gone).await;
    assert!(state == TuningState::Failed && why.contains(&head), "{state:?}: {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_command_goes_on_by_a_command() {
    let (folder, [of_daemon, _]) = two_paused_runs().await;
    let (tuning, _data) = opened(folder.path()).await;
    let (caller, asked) = (Caller::local(), serde_json::from_value(spec(&json!({}))).unwrap());
    let run = tuning.start(&caller, asked, Worker::Command("{}".to_owned())).await.unwrap();
    tuning.cancel(&caller, &run.id).await.unwrap();
    let Err(Failure::Invalid(faults)) = tuning.resume(&caller, &run.id, None).await else { panic!("it is accepted") };
    assert!(faults[0].detail.contains(&format!("`recapd tune run --resume {}`", run.id)), "{faults:?}");
    assert_eq!(state(&tuning, &run.id).await.0, TuningState::Cancelled);
    // A command goes on with both kinds, also where the one before was killed.
    for id in [&run.id, &run.id, &of_daemon] {
        assert_eq!(tuning.take_over(&caller, id, None).await.unwrap().state, TuningState::Running);
    }
}
