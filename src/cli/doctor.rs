//! `recapd doctor`

use std::path::Path;

use clap::Args;
use recap_core::context::Include;
use recap_core::trajectory::{OutFormat, WireFormat};
use serde::Serialize;
use serde_json::value::RawValue;

use super::client::Remote;
use super::setting::Local;
use super::{Done, Setting, output};
use crate::app::StartError;
use crate::config::Config;
use crate::pipeline::append_messages::{Append, Incoming};
use crate::pipeline::keys::Caller;
use crate::pipeline::serve_context::{Ask, Way};
use crate::store::NewTrajectory;

const LEAST_FREE_BYTES: u64 = 1 << 30;

/// Look for what keeps recapd from working: configuration, data folder, disk, port, database, and a trajectory
/// that goes in and comes out again. With --url, ask a running daemon whether it is ready (exit code 1 if not).
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    said: String,
}

impl Finding {
    fn of(what: &'static str, result: Result<String, String>) -> Self {
        match result {
            Ok(said) => Self { what, verdict: Verdict::Ok, said },
            Err(said) => Self { what, verdict: Verdict::Failed, said },
        }
    }
}

impl Doctor {
    /// Looks.
    ///
    /// # Errors
    ///
    /// Fails where standard output is gone; what is wrong is a finding.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let findings = match self.remote.daemon()? {
            Some(daemon) => {
                let ready = daemon.get("/readyz").await;
                vec![Finding::of("daemon", ready.map_err(|error| format!("{error:#}")))]
            }
            None => here(setting).await,
        };
        tell(&findings, setting)?;
        let failed = findings.iter().any(|finding| finding.verdict == Verdict::Failed);
        Ok(if failed { Done::Badly } else { Done::Well })
    }
}

async fn here(setting: &Setting) -> Vec<Finding> {
    let layered = match setting.load(&[]) {
        Ok(layered) => layered,
        Err(error) => return vec![Finding::of("configuration", Err(error.to_string()))],
    };
    let config = layered.config;
    let mut findings = vec![
        Finding::of("configuration", Ok(format!("{} values are sound", layered.shown.len()))),
        folder(&setting.data_dir()),
        space(&setting.data_dir()),
    ];
    let port = port(&config).await;
    match setting.open_with(config).await {
        Ok(local) => {
            findings.push(port);
            findings.extend(store(&local).await);
            let closed = local.close().await;
            findings.push(Finding::of("stop", closed.map(|()| "clean".to_owned()).map_err(|error| error.to_string())));
        }
        Err(error) if matches!(error.downcast_ref(), Some(StartError::InUse(_))) => {
            findings.push(Finding {
                what: "database",
                verdict: Verdict::Warning,
                said: "a daemon uses the data folder; ask it with --url".to_owned(),
            });
        }
        Err(error) => findings.push(Finding::of("database", Err(format!("{error:#}")))),
    }
    findings
}

fn folder(path: &Path) -> Finding {
    let tried = std::fs::create_dir_all(path).and_then(|()| {
        let probe = path.join(".recapd-doctor");
        std::fs::write(&probe, b"x")?;
        std::fs::remove_file(&probe)
    });
    let said = tried.map(|()| format!("{} can be written", path.display()));
    let finding = Finding::of("data folder", said.map_err(|error| format!("{}: {error}", path.display())));
    if finding.verdict == Verdict::Ok && is_open_to_all(path) {
        let said = format!("{} can be read by every user of this machine", path.display());
        return Finding { what: "data folder", verdict: Verdict::Warning, said };
    }
    finding
}

#[cfg(unix)]
fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
fn is_open_to_all(_: &Path) -> bool {
    false
}

#[cfg(unix)]
fn space(path: &Path) -> Finding {
    match rustix::fs::statvfs(path) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let verdict = if free < LEAST_FREE_BYTES { Verdict::Warning } else { Verdict::Ok };
            Finding { what: "disk", verdict, said: format!("{} MiB are free", free >> 20) }
        }
        Err(error) => Finding::of("disk", Err(error.to_string())),
    }
}

#[cfg(not(unix))]
fn space(_: &Path) -> Finding {
    Finding { what: "disk", verdict: Verdict::Warning, said: "free space is not known on this system".to_owned() }
}

async fn port(config: &Config) -> Finding {
    let bound = crate::lifecycle::bind(config.server.listen).await;
    let said = bound.map(|_| format!("{} is free", config.server.listen));
    Finding::of("port", said.map_err(|error| error.to_string()))
}

async fn store(local: &Local) -> Vec<Finding> {
    let store = local.pipeline.store();
    let health = store.health().await;
    let health = health
        .map(|health| format!("{} {}, schema {}", health.engine.name(), health.engine_version, health.schema_version));
    let check = match store.check().await {
        Ok(report) if report.is_sound() => Ok(format!("{} messages are whole", report.messages)),
        Ok(report) => Err(format!("{} problems; see `recapd db check`", report.problem_count)),
        Err(error) => Err(error.to_string()),
    };
    vec![
        Finding::of("database", health.map_err(|error| error.to_string())),
        Finding::of("contents", check),
        Finding::of("self-test", self_test(local).await.map_err(|error| format!("{error:#}"))),
    ]
}

/// A trajectory goes in, its context comes out, and it is erased.
async fn self_test(local: &Local) -> anyhow::Result<String> {
    let caller = Caller::local();
    let pipeline = &local.pipeline;
    let new = NewTrajectory { namespace: "doctor".to_owned(), ..NewTrajectory::default() };
    let id = pipeline.create_trajectory(&caller, new).await?.id;
    let tried = round_trip(local, &id).await;
    pipeline.delete_trajectory(&caller, &id).await?;
    tried
}

async fn round_trip(local: &Local, id: &str) -> anyhow::Result<String> {
    let caller = Caller::local();
    let message = RawValue::from_string(r#"{"role":"user","content":"Are you well?"}"#.to_owned())?;
    let sent = message.get().to_owned();
    let incoming = Incoming { format: WireFormat::OpenAi, messages: vec![message], system: None };
    let append = Append { incoming, expected_length: Some(0), idempotency: None };
    local.pipeline.append_messages(&caller, id, append).await?;
    let ask = Ask { budget: None, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() };
    let context = local.pipeline.serve_context(&caller, id, ask, Way::Read).await?;
    anyhow::ensure!(context.served.messages == [sent], "the context is not what was appended");
    Ok("a trajectory went in and came out".to_owned())
}

fn tell(findings: &[Finding], setting: &Setting) -> anyhow::Result<()> {
    if setting.json {
        return output::say_json(&findings);
    }
    for finding in findings {
        let mark = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed => "FAILED",
        };
        output::say(&format!("{mark:>8}  {}: {}", finding.what, finding.said))?;
    }
    Ok(())
}
