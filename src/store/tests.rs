#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use recap_core::trajectory::{Origin, Role, WireFormat};

use super::*;

async fn store(folder: &tempfile::TempDir) -> Store {
    let store = Store::open(&StoreUrl::Sqlite(folder.path().join("recapd.db"))).await.unwrap();
    store.migrate().await.unwrap();
    let new = NewTrajectory { id: "t".into(), namespace: "n".into(), ..NewTrajectory::default() };
    store.create_trajectory(new).await.unwrap();
    store
}

fn request(bytes: usize) -> AppendRequest {
    let native = format!("\"{}\"", "x".repeat(bytes));
    let message = NewMessage {
        native: native.into(),
        format: WireFormat::OpenAi,
        role: Role::User,
        origin: Origin::Agent,
        tokens: 1,
        admitted: std::collections::BTreeMap::new(),
        originals: Vec::new(),
    };
    AppendRequest {
        trajectory: "t".into(),
        messages: vec![message],
        expected_length: None,
        idempotency: None,
        job: None,
        now_ms: 1,
    }
}

/// Lets the file grow by only a few pages more.
async fn fill_disk(store: &Store) {
    let Pools::Sqlite { writer, .. } = &store.inner.pools else { panic!("SQLite") };
    let mut writer = writer.acquire().await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *writer).await.unwrap();
    let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 4));
    sqlx::query(limit).execute(&mut *writer).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    store.append(request(10)).await.unwrap();
    fill_disk(&store).await;
    let (large, small) = tokio::join!(store.append(request(1 << 20)), store.append(request(10)));
    assert!(matches!(large, Err(ChangeError::Store(StoreError::DiskFull(_)))), "{large:?}");
    assert!(matches!(small, Ok(_) | Err(ChangeError::Store(StoreError::DiskFull(_)))), "{small:?}");
    let stored = 1 + u64::from(small.is_ok());
    assert_eq!(store.messages("t", 0..9).await.unwrap().len() as u64, stored);
    assert_eq!(store.append(request(10)).await.unwrap().first, stored);
    assert!(store.check().await.unwrap().is_sound());
}

#[tokio::test]
async fn deleted_bytes_are_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder).await;
    store.append(request(100_000)).await.unwrap();
    store.delete_trajectory("t", "me", 9).await.unwrap();
    store.close().await;
    let bytes = std::fs::read(folder.path().join("recapd.db")).unwrap();
    assert!(!bytes.windows(32).any(|window| window == [b'x'; 32]));
}

#[test]
fn a_url_names_its_engine() {
    let sqlite = |path: &str| StoreUrl::Sqlite(path.into());
    assert_eq!("data/recapd.db".parse::<StoreUrl>().unwrap(), sqlite("data/recapd.db"));
    assert_eq!("sqlite:/a b.db".parse::<StoreUrl>().unwrap(), sqlite("/a b.db"));
    assert!(matches!("postgres://u@h/d".parse().unwrap(), StoreUrl::Postgres(_)));
    for bad in ["", "sqlite:", ":memory:", "mysql://user:secret@host/d"] {
        let error = bad.parse::<StoreUrl>().unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
