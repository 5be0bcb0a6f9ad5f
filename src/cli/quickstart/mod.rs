//! `recapd quickstart`: the daemon shown at work, from an empty database to a served context.

mod agent;
mod shell;
mod show;
mod survey;
mod tour;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;

use super::client::Remote;
use super::{BadUse, Done, Setting};
use crate::app::{App, open_data, secret_of};
use crate::config::{Config, Log};
use crate::lifecycle::{self, ServeError};
use crate::telemetry;
use crate::world::World;
use show::Show;
use survey::Survey;
use tour::Tour;

/// See recapd at work: a daemon on a fresh database, and a small agent that explores this folder with it.
///
/// The agent is scripted, its task and its commands are real: it searches and reads the files of the folder that
/// it is started in (read-only) until its history is far above the budget, and asks the daemon for its context
/// before each step. Then you see what was served, what was left out, and how to read that again. The daemon
/// stays until Ctrl-C. The database goes with it, unless --data names its folder.
#[derive(Debug, Args)]
pub struct Quickstart {
    /// Most tokens of each context
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(1000..))]
    budget: u32,
    /// Steps of the agent
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=200))]
    turns: u32,
    /// Address and port; the configured one, or a free port where that is taken
    #[arg(long, env = "RECAPD_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// End after the tour
    #[arg(long)]
    exit: bool,
    /// Print no colours
    #[arg(long, env = "NO_COLOR", hide = true, num_args = 0..=1, default_missing_value = "1")]
    no_color: Option<OsString>,
}

/// The folder of the tour's database; a temporary one is removed at the end.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn of(setting: &Setting, world: &World) -> Self {
        match &setting.data {
            Some(path) => Self { path: path.clone(), temporary: false },
            None => Self {
                path: std::env::temp_dir().join(format!("recapd-quickstart-{}", world.new_id())),
                temporary: true,
            },
        }
    }

    fn clear(&self) -> anyhow::Result<()> {
        if self.temporary {
            let failed = || format!("{} cannot be removed", self.path.display());
            std::fs::remove_dir_all(&self.path).with_context(failed)?;
        }
        Ok(())
    }
}

impl Quickstart {
    /// Starts the daemon, gives the tour, and serves until it is told to stop.
    ///
    /// # Errors
    ///
    /// Fails where the daemon cannot start, or answers otherwise than it should.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let here = std::env::current_dir().context("this folder cannot be used")?;
        let survey = Survey::of(&here).with_context(|| format!("{} cannot be read", here.display()))?;
        if survey.files.is_empty() {
            return Err(BadUse(format!("{} has no text files; start in a project's folder", here.display())).into());
        }
        let world = World::real();
        let folder = Folder::of(setting, &world);
        let done = self.show(setting, &folder.path, survey, world).await;
        // Without a start, there is no folder.
        if folder.path.is_dir() {
            folder.clear()?;
        }
        done
    }

    async fn show(self, setting: &Setting, folder: &Path, survey: Survey, world: World) -> anyhow::Result<Done> {
        let told = self.listen.map(|address| address.to_string());
        let setting = Setting { data: Some(folder.to_owned()), ..setting.clone() };
        let config = setting.load(&[("server.listen", told)])?.config;
        telemetry::start_logs(&Log { filter: "warn".to_owned(), ..config.log.clone() })?;
        let stop = lifecycle::stop_on_signals()?;
        telemetry::metrics_recorder()?;
        let data = open_data(&config, folder).await?;
        let listener = self.bind(&config).await?;
        let url = url_of(listener.local_addr()?);
        let key = config.auth.key_file.as_deref().map(|path| secret_of("auth.key_file", path)).transpose()?;
        let key = key.map(|key| key.expose_secret().to_owned());
        let daemon = Remote { url: Some(url.clone()), key }.daemon()?.context("an address was told")?;
        let app = App::start(config, data, world).await?;
        let show = Show { json: setting.json, colours: self.colours(), budget: self.budget };
        show.welcome(&url, folder, &survey)?;
        let tour = Tour::new(daemon, show, survey, self.budget, self.turns)?;
        let guided = async {
            let toured = tokio::select! {
                toured = tour.give(&url) => toured,
                () = stop.cancelled() => Ok(()),
            };
            if self.exit || toured.is_err() {
                stop.cancel();
            }
            toured
        };
        let (served, toured) = tokio::join!(lifecycle::serve(app, listener, stop.clone()), guided);
        toured?;
        served?;
        Ok(Done::Well)
    }

    /// Binds the address that was told, or the configured one, or a free port beside it.
    async fn bind(&self, config: &Config) -> Result<TcpListener, ServeError> {
        let address = config.server.listen;
        match lifecycle::bind(address).await {
            Err(ServeError::Bind { source, .. })
                if self.listen.is_none() && source.kind() == std::io::ErrorKind::AddrInUse =>
            {
                lifecycle::bind(SocketAddr::new(address.ip(), 0)).await
            }
            bound => bound,
        }
    }

    fn colours(&self) -> bool {
        self.no_color.as_ref().is_none_or(|value| value.is_empty()) && std::io::stdout().is_terminal()
    }
}

/// Returns where a client on this machine finds a listener.
fn url_of(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    format!("http://{address}")
}
