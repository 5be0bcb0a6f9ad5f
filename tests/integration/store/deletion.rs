//! Deletion is whole (law 11).

use std::collections::BTreeMap;

use recapd::store::{ChangeError, EpochRow, SearchRequest, Snapshot, StoreUrl};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::bed::{Bed, key, message, on_each_engine, request};

on_each_engine!(law_11_deletion_leaves_no_rows, a_deleted_text_can_come_again);

async fn law_11_deletion_leaves_no_rows(bed: Bed) {
    bed.trajectory("stays").await;
    bed.store.append(request("stays", vec![message("shared words"), message("kept words")])).await.unwrap();
    let before = row_counts(&bed).await;
    assert!(before.len() >= 10, "{before:?}");

    bed.trajectory("goes").await;
    let mut request = request("goes", (0..100).map(|n| message(&format!("secret {n}"))).collect());
    request.messages.push(message("shared words"));
    request.idempotency = Some(key("k", "body"));
    bed.store.append(request).await.unwrap();
    let epoch = EpochRow { line: "l".into(), n: 0, record: "{}".into(), created_ms: 1 };
    bed.store.put_epoch("goes", epoch).await.unwrap();
    bed.store.put_snapshot("goes", Snapshot { at_length: 1, record: vec![1] }).await.unwrap();

    let report = bed.store.delete_trajectory("goes", "me", 9).await.unwrap();
    assert_eq!((report.messages, report.originals, report.shared_originals), (101, 100, 1));
    assert_eq!((report.epochs, report.snapshots, report.idempotency_keys), (1, 1, 1));
    assert_eq!(report.original_bytes, 10 * 8 + 90 * 9);
    assert_eq!(row_counts(&bed).await, before);
    assert!(matches!(bed.store.delete_trajectory("goes", "me", 9).await, Err(ChangeError::NoTrajectory)));
    assert_eq!(hits(&bed, "secret").await, 0);
    assert_eq!(hits(&bed, "shared").await, 1);
    assert_eq!(bed.store.original(message("secret 1").originals[0].0).await.unwrap(), None);
    assert!(bed.store.check().await.unwrap().is_sound());
}

async fn a_deleted_text_can_come_again(bed: Bed) {
    for _ in 0..3 {
        bed.trajectory("t").await;
        bed.store.append(request("t", vec![message("same words")])).await.unwrap();
        assert_eq!(hits(&bed, "same").await, 1);
        bed.store.delete_trajectory("t", "me", 9).await.unwrap();
    }
    assert!(bed.store.check().await.unwrap().is_sound());
}

async fn hits(bed: &Bed, query: &str) -> usize {
    let request = SearchRequest { query: query.into(), limit: 9, ..SearchRequest::default() };
    bed.store.search(&request).await.unwrap().hits.len()
}

/// Returns the rows of every table but the full-text index's own, which are the engine's business.
async fn row_counts(bed: &Bed) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    match &bed.url {
        StoreUrl::Sqlite(path) => {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
            let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'original_words_%'";
            for table in sqlx::query(sql).fetch_all(&mut connection).await.unwrap() {
                let table: String = table.get(0);
                let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
                counts.insert(table, sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap());
            }
        }
        StoreUrl::Postgres(url) => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            let sql = "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()";
            for table in sqlx::query(sql).fetch_all(&mut connection).await.unwrap() {
                let table: String = table.get(0);
                let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
                counts.insert(table, sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap());
            }
        }
    }
    counts
}
