//! Errors as RFC 9457 problem documents.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The kinds of problems. Each has a page at `/problems/<slug>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 400
    UnreadableBody,
    /// 401
    KeyNeeded,
    /// 403
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 408
    Timeout,
    /// 409
    AlreadyExists,
    /// 409
    LengthConflict,
    /// 409
    VersionConflict,
    /// 409
    TuningState,
    /// 409
    GateNotPassed,
    /// 412
    ChampionChanged,
    /// 413
    TooLarge,
    /// 415
    UnsupportedMediaType,
    /// 421
    ForeignHost,
    /// 422
    Invalid,
    /// 422
    BudgetTooSmall,
    /// 422
    PlaybookOverBudget,
    /// 422
    PlaybookCollapse,
    /// 422
    PlaybookReviewsFull,
    /// 422
    IdempotencyMismatch,
    /// 429
    TooManyStreams,
    /// 500
    Internal,
    /// 503
    Overloaded,
    /// 503
    StoreUnavailable,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 25] = [
        Self::UnreadableBody,
        Self::KeyNeeded,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Timeout,
        Self::AlreadyExists,
        Self::LengthConflict,
        Self::VersionConflict,
        Self::TuningState,
        Self::GateNotPassed,
        Self::ChampionChanged,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::ForeignHost,
        Self::Invalid,
        Self::BudgetTooSmall,
        Self::PlaybookOverBudget,
        Self::PlaybookCollapse,
        Self::PlaybookReviewsFull,
        Self::IdempotencyMismatch,
        Self::TooManyStreams,
        Self::Internal,
        Self::Overloaded,
        Self::StoreUnavailable,
    ];

    /// Returns the last segment of the problem's `type`.
    #[must_use]
    pub fn slug(self) -> &'static str {
        self.facts().0
    }

    /// Returns the HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.facts().1
    }

    /// Returns the short title.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.facts().2
    }

    /// Returns what it means and what to do.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        self.facts().3
    }

    #[rustfmt::skip]
    fn facts(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        match self {
            Self::UnreadableBody => ("unreadable-body", StatusCode::BAD_REQUEST, "The body cannot be parsed",
                "The body is not UTF-8 or not JSON, or a path or query cannot be decoded. `detail` says where. Nothing was stored."),
            Self::KeyNeeded => ("key-needed", StatusCode::UNAUTHORIZED, "An API key is needed",
                "Send `Authorization: Bearer <key>` with a key that exists. Keys are made with `recapd key create` or `POST /v1/keys`."),
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN, "The key does not allow this",
                "The key's scope or namespace does not reach this far. Scopes are agent, operator, admin, each with the rights of those before it."),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "There is nothing here",
                "No such path or thing, or it belongs to a namespace that the key does not reach."),
            Self::MethodNotAllowed => ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "The path does not take this method",
                "The header `allow` names the methods that it takes."),
            Self::Timeout => ("timeout", StatusCode::REQUEST_TIMEOUT, "The request took too long",
                "The limit is `server.request_timeout_ms`. Work that had begun may still finish: repeat an append with its `Idempotency-Key`."),
            Self::AlreadyExists => ("already-exists", StatusCode::CONFLICT, "The id is taken",
                "A thing with the id that the request gave exists already."),
            Self::LengthConflict => ("length-conflict", StatusCode::CONFLICT, "The trajectory has another length",
                "`expected_length` does not match. `current_length` is the number of stored messages; read them and send what is missing."),
            Self::VersionConflict => ("version-conflict", StatusCode::CONFLICT, "The playbook has another version",
                "`expected_version` does not match, or what waited for review no longer applies. `current_version` is the playbook's version; read it and send what is still right."),
            Self::TuningState => ("tuning-state", StatusCode::CONFLICT, "The tuning run does not stand where this can be done",
                "`state` says where it stands. What has ended cannot be cancelled, what is in work or done cannot go on, and only what is done can be promoted."),
            Self::GateNotPassed => ("gate-not-passed", StatusCode::CONFLICT, "It did not pass the gate",
                "Only what was measured and found better than the champion may be promoted or activated. The `verdict` has the gate's numbers and its reason; a draft of your own can be activated at `/v1/guidelines`."),
            Self::ChampionChanged => ("champion-changed", StatusCode::PRECONDITION_FAILED, "The champion is another one",
                "`expected_champion` does not match. `current_champion` is the guideline or head that is the champion now, null where there is none; look at it and decide again."),
            Self::TooLarge => ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large",
                "The limit is `limits.max_body_bytes`; `max_bytes` states it. Split the append."),
            Self::UnsupportedMediaType => ("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not JSON",
                "Send `Content-Type: application/json`."),
            Self::ForeignHost => ("foreign-host", StatusCode::MISDIRECTED_REQUEST, "The Host header is not local",
                "Without keys recapd answers only requests to a local host name, so that a web page cannot reach it through DNS. Use 127.0.0.1 or localhost, or configure a key."),
            Self::Invalid => ("invalid", StatusCode::UNPROCESSABLE_ENTITY, "The request is understood but wrong",
                "`errors` lists each fault with a JSON pointer into the body. Nothing was stored."),
            Self::BudgetTooSmall => ("budget-too-small", StatusCode::UNPROCESSABLE_ENTITY, "The budget cannot hold what must be served",
                "The system prompt, the task, pinned words and the skeleton of the last turn need `minimum_budget` tokens. Asking with it succeeds."),
            Self::PlaybookOverBudget => ("playbook-over-budget", StatusCode::UNPROCESSABLE_ENTITY, "The playbook would be over its budget",
                "The text would have `over_by_tokens` more than `budget`. `would_have_to_go` names the bullets that are worth least: delete or merge some of them in the same delta, or raise the budget. Imports are taken whole."),
            Self::PlaybookCollapse => ("playbook-collapse", StatusCode::UNPROCESSABLE_ENTITY, "The change would remove much of the playbook",
                "One change would remove `removed` of `bullets`: more than 30 in 100, and at least 5. Repeat it with `allow_collapse: true` if that is meant. A revert undoes it."),
            Self::PlaybookReviewsFull => ("playbook-reviews-full", StatusCode::UNPROCESSABLE_ENTITY, "Too many changes wait for review",
                "Changes of the playbook's words wait for review, and `pending` of them do. Accept or reject some, then send it again."),
            Self::IdempotencyMismatch => ("idempotency-mismatch", StatusCode::UNPROCESSABLE_ENTITY, "The idempotency key was used for another body",
                "A key stands for one body. Use a new key for a new append."),
            Self::TooManyStreams => ("too-many-streams", StatusCode::TOO_MANY_REQUESTS, "Too many event streams are open",
                "The limit is `limits.sse_clients`. Try again after `retry_after_s` seconds."),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "recapd failed",
                "The log has the cause under the request id that `instance` names."),
            Self::Overloaded => ("overloaded", StatusCode::SERVICE_UNAVAILABLE, "Too many requests are in work",
                "The limit is `server.max_concurrent_requests`. Try again after `retry_after_s` seconds."),
            Self::StoreUnavailable => ("store-unavailable", StatusCode::SERVICE_UNAVAILABLE, "The store does not answer",
                "The database is busy, full or gone. Nothing of this request is acknowledged. Try again after `retry_after_s` seconds."),
        }
    }

    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::Timeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::SERVICE_UNAVAILABLE => Self::Overloaded,
            status if status.is_client_error() => Self::UnreadableBody,
            _ => Self::Internal,
        }
    }
}

