//! What handlers take out of a request. Every failure is a problem document.

use std::fmt::Write as _;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use super::App;
use super::problem::{Code, Problem};

/// A JSON body: parsed, its depth checked, unknown fields refused by their types.
pub struct Json<T>(pub T);

/// A JSON body together with its bytes.
pub struct JsonBytes<T>(pub T, pub Bytes);

/// Query parameters.
pub struct Query<T>(pub T);

/// Path parameters.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBytes<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        check_content_type(request.headers())?;
        let limits = app.config().limits.clone();
        let body = read_body(request, limits.max_body_bytes).await?;
        let value = parse(&body, limits.max_depth)?;
        Ok(Self(value, body))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let JsonBytes(value, _) = JsonBytes::from_request(request, app).await?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        #[expect(clippy::disallowed_types, reason = "this is its wrapper")]
        let parsed = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        match parsed {
            Ok(query) => Ok(Self(query.0)),
            Err(QueryRejection::FailedToDeserializeQueryString(error)) => {
                Err(Problem::new(Code::Invalid, format!("query: {}", source_text(&error))))
            }
            Err(error) => Err(Problem::new(Code::UnreadableBody, error.body_text())),
        }
    }
}

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
    App: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        #[expect(clippy::disallowed_types, reason = "this is its wrapper")]
        let parsed = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        match parsed {
            Ok(path) => Ok(Self(path.0)),
            Err(PathRejection::FailedToDeserializePathParams(error)) => {
                Err(Problem::new(Code::Invalid, format!("path: {}", error.body_text())))
            }
            Err(error) => Err(Problem::new(Code::UnreadableBody, error.body_text())),
        }
    }
}

fn source_text(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    let said = if kind.is_empty() { "there is no Content-Type".to_owned() } else { format!("Content-Type is {kind}") };
    Err(Problem::new(Code::UnsupportedMediaType, format!("{said}; send application/json")))
}

/// Reads a body of at most `max_bytes`.
///
/// # Errors
///
/// `too-large`; `unreadable-body` where the connection breaks.
pub async fn read_body(request: Request, max_bytes: usize) -> Result<Bytes, Problem> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max_bytes) {
        return Err(too_large(max_bytes));
    }
    match axum::body::to_bytes(request.into_body(), max_bytes).await {
        Ok(body) => Ok(body),
        Err(error) if source_text(&error).contains("length limit") => Err(too_large(max_bytes)),
        Err(error) => Err(Problem::new(Code::UnreadableBody, source_text(&error))),
    }
}

fn too_large(max_bytes: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("the body has more than {max_bytes} bytes")).with("max_bytes", max_bytes)
}

/// Parses a JSON body.
///
/// # Errors
///
/// `unreadable-body` for what is no UTF-8 or no JSON; `invalid` with a pointer for what has another meaning.
pub fn parse<T: DeserializeOwned>(body: &[u8], max_depth: usize) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Problem::new(Code::UnreadableBody, format!("the body is not UTF-8 after {} bytes", error.valid_up_to()))
    })?;
    if depth_of(text.as_bytes()) > max_depth {
        return Err(Problem::field("", format!("objects and lists are nested deeper than {max_depth}")));
    }
    check_object(text)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| problem_of(&error))?;
    reader
        .end()
        .map_err(|error| Problem::new(Code::UnreadableBody, format!("the body is not one JSON value: {error}")))?;
    Ok(value)
}

/// Refuses lists: serde takes them for objects.
fn check_object(text: &str) -> Result<(), Problem> {
    if text.trim_start().starts_with('{') {
        return Ok(());
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Err(Problem::field("", "expected an object")),
        Err(error) => Err(Problem::new(Code::UnreadableBody, format!("the body is not JSON: {error}"))),
    }
}

fn problem_of(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let inner = error.inner();
    if inner.is_data() {
        return Problem::field(pointer_of(error.path()), without_place(&inner.to_string()));
    }
    Problem::new(Code::UnreadableBody, format!("the body is not JSON: {inner}"))
}

fn without_place(text: &str) -> &str {
    text.rsplit_once(" at line ").map_or(text, |(said, _)| said)
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                let written = write!(pointer, "/{index}");
                debug_assert!(written.is_ok(), "writing to a string does not fail");
            }
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
    pointer
}

/// Returns the deepest nesting of brackets outside of strings.
fn depth_of(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::unwrap_in_result, reason = "tests")]

    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only its type matters")]
        budget: Option<u32>,
        messages: Vec<Box<RawValue>>,
    }

    fn pointer(body: &str) -> (Code, String) {
        let problem = parse::<Body>(body.as_bytes(), 8).unwrap_err();
        (problem.code(), problem.errors().first().map(|error| error.pointer.clone()).unwrap_or_default())
    }

    #[test]
    fn faults_name_their_place() {
        assert_eq!(pointer(r#"{"messages":[],"budget":-1}"#), (Code::Invalid, "/budget".into()));
        assert_eq!(pointer(r#"{"messages":[],"colour":1}"#), (Code::Invalid, "/colour".into()));
        assert_eq!(pointer(r#"{"messages":[]"#), (Code::UnreadableBody, String::new()));
        assert_eq!(pointer(r#"{"messages":[[[[[[[[[]]]]]]]]]}"#), (Code::Invalid, String::new()));
        assert_eq!(pointer(r#"{"messages":[]} x"#), (Code::UnreadableBody, String::new()));
    }

    #[test]
    fn messages_keep_their_bytes() {
        let body = r#"{"messages":[{"b" : 1.0e2,   "a":"\u00e9"}]}"#;
        let parsed: Body = parse(body.as_bytes(), 8).unwrap();
        assert_eq!(parsed.messages.first().unwrap().get(), r#"{"b" : 1.0e2,   "a":"\u00e9"}"#);
    }
}
