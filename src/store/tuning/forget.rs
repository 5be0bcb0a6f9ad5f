//! What tuning runs know of a trajectory or pair that is erased (law 11).

use serde_json::Value as Json;

use super::super::engine::Conn;
use super::super::error::StoreError;
use super::super::value::values;

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Cases of tuning runs, with their evidence.
    pub cases: u64,
    /// Scores of these cases.
    pub scores: u64,
    /// Pairs that name the trajectory.
    pub pairs: u64,
}

/// Removes a trajectory's cases, their evidence and scores, and the pairs that name it.
pub(in super::super) async fn forget_in_tuning(conn: &mut Conn, id: &str) -> Result<Forgotten, StoreError> {
    let mut gone = forget_cases(conn, By::Trajectory(id)).await?;
    let sql = "SELECT id FROM pairs WHERE full_trajectory = $1 OR compressed_trajectory = $1 ORDER BY id";
    for row in conn.rows(sql, values![id]).await? {
        let of_pair = forget_pair(conn, &row.text(0)?).await?;
        gone.cases += of_pair.cases;
        gone.scores += of_pair.scores;
        gone.pairs += of_pair.pairs;
    }
    Ok(gone)
}

/// Removes a pair with its cases.
pub(in super::super) async fn forget_pair(conn: &mut Conn, id: &str) -> Result<Forgotten, StoreError> {
    let gone = forget_cases(conn, By::Pair(id)).await?;
    let pairs = conn.execute("DELETE FROM pairs WHERE id = $1", values![id]).await?;
    Ok(Forgotten { pairs, ..gone })
}

/// What cases are of.
#[derive(Clone, Copy)]
enum By<'a> {
    Trajectory(&'a str),
    Pair(&'a str),
}

async fn forget_cases(conn: &mut Conn, by: By<'_>) -> Result<Forgotten, StoreError> {
    let (id, [find, delete]) = match by {
        By::Trajectory(id) => (
            id,
            [
                "SELECT run_id, n, name FROM tuning_cases WHERE trajectory_id = $1 ORDER BY run_id, n",
                "DELETE FROM tuning_cases WHERE trajectory_id = $1",
            ],
        ),
        By::Pair(id) => (
            id,
            [
                "SELECT run_id, n, name FROM tuning_cases WHERE pair_id = $1 ORDER BY run_id, n",
                "DELETE FROM tuning_cases WHERE pair_id = $1",
            ],
        ),
    };
    let mut scores = 0;
    for row in conn.rows(find, values![id]).await? {
        let (run, n, name) = (row.text(0)?, row.int(1)?, row.text(2)?);
        let sql = "DELETE FROM tuning_scores WHERE run_id = $1 AND case_n = $2";
        scores += conn.execute(sql, values![run.as_str(), n]).await?;
        unname(conn, &run, &name).await?;
    }
    Ok(Forgotten { cases: conn.execute(delete, values![id]).await?, scores, pairs: 0 })
}

/// Takes a case's name out of what a run says of its end; the verdict's numbers are sums and stay.
async fn unname(conn: &mut Conn, run: &str, name: &str) -> Result<(), StoreError> {
    let sql = "SELECT verdict, why FROM tuning_runs WHERE id = $1 AND verdict IS NOT NULL";
    let Some(row) = conn.row(sql, values![run]).await? else { return Ok(()) };
    let mut verdict: Json =
        serde_json::from_str(&row.text(0)?).map_err(|_| StoreError::Unreadable("a tuning run's verdict"))?;
    let erased = |text: &str| text.replace(&format!("`{name}`"), "`(erased)`");
    if let Some(named) = verdict.get_mut("missing_cases").and_then(Json::as_array_mut) {
        named.retain(|known| known.as_str() != Some(name));
    }
    if let Some(Json::String(reason)) = verdict.get_mut("reason") {
        *reason = erased(reason);
    }
    let why = row.text_or_null(1)?.as_deref().map(erased);
    let sql = "UPDATE tuning_runs SET verdict = $2, why = $3 WHERE id = $1";
    conn.execute(sql, values![run, verdict.to_string(), why]).await?;
    Ok(())
}
