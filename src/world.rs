//! What the daemon asks of the world beside its data: the time and new ids. Tests give their own.

use std::sync::Arc;

use uuid::Uuid;

/// The clock and the source of ids. Cheap to clone.
#[derive(Clone)]
pub struct World {
    now_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
    new_id: Arc<dyn Fn() -> String + Send + Sync>,
}

impl World {
    /// Makes a world of two functions: milliseconds since 1970, and a new unique id.
    pub fn new(
        now_ms: impl Fn() -> i64 + Send + Sync + 'static,
        new_id: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        Self { now_ms: Arc::new(now_ms), new_id: Arc::new(new_id) }
    }

    /// Returns the world as it is: the system's clock and `UUIDv7` ids.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock and makes ids")]
    pub fn real() -> Self {
        Self::new(|| jiff::Timestamp::now().as_millisecond(), || Uuid::now_v7().to_string())
    }

    /// Returns milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        (self.now_ms)()
    }

    /// Returns an id that sorts by time.
    #[must_use]
    pub fn new_id(&self) -> String {
        (self.new_id)()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

/// Returns milliseconds since 1970 as RFC 3339 in UTC.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}
