//! What a playbook's log has of one run.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use recap_core::playbook::{BulletId, Delta, Operation, Playbook, heirs};

use super::super::engine::Conn;
use super::super::error::StoreError;
use super::super::value::values;
use super::{PlaybookKey, read_delta};

/// Returns the deltas that name a trajectory as their source and were not reverted, oldest first, and the heirs of bullets
/// that were merged since the first of them; none where all bullets that they count for are there.
pub(super) async fn of(
    conn: &mut Conn,
    key: &PlaybookKey,
    trajectory: &str,
    playbook: &Playbook,
) -> Result<(Vec<Delta>, BTreeMap<BulletId, BulletId>), StoreError> {
    let kept = in_force(conn, key, playbook.version).await?;
    let sql = "SELECT record FROM playbook_deltas WHERE namespace = $1 AND name = $2 AND trajectory = $3 \
               ORDER BY version";
    let mut bound = key.bound();
    bound.extend(values![trajectory]);
    let mut deltas: Vec<Delta> =
        conn.rows(sql, bound).await?.iter().map(|row| read_delta(row, 0)).collect::<Result<_, _>>()?;
    deltas.retain(|delta| is_kept(&kept, delta));
    let counts_for_gone = |operation: &Operation| match operation {
        Operation::Tag { id, .. } => playbook.bullet(id).is_none(),
        _ => false,
    };
    let heirs = match deltas.first() {
        Some(first) if deltas.iter().flat_map(|delta| &delta.operations).any(counts_for_gone) => {
            heirs(merged_since(conn, key, first.version).await?.iter().filter(|delta| is_kept(&kept, delta)))
        }
        _ => BTreeMap::new(),
    };
    Ok((deltas, heirs))
}

/// Returns the deltas from a version on that merge bullets, and a few others that hold such words.
async fn merged_since(conn: &mut Conn, key: &PlaybookKey, version: u64) -> Result<Vec<Delta>, StoreError> {
    let sql = "SELECT record FROM playbook_deltas WHERE namespace = $1 AND name = $2 AND version >= $3 \
               AND record LIKE '%\"op\":\"merge\"%' ORDER BY version";
    let mut bound = key.bound();
    bound.extend(values![version]);
    conn.rows(sql, bound).await?.iter().map(|row| read_delta(row, 0)).collect()
}

/// Returns the versions that no revert took back.
async fn in_force(conn: &mut Conn, key: &PlaybookKey, current: u64) -> Result<Vec<RangeInclusive<u64>>, StoreError> {
    let sql = "SELECT version, reverts_to FROM playbook_deltas WHERE namespace = $1 AND name = $2 \
               AND reverts_to IS NOT NULL ORDER BY version DESC";
    let mut kept = vec![];
    let mut newest = current;
    for row in conn.rows(sql, key.bound()).await? {
        let (version, to) = (row.count(0)?, row.count(1)?);
        if version <= newest {
            kept.push(version + 1..=newest);
            newest = to;
        }
    }
    kept.push(0..=newest);
    Ok(kept)
}

fn is_kept(kept: &[RangeInclusive<u64>], delta: &Delta) -> bool {
    kept.iter().any(|range| range.contains(&delta.version))
}
