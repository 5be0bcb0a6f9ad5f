//! Names of tasks: tuning and distillation divide runs by the same ones.

use recap_core::trajectory::WireFormat;
use recapd::app::{App, open_data};
use recapd::pipeline::append_messages::{Append, Incoming};
use recapd::pipeline::keys::Caller;
use recapd::store::NewTrajectory;
use recapd::tune::stored_run;
use recapd::world::World;
use serde_json::{Value, json};

use crate::app::config;

async fn stored(app: &App, id: &str, (metadata, task): (Value, Option<&str>)) {
    let (caller, pipeline) = (Caller::local(), app.pipeline());
    let new = NewTrajectory {
        id: id.to_owned(),
        namespace: "default".to_owned(),
        task: task.map(str::to_owned),
        metadata: Some(metadata),
        ..NewTrajectory::default()
    };
    pipeline.create_trajectory(&caller, new).await.unwrap();
    let text = json!([{ "type": "text", "text": "Book" }, { "type": "text", "text": "a flight." }]);
    let messages = [json!({ "role": "user", "content": text }), json!({ "role": "assistant", "content": "Done." })];
    let messages = messages.iter().map(|message| serde_json::value::to_raw_value(message).unwrap()).collect();
    let system = Some(serde_json::value::to_raw_value("Be careful.").unwrap());
    let incoming = Incoming { format: WireFormat::Anthropic, messages, system };
    let append = Append { incoming, expected_length: None, idempotency: None };
    pipeline.append_messages(&caller, id, append).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tuning_and_distillation_name_tasks_alike() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &[]);
    let data = open_data(&config, folder.path()).await.unwrap();
    let app = App::start(config, data, World::real()).await.unwrap();
    let long = "book ".repeat(100);
    let told = [
        (json!({ "task_id": 7 }), Some("book")),
        (json!({ "task_id": " ", "task": "flight" }), Some("book")),
        (json!({}), Some("book")),
        (json!({}), Some(long.as_str())),
        (json!({ "other": 1 }), None),
    ];
    let mut names = Vec::new();
    for (n, told) in told.into_iter().enumerate() {
        let id = format!("run-{n}");
        stored(&app, &id, told).await;
        let distilled = app.pipeline().stored_run(&Caller::local(), &id).await.unwrap();
        let tuned = stored_run(app.pipeline().store(), &distilled.row).await.unwrap();
        assert_eq!(tuned.task, distilled.task);
        names.push(tuned.task);
    }
    assert_eq!(names[..3], ["7", "flight", "book"]);
    assert!(names[3].starts_with("b3:") && names[4].starts_with("b3:"), "{names:?}");
}
