//! A store that refuses a write: what was asked for is asked for again, what was paid for is kept.

use recapd::store::StoreUrl;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use super::endpoint::{Endpoint, good, said};
use super::{Bench, all_jobs, compressions, told, until};
use crate::store::bed::Bed;

/// Changes what the database takes, as an operator could by hand.
async fn alter(bed: &Bed, sql: &str) {
    let StoreUrl::Sqlite(path) = &bed.url else { panic!("a SQLite file") };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

async fn refuse(bed: &Bed, table: &str) {
    let sql = format!("CREATE TRIGGER refuse BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'refused'); END");
    alter(bed, &sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_asked_for_is_asked_for_by_the_next_read() {
    let bench = Bench::start(Bed::sqlite().await, Endpoint::open(good).await, &[]).await;
    refuse(&bench.bed, "jobs").await;
    let path = bench.run(&json!({})).await;
    bench.read(&path).await;
    assert!(all_jobs(&bench.bed.store).await.is_empty() && bench.endpoint.sources().is_empty());
    alter(&bench.bed, "DROP TRIGGER refuse").await;
    until("a read asks for it", async || {
        bench.read(&path).await;
        (!compressions(&bench.bed.store, &path).await.is_empty()).then_some(())
    })
    .await;
    assert!(told(&bench.made(&path, 1).await)[0].text.contains(&said(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_used_though_the_ledger_takes_no_row() {
    let bench = Bench::start(Bed::sqlite().await, Endpoint::open(good).await, &[]).await;
    refuse(&bench.bed, "model_calls").await;
    let path = bench.run(&json!({})).await;
    let made = told(&bench.made(&path, 1).await);
    assert!(made[0].text.contains(&said(0)), "{made:?}");
    assert_eq!(bench.endpoint.sources().len(), made.len(), "each is paid for once");
    assert!(bench.calls(&path).await.is_empty());
    assert!(bench.app.get("/metrics").await.text().contains("recapd_ledger_failures_total"));
}
