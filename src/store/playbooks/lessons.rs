//! Recorded runs that were learned from, so that learning goes on where it stopped.

use super::super::Store;
use super::super::engine::Conn;
use super::super::error::StoreError;
use super::super::value::values;
use super::PlaybookKey;

/// A recorded run that was learned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaybookLesson {
    /// The hash of the run and of what was told of it.
    pub run: String,
    /// How often all runs were gone through, with this time, from 1.
    pub epoch: u32,
}

impl Store {
    /// Tells whether a playbook was taught by a run in an epoch.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn has_lesson(&self, key: &PlaybookKey, lesson: &PlaybookLesson) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM playbook_lessons WHERE namespace = $1 AND name = $2 AND run = $3 AND epoch = $4";
        let mut bound = key.bound();
        bound.extend(values![lesson.run.as_str(), i64::from(lesson.epoch)]);
        Ok(self.reader().await?.row(sql, bound).await?.is_some())
    }
}

/// Notes a run that was learned from.
pub(super) async fn insert_lesson(
    conn: &mut Conn,
    key: &PlaybookKey,
    lesson: &PlaybookLesson,
    at_ms: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO playbook_lessons (namespace, name, run, epoch, at_ms) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (namespace, name, run, epoch) DO NOTHING";
    let mut bound = key.bound();
    bound.extend(values![lesson.run.as_str(), i64::from(lesson.epoch), at_ms]);
    conn.execute(sql, bound).await?;
    Ok(())
}
