//! Whether and when a call is attempted again. The only place that retries.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use super::error::LlmError;

/// The rules: full jitter under a doubling ceiling (AWS Architecture Blog, "Exponential Backoff And Jitter"),
/// except where the endpoint says when.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Attempts at one call, the first included.
    pub max_attempts: u32,
    /// Ceiling of the first pause; it doubles with each one.
    pub first: Duration,
    /// Highest ceiling.
    pub longest: Duration,
    /// Longest pause that an endpoint may ask for; a call that would have to wait longer fails at once.
    pub longest_asked: Duration,
    /// A number from 0 to 1, by which each ceiling is multiplied.
    pub dice: fn() -> f64,
}

impl Retry {
    /// Returns the rules for a number of attempts, with random pauses of up to half a second, doubling to 8 s.
    #[must_use]
    pub fn of(max_attempts: u32) -> Self {
        Self {
            max_attempts,
            first: Duration::from_millis(500),
            longest: Duration::from_secs(8),
            longest_asked: Duration::from_secs(20),
            dice: rand::random::<f64>,
        }
    }

    /// Begins a call.
    #[must_use]
    pub fn begin(&self) -> Pauses {
        let ceilings = ExponentialBuilder::new()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_max_times(self.max_attempts.saturating_sub(1) as usize)
            .build();
        Pauses { rules: *self, ceilings }
    }
}

/// The pauses of one call.
#[derive(Debug)]
pub struct Pauses {
    rules: Retry,
    ceilings: ExponentialBackoff,
}

impl Pauses {
    /// Returns how long to wait before the next attempt; `None` where there is to be none: the failure is
    /// final, all attempts were made, or the wait would not end within `left`.
    pub fn after(&mut self, failure: &LlmError, left: Duration) -> Option<Duration> {
        if !failure.is_transient() {
            return None;
        }
        let ceiling = self.ceilings.next()?;
        let asked = failure.retry_after();
        if asked.is_some_and(|asked| asked > self.rules.longest_asked) {
            return None;
        }
        let pause = asked.unwrap_or_else(|| ceiling.mul_f64((self.rules.dice)().clamp(0.0, 1.0)));
        (pause < left).then_some(pause)
    }
}

/// Reads a `Retry-After` header: seconds, or an HTTP date (RFC 9110, 10.2.3). A date that is past is no wait.
#[must_use]
pub fn parse_retry_after(header: &str, now_ms: i64) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(header).ok()?;
    Some(Duration::from_millis(u64::try_from(date.as_millisecond().saturating_sub(now_ms)).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(10);

    fn rules(max_attempts: u32, dice: fn() -> f64) -> Retry {
        Retry { dice, ..Retry::of(max_attempts) }
    }

    fn limited(seconds: Option<u64>) -> LlmError {
        let retry_after = seconds.map(Duration::from_secs);
        LlmError::RateLimited { retry_after, is_quota: false, reason: String::new() }
    }

    fn server(status: u16) -> LlmError {
        LlmError::Server { status, retry_after: None }
    }

    #[test]
    fn ceilings_double_up_to_the_highest() {
        let mut pauses = rules(7, || 1.0).begin();
        let taken: Vec<_> = std::iter::from_fn(|| pauses.after(&server(500), LONG)).map(|p| p.as_millis()).collect();
        assert_eq!(taken, [500, 1000, 2000, 4000, 8000, 8000]);
    }

    #[test]
    fn jitter_is_full() {
        assert_eq!(rules(2, || 0.0).begin().after(&server(503), LONG), Some(Duration::ZERO));
        assert_eq!(rules(2, || 0.25).begin().after(&server(503), LONG), Some(Duration::from_millis(125)));
    }

    #[test]
    fn what_the_endpoint_asks_for_is_honoured_within_bounds() {
        let mut pauses = rules(5, || 1.0).begin();
        assert_eq!(pauses.after(&limited(Some(3)), LONG), Some(Duration::from_secs(3)));
        assert_eq!(pauses.after(&limited(Some(20)), LONG), Some(Duration::from_secs(20)));
        assert_eq!(pauses.after(&limited(Some(21)), LONG), None);
    }

    #[test]
    fn no_pause_ends_after_the_deadline() {
        let mut pauses = rules(5, || 1.0).begin();
        assert_eq!(pauses.after(&limited(Some(3)), Duration::from_secs(3)), None);
        assert_eq!(pauses.after(&server(500), Duration::from_secs(1)), None);
        assert!(pauses.after(&server(500), Duration::from_millis(2001)).is_some());
    }

    #[test]
    fn final_failures_are_not_tried_again() {
        let quota = LlmError::RateLimited { retry_after: None, is_quota: true, reason: String::new() };
        let rejected = LlmError::Rejected { status: 400, reason: String::new() };
        let capped = LlmError::Capped { which: super::super::error::Cap::Queue, retry_after_s: Some(1) };
        let finals = [quota, rejected, capped, LlmError::Refused, LlmError::Cut, LlmError::Empty, LlmError::Cancelled];
        for failure in finals {
            assert_eq!(rules(5, || 1.0).begin().after(&failure, LONG), None, "{failure}");
        }
        assert_eq!(rules(1, || 1.0).begin().after(&server(500), LONG), None);
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let now_ms = 1_445_412_440_000; // 2015-10-21T07:27:20Z
        assert_eq!(parse_retry_after(" 12 ", now_ms), Some(Duration::from_secs(12)));
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        assert_eq!(parse_retry_after(date, now_ms), Some(Duration::from_secs(40)));
        assert_eq!(parse_retry_after(date, now_ms + 60_000), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon", now_ms), None);
        assert_eq!(parse_retry_after("-1", now_ms), None);
    }
}
