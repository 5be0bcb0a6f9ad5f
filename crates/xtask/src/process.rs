//! Child processes: each in a process group of its own, stopped as a group when this program is told to stop.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace;

static GROUPS: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Installs the handler of SIGINT, SIGTERM and SIGHUP: running commands are ended, the caller then sees
/// them fail and drops what it holds, servers included.
///
/// # Errors
///
/// Fails when the handler cannot be installed.
pub fn stop_children_on_signals() -> Result<()> {
    ctrlc::set_handler(|| {
        INTERRUPTED.store(true, Ordering::SeqCst);
        for group in groups().iter() {
            if let Err(error) = signal(&format!("-{group}"), "TERM") {
                eprintln!("cannot stop process group {group}: {error:#}");
            }
        }
    })
    .context("cannot handle signals")
}

/// Returns an error when this program was told to stop.
///
/// # Errors
///
/// Exactly then.
pub fn check_interrupted() -> Result<()> {
    if INTERRUPTED.load(Ordering::SeqCst) {
        bail!("interrupted");
    }
    Ok(())
}

fn groups() -> std::sync::MutexGuard<'static, BTreeSet<u32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a signal through the shell's own `kill`, which even the barest machine has. A `target` with a
/// leading minus is a process group.
fn signal(target: &str, name: &str) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", r#"kill -s "$1" -- "$2""#, "sh", name, target])
        .stderr(Stdio::null())
        .status()
        .context("cannot run sh")?;
    if !status.success() {
        bail!("kill -s {name} {target}: {status}");
    }
    Ok(())
}

/// A command that runs to its end.
pub struct Run {
    command: Command,
    line: String,
}

