//! `recapd serve`

use std::net::SocketAddr;

use clap::Args;

use super::{Done, Setting, output};
use crate::app::{App, open_data};
use crate::world::World;
use crate::{lifecycle, telemetry};

/// Run the daemon.
///
/// Prints one line `listening on http://…` to standard output when it is ready, logs to standard error, and
/// stops cleanly on SIGTERM or SIGINT; a second signal ends it at once.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port; port 0 takes a free one
    #[arg(long, env = "RECAPD_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl Serve {
    /// Runs the daemon until it is told to stop.
    ///
    /// # Errors
    ///
    /// Fails where it cannot start, or cannot write what is left.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let listen = self.listen.map(|address| address.to_string());
        let config = setting.load(&[("server.listen", listen)])?.config;
        telemetry::start_logs(&config.log)?;
        let stop = lifecycle::stop_on_signals()?;
        // Metrics must be there before the first counter is.
        telemetry::metrics_recorder()?;
        let data = open_data(&config, &setting.data_dir()).await?;
        let listener = lifecycle::bind(config.server.listen).await?;
        let address = listener.local_addr()?;
        let app = App::start(config, data, World::real()).await?;
        output::say(&format!("listening on http://{address}"))?;
        lifecycle::serve(app, listener, stop).await?;
        Ok(Done::Well)
    }
}
