//! How calls end.

use std::time::Duration;

/// How an attempt ended. The names are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With a reply.
    Ok,
    /// With a reply that the caller did not accept.
    Unaccepted,
    /// Too late.
    Timeout,
    /// The model declined, or a filter took the reply.
    Refused,
    /// The endpoint had too many requests.
    RateLimited,
    /// The endpoint failed.
    ServerError,
    /// The endpoint did not take the request.
    Rejected,
    /// The reply reached the most tokens.
    Cut,
    /// The body was larger than allowed.
    TooLarge,
    /// The body was no answer of a model.
    Garbage,
    /// The reply had no text.
    Empty,
    /// A limit of this daemon.
    Capped,
    /// The caller went away.
    Cancelled,
    /// No connection, or one that broke.
    Transport,
}

impl Outcome {
    /// Returns the stored name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unaccepted => "unaccepted",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Rejected => "rejected",
            Self::Cut => "cut",
            Self::TooLarge => "too_large",
            Self::Garbage => "garbage",
            Self::Empty => "empty",
            Self::Capped => "capped",
            Self::Cancelled => "cancelled",
            Self::Transport => "transport",
        }
    }
}

/// A limit of this daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// Calls that wait for their turn.
    Queue,
    /// `llm.max_tokens_per_hour`
    TokensPerHour,
    /// `llm.max_cost_per_day_usd`
    CostPerDay,
}

impl Cap {
    /// Returns what is limited, in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "calls that wait",
            Self::TokensPerHour => "llm.max_tokens_per_hour",
            Self::CostPerDay => "llm.max_cost_per_day_usd",
        }
    }
}

/// Why a call has no reply. No variant holds a secret or text of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// No reply in time.
    #[error("no reply within {after_ms} ms")]
    Timeout {
        /// How long was waited.
        after_ms: u64,
    },
    /// The model declined, or a filter took the reply.
    #[error("the model refused")]
    Refused,
    /// The endpoint has too many requests.
    #[error("the endpoint limits the rate: {reason}")]
    RateLimited {
        /// When it wants to be asked again, if it said so.
        retry_after: Option<Duration>,
        /// Whether it is a spent quota, which waiting does not refill.
        is_quota: bool,
        /// In the endpoint's words.
        reason: String,
    },
    /// The endpoint failed.
    #[error("the endpoint answered {status}")]
    Server {
        /// The HTTP status.
        status: u16,
        /// When it wants to be asked again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The endpoint does not take the request; the same one will not do better.
    #[error("the endpoint answered {status}: {reason}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// In the endpoint's words.
        reason: String,
    },
    /// The reply reached the most tokens.
    #[error("the reply was cut at its most tokens")]
    Cut,
    /// The body is larger than allowed.
    #[error("the answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The most bytes.
        limit_bytes: usize,
    },
    /// The body is no answer of a model.
    #[error("the answer is not one of a model: {reason}")]
    Garbage {
        /// What is wrong with it.
        reason: String,
    },
    /// The reply has no text.
    #[error("the reply is empty")]
    Empty,
    /// A limit of this daemon.
    #[error("over a limit: {}", which.as_str())]
    Capped {
        /// Which one.
        which: Cap,
        /// Seconds until such a call may pass; `None` where it never will.
        retry_after_s: Option<u64>,
    },
    /// The caller went away.
    #[error("cancelled")]
    Cancelled,
    /// No connection, or one that broke.
    #[error("the endpoint cannot be reached: {reason}")]
    Transport {
        /// Why.
        reason: String,
    },
}

impl LlmError {
    /// Returns the outcome of an attempt that ended so.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Timeout { .. } => Outcome::Timeout,
            Self::Refused => Outcome::Refused,
            Self::RateLimited { .. } => Outcome::RateLimited,
            Self::Server { .. } => Outcome::ServerError,
            Self::Rejected { .. } => Outcome::Rejected,
            Self::Cut => Outcome::Cut,
            Self::TooLarge { .. } => Outcome::TooLarge,
            Self::Garbage { .. } => Outcome::Garbage,
            Self::Empty => Outcome::Empty,
            Self::Capped { .. } => Outcome::Capped,
            Self::Cancelled => Outcome::Cancelled,
            Self::Transport { .. } => Outcome::Transport,
        }
    }

    /// Tells whether the same request may do better on another attempt.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Server { .. } | Self::Transport { .. } => true,
            Self::RateLimited { is_quota, .. } => !is_quota,
            _ => false,
        }
    }

    /// Tells whether the same request may do better some time later: what is transient, and limits that are refilled.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        let refills =
            matches!(self, Self::Capped { retry_after_s: Some(_), .. } | Self::RateLimited { .. } | Self::Cancelled);
        refills || self.is_transient()
    }

    /// Returns how long the endpoint or the limit asks to wait before another call.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Server { retry_after, .. } => *retry_after,
            Self::Capped { retry_after_s, .. } => retry_after_s.map(Duration::from_secs),
            _ => None,
        }
    }
}
