//! Who calls: API keys, their scopes and namespaces, and the check of the Host header where no key is needed.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::problem::{Code, Problem};
use crate::pipeline::keys::{Caller, KeyScope};

/// Puts the [`Caller`] into the request, or answers why there is none.
pub async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if is_public(request.uri().path()) {
        return next.run(request).await;
    }
    let said = Said { key: bearer(request.headers()), local_host: has_local_host(&request) };
    match caller_of(&app, said).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn is_public(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/openapi.json") || path.starts_with("/problems/")
}

/// What a request says about its caller.
struct Said {
    key: Result<Option<String>, Problem>,
    local_host: bool,
}

async fn caller_of(app: &App, said: Said) -> Result<Caller, Problem> {
    match said.key? {
        Some(key) => app
            .pipeline()
            .keys()
            .caller(&key)
            .await
            .map_err(super::errors::of_store)?
            .ok_or_else(|| Problem::new(Code::KeyNeeded, "the key is unknown or was revoked")),
        None if app.keys_needed().await.map_err(super::errors::of_store)? => {
            Err(Problem::new(Code::KeyNeeded, "the request carries no key"))
        }
        None if said.local_host => Ok(Caller::local()),
        None => Err(Problem::new(Code::ForeignHost, "the Host header names no loopback address")),
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| Some(key.trim().to_owned()))
        .ok_or_else(|| Problem::new(Code::KeyNeeded, "the Authorization header is not `Bearer <key>`"))
}

fn has_local_host(request: &Request) -> bool {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str));
    host.is_some_and(is_local)
}

/// Tells whether `host[:port]` is a loopback name or address.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Problem::new(Code::KeyNeeded, "the request carries no key"))
    }
}

/// A caller whose key has the rights of an operator.
pub struct Operator(pub Caller);

/// A caller whose key has every right.
pub struct Admin(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        at_least(parts, state, KeyScope::Operator).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        at_least(parts, state, KeyScope::Admin).await.map(Self)
    }
}

async fn at_least<S: Send + Sync>(parts: &mut Parts, state: &S, scope: KeyScope) -> Result<Caller, Problem> {
    let caller = Caller::from_request_parts(parts, state).await?;
    if caller.may(scope) {
        return Ok(caller);
    }
    Err(Problem::new(
        Code::Forbidden,
        format!("the key's scope is {}, this needs {}", caller.scope.as_str(), scope.as_str()),
    ))
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn local_hosts_are_told_from_others() {
        for host in ["localhost", "LOCALHOST:7878", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "[::1]", "localhost."] {
            assert!(is_local(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:7878", "10.0.0.1", "", "127.0.0.1.nip.io", "[::2]"] {
            assert!(!is_local(host), "{host}");
        }
    }
}
