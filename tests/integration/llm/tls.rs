//! Endpoints behind TLS.

use std::sync::Arc;

use recapd::config::Llm;
use recapd::llm::{LlmError, Outcome};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::{ask, backend, llm, outcomes, prompt};

/// The handshake runs up to the server's certificate, which nobody signed, and the request is never sent.
#[tokio::test]
async fn a_certificate_that_nobody_signed_is_refused() {
    let backend_of = |port| backend(&Llm { max_attempts: 1, ..llm(&format!("https://localhost:{port}/v1")) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend = backend_of(listener.local_addr().unwrap().port());

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        match acceptor.accept(stream).await {
            Err(error) => error.to_string(),
            Ok(mut stream) => stream.read_u8().await.unwrap_err().to_string(),
        }
    };
    let prompt = prompt();
    let (answer, seen) = tokio::join!(ask(&backend, &prompt), serve);
    let Err(LlmError::Transport { reason }) = answer.result else {
        panic!("{:?}", answer.result);
    };
    assert!(reason.contains("UnknownIssuer"), "{reason}");
    assert!(seen.contains("UnknownCA"), "{seen}");
    assert_eq!(outcomes(&answer.attempts), [Outcome::Transport]);
}
