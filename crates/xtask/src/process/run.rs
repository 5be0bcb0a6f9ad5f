//! A command that runs to its end.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use super::{Guard, Server, check_interrupted};
use crate::workspace;

/// A user that a command runs as.
#[derive(Clone, Copy)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
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
    pub fn new<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = A>) -> Result<Self> {
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let program = program.as_ref();
        let words = std::iter::once(program).chain(args.iter().map(OsString::as_os_str));
        let line = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        let mut command = Command::new(program);
        command.args(&args).current_dir(workspace::root()?).stdin(Stdio::null()).process_group(0);
        Ok(Self { command, line })
    }

    /// Makes a cargo command with the cargo that started this program.
    ///
    /// # Errors
    ///
    /// As [`Run::new`].
    pub fn cargo<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Result<Self> {
        let mut run = Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), args)?;
        run.line = format!("cargo{}", run.line.split_once(' ').map_or(String::new(), |(_, rest)| format!(" {rest}")));
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

    /// Calls it by another name in messages, where its own command line would be too long to read.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.line);
        self
    }

    /// Gives it a standard input that says nothing and stays open until the command has ended, for programs
    /// that end with their input.
    #[must_use]
    pub fn with_open_stdin(mut self) -> Self {
        self.command.stdin(Stdio::piped());
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
        // Waiting closes the input that the child still owns.
        let stdin = child.0.stdin.take();
        let status = child.0.wait()?;
        drop((stdin, child));
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
        child.0.stdout.take().context("no pipe")?.read_to_end(&mut bytes)?;
        let status = child.0.wait()?;
        check_interrupted()?;
        if !status.success() {
            let errors = errors.join().unwrap_or_else(|_| Ok(Vec::new()))?;
            bail!("`{}`: {status}\n{}", self.line, String::from_utf8_lossy(&errors).trim_end());
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
        Server::start(&mut self.command, self.line, log, stop_signal)
    }

    fn demand(&self, status: ExitStatus) -> Result<()> {
        check_interrupted()?;
        if !status.success() {
            bail!("`{}`: {status}", self.line);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = Run::new("sh", ["-c", "echo why >&2; exit 3"]).unwrap().stdout().unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("exit 3") && text.contains("why"), "{text}");
    }

    #[test]
    fn lines_are_handed_over_and_the_status_returned() {
        let mut seen = Vec::new();
        let run = Run::new("sh", ["-c", "echo one; echo two; exit 4"]).unwrap();
        let status = run.lines(|line| seen.push(line.to_owned())).unwrap();
        assert_eq!((seen.as_slice(), status.code()), (["one".to_owned(), "two".to_owned()].as_slice(), Some(4)));
    }
}