impl Run {
    /// Makes a command that runs in the workspace's root with no standard input.
    ///
    /// # Errors
    ///
    /// Fails when the root is not known.
    pub fn new<A: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let args: Vec<OsString> = args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect();
        let program = program.as_ref();
        let words = std::iter::once(program).chain(args.iter().map(OsString::as_os_str));
        let line = words
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ");
        let mut command = Command::new(program);
        command
            .args(&args)
            .current_dir(workspace::root()?)
            .stdin(Stdio::null())
            .process_group(0);
        Ok(Self { command, line })
    }

    /// Makes a cargo command with the cargo that started this program.
    ///
    /// # Errors
    ///
    /// As [`Run::new`].
    pub fn cargo<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<Self> {
        let mut run = Self::new(
            std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            args,
        )?;
        run.line = format!(
            "cargo{}",
            run.line
                .split_once(' ')
                .map_or(String::new(), |(_, rest)| format!(" {rest}"))
        );
        // What cargo sets for this program is not meant for the builds that it starts.
        Ok(run.without_env("CARGO_PKG_").without_env("CARGO_MANIFEST_"))
    }

    /// Hides the environment variables whose names start with `prefix`.
    #[must_use]
    pub fn without_env(mut self, prefix: &str) -> Self {
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with(prefix) {
                self.command.env_remove(&key);
            }
        }
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg.as_ref());
        self.line = format!("{} {}", self.line, arg.as_ref().to_string_lossy());
        self
    }

    /// Runs as the given user; only root may.
    #[must_use]
    pub fn user(mut self, user: Option<User>) -> Self {
        if let Some(user) = user {
            self.command.uid(user.uid).gid(user.gid);
        }
        self
    }

    /// Runs in another folder than the workspace's root.
    #[must_use]
    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Shows the command line, runs it with its output passed through and demands success.
    ///
    /// # Errors
    ///
    /// Fails when it cannot start, ends with another code than 0, or this program was told to stop.
    pub fn show(mut self) -> Result<()> {
        eprintln!("$ {}", self.line);
        let mut child = Guard::spawn(&mut self.command, &self.line)?;
        let status = child.0.wait()?;
        drop(child);
        self.demand(status)
    }

    /// Runs silently and returns what it printed on standard output; standard error goes into the error.
    ///
    /// # Errors
    ///
    /// As [`Run::show`], and when the output is not UTF-8.
    pub fn stdout(mut self) -> Result<String> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Guard::spawn(&mut self.command, &self.line)?;
        let mut errors = child.0.stderr.take().context("no pipe")?;
        let errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            errors.read_to_end(&mut bytes).map(|_| bytes)
        });
        let mut bytes = Vec::new();
        child
            .0
            .stdout
            .take()
            .context("no pipe")?
            .read_to_end(&mut bytes)?;
        let status = child.0.wait()?;
        check_interrupted()?;
        if !status.success() {
            let errors = errors.join().unwrap_or_else(|_| Ok(Vec::new()))?;
            bail!(
                "`{}`: {status}\n{}",
                self.line,
                String::from_utf8_lossy(&errors).trim_end()
            );
        }
        String::from_utf8(bytes).with_context(|| format!("`{}` printed no UTF-8", self.line))
    }

    /// Shows the command line, runs it and hands each line of standard output to `each` after passing it
    /// through. Returns the exit status, whatever it is.
    ///
    /// # Errors
    ///
    /// Fails when it cannot start, its output cannot be read, or this program was told to stop.
    pub fn lines(mut self, mut each: impl FnMut(&str)) -> Result<ExitStatus> {
        eprintln!("$ {}", self.line);
        self.command.stdout(Stdio::piped());
        let mut child = Guard::spawn(&mut self.command, &self.line)?;
        let mut out = BufReader::new(child.0.stdout.take().context("no pipe")?);
        let mut line = Vec::new();
        while out.read_until(b'\n', &mut line)? > 0 {
            std::io::stdout().write_all(&line)?;
            each(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
        let status = child.0.wait()?;
        check_interrupted()?;
        Ok(status)
    }

    /// Starts it as a server: it keeps running until the returned value is dropped. Its standard error goes
    /// to `log`, its standard output to a pipe.
    ///
    /// # Errors
    ///
    /// Fails when it cannot start or the log cannot be written.
    pub fn serve(mut self, log: &Path, stop_signal: &'static str) -> Result<Server> {
        let file = std::fs::File::create(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        self.command.stdout(Stdio::piped()).stderr(file);
        let child = self
            .command
            .spawn()
            .with_context(|| format!("cannot run `{}`", self.line))?;
        Ok(Server {
            child,
            line: self.line,
            log: log.to_owned(),
            stop_signal,
        })
    }

    fn demand(&self, status: ExitStatus) -> Result<()> {
        check_interrupted()?;
        if !status.success() {
            bail!("`{}`: {status}", self.line);
        }
        Ok(())
    }
}

/// A running command, listed as long as it runs.
struct Guard(Child);

impl Guard {
    fn spawn(command: &mut Command, line: &str) -> Result<Self> {
        check_interrupted()?;
        let mut groups = groups();
        let child = command
            .spawn()
            .with_context(|| format!("cannot run `{line}`"))?;
        groups.insert(child.id());
        Ok(Self(child))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        groups().remove(&self.0.id());
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            report(
                "cannot stop a command",
                signal(&format!("-{}", self.0.id()), "KILL"),
            );
            report(
                "cannot wait for a command",
                self.0.wait().map_err(Into::into),
            );
        }
    }
}

/// A user that a command runs as.
#[derive(Clone, Copy)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// A server that this program started. Dropping it stops it: its own stop signal, then, after ten
/// seconds, SIGKILL.
pub struct Server {
    child: Child,
    line: String,
    log: PathBuf,
    stop_signal: &'static str,
}

impl Server {
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
        let out = self
            .child
            .stdout
            .take()
            .context("the output was taken before")?;
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
        eprintln!(
            "`{}` did not end ten seconds after SIG{}: killed",
            self.line, self.stop_signal
        );
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

/// Drop cannot fail; what went wrong in it is at least said.
fn report<T>(what: &str, done: Result<T>) {
    if let Err(error) = done {
        eprintln!("{what}: {error:#}");
    }
}

fn last_lines(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(most)..)
        .unwrap_or_default()
        .join("\n")
}

/// Returns the program's full path if a folder of `PATH` holds it.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = Run::new("sh", ["-c", "echo why >&2; exit 3"])
            .unwrap()
            .stdout()
            .unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("exit 3") && text.contains("why"), "{text}");
    }

    #[test]
    fn lines_are_handed_over_and_the_status_returned() {
        let mut seen = Vec::new();
        let run = Run::new("sh", ["-c", "echo one; echo two; exit 4"]).unwrap();
        let status = run.lines(|line| seen.push(line.to_owned())).unwrap();
        assert_eq!(
            (seen.as_slice(), status.code()),
            (["one".to_owned(), "two".to_owned()].as_slice(), Some(4))
        );
    }

    #[test]
    fn a_server_is_stopped_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let script =
            "trap 'echo stopped > done; exit 0' TERM; echo ready 7; while :; do sleep 0.05; done";
        let run = Run::new("sh", ["-c", script]).unwrap().dir(dir.path());
        let mut server = run.serve(&dir.path().join("log"), "TERM").unwrap();
        assert_eq!(
            server
                .wait_for_line("ready ", Duration::from_secs(10))
                .unwrap(),
            "7"
        );
        assert!(server.ended().unwrap().is_none());
        drop(server);
        assert_eq!(
            std::fs::read_to_string(dir.path().join("done")).unwrap(),
            "stopped\n"
        );
    }

    #[test]
    fn a_server_that_says_nothing_is_an_error_with_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let run = Run::new("sh", ["-c", "echo broken >&2; exit 1"]).unwrap();
        let mut server = run.serve(&dir.path().join("log"), "TERM").unwrap();
        let error = server
            .wait_for_line("ready ", Duration::from_secs(10))
            .unwrap_err();
        assert!(error.to_string().contains("broken"), "{error}");
    }

    #[test]
    fn last_lines_keeps_the_end() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 5), "a");
    }
}
