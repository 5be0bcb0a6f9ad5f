//! A private PostgreSQL server for one test run, in a temporary folder on a free loopback port.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::process::{Run, Server, User, check_interrupted};

/// Speed instead of durability: the data lives as long as the test run. Connections: many tests at once,
/// each with a pool.
const SETTINGS: [(&str, &str); 6] = [
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("synchronous_commit", "off"),
    ("max_connections", "300"),
    ("listen_addresses", "'127.0.0.1'"),
    ("timezone", "'UTC'"),
];

const PATIENCE: Duration = Duration::from_mins(1);
const PORTS_TRIED: u32 = 5;

/// A running server. Dropping it stops the server, then removes its folder.
pub struct Postgres {
    _server: Server,
    _dir: TempDir,
    port: u16,
}

impl Postgres {
    /// Makes a cluster with the programs in `bin` and starts it. Root hands the work to the user `postgres`,
    /// because the server refuses to run as root.
    ///
    /// # Errors
    ///
    /// Fails when the cluster cannot be made or the server does not come up, with the end of its log.
    pub fn start(bin: &Path) -> Result<Self> {
        let user = unprivileged_user()?;
        let dir = tempfile::Builder::new().prefix("recapd-test-postgres-").tempdir().context("no temporary folder")?;
        if let Some(user) = user {
            std::os::unix::fs::chown(dir.path(), Some(user.uid), Some(user.gid))
                .context("cannot hand over the folder")?;
        }
        let data = dir.path().join("data");
        make_cluster(bin, dir.path(), &data, user)?;
        for _ in 0..PORTS_TRIED {
            let port = free_port()?;
            if let Some(server) = start_server(bin, dir.path(), &data, port, user)? {
                println!("PostgreSQL listens on 127.0.0.1:{port}");
                return Ok(Self { _server: server, _dir: dir, port });
            }
        }
        bail!("{PORTS_TRIED} free ports were taken by someone else before PostgreSQL could listen on them")
    }

    /// Returns the URL of its maintenance database, with a user that may create databases.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

fn make_cluster(bin: &Path, dir: &Path, data: &Path, user: Option<User>) -> Result<()> {
    let options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"];
    let initdb = Run::new(bin.join("initdb"), options)?.arg(data).dir(dir).user(user);
    initdb.stdout().context("cannot make a PostgreSQL cluster")?;
    let config = data.join("postgresql.conf");
    let mut text = std::fs::read_to_string(&config).with_context(|| format!("cannot read {}", config.display()))?;
    for (key, value) in SETTINGS {
        writeln!(text, "{key} = {value}")?;
    }
    std::fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))
}

/// Returns `None` when the port was taken between choosing it and listening on it.
fn start_server(bin: &Path, dir: &Path, data: &Path, port: u16, user: Option<User>) -> Result<Option<Server>> {
    let run = Run::new(bin.join("postgres"), ["-D"])?.arg(data).arg("-p").arg(port.to_string()).arg("-k").arg(dir);
    // SIGINT is PostgreSQL's fast shutdown: open connections are cut.
    let mut server = run.dir(dir).user(user).serve(&dir.join("log"), "INT")?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        check_interrupted()?;
        if is_ready(&data.join("postmaster.pid")) {
            return Ok(Some(server));
        }
        if let Some(status) = server.ended()? {
            let log = server.log_tail();
            if log.contains("Address already in use") {
                return Ok(None);
            }
            bail!("PostgreSQL ended at its start ({status}); its log ends with\n{log}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("PostgreSQL is not ready after {PATIENCE:.0?}; its log ends with\n{}", server.log_tail())
}

/// The eighth line of the server's lock file tells its state (PostgreSQL's `miscadmin.h`,
/// `LOCK_FILE_LINE_PM_STATUS`).
fn is_ready(lock_file: &Path) -> bool {
    std::fs::read_to_string(lock_file)
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready"))
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free loopback port")?;
    Ok(listener.local_addr()?.port())
}

/// Returns the user that runs the server when this program is root, `None` when it is not.
fn unprivileged_user() -> Result<Option<User>> {
    let id = |args: &[&str]| -> Result<u32> { Ok(Run::new("id", args)?.stdout()?.trim().parse()?) };
    if id(&["-u"])? != 0 {
        return Ok(None);
    }
    let user = || -> Result<User> { Ok(User { uid: id(&["-u", "postgres"])?, gid: id(&["-g", "postgres"])? }) };
    user().map(Some).context(
        "PostgreSQL does not run as root, and there is no user `postgres` to run it as (Debian's package makes one)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_read_from_the_eighth_line() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("postmaster.pid");
        assert!(!is_ready(&file));
        std::fs::write(&file, "1\n/d\n0\n5432\n/d\n127.0.0.1\n  1  2\nstarting\n").unwrap();
        assert!(!is_ready(&file));
        std::fs::write(&file, "1\n/d\n0\n5432\n/d\n127.0.0.1\n  1  2\nready   \n").unwrap();
        assert!(is_ready(&file));
    }
}
