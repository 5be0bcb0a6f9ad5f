//! The way to an endpoint: one request, no retry, bounded bodies, nothing secret in what comes back.
//!
//! async-openai logs bodies that it cannot read, and reads them whatever their size. So this service, which
//! takes the place of the one that retries, reads them itself and hands on only what is JSON.

use std::error::Error as _;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Response, Url};
use secrecy::{ExposeSecret as _, SecretString};

/// Most bytes that are read of an error's body.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Most characters of a reason that is kept.
const MAX_REASON_CHARS: usize = 300;

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The base URL is none. It is not shown: it may hold a password.
    #[error("llm.base_url is no URL")]
    BaseUrl,
    /// The key cannot be sent.
    #[error("llm.api_key holds a character that no header can")]
    Key,
}

/// An endpoint with the key for it.
pub struct Endpoint {
    base_url: String,
    key: SecretString,
    headers: HeaderMap,
    /// Texts that must not be seen.
    secrets: Vec<SecretString>,
}

impl Endpoint {
    /// Makes an endpoint of its base URL, up to and with `/v1`. A user and password in the URL are sent where
    /// there is no key.
    ///
    /// # Errors
    ///
    /// [`EndpointError`]
    pub fn new(base_url: &str, key: Option<SecretString>) -> Result<Self, EndpointError> {
        let url = Url::parse(base_url).map_err(|_| EndpointError::BaseUrl)?;
        let mut secrets: Vec<SecretString> = url.password().map(SecretString::from).into_iter().collect();
        let mut headers = HeaderMap::new();
        if let Some(key) = &key {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {}", key.expose_secret())).map_err(|_| EndpointError::Key)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
            secrets.push(key.clone());
        }
        let base_url = base_url.trim_end_matches('/').to_owned();
        Ok(Self { base_url, key: key.unwrap_or_default(), headers, secrets })
    }

    /// Returns a text of the endpoint as it may be shown and stored: without secrets, on one line, at most
    /// 300 characters.
    #[must_use]
    pub fn presentable(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if !secret.expose_secret().is_empty() {
                text = text.replace(secret.expose_secret(), "***");
            }
        }
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        line.chars().take(MAX_REASON_CHARS).collect()
    }
}

impl Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base_url
    }

    fn api_key(&self) -> &SecretString {
        &self.key
    }
}

/// Why a request has no JSON for an answer.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// An answer that is no success.
    #[error("status {status}")]
    Status {
        /// The status.
        status: u16,
        /// Its `Retry-After` header.
        retry_after: Option<String>,
        /// The start of its body.
        body: Bytes,
    },
    /// A body with more than so many bytes.
    #[error("more than {0} bytes")]
    TooLarge(usize),
    /// A body that is no JSON.
    #[error("{0}")]
    NotJson(&'static str),
    /// No connection; the request was not sent.
    #[error("{0}")]
    Unconnected(String),
    /// A connection that broke.
    #[error("{0}")]
    Broken(String),
}

impl From<Fault> for OpenAIError {
    fn from(fault: Fault) -> Self {
        Self::Boxed(Box::new(fault))
    }
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        // The URL may hold a password.
        let error = error.without_url();
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            reason = format!("{reason}: {cause}");
            source = cause.source();
        }
        if error.is_connect() { Self::Unconnected(reason) } else { Self::Broken(reason) }
    }
}

/// A service that sends a request once and reads the answer.
#[derive(Debug, Clone)]
pub struct Sender {
    client: reqwest::Client,
    max_body_bytes: usize,
}

impl Sender {
    /// Makes the service.
    #[must_use]
    pub fn new(client: reqwest::Client, max_body_bytes: usize) -> Self {
        Self { client, max_body_bytes }
    }

    async fn send(self, request: HttpRequestFactory) -> Result<Response, Fault> {
        let request = request.build().await.map_err(|error| match error {
            OpenAIError::Reqwest(error) => Fault::from(error),
            _ => Fault::Unconnected("the request cannot be made".to_owned()),
        })?;
        let response = self.client.execute(request).await?;
        if !response.status().is_success() {
            return Err(error_of(response).await);
        }
        let body = read(response, self.max_body_bytes).await?;
        if serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_err() {
            let is_html = body.trim_ascii_start().starts_with(b"<");
            return Err(Fault::NotJson(if is_html { "it is HTML" } else { "it is no JSON" }));
        }
        Ok(http::Response::new(reqwest::Body::from(body)).into())
    }
}

impl tower::Service<HttpRequestFactory> for Sender {
    type Response = Response;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Fault>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// Gets a document of an endpoint, whatever it is.
pub async fn get(
    client: &reqwest::Client,
    endpoint: &Endpoint,
    path: &str,
    max_body_bytes: usize,
) -> Result<Bytes, Fault> {
    let response = client.get(endpoint.url(path)).headers(endpoint.headers()).send().await?;
    if response.status().is_success() { read(response, max_body_bytes).await } else { Err(error_of(response).await) }
}

async fn read(mut response: Response, max_bytes: usize) -> Result<Bytes, Fault> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > max_bytes {
            return Err(Fault::TooLarge(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads an answer that is no success. Its status counts, whatever becomes of its body.
async fn error_of(mut response: Response) -> Fault {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(chunk.get(..MAX_ERROR_BYTES - body.len()).unwrap_or(&chunk));
        if body.len() >= MAX_ERROR_BYTES {
            break;
        }
    }
    Fault::Status { status, retry_after, body: body.freeze() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_texts() {
        let endpoint = Endpoint::new("http://me:pass-word@localhost/v1/", Some("sk-123".into())).unwrap();
        assert_eq!(endpoint.presentable("key sk-123\n\tof  pass-word\u{0}!"), "key *** of *** !");
        assert_eq!(endpoint.presentable(&"é".repeat(999)).chars().count(), 300);
        assert_eq!(endpoint.url("/chat/completions"), "http://me:pass-word@localhost/v1/chat/completions");
        assert!(!format!("{:?}", endpoint.headers()).contains("sk-123"));
    }

    #[test]
    fn what_cannot_be_used_is_told_without_showing_it() {
        let error = |url: &str, key: &str| Endpoint::new(url, Some(key.into())).err().unwrap().to_string();
        assert_eq!(error("http://me:pass@:x", "k"), "llm.base_url is no URL");
        assert_eq!(error("http://localhost", "two\nlines"), "llm.api_key holds a character that no header can");
    }
}
