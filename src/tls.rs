//! Connections that this process opens: one way to make HTTP clients, with TLS by rustls and ring.

use std::sync::Once;
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Returns a builder of clients for a base URL: no proxies, TLS with the certificates that the
/// system trusts. For a URL without TLS none of those are loaded, so that a system without any will do.
pub fn client_builder(base_url: &str) -> reqwest::ClientBuilder {
    install_provider();
    let builder = reqwest::Client::builder().no_proxy().connect_timeout(CONNECT);
    if base_url.starts_with("http://") { builder.tls_certs_only([]) } else { builder }
}

/// Makes ring the cryptography of every TLS connection of this process, unless there is one already.
fn install_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::debug!("a provider of cryptography is installed already");
        }
    });
}
