//! `/v1/originals` and `/v1/search`

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use regex::RegexBuilder;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{Path, Query};
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use super::trajectories::page_limit;
use crate::pipeline::keys::Caller;
use crate::store::SearchRequest;

const REGEX_BYTES: usize = 1 << 20;

/// Which part of an original is read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OriginalParams {
    /// The trajectory that holds it; needed for a handle that is shorter than the whole hash, and for a turn's handle
    /// such as `t12`.
    trajectory: Option<String>,
    /// First and last line, from 1, both included: `10-20`, `10-` or `-20` for the last twenty.
    range: Option<String>,
}

/// What is searched for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchParams {
    /// Words that all must stand in an original; may be empty where `regex` is told.
    q: Option<String>,
    /// Only this trajectory.
    trajectory: Option<String>,
    /// Only this namespace.
    namespace: Option<String>,
    /// Only this agent's trajectories.
    agent: Option<String>,
    /// A regular expression that must match.
    regex: Option<String>,
    /// At most this many, up to 200; 50 where it is left out.
    limit: Option<usize>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of hits.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchList {
    search: Vec<SearchHit>,
    /// Where the next page starts; absent on the last one. A page may be short, even empty, before the last.
    next_cursor: Option<String>,
}

/// An original that was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchHit {
    /// The trajectory that holds it.
    trajectory_id: String,
    /// The message's number.
    n: u64,
    /// Its address.
    original: String,
    /// The text around the first match.
    snippet: String,
}

/// Returns an original, byte-identical, or some of its lines.
#[utoipa::path(get, path = "/v1/originals/{hash}", tag = "originals", operation_id = "get_original",
    params(("hash" = String, Path), OriginalParams),
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_original(
    State(app): State<App>,
    caller: Caller,
    Path(address): Path<String>,
    Query(params): Query<OriginalParams>,
) -> Result<Response, Problem> {
    let (hash, text) = app.pipeline().original(&caller, &address, params.trajectory.as_deref()).await?;
    let part = match params.range.as_deref() {
        None => text.to_string(),
        Some(range) => lines_of(&text, range)?.to_owned(),
    };
    let mut response = part.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let etag = HeaderValue::from_str(&format!("\"{hash}\""));
    if let (Ok(etag), None) = (etag, &params.range) {
        headers.insert(header::ETAG, etag);
    }
    Ok(response)
}

/// Returns the lines of a range, with their line ends.
fn lines_of<'a>(text: &'a str, range: &str) -> Result<&'a str, Problem> {
    let wrong = || Problem::field("range", format!("`{range}` is none of `10-20`, `10-`, `-20`"));
    let (first, last) = range.split_once('-').ok_or_else(wrong)?;
    let number = |digits: &str| digits.parse::<usize>().ok().filter(|n| *n > 0).ok_or_else(wrong);
    let mut starts: Vec<usize> = vec![0];
    starts.extend(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1));
    starts.dedup_by_key(|at| (*at).min(text.len()));
    let count = starts.iter().filter(|at| **at < text.len()).count();
    let (first, last) = match (first, last) {
        ("", last) => (count.saturating_sub(number(last)?), count),
        (first, "") => (number(first)? - 1, count),
        (first, last) => (number(first)? - 1, number(last)?.min(count)),
    };
    let start = starts.get(first).copied().unwrap_or(text.len());
    let end = starts.get(last).copied().unwrap_or(text.len());
    Ok(text.get(start..end.max(start)).unwrap_or_default())
}

/// Searches the originals.
#[utoipa::path(get, path = "/v1/search", tag = "originals", operation_id = "search_originals",
    params(SearchParams),
    responses((status = 200, body = SearchList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn search_originals(
    State(app): State<App>,
    caller: Caller,
    Query(params): Query<SearchParams>,
) -> Result<Body<SearchList>, Problem> {
    let query = params.q.unwrap_or_default();
    if query.trim().is_empty() && params.regex.is_none() {
        return Err(Problem::field("q", "say what to search for, in `q` or `regex`"));
    }
    let regex = params.regex.map(|pattern| {
        RegexBuilder::new(&pattern)
            .size_limit(REGEX_BYTES)
            .build()
            .map_err(|error| Problem::field("regex", error.to_string()))
    });
    let request = SearchRequest {
        query,
        trajectory: params.trajectory,
        namespace: params.namespace,
        agent: params.agent,
        regex: regex.transpose()?,
        limit: page_limit(params.limit)?,
        cursor: params.cursor,
    };
    let hits = app.pipeline().search(&caller, request).await?;
    let search = hits
        .hits
        .into_iter()
        .map(|hit| SearchHit {
            trajectory_id: hit.trajectory,
            n: hit.n,
            original: hit.hash.to_string(),
            snippet: hit.snippet,
        })
        .collect();
    Ok(Body(SearchList { search, next_cursor: hits.next_cursor }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::lines_of;

    #[test]
    fn ranges_are_lines() {
        let text = "a\nb\r\nc\n";
        assert_eq!(lines_of(text, "1-1").unwrap(), "a\n");
        assert_eq!(lines_of(text, "2-9").unwrap(), "b\r\nc\n");
        assert_eq!(lines_of(text, "3-").unwrap(), "c\n");
        assert_eq!(lines_of(text, "-2").unwrap(), "b\r\nc\n");
        assert_eq!(lines_of(text, "-20").unwrap(), text);
        assert_eq!(lines_of(text, "9-12").unwrap(), "");
        assert_eq!(lines_of(text, "3-2").unwrap(), "");
        assert_eq!(lines_of("", "1-").unwrap(), "");
        assert!(lines_of(text, "0-1").is_err() && lines_of(text, "x").is_err() && lines_of(text, "-").is_err());
    }
}
