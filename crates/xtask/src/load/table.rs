//! What was measured, as a table.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

/// The times of one kind of request.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn note(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn add(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

/// One line of the table.
pub struct Row {
    what: String,
    agents: usize,
    seconds: f64,
    per_request: usize,
    sorted: Vec<Duration>,
}

impl Row {
    /// Makes the line of requests made by `agents` at once in a time; `per_request` messages are in each, 0 for reads.
    pub fn new(what: impl Into<String>, agents: usize, took: Duration, per_request: usize, times: Times) -> Self {
        let mut sorted = times.0;
        sorted.sort_unstable();
        Self { what: what.into(), agents, seconds: took.as_secs_f64(), per_request, sorted }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    fn per_second(&self, each: usize) -> f64 {
        (self.sorted.len() * each) as f64 / self.seconds
    }

    /// Returns the time that `percent` of the requests stayed within, in milliseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let at = (self.sorted.len() * percent).div_ceil(100).saturating_sub(1);
        self.sorted.get(at).map_or(0.0, Duration::as_secs_f64) * 1000.0
    }

    /// Returns it as JSON.
    pub fn json(&self) -> Value {
        json!({
            "what": self.what, "agents": self.agents, "requests": self.sorted.len(), "seconds": self.seconds,
            "requests_per_second": self.per_second(1), "messages_per_second": self.per_second(self.per_request),
            "p50_ms": self.percentile(50), "p99_ms": self.percentile(99), "max_ms": self.percentile(100),
        })
    }
}

/// Returns the lines as a Markdown table.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| what | agents | requests | requests/s | messages/s | p50 ms | p99 ms | max ms |\n|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let messages = match row.per_request {
            0 => "–".to_owned(),
            each => format!("{:.0}", row.per_second(each)),
        };
        let (p50, p99, max) = (row.percentile(50), row.percentile(99), row.percentile(100));
        let (what, agents, requests, rate) = (&row.what, row.agents, row.sorted.len(), row.per_second(1));
        // Writing to a String cannot fail.
        writeln!(text, "| {what} | {agents} | {requests} | {rate:.0} | {messages} | {p50:.2} | {p99:.2} | {max:.2} |")
            .unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_times() {
        let times = Times((1..=200).rev().map(Duration::from_millis).collect());
        let row = Row::new("appends", 4, Duration::from_secs(2), 4, times);
        assert!((row.percentile(50) - 100.0).abs() < 1e-9);
        assert!((row.percentile(99) - 198.0).abs() < 1e-9);
        assert!(markdown(&[row]).contains("| appends | 4 | 200 | 100 | 400 | 100.00 | 198.00 | 200.00 |"));
    }
}
