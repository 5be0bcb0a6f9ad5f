//! The proof that each playbook is what its log makes of nothing.

use recap_core::playbook::replay;

use super::super::Store;
use super::super::error::StoreError;
use super::{PlaybookKey, log_of, read_playbook, select_playbook};

/// Replays the log of every playbook and tells what is wrong. Returns how many there are.
pub(in super::super) async fn check_playbooks(
    store: &Store,
    mut problem: impl FnMut(String),
) -> Result<u64, StoreError> {
    let mut count = 0;
    let sql = "SELECT namespace, name FROM playbooks ORDER BY namespace, name";
    let rows = store.reader().await?.rows(sql, vec![]).await?;
    for row in rows {
        let key = PlaybookKey { namespace: row.text(0)?, name: row.text(1)? };
        count += 1;
        match fault_of(store, &key).await {
            Ok(None) => {}
            Ok(Some(fault)) => problem(format!("playbook {}/{}: {fault}", key.namespace, key.name)),
            Err(StoreError::Unreadable(what)) => {
                problem(format!("playbook {}/{}: {what} is unreadable", key.namespace, key.name));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

async fn fault_of(store: &Store, key: &PlaybookKey) -> Result<Option<String>, StoreError> {
    let mut conn = store.snapshot().await?;
    let sql = select_playbook!("WHERE namespace = $1 AND name = $2");
    let row = conn.row(sql, key.bound()).await?;
    let log = log_of(&mut conn, key, None).await?;
    conn.rollback().await?;
    let Some(row) = row else { return Ok(None) };
    let stored = read_playbook(&row)?.playbook;
    Ok(match replay(&log, None) {
        Ok(replayed) if replayed == *stored => None,
        Ok(_) => Some("it is not what its log makes of nothing".to_owned()),
        Err(error) => Some(error.to_string()),
    })
}
