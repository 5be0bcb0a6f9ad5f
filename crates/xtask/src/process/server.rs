//! A server that runs until it is dropped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{report, signal};

/// A server that this program started. Dropping it stops it: its own stop signal, then, after ten
/// seconds, SIGKILL.
pub struct Server {
    child: Child,
    line: String,
    log: PathBuf,
    stop_signal: &'static str,
}

impl Server {
    /// Starts the command as a server, its standard error going to `log`.
    pub(super) fn start(command: &mut Command, line: String, log: &Path, stop_signal: &'static str) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command.stdout(Stdio::piped()).stderr(file).spawn();
        let child = child.with_context(|| format!("cannot run `{line}`"))?;
        Ok(Self { child, line, log: log.to_owned(), stop_signal })
    }

    /// Returns the exit status if it ended by itself.
    ///
    /// # Errors
    ///
    /// Fails when the system cannot tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for a line of standard output that starts with `prefix` and returns the rest of it. What follows
    /// is read and dropped, so that the server never blocks on its output.
    ///
    /// # Errors
    ///
    /// Fails when the server ends or `patience` does, with the last lines of its log.
    pub fn wait_for_line(&mut self, prefix: &'static str, patience: Duration) -> Result<String> {
        let out = self.child.stdout.take().context("the output was taken before")?;
        let (found, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some(rest) = line.strip_prefix(prefix)
                    && found.send(rest.to_owned()).is_err()
                {
                    eprintln!("`{prefix}` came too late");
                }
            }
        });
        let asked = Instant::now();
        match wait.recv_timeout(patience) {
            Ok(rest) => Ok(rest),
            Err(_) => bail!(
                "`{}` printed no line `{prefix}…` in {:.0?}; its log ends with\n{}",
                self.line,
                asked.elapsed(),
                self.log_tail()
            ),
        }
    }

    /// Returns the last 20 lines of its log.
    pub fn log_tail(&self) -> String {
        match std::fs::read(&self.log) {
            Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes), 20),
            Err(error) => format!("(no log: {error})"),
        }
    }

    fn stop(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        signal(&self.child.id().to_string(), self.stop_signal)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        eprintln!("`{}` did not end ten seconds after SIG{}: killed", self.line, self.stop_signal);
        signal(&format!("-{}", self.child.id()), "KILL")?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        report("cannot stop a server", self.stop());
    }
}

fn last_lines(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(most)..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::Run;
    use super::*;

    #[test]
    fn a_server_is_stopped_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap 'echo stopped > done; exit 0' TERM; echo ready 7; while :; do sleep 0.05; done";
        let run = Run::new("sh", ["-c", script]).unwrap().dir(dir.path());
        let mut server = run.serve(&dir.path().join("log"), "TERM").unwrap();
        assert_eq!(server.wait_for_line("ready ", Duration::from_secs(10)).unwrap(), "7");
        assert!(server.ended().unwrap().is_none());
        drop(server);
        assert_eq!(std::fs::read_to_string(dir.path().join("done")).unwrap(), "stopped\n");
    }

    #[test]
    fn a_server_that_says_nothing_is_an_error_with_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let run = Run::new("sh", ["-c", "echo broken >&2; exit 1"]).unwrap();
        let mut server = run.serve(&dir.path().join("log"), "TERM").unwrap();
        let error = server.wait_for_line("ready ", Duration::from_secs(10)).unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }

    #[test]
    fn last_lines_keeps_the_end() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 5), "a");
    }
}
