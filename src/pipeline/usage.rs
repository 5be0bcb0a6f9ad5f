//! Tokens in, served and saved, by namespace, agent and day: summed in memory, written every few seconds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Pipeline;
use crate::store::{Appended, StoreError, UsageRow};

const DAY_MS: i64 = 86_400_000;

/// What was not written yet.
#[derive(Debug, Default)]
pub struct Usage {
    sums: Mutex<HashMap<(String, String, i64), UsageRow>>,
}

impl Usage {
    fn add(&self, namespace: &str, agent: Option<&str>, now_ms: i64, change: impl FnOnce(&mut UsageRow)) {
        let agent = agent.unwrap_or_default();
        let day = now_ms.div_euclid(DAY_MS);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let row = sums.entry((namespace.to_owned(), agent.to_owned(), day)).or_insert_with(|| UsageRow {
            namespace: namespace.to_owned(),
            agent: agent.to_owned(),
            day,
            ..UsageRow::default()
        });
        change(row);
    }

    fn drain(&self) -> Vec<UsageRow> {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.drain().map(|(_, row)| row).collect()
    }
}

impl Pipeline {
    pub(super) fn count_append(&self, namespace: &str, agent: Option<&str>, appended: &Appended) {
        metrics::counter!("recapd_messages_appended_total").increment(appended.appended);
        metrics::counter!("recapd_tokens_in_total").increment(appended.tokens);
        self.inner.usage.add(namespace, agent, self.world().now_ms(), |row| {
            row.appends += 1;
            row.tokens_in += appended.tokens;
        });
    }

    pub(super) fn count_read(&self, namespace: &str, agent: Option<&str>, served: u32, full: u32) {
        metrics::counter!("recapd_contexts_served_total").increment(1);
        metrics::counter!("recapd_tokens_served_total").increment(u64::from(served));
        metrics::counter!("recapd_tokens_full_total").increment(u64::from(full));
        self.inner.usage.add(namespace, agent, self.world().now_ms(), |row| {
            row.reads += 1;
            row.tokens_served += u64::from(served);
            row.tokens_full += u64::from(full);
        });
    }

    /// Writes what was summed up since the last time.
    ///
    /// # Errors
    ///
    /// Fails when the store does; the sums are kept for the next time.
    pub async fn write_usage(&self) -> Result<(), StoreError> {
        let rows = self.inner.usage.drain();
        if rows.is_empty() {
            return Ok(());
        }
        let written = self.store().add_usage(rows.clone()).await;
        if written.is_err() {
            for row in rows {
                self.inner.usage.add(&row.namespace, Some(&row.agent), row.day * DAY_MS, |sum| {
                    add_up(sum, &row);
                });
            }
        }
        written
    }
}

fn add_up(sum: &mut UsageRow, row: &UsageRow) {
    sum.tokens_in += row.tokens_in;
    sum.tokens_served += row.tokens_served;
    sum.tokens_full += row.tokens_full;
    sum.reads += row.reads;
    sum.appends += row.appends;
}
