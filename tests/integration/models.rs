//! Models on disk: pulled from a hub and from paths, listed, checked and measured by the real program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use indicatif::ProgressBar;
use recapd::models::{Kind, Manifest, ModelsError, PullOptions, Shelf, Wanted, pull, sha256};
use serde_json::{Value, json};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const WEIGHTS: &str = "GGUF and a few more bytes";

/// A request: path, range, authorization.
type Seen = (String, Option<String>, Option<String>);

/// A hub with one repository. Notes each request with its range and authorization.
#[derive(Clone, Default)]
struct Hub {
    seen: Arc<Mutex<Vec<Seen>>>,
    sha256: String,
}

impl Hub {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn answer(State(hub): State<Hub>, uri: Uri, headers: HeaderMap) -> Response {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    hub.seen.lock().unwrap().push((uri.to_string(), header("range"), header("authorization")));
    let listing = json!({ "sha": COMMIT, "cardData": { "license": "apache-2.0" }, "siblings": [
        { "rfilename": "README.md", "size": 3 },
        { "rfilename": "q4/tiny.gguf", "size": WEIGHTS.len(), "lfs": { "sha256": hub.sha256 } },
        { "rfilename": "q8/tiny.gguf", "size": 9, "lfs": { "sha256": "0" } },
    ] });
    match uri.path() {
        "/api/models/some/tiny/revision/main" => listing.to_string().into_response(),
        path if path == format!("/some/tiny/resolve/{COMMIT}/q4/tiny.gguf") => match header("range") {
            None => WEIGHTS.into_response(),
            Some(range) => {
                let from: usize = range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap();
                (StatusCode::PARTIAL_CONTENT, WEIGHTS[from..].to_owned()).into_response()
            }
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn options(hub: &str) -> PullOptions {
    PullOptions {
        name: None,
        sha256: None,
        force: false,
        link: false,
        hub: hub.to_owned(),
        hub_token: None,
        python: "python3".into(),
    }
}

fn weights_hash() -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), WEIGHTS).unwrap();
    sha256(file.path()).unwrap()
}

async fn take(asked: &str, options: &PullOptions, shelf: &Shelf) -> Result<recapd::models::Pulled, ModelsError> {
    pull(Wanted::read(asked).unwrap(), options, shelf, &ProgressBar::hidden()).await
}

#[tokio::test]
async fn a_download_goes_on_where_it_ended_and_is_the_commits_file() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(dir.path().to_owned());
    let hub = Hub { sha256: weights_hash(), ..Hub::default() };
    let options = PullOptions { hub_token: Some("secret".to_owned().into()), ..options(&hub.start().await) };
    let waiting = dir.path().join(".unfinished");
    std::fs::create_dir(&waiting).unwrap();
    std::fs::write(waiting.join(format!("{COMMIT}-tiny.gguf")), &WEIGHTS[..9]).unwrap();

    let pulled = take("hf:some/tiny/q4/tiny.gguf", &options, &shelf).await.unwrap();
    assert_eq!((pulled.name.as_str(), pulled.was_there), ("tiny", false));
    assert_eq!(std::fs::read_to_string(dir.path().join("tiny.gguf")).unwrap(), WEIGHTS);
    assert!(!waiting.exists());
    let seen = hub.take();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].1.as_deref(), Some("bytes=9-"));
    assert!(seen.iter().all(|(.., key)| key.as_deref() == Some("Bearer secret")), "{seen:?}");
    let noted = Manifest::read(shelf.dir(), "tiny").unwrap().unwrap();
    assert_eq!((noted.kind, noted.source.as_str()), (Kind::Chat, "hf:some/tiny"));
    assert_eq!((noted.revision.as_deref(), noted.licence.as_deref()), (Some(COMMIT), Some("apache-2.0")));

    assert!(take("hf:some/tiny/q4/tiny.gguf", &options, &shelf).await.unwrap().was_there);
    assert_eq!(hub.take().len(), 1, "the file is not fetched again");
}

#[tokio::test]
async fn what_does_not_hash_as_told_is_not_put_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(dir.path().to_owned());
    let hub = Hub { sha256: "ab".repeat(32), ..Hub::default() };
    let options = options(&hub.start().await);
    let error = take("hf:some/tiny/q4/tiny.gguf", &options, &shelf).await.unwrap_err();
    assert!(matches!(error, ModelsError::Hash { .. }), "{error}");
    assert!(shelf.entries().unwrap().is_empty());
    let pinned = PullOptions { sha256: Some(weights_hash()), ..options };
    hub.take();
    let error = take("hf:some/tiny/q4/tiny.gguf", &pinned, &shelf).await.unwrap_err();
    assert!(matches!(error, ModelsError::Hash { .. }), "{error}");
    assert_eq!(hub.take().len(), 1, "the hub tells another hash, so nothing is fetched");
}

#[tokio::test]
async fn a_choice_that_is_not_clear_is_answered_with_the_choices() {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(dir.path().to_owned());
    let hub = Hub::default();
    let options = options(&hub.start().await);
    let said = |error: ModelsError| error.to_string();
    let several = said(take("hf:some/tiny", &options, &shelf).await.unwrap_err());
    assert!(several.contains("q4/tiny.gguf, q8/tiny.gguf"), "{several}");
    let no_file = said(take("hf:some/tiny/a.gguf", &options, &shelf).await.unwrap_err());
    assert!(no_file.contains("no file a.gguf"), "{no_file}");
    let nothing = said(take("hf:some/other", &options, &shelf).await.unwrap_err());
    assert!(nothing.contains("HF_TOKEN"), "{nothing}");
}

