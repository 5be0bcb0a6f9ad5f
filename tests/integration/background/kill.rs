//! A daemon that is killed while a model works: the next one takes the job over, and its effect is there once.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::endpoint::{Endpoint, good, said};
use super::{TURNS, WORDS, address, by_model, made, text, told, until};
use crate::process::Daemon;
use crate::run::{tool_run, tool_turn};
use crate::store::bed::{Bed, on_each_engine};

on_each_engine!(a_kill_while_the_model_works, a_kill_right_after_the_reply, kills_again_and_again);

/// A daemon's folder with its configuration, and one trajectory.
struct Site {
    folder: TempDir,
    endpoint: Endpoint,
    bed: Bed,
}

const PATH: &str = "/v1/trajectories/t";

impl Site {
    fn new(bed: Bed, endpoint: Endpoint) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, base_url) = (json!(address(&bed)), json!(endpoint.base_url));
        let config = format!(
            "[storage]\ndatabase_url = {url}\n[llm]\nbase_url = {base_url}\nmodel = \"m\"\n\
             [compress]\nhistory = \"llm\"\nt_hist = 1000\n\
             [context]\nbudget = 4000\nsoft_mark = 0.5\nlow_mark = 0.4\n[jobs]\nlease_ms = 1000\n"
        );
        std::fs::write(folder.path().join("recapd.toml"), config).unwrap();
        Self { folder, endpoint, bed }
    }

    fn start(&self) -> Daemon {
        Daemon::start(self.folder.path())
    }

    /// Starts the first daemon and gives its model something to do.
    async fn begin(&self) -> Daemon {
        let daemon = self.start();
        daemon.post("/v1/trajectories", &json!({ "id": "t" })).await.unwrap();
        daemon.post(&format!("{PATH}/messages"), &json!({ "messages": tool_run(TURNS, WORDS) })).await.unwrap();
        read(&daemon).await;
        daemon
    }

    async fn pending(&self) {
        until("the model is asked", async || (self.endpoint.pending() == 1).then_some(())).await;
    }

    /// Kills a daemon and waits until its connections are gone.
    async fn kill(&self, mut daemon: Daemon) {
        daemon.signal("KILL");
        assert_eq!(daemon.ended().await, -1);
        until("the call breaks off", async || (self.endpoint.pending() == 0).then_some(())).await;
    }

    /// Starts the last daemon and looks for the effect.
    async fn finish(&self) {
        let daemon = self.start();
        let rows = told(&made(&self.bed.store, PATH, 1).await);
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert!(rows[0].text.contains(&said(0)), "{rows:?}");
        let mut context = read(&daemon).await;
        for turn in TURNS..TURNS + 20 {
            if context["epoch"] != 0 {
                break;
            }
            let body = json!({ "messages": tool_turn(turn, WORDS) });
            daemon.post(&format!("{PATH}/messages"), &body).await.unwrap();
            context = read(&daemon).await;
        }
        assert_eq!(by_model(&context).len(), 1, "{}", context["pieces"]);
        assert_eq!(text(&context).matches(&said(0)).count(), 1);
    }
}

async fn read(daemon: &Daemon) -> Value {
    daemon.get(&format!("{PATH}/context")).await.ok()
}

async fn a_kill_while_the_model_works(bed: Bed) {
    let site = Site::new(bed, Endpoint::held(good).await);
    let daemon = site.begin().await;
    site.pending().await;
    site.kill(daemon).await;
    site.endpoint.release();
    site.finish().await;
    assert_eq!(site.endpoint.asked_for(1), 2);
}

async fn a_kill_right_after_the_reply(bed: Bed) {
    let site = Site::new(bed, Endpoint::open(good).await);
    let daemon = site.begin().await;
    until("the model answers", async || (site.endpoint.answered() > 0).then_some(())).await;
    site.kill(daemon).await;
    site.finish().await;
    assert!((1..=2).contains(&site.endpoint.asked_for(1)));
}

async fn kills_again_and_again(bed: Bed) {
    let site = Site::new(bed, Endpoint::held(good).await);
    let mut daemon = site.begin().await;
    for _ in 0..3 {
        site.pending().await;
        site.kill(daemon).await;
        daemon = site.start();
    }
    site.pending().await;
    site.kill(daemon).await;
    site.endpoint.release();
    site.finish().await;
    assert_eq!(site.endpoint.asked_for(1), 5);
}
