//! A server that answers as it is told, once for each request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the server answers to one request.
pub struct Step {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Text,
}

enum Text {
    Whole(String),
    /// This much, and then the connection breaks.
    Cut(String),
    /// This again and again.
    Endless(&'static str),
    /// Nothing ever.
    Hang,
}

impl Step {
    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: Text::Whole(body.into()) }
    }

    pub fn error(status: u16, message: &str) -> Self {
        Self::status(status, json!({"error": {"message": message, "type": "some_error"}}).to_string())
    }

    pub fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.push((header, value.to_owned()));
        self
    }

    /// A completion of 12 tokens read, 4 of them cached, and 3 written.
    pub fn says(text: &str) -> Self {
        Self::ends(&json!({"role": "assistant", "content": text}), "stop")
    }

    pub fn ends(message: &Value, finish: &str) -> Self {
        let usage = json!({
            "prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4},
        });
        let choice = json!({"index": 0, "message": message, "finish_reason": finish});
        Self::status(200, json!({"model": "m-1", "choices": [choice], "usage": usage}).to_string())
    }

    pub fn cut() -> Self {
        Self { body: Text::Cut("{\"model\": \"m-1\", \"choi".into()), ..Self::status(200, "") }
    }

    pub fn endless() -> Self {
        Self { body: Text::Endless("                                "), ..Self::status(200, "") }
    }

    pub fn hang() -> Self {
        Self { body: Text::Hang, ..Self::status(200, "") }
    }

    pub async fn answer(self) -> Response<Body> {
        let body = match self.body {
            Text::Whole(text) => Body::from(text),
            Text::Cut(text) => {
                let broken = std::io::Error::other("cut");
                Body::from_stream(stream::iter([Ok(Bytes::from(text)), Err(broken)]))
            }
            Text::Endless(text) => Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(text))),
            Text::Hang => std::future::pending().await,
        };
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        response.body(body).unwrap()
    }
}

/// A request as it came.
pub struct Request {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Request {
    /// The text of the last message.
    pub fn text(&self) -> &str {
        self.body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap()
    }
}

#[derive(Default)]
struct Play {
    steps: Mutex<VecDeque<Step>>,
    requests: Mutex<Vec<Request>>,
}

/// The server; it ends when it is dropped.
pub struct Script {
    pub base_url: String,
    play: Arc<Play>,
    task: JoinHandle<()>,
}

impl Script {
    /// Starts a server with an answer to each of the first requests. Further ones are answered 418.
    pub async fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let play = Arc::new(Play { steps: Mutex::new(steps.into_iter().collect()), ..Play::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&play));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base_url, play, task }
    }

    /// The requests so far; forgets them.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.play.requests.lock().unwrap())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(play): State<Arc<Play>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let request =
        Request { path: uri.path().to_owned(), headers, body: serde_json::from_slice(&body).unwrap_or_default() };
    play.requests.lock().unwrap().push(request);
    let step = play.steps.lock().unwrap().pop_front();
    step.unwrap_or_else(|| Step::error(418, "the script is over")).answer().await
}