fn recapd(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    command.arg("--data").arg(folder).env_clear().env("CANDLE_NUM_THREADS", "1").env("RAYON_NUM_THREADS", "1");
    command
}

fn json_of(output: &Output) -> Value {
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said()))
}

/// Returns the folder of models, or says that the test is skipped.
fn models() -> Option<PathBuf> {
    let folder = std::env::var_os("RECAPD_TEST_MODELS").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: RECAPD_TEST_MODELS is not set; `cargo xtask test` sets it");
    }
    folder
}

#[test]
fn a_chat_model_is_pulled_from_a_path_listed_checked_measured_and_probed() {
    let Some(models) = models() else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| recapd(folder.path()).arg("model").args(arguments).arg("--json").output().unwrap();
    let source = models.join("smollm2-135m.gguf");
    let pulled = json_of(&run(&["pull", source.to_str().unwrap(), "--link", "--name", "tiny"]));
    assert_eq!((&pulled["name"], &pulled["was_there"]), (&json!("tiny"), &json!(false)));
    let pin = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
    assert_eq!(pulled["manifest"]["files"][0]["sha256"], pin);

    std::fs::write(folder.path().join("recapd.toml"), "[models]\nchat = \"tiny\"\n").unwrap();
    let listed = json_of(&run(&["list"]));
    assert_eq!(listed["models"][0]["used_by"], json!(["models.chat"]));
    assert_eq!(listed["models"][0]["size_bytes"], 98_362_432);
    assert_eq!(listed["known"].as_array().unwrap().len(), 5);

    let checked = run(&["check"]);
    let report = &json_of(&checked)[0];
    assert!(checked.status.success(), "{report}");
    assert_eq!((&report["hashed_against"], &report["window_tokens"]), (&json!("manifest"), &json!(4096)));

    let speed = json_of(&run(&["bench", "tiny", "--prompt-tokens", "16", "--new-tokens", "2"]));
    assert!(speed["prompt_tokens_per_s"].as_f64().unwrap() > 0.0 && speed["threads"] == 1, "{speed}");

    let probed = run(&["probe", "--lengths", "60,120", "--depths", "2", "--repeats", "1"]);
    let report = &json_of(&probed)[0];
    assert!(probed.status.success(), "{report}");
    assert_eq!(report["points"].as_array().unwrap().len(), 2);
    assert_eq!((&report["points"][1]["length"], &report["points"][1]["asked"]), (&json!(120), &json!(2)));
    assert!(report["account"]["cached_tokens"].as_u64().unwrap() > 0, "the text is read once: {report}");
    let capped = run(&["probe", "--lengths", "60,400", "--depths", "1", "--repeats", "1", "--max-tokens", "400"]);
    let report = &json_of(&capped)[0];
    assert_eq!((capped.status.code(), report["points"].as_array().unwrap().len()), (Some(1), 1), "{report}");
}

#[test]
fn encoders_are_found_by_their_files_and_answer() {
    let Some(models) = models() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, kind) in [("minilm", "encoder"), ("reranker", "reranker")] {
        let path = models.join(name);
        let checked = recapd(folder.path()).args(["model", "check", "--json"]).arg(&path).output().unwrap();
        let report = &json_of(&checked)[0];
        assert!(checked.status.success(), "{report}");
        assert_eq!((&report["kind"], &report["hashed_against"]), (&json!(kind), &Value::Null));
    }
}

#[test]
fn a_damaged_model_is_a_fault_and_a_missing_one_too() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    std::fs::create_dir(&models).unwrap();
    std::fs::write(models.join("broken.gguf"), "GGUF").unwrap();
    let checked = recapd(folder.path()).args(["model", "check", "--json"]).output().unwrap();
    let report = json_of(&checked);
    assert_eq!((checked.status.code(), report[0]["faults"].as_array().unwrap().len()), (Some(1), 1), "{report}");
    std::fs::remove_file(models.join("broken.gguf")).unwrap();
    std::fs::write(folder.path().join("recapd.toml"), "[models]\nchat = \"gone\"\n").unwrap();
    let checked = recapd(folder.path()).args(["model", "check"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&checked.stderr).contains("models.chat"));
    let unknown = recapd(folder.path()).args(["model", "pull", "gpt-7"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
}

/// Starts a daemon with a local model, which need not be loadable, and returns what it logs about its threads.
#[cfg(unix)]
fn threads_of_a_daemon(variables: &[(&str, &str)]) -> String {
    use std::io::{BufRead as _, BufReader};

    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("models")).unwrap();
    std::fs::write(folder.path().join("models/none.gguf"), "GGUF").unwrap();
    std::fs::write(folder.path().join("recapd.toml"), "[models]\nchat = \"none\"\nthreads = 3\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    command.arg("--data").arg(folder.path()).env_clear().envs(variables.iter().copied());
    command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.contains("within bounds"));
    child.kill().unwrap();
    child.wait().unwrap();
    line.unwrap()
}

#[cfg(unix)]
#[test]
fn a_daemon_holds_its_models_to_their_threads_unless_the_environment_says_otherwise() {
    let line = threads_of_a_daemon(&[]);
    assert!(line.contains("rayon: 3, barrier: 3"), "{line}");
    let line = threads_of_a_daemon(&[("CANDLE_NUM_THREADS", "2")]);
    assert!(line.contains("rayon: 3, barrier: 2"), "{line}");
}
