//! Child processes: each in a process group of its own, stopped as a group when this program is told to stop.

mod run;
mod server;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

pub use run::{Run, User};
pub use server::Server;

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

/// A running command, listed as long as it runs.
struct Guard(Child);

impl Guard {
    fn spawn(command: &mut Command, line: &str) -> Result<Self> {
        // Under the lock, so that a signal either ends this command or prevents it.
        let mut groups = groups();
        check_interrupted()?;
        let child = command.spawn().with_context(|| format!("cannot run `{line}`"))?;
        groups.insert(child.id());
        Ok(Self(child))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        groups().remove(&self.0.id());
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            report("cannot stop a command", signal(&format!("-{}", self.0.id()), "KILL"));
            report("cannot wait for a command", self.0.wait().map_err(Into::into));
        }
    }
}

/// Drop cannot fail; what went wrong in it is at least said.
fn report<T>(what: &str, done: Result<T>) {
    if let Err(error) = done {
        eprintln!("{what}: {error:#}");
    }
}

/// Returns the program's full path if a folder of `PATH` holds it.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}
