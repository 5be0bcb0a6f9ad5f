//! A daemon in this process: a temporary SQLite database, a real socket, a client.

use std::path::Path;

use recapd::app::{App, open_data};
use recapd::config::{Config, Flags, load};
use recapd::lifecycle;
use recapd::world::World;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A running daemon.
pub struct TestApp {
    pub url: String,
    pub client: reqwest::Client,
    pub key: Option<String>,
    stop: DropGuard,
    running: JoinHandle<()>,
    pub folder: TempDir,
    values: Vec<(String, String)>,
}

/// An answer with its body read.
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body of an answer that must be a success.
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text());
        self.json()
    }

    /// The problem document of an answer that must have this status.
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["instance"], self.headers["x-request-id"].to_str().unwrap());
        problem
    }
}

impl TestApp {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a daemon whose configuration has these values.
    pub async fn start_with(values: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let values: Vec<_> = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (url, stop, running) = run(folder.path(), &values).await;
        Self { url, client: client(), key: None, stop, running, folder, values }
    }

    /// Stops the daemon and starts another one on the same data, with the same configuration.
    pub async fn restart(self) -> Self {
        self.restart_with(&[]).await
    }

    /// As [`TestApp::restart`], with these values in addition.
    pub async fn restart_with(self, further: &[(&str, &str)]) -> Self {
        let Self { client, key, stop, running, folder, mut values, .. } = self;
        values.extend(further.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        drop(stop);
        running.await.unwrap();
        let (url, stop, running) = run(folder.path(), &values).await;
        Self { url, client, key, stop, running, folder, values }
    }

    /// Stops the daemon and returns its data folder.
    pub async fn stop(self) -> TempDir {
        let Self { stop, running, folder, .. } = self;
        drop(stop);
        running.await.unwrap();
        folder
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// Posts bytes as they are, as JSON.
    pub async fn post_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.client.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        Answer::of(request.body(body).send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body), &[]).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, &[]).await
    }

    /// Makes a trajectory and returns its path.
    pub async fn trajectory(&self, fields: &Value) -> String {
        let made = self.post("/v1/trajectories", fields).await;
        assert_eq!(made.status, 201, "{}", made.text());
        format!("/v1/trajectories/{}", made.json()["id"].as_str().unwrap())
    }

    pub async fn append(&self, trajectory: &str, messages: &[Value]) -> Value {
        self.post(&format!("{trajectory}/messages"), &json!({ "messages": messages })).await.ok()
    }

    /// The originals' bytes of all messages, page by page.
    pub async fn messages(&self, trajectory: &str) -> Vec<String> {
        let mut all = Vec::new();
        let mut query = String::new();
        loop {
            let page = self.get(&format!("{trajectory}/messages{query}")).await;
            assert_eq!(page.status, 200, "{}", page.text());
            let parsed: Page = serde_json::from_slice(&page.bytes).unwrap();
            all.extend(parsed.messages.iter().map(|message| message.get().to_owned()));
            match parsed.next_cursor {
                Some(cursor) => query = format!("?cursor={cursor}"),
                None => return all,
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Page {
    messages: Vec<Box<serde_json::value::RawValue>>,
    next_cursor: Option<String>,
}

pub fn client() -> reqwest::Client {
    recapd::tls::client_builder("http://").build().unwrap()
}

pub fn config(folder: &Path, values: &[(&str, &str)]) -> Config {
    let mut flags = Flags { data_dir: Some(folder.to_owned()), ..Flags::default() };
    flags.overrides.insert("server.listen".to_owned(), "127.0.0.1:0".to_owned());
    flags.overrides.extend(values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    load(&flags, std::collections::HashMap::new()).unwrap().config
}

async fn run(folder: &Path, values: &[(String, String)]) -> (String, DropGuard, JoinHandle<()>) {
    let values: Vec<_> = values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let config = config(folder, &values);
    let data = open_data(&config, folder).await.unwrap();
    let listener = lifecycle::bind(config.server.listen).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = App::start(config, data, World::real()).await.unwrap();
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let running = tokio::spawn(async move { lifecycle::serve(app, listener, stopping).await.unwrap() });
    (url, stop.drop_guard(), running)
}
