//! A process in a group of its own, its output's ends kept, ended with all that it started.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::verdict::End;

/// Bytes of each output's end that are kept while it runs.
const TAIL_BYTES: usize = 64 << 10;
const READ_BYTES: usize = 8 << 10;
/// What a group that is told to end has for that, and outputs for being read to their end.
const GRACE: Duration = Duration::from_secs(2);
/// Environment variables of recapd's own, keys among them: an agent gets none of them but those made for it.
const OWN_PREFIX: &str = "RECAPD_";

/// What came of a process.
pub(super) struct Ended {
    pub end: End,
    pub stdout: String,
    pub stderr: String,
    pub ms: u64,
}

/// Runs a command to its end, to a time limit or until it is cancelled. Afterwards nothing of its group runs any more.
pub(super) async fn run(
    mut command: Command,
    limit: Duration,
    cancelled: &CancellationToken,
) -> std::io::Result<Ended> {
    let start = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn()?;
    let mut group = Group::of(&child);
    let (mut out, mut err) = (Tail::default(), Tail::default());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let end = {
        let reading = async { tokio::join!(out.fill(stdout), err.fill(stderr)) };
        tokio::pin!(reading);
        let mut is_read = false;
        let end = loop {
            tokio::select! {
                status = child.wait() => break end_of(status?),
                _ = &mut reading, if !is_read => is_read = true,
                () = sleep_until(start + limit) => break End::TimedOut,
                () = cancelled.cancelled() => break End::Cancelled,
            }
        };
        if matches!(end, End::TimedOut | End::Cancelled) {
            group.ask_to_end();
            // what it writes meanwhile is still read, so that it does not wait for that
            let ending = async {
                tokio::join!(child.wait(), async {
                    if !is_read {
                        (&mut reading).await;
                        is_read = true;
                    }
                })
            };
            if timeout(GRACE, ending).await.is_err() {
                tracing::debug!("an agent did not end when it was told to");
            }
        }
        group.kill();
        child.wait().await?;
        // a process that left the group may still hold the outputs
        if !is_read && timeout(GRACE, &mut reading).await.is_err() {
            tracing::debug!("an agent's output is still open after its end");
        }
        end
    };
    let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Ended { end, stdout: out.text(), stderr: err.text(), ms })
}

/// Keeps recapd's own settings, keys among them, from a command.
pub(super) fn without_own_settings(command: &mut Command) {
    #[expect(clippy::disallowed_methods, reason = "names alone, of what is not handed on")]
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(OWN_PREFIX) {
            command.env_remove(name);
        }
    }
}

fn end_of(status: ExitStatus) -> End {
    status.code().map_or(End::Killed, |code| End::Exited { code })
}

/// The process group of a child; killed when it is dropped.
struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

#[cfg(unix)]
impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self { leader: id.and_then(rustix::process::Pid::from_raw) }
    }

    fn ask_to_end(&self) {
        self.leader.into_iter().for_each(|leader| signal(leader, rustix::process::Signal::TERM));
    }

    fn kill(&mut self) {
        self.leader.take().into_iter().for_each(|leader| signal(leader, rustix::process::Signal::KILL));
    }
}

#[cfg(unix)]
fn signal(leader: rustix::process::Pid, signal: rustix::process::Signal) {
    match rustix::process::kill_process_group(leader, signal) {
        // a group that is gone needs none
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => tracing::warn!(%error, "an agent's processes cannot be ended"),
    }
}

/// Where there are no process groups a child is killed when it is dropped, and what it started is left alone.
#[cfg(not(unix))]
impl Group {
    fn of(_: &Child) -> Self {
        Self {}
    }

    fn ask_to_end(&self) {}

    fn kill(&mut self) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of an output.
#[derive(Default)]
struct Tail {
    bytes: VecDeque<u8>,
}

impl Tail {
    async fn fill(&mut self, from: Option<impl AsyncRead + Unpin>) {
        let Some(mut from) = from else { return };
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match from.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    self.bytes.extend(buffer.iter().take(count));
                    let over = self.bytes.len().saturating_sub(TAIL_BYTES);
                    self.bytes.drain(..over);
                }
            }
        }
    }

    fn text(self) -> String {
        String::from_utf8_lossy(&Vec::from(self.bytes)).into_owned()
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    async fn ended(script: &str, limit_ms: u64) -> Ended {
        run(sh(script), Duration::from_millis(limit_ms), &CancellationToken::new()).await.unwrap()
    }

    #[tokio::test]
    async fn outputs_and_exit_codes_are_read() {
        let done = ended("echo out; echo err >&2; exit 3", 60_000).await;
        assert_eq!((done.end, done.stdout.as_str(), done.stderr.as_str()), (End::Exited { code: 3 }, "out\n", "err\n"));
        let killed = ended("kill -9 $$", 60_000).await;
        assert_eq!(killed.end, End::Killed);
    }

    #[tokio::test]
    async fn of_a_long_output_the_end_is_kept() {
        let done = ended("i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done", 60_000).await;
        assert!(done.stdout.len() <= TAIL_BYTES && done.stdout.ends_with("line-19999\n"));
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        // both refuse to end when they are told to
        let script = format!(
            "trap '' TERM; (trap '' TERM; while :; do date > {0}; sleep 0.05; done) & while :; do sleep 0.05; done",
            mark.display()
        );
        let done = ended(&script, 500).await;
        assert_eq!(done.end, End::TimedOut);
        std::fs::remove_file(&mark).unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!mark.exists(), "a process that it started still writes");
    }

    #[tokio::test]
    async fn a_process_that_outlives_its_parent_ends_with_it_and_holds_nothing_up() {
        let start = Instant::now();
        let done = ended("sleep 60 & echo done", 60_000).await;
        assert_eq!((done.end, done.stdout.as_str()), (End::Exited { code: 0 }, "done\n"));
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn a_cancelled_run_ends_at_once() {
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        let done = run(sh("sleep 60"), Duration::from_mins(1), &cancelled).await.unwrap();
        assert_eq!(done.end, End::Cancelled);
    }
}
