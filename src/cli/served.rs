//! A daemon in this process, on a free port of loopback, for as long as a command works beside it.

use std::net::{Ipv4Addr, SocketAddr};

use tokio_util::sync::CancellationToken;

use super::Setting;
use crate::app::{App, open_data};
use crate::config::{Config, Log};
use crate::lifecycle;
use crate::telemetry;
use crate::world::World;

/// Serves the data folder while `work` runs, which is told the daemon and its address. Logs of warnings and errors go to
/// standard error.
///
/// # Errors
///
/// Fails where the daemon cannot start, as where another one uses the data folder, and as the work does.
pub(super) async fn beside_daemon<T>(
    setting: &Setting,
    config: Config,
    work: impl AsyncFnOnce(&App, &str) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    telemetry::start_logs(&Log { filter: "warn".to_owned(), ..config.log.clone() })?;
    let data = open_data(&config, &setting.data_dir()).await?;
    let listener = lifecycle::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let app = App::start(config, data, World::real()).await?;
    let stop = CancellationToken::new();
    let working = async {
        let done = work(&app, &url).await;
        stop.cancel();
        done
    };
    let (served, done) = tokio::join!(lifecycle::serve(app.clone(), listener, stop.clone()), working);
    let done = done?;
    served?;
    Ok(done)
}
