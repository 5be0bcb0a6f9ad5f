//! From the first byte listened for to the last row written.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Why serving ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be bound.
    #[error("server.listen: {address} cannot be bound: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The listener failed.
    #[error("the listener failed: {0}")]
    Listener(#[from] std::io::Error),
    /// The store failed to write what was left.
    #[error("the store cannot be closed: {0}")]
    Store(#[from] crate::store::StoreError),
}

/// Binds the configured address.
///
/// # Errors
///
/// [`ServeError::Bind`]
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Bind { address, source })
}

/// Serves until `stop`, then finishes what is in work, drains the store's writer and returns.
///
/// # Errors
///
/// [`ServeError`]
pub async fn serve(app: App, listener: TcpListener, stop: CancellationToken) -> Result<(), ServeError> {
    let grace = app.config().server.shutdown_grace();
    let router = crate::http::router(app.clone());
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY is not set");
        }
    });
    let streams = app.stopping().clone();
    let stopping = async move {
        stop.cancelled().await;
        tracing::info!("stopping: finishing requests in work");
        streams.cancel();
    };
    let server = axum::serve(listener, router).with_graceful_shutdown(stopping);
    within(grace, app.stopping().clone(), server.into_future()).await?;
    app.close().await?;
    tracing::info!("stopped");
    Ok(())
}

/// Waits for the server; once it is stopping, for at most the grace time.
async fn within(
    grace: Duration,
    stopping: CancellationToken,
    server: impl Future<Output = std::io::Result<()>>,
) -> Result<(), ServeError> {
    let overdue = async {
        stopping.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        ended = server => ended.map_err(ServeError::Listener),
        () = overdue => {
            tracing::warn!(grace_ms = grace.as_millis(), "requests in work were cut off");
            Ok(())
        }
    }
}

/// Returns a token that SIGTERM or SIGINT cancels. A second signal ends the process at once.
///
/// # Errors
///
/// Where the signals cannot be listened for.
pub fn stop_on_signals() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let told = stop.clone();
    let mut signals = Signals::listen()?;
    #[expect(clippy::disallowed_methods, reason = "signals are listened for as long as the process lives")]
    tokio::spawn(async move {
        signals.next().await;
        told.cancel();
        signals.next().await;
        std::process::exit(130);
    });
    Ok(stop)
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "Ctrl-C cannot be listened for");
            std::future::pending::<()>().await;
        }
    }
}
