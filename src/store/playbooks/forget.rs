//! What playbooks hold of a trajectory, erased with it (law 11).

use std::collections::{BTreeMap, BTreeSet};

use recap_core::playbook::{BulletId, Delta, Operation, Origin, Source, forgotten};

use super::super::engine::Conn;
use super::super::error::StoreError;
use super::super::value::values;
use super::change::lock_playbook;
use super::excerpts::forget_in_epochs;
use super::reviews::Record;
use super::{PlaybookKey, insert_delta, json, log_of, reverts_to, write_state};

/// What was erased.
#[derive(Debug, Default)]
pub(in super::super) struct Forgotten {
    /// Operations of deltas that named the trajectory, and later ones that built on them.
    pub(in super::super) operations: u64,
    /// Changes that waited or were decided.
    pub(in super::super) reviews: u64,
    /// Epochs of other trajectories that showed words which are gone.
    pub(in super::super) excerpts: u64,
    /// The playbooks that have a new version.
    pub(in super::super) playbooks: Vec<PlaybookKey>,
    /// The trajectories of those epochs.
    pub(in super::super) trajectories: BTreeSet<String>,
}

/// Takes a trajectory out of every log, state and waiting change. Each playbook that named it gets a new version.
pub(in super::super) async fn forget_in_playbooks(
    conn: &mut Conn,
    trajectory: &str,
    (at_ms, by): (i64, &str),
) -> Result<Forgotten, StoreError> {
    let sql = "SELECT namespace, name FROM playbook_mentions WHERE trajectory = $1 ORDER BY namespace, name";
    let rows = conn.rows(sql, values![trajectory]).await?;
    let mut report = Forgotten::default();
    for row in rows {
        let key = PlaybookKey { namespace: row.text(0)?, name: row.text(1)? };
        let (operations, erased) = forget_in_log(conn, &key, trajectory, (at_ms, by)).await?;
        let (excerpts, trajectories) = forget_in_epochs(conn, &key, &erased).await?;
        report.operations += operations;
        report.excerpts += excerpts;
        report.trajectories.extend(trajectories);
        report.reviews += forget_in_reviews(conn, &key, trajectory).await?;
        report.playbooks.push(key);
    }
    conn.execute("DELETE FROM playbook_mentions WHERE trajectory = $1", values![trajectory]).await?;
    Ok(report)
}

/// Returns how many operations are left out, and the bullets that are gone or have other words.
async fn forget_in_log(
    conn: &mut Conn,
    key: &PlaybookKey,
    trajectory: &str,
    (at_ms, by): (i64, &str),
) -> Result<(u64, BTreeSet<BulletId>), StoreError> {
    let row = lock_playbook(conn, key).await?.ok_or(StoreError::Unreadable("a mention of no playbook"))?;
    let log = log_of(conn, key, None).await?;
    let (clean, mut playbook, left_out) = forgotten(&log, trajectory);
    rewrite(conn, key, &log, &clean).await?;
    let delta = Delta {
        version: row.playbook.version + 1,
        at_ms,
        actor: by.to_owned(),
        source: Source { name: Some("a trajectory was deleted".to_owned()), ..Source::of(Origin::Operator) },
        operations: Vec::new(),
    };
    playbook.version = delta.version;
    insert_delta(conn, key, &delta).await?;
    write_state(conn, key, &playbook, at_ms).await?;
    let changed = row.playbook.revisions(&playbook).into_iter().filter(|revision| revision.before.is_some());
    Ok((left_out as u64, changed.map(|revision| revision.id).collect()))
}

/// Makes the stored log that of `clean`.
async fn rewrite(conn: &mut Conn, key: &PlaybookKey, log: &[Delta], clean: &[Delta]) -> Result<(), StoreError> {
    let kept: BTreeMap<u64, &Delta> = clean.iter().map(|delta| (delta.version, delta)).collect();
    for delta in log {
        let mut bound = key.bound();
        bound.extend(values![delta.version]);
        match kept.get(&delta.version) {
            None => {
                let sql = "DELETE FROM playbook_deltas WHERE namespace = $1 AND name = $2 AND version = $3";
                conn.execute(sql, bound).await?;
            }
            Some(kept) if *kept != delta => {
                let sql = "UPDATE playbook_deltas SET record = $4, reverts_to = $5, trajectory = $6 \
                           WHERE namespace = $1 AND name = $2 AND version = $3";
                bound.extend(values![json(kept)?, reverts_to(kept), kept.source.trajectory.as_deref()]);
                conn.execute(sql, bound).await?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Removes changes that came from the trajectory, and its name from the evidence of others.
async fn forget_in_reviews(conn: &mut Conn, key: &PlaybookKey, trajectory: &str) -> Result<u64, StoreError> {
    let sql = "DELETE FROM playbook_reviews WHERE namespace = $1 AND name = $2 AND trajectory = $3";
    let mut bound = key.bound();
    bound.extend(values![trajectory]);
    let gone = conn.execute(sql, bound).await?;
    let sql = "SELECT id, record FROM playbook_reviews WHERE namespace = $1 AND name = $2";
    for row in conn.rows(sql, key.bound()).await? {
        let record = serde_json::from_str(&row.text(1)?);
        let mut record: Record = record.map_err(|_| StoreError::Unreadable("a waiting change of a playbook"))?;
        if forget_evidence(&mut record.operations, trajectory) {
            let sql = "UPDATE playbook_reviews SET record = $2 WHERE id = $1";
            conn.execute(sql, values![row.text(0)?, json(&record)?]).await?;
        }
    }
    Ok(gone)
}

fn forget_evidence(operations: &mut [Operation], trajectory: &str) -> bool {
    let mut changed = false;
    for operation in operations {
        if let Operation::Add { evidence, .. } | Operation::Update { evidence, .. } = operation {
            let before = evidence.len();
            evidence.retain(|evidence| evidence.trajectory != trajectory);
            changed |= evidence.len() != before;
        }
    }
    changed
}
