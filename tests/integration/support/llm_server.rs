//! A real LLM behind an OpenAI-compatible API: `tests/llm_server.py` in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Models share the machine badly: one server lives at a time, the next test waits for its end.
static TURN: Mutex<()> = Mutex::new(());

/// A running server, killed when it is dropped.
pub struct LlmServer {
    child: Child,
    base_url: String,
    // Declared last: the turn passes on after the child is gone.
    _turn: MutexGuard<'static, ()>,
}

impl LlmServer {
    /// Serves a file of the folder of models, such as `smollm2-135m.gguf`, once no other server lives. Returns
    /// `None` and prints why where `cargo xtask test` has not named the folder and the Python.
    pub fn start(model_file: &str) -> Option<Self> {
        let (models, python) = (named("RECAPD_TEST_MODELS")?, named("RECAPD_TEST_PYTHON")?);
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join("llm_server.py");
        let mut command = Command::new(python);
        command.arg(script).arg(models.join(model_file)).arg("0");
        // The server ends with its input: with this process, however that ends.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(url) = line.trim_end().strip_prefix("listening on ") else {
            child.kill().unwrap();
            panic!("the server of {model_file} did not start ({}): {line:?}", child.wait().unwrap());
        };
        Some(Self { child, base_url: format!("{url}/v1"), _turn: turn })
    }

    /// The API's base, `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }
}

impl Drop for LlmServer {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().unwrap();
        }
    }
}

fn named(variable: &str) -> Option<PathBuf> {
    let value = std::env::var_os(variable).map(PathBuf::from);
    if value.is_none() {
        println!("skipped: {variable} is not set; `cargo xtask test` sets it");
    }
    value
}
