//! Excerpts of playbooks in the epochs of trajectories, taken out where words that they show were erased (law 11).

use std::collections::BTreeSet;

use recap_core::context::EpochRecord;
use recap_core::playbook::BulletId;

use super::super::engine::Conn;
use super::super::error::StoreError;
use super::super::value::values;
use super::change::lock_playbook;
use super::{PlaybookKey, json};

/// Takes excerpts with one of these bullets out of the epochs of all trajectories that the playbook is served to. Such an
/// epoch has no maker any more: the next read ends it. Returns how many epochs that were, and the trajectories.
pub(super) async fn forget_in_epochs(
    conn: &mut Conn,
    key: &PlaybookKey,
    erased: &BTreeSet<BulletId>,
) -> Result<(u64, BTreeSet<String>), StoreError> {
    if erased.is_empty() {
        return Ok((0, BTreeSet::new()));
    }
    let sql = "SELECT e.trajectory_id, e.line, e.n, e.record FROM epochs e JOIN trajectories t ON t.id = e.trajectory_id \
               WHERE t.namespace = $1 AND t.playbook = $2 AND e.record LIKE '%\"bullets\"%'";
    let (mut epochs, mut trajectories) = (0, BTreeSet::new());
    for row in conn.rows(sql, key.bound()).await? {
        let record = serde_json::from_str(&row.text(3)?);
        let mut record: EpochRecord = record.map_err(|_| StoreError::Unreadable("an epoch"))?;
        if record.forget(erased) {
            let trajectory = row.text(0)?;
            let sql = "UPDATE epochs SET record = $4 WHERE trajectory_id = $1 AND line = $2 AND n = $3";
            let bound = values![trajectory.as_str(), row.text(1)?, row.count(2)?, json(&record)?];
            epochs += conn.execute(sql, bound).await?;
            trajectories.insert(trajectory);
        }
    }
    for trajectory in &trajectories {
        // Other daemons load it anew.
        let sql = "UPDATE trajectories SET version = version + 1 WHERE id = $1";
        conn.execute(sql, values![trajectory.as_str()]).await?;
    }
    Ok((epochs, trajectories))
}

/// Tells whether a deletion took something out of a playbook after a version; until the transaction ends none will.
pub(in super::super) async fn was_erased_from(
    conn: &mut Conn,
    key: &PlaybookKey,
    version: u64,
) -> Result<bool, StoreError> {
    lock_playbook(conn, key).await?;
    // A deletion leaves a delta without operations.
    let sql = "SELECT COUNT(*) FROM playbook_deltas WHERE namespace = $1 AND name = $2 AND version > $3 \
               AND record LIKE '%\"operations\":[]}'";
    let mut bound = key.bound();
    bound.extend(values![version]);
    Ok(conn.number(sql, bound).await? > 0)
}
