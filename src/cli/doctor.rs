//! `recapd doctor`

mod models;

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use recap_core::context::Include;
use recap_core::trajectory::{OutFormat, WireFormat};
use serde::Serialize;
use serde_json::value::RawValue;

use super::client::Remote;
use super::{Done, Setting, output};
use crate::app::{DATABASE_FILE, is_in_use, store_url};
use crate::config::Config;
use crate::pipeline::append_messages::{Append, Incoming};
use crate::pipeline::counters::Counters;
use crate::pipeline::keys::{Caller, Keys};
use crate::pipeline::serve_context::{Ask, Way};
use crate::pipeline::{Models, Pipeline};
use crate::store::{NewTrajectory, Store, StoreUrl};
use crate::world::World;

const LEAST_FREE_BYTES: u64 = 1 << 30;

/// Look for what keeps recapd from working: configuration, data folder, disk, port, database, models, and a trajectory
/// that goes in and comes out again, in a database of its own. Changes nothing and asks no model. With --url, ask a running
/// daemon whether it is ready (exit code 1 if not).
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
            None => Box::pin(here(setting)).await,
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
    let data = setting.data_dir();
    let mut findings =
        vec![Finding::of("configuration", Ok(format!("{} values are sound", layered.shown.len()))), folder(&data)];
    if data.is_dir() {
        findings.push(space(&data));
    }
    match is_in_use(&data) {
        Ok(true) => findings.push(Finding {
            what: "daemon",
            verdict: Verdict::Warning,
            said: "a daemon uses the data folder; ask it with --url".to_owned(),
        }),
        Ok(false) => findings.push(port(&config).await),
        Err(error) => findings.push(Finding::of("daemon", Err(error.to_string()))),
    }
    findings.extend(database(&config, &data).await);
    findings.extend(models::models(&config, &data).await);
    findings.push(Finding::of("self-test", Box::pin(self_test(config)).await.map_err(|error| format!("{error:#}"))));
    findings
}

fn folder(path: &Path) -> Finding {
    if !path.exists() {
        let said = format!("{} is not there yet; the first start makes it", path.display());
        return Finding::of("data folder", Ok(said));
    }
    let probe = path.join(".recapd-doctor");
    let tried = std::fs::write(&probe, b"x").and_then(|()| std::fs::remove_file(&probe));
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

/// Looks at the database as it is: nothing is migrated, no row is written.
async fn database(config: &Config, data: &Path) -> Vec<Finding> {
    let url = match store_url(config, data) {
        Ok(url) => url,
        Err(error) => return vec![Finding::of("database", Err(error.to_string()))],
    };
    if let StoreUrl::Sqlite(path) = &url
        && !path.exists()
    {
        let said = format!("{} is not there yet; the first start makes it", path.display());
        return vec![Finding::of("database", Ok(said))];
    }
    let store = match Store::open(&url).await {
        Ok(store) => store,
        Err(error) => return vec![Finding::of("database", Err(error.to_string()))],
    };
    let findings = contents(&store).await;
    store.close().await;
    findings
}

async fn contents(store: &Store) -> Vec<Finding> {
    let health = match store.health().await {
        Ok(health) => health,
        Err(error) => return vec![Finding::of("database", Err(error.to_string()))],
    };
    let (is, latest) = (health.schema_version, health.latest_schema_version);
    let said = format!("{} {}, schema {is}", health.engine.name(), health.engine_version);
    let (verdict, said) = match is.cmp(&latest) {
        Ordering::Equal => (Verdict::Ok, said),
        Ordering::Less => (Verdict::Warning, format!("{said}; the next start brings it to {latest}")),
        Ordering::Greater => (Verdict::Failed, format!("{said} is newer than this recapd, which knows {latest}")),
    };
    let mut findings = vec![Finding { what: "database", verdict, said }];
    if is == latest {
        let check = match store.check().await {
            Ok(report) if report.is_sound() => Ok(format!("{} messages are whole", report.messages)),
            Ok(report) => Err(format!("{} problems; see `recapd db check`", report.problem_count)),
            Err(error) => Err(error.to_string()),
        };
        findings.push(Finding::of("contents", check));
    }
    findings
}

/// A trajectory goes in and its context comes out, in a database of its own that is erased afterwards.
async fn self_test(config: Config) -> anyhow::Result<String> {
    let world = World::real();
    let folder = std::env::temp_dir().join(format!("recapd-doctor-{}", world.new_id()));
    std::fs::create_dir(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let tried = in_folder(config, world, &folder).await;
    std::fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    tried
}

async fn in_folder(config: Config, world: World, folder: &Path) -> anyhow::Result<String> {
    let store = Store::open(&StoreUrl::Sqlite(folder.join(DATABASE_FILE))).await?;
    store.migrate().await?;
    let keys = Keys::new(store.clone(), world.clone(), None);
    let counters = Counters::load(&config.tokens)?;
    let pipeline = Pipeline::new(store, Arc::new(config), world, counters, keys, Models::default())?;
    let tried = round_trip(&pipeline).await;
    pipeline.close().await?;
    tried
}

async fn round_trip(pipeline: &Pipeline) -> anyhow::Result<String> {
    let caller = Caller::local();
    let id = &pipeline.create_trajectory(&caller, NewTrajectory::default()).await?.id;
    let message = RawValue::from_string(r#"{"role":"user","content":"Are you well?"}"#.to_owned())?;
    let sent = message.get().to_owned();
    let incoming = Incoming { format: WireFormat::OpenAi, messages: vec![message], system: None };
    let append = Append { incoming, expected_length: Some(0), idempotency: None };
    pipeline.append_messages(&caller, id, append).await?;
    let ask = Ask { budget: None, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() };
    let context = pipeline.serve_context(&caller, id, ask, Way::Read).await?;
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