/// One fault of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body (RFC 6901), or the name of a query parameter.
    pub pointer: String,
    /// What is wrong there.
    pub detail: String,
}

/// A problem on its way to the client.
#[derive(Debug, Clone)]
pub struct Problem(Box<Facts>);

#[derive(Debug, Clone)]
struct Facts {
    code: Code,
    detail: String,
    errors: Vec<FieldError>,
    extra: Map<String, Value>,
}

/// The document that clients receive.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// `/problems/<code>`: the page that explains it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This problem in words.
    pub detail: String,
    /// The request id.
    pub instance: String,
    /// Each fault with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// What the caller needs to act: `minimum_budget`, `retry_after_s`, `current_length`, `current_version`,
    /// `current_champion`, `state`, `max_bytes`, `over_by_tokens`, `would_have_to_go`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extra: Map<String, Value>,
}

impl Problem {
    /// Makes a problem.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Facts { code, detail: detail.into(), errors: Vec::new(), extra: Map::new() }))
    }

    /// Makes the problem of one wrong field.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let said = if pointer.is_empty() { detail.clone() } else { format!("{pointer}: {detail}") };
        Self::new(Code::Invalid, said).with_errors(vec![FieldError { pointer, detail }])
    }

    /// Makes the problem of a thing that is not there.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {what}"))
    }

    /// Adds the places of the faults.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Adds a member that the caller needs to act.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Returns the code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the places of the faults.
    #[must_use]
    pub fn errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    fn document(self, instance: &str) -> ProblemDocument {
        let facts = *self.0;
        ProblemDocument {
            kind: format!("/problems/{}", facts.code.slug()),
            title: facts.code.title().to_owned(),
            status: facts.code.status().as_u16(),
            detail: facts.detail,
            instance: instance.to_owned(),
            errors: facts.errors,
            extra: facts.extra,
        }
    }
}

impl IntoResponse for Problem {
    /// Leaves the body to `render`, which knows the request id.
    fn into_response(self) -> Response {
        let mut response = self.0.code.status().into_response();
        if let Some(seconds) = self.0.extra.get("retry_after_s").and_then(Value::as_u64) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.code == Code::KeyNeeded {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the problem document of an answer that is an error and has none yet.
pub fn render(mut response: Response, request_id: &str) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let problem = response.extensions_mut().remove::<Problem>().unwrap_or_else(|| {
        let code = Code::of_status(status);
        Problem::new(code, code.title())
    });
    let document = serde_json::to_vec(&problem.document(request_id)).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    Response::from_parts(parts, document.into())
}
