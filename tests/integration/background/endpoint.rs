//! An OpenAI-compatible endpoint that answers each request by a rule, and holds its answers while it is told to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::llm::script::{Request, Step};

/// Stands in each item of a good reply and nowhere else.
pub const MARK: &str = "the model says that";

type Rule = Box<dyn Fn(&Request) -> Step + Send + Sync>;

/// The endpoint; it ends when it is dropped.
pub struct Endpoint {
    pub base_url: String,
    play: Arc<Play>,
    task: JoinHandle<()>,
}

struct Play {
    rule: Rule,
    is_open: watch::Sender<bool>,
    pending: AtomicUsize,
    answered: AtomicUsize,
    requests: Mutex<Vec<Request>>,
}

impl Endpoint {
    /// Starts an endpoint that answers at once.
    pub async fn open(rule: impl Fn(&Request) -> Step + Send + Sync + 'static) -> Self {
        Self::start(Box::new(rule), true).await
    }

    /// Starts an endpoint that answers nothing until it is released.
    pub async fn held(rule: impl Fn(&Request) -> Step + Send + Sync + 'static) -> Self {
        Self::start(Box::new(rule), false).await
    }

    async fn start(rule: Rule, is_open: bool) -> Self {
        let play = Arc::new(Play {
            rule,
            is_open: watch::Sender::new(is_open),
            pending: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            requests: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&play));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base_url, play, task }
    }

    /// Answers what is held and all that comes.
    pub fn release(&self) {
        self.play.is_open.send_replace(true);
    }

    /// How many requests are held now whose caller still waits.
    pub fn pending(&self) -> usize {
        self.play.pending.load(Ordering::SeqCst)
    }

    /// How many requests were answered.
    pub fn answered(&self) -> usize {
        self.play.answered.load(Ordering::SeqCst)
    }

    /// The sources of all requests, oldest first.
    pub fn sources(&self) -> Vec<String> {
        self.play.requests.lock().unwrap().iter().map(|request| source(request).to_owned()).collect()
    }

    /// The bodies of all requests, oldest first.
    pub fn bodies(&self) -> Vec<Value> {
        self.play.requests.lock().unwrap().iter().map(|request| request.body.clone()).collect()
    }

    /// How many requests asked for a turn.
    pub fn asked_for(&self, turn: usize) -> usize {
        let label = format!("[{turn}] called ");
        self.sources().iter().filter(|source| source.contains(&label)).count()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts a request as held until its caller has its answer or goes away.
struct Held(Arc<Play>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn answer(State(play): State<Arc<Play>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let request = Request { path: uri.path().to_owned(), headers, body: serde_json::from_slice(&body).unwrap() };
    let step = (play.rule)(&request);
    play.requests.lock().unwrap().push(request);
    play.pending.fetch_add(1, Ordering::SeqCst);
    let held = Held(Arc::clone(&play));
    play.is_open.subscribe().wait_for(|is_open| *is_open).await.unwrap();
    let response = step.answer().await;
    drop(held);
    play.answered.fetch_add(1, Ordering::SeqCst);
    response
}

/// The text that a request wants compressed.
pub fn source(request: &Request) -> &str {
    let (_, source) = request.text().split_once("<source>\n").unwrap();
    source.split_once("\n</source>").unwrap().0
}

/// A reply of the form that was asked for, with these items in its first section.
pub fn writes<'a>(request: &Request, items: impl IntoIterator<Item = &'a str>) -> Step {
    let names = request.body["response_format"]["json_schema"]["schema"]["required"].as_array().unwrap().clone();
    let mut sections: Map<String, Value> =
        names.iter().map(|name| (name.as_str().unwrap().to_owned(), json!([]))).collect();
    sections[names[0].as_str().unwrap()] = items.into_iter().collect();
    Step::says(&Value::Object(sections).to_string())
}

/// A reply that says which file was read first.
pub fn good(request: &Request) -> Step {
    writes(request, [item(request).as_str()])
}

/// The item of a good reply.
pub fn item(request: &Request) -> String {
    let path = |text: &str| {
        let (_, rest) = text.split_once("/srv/export/part-")?;
        Some(said(rest.split_once(".log")?.0))
    };
    path(source(request)).or_else(|| path(request.text())).unwrap()
}

/// What a good reply says of a part of the log.
pub fn said(part: impl std::fmt::Display) -> String {
    format!("{MARK} /srv/export/part-{part}.log was read")
}
