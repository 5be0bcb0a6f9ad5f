//! Server-sent events.

use std::time::Duration;

use reqwest::Response;
use serde_json::json;

use crate::app::{Answer, TestApp};
use crate::compressors::{self, told};
use crate::llm::script::{Script, Step};
use crate::run::tool_run;

/// The events of a stream, by name.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(app: &TestApp, path: &str) -> Self {
        let response = app.client.get(format!("{}{path}/events", app.url)).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { response, text: String::new() };
        stream.until(": listening").await;
        stream
    }

    async fn until(&mut self, wanted: &str) {
        while !self.text.contains(wanted) {
            let chunk = tokio::time::timeout(Duration::from_secs(10), self.response.chunk()).await;
            let chunk = chunk.unwrap_or_else(|_| panic!("no {wanted} in {}", self.text)).unwrap();
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }

    async fn end(&mut self) {
        while let Some(chunk) = self.response.chunk().await.unwrap() {
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_until_the_trajectory_is_erased() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({})).await;
    let mut stream = Stream::open(&app, &path).await;
    app.append(&path, &[json!({ "role": "user", "content": "hello" })]).await;
    stream.until("event: appended").await;
    app.get(&format!("{path}/context")).await.ok();
    stream.until("event: epoch").await;
    app.post(&format!("{path}/outcome"), &json!({ "status": "failure" })).await.ok();
    stream.until("\"status\":\"failure\"").await;
    app.delete(&path).await.ok();
    stream.until("event: deleted").await;
    stream.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_limited_and_end_with_the_daemon() {
    let app = TestApp::start_with(&[("limits.sse_clients", "1")]).await;
    let path = app.trajectory(&json!({})).await;
    let mut stream = Stream::open(&app, &path).await;
    let second = app.client.get(format!("{}{path}/events", app.url)).send().await.unwrap();
    let problem = Answer::of(second).await.problem(429);
    assert_eq!(problem["retry_after_s"], 5);
    let stopped = tokio::time::timeout(Duration::from_secs(10), app.restart()).await;
    assert!(stopped.is_ok(), "an open stream kept the daemon from stopping");
    stream.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn background_work_is_told_with_its_end() {
    let script = Script::start([told(), Step::error(400, "no")]).await;
    let app = compressors::app(&script, &[]).await;
    let ends = [
        "event: compressed\ndata: {\"event\":\"compressed\",\"job\":\"compress_history\",\"compressor\":\"llm:m\"}",
        "event: compression_failed\ndata: {\"event\":\"compression_failed\",\"job\":\"compress_history\",\"reason\":\"the endpoint answered 400: no\"}",
    ];
    for (end, words) in ends.into_iter().zip([300, 310]) {
        let path = app.trajectory(&json!({ "budget": 4000 })).await;
        let mut stream = Stream::open(&app, &path).await;
        app.append(&path, &tool_run(30, words)).await;
        app.get(&format!("{path}/context")).await.ok();
        app.post(&format!("{path}/compact"), &json!({ "wait": true })).await.ok();
        stream.until(end).await;
        let begins = "event: compressing\ndata: {\"event\":\"compressing\",\"job\":\"compress_history\"}";
        assert!(stream.text.find(begins).unwrap() < stream.text.find(end).unwrap(), "{}", stream.text);
    }
}
