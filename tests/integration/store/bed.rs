//! What the store tests stand on: fresh databases, and messages to put into them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};

use recap_core::trajectory::{Origin, OriginalHash, Role, WireFormat};
use recapd::store::{AppendRequest, IdempotencyKey, NewMessage, NewTrajectory, Store, StoreUrl};
use serde_json::json;
use sqlx::{Connection as _, Executor as _};

/// A fresh database that goes away with it.
pub struct Bed {
    pub url: StoreUrl,
    pub store: Store,
    folder: tempfile::TempDir,
}

impl Bed {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("recapd.db"));
        Self { store: open(&url).await, url, folder }
    }

    /// Returns `None` where no server is given and none is demanded.
    pub async fn postgres() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        static SAID: Once = Once::new();
        let Ok(server) = std::env::var("RECAPD_TEST_POSTGRES") else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "RECAPD_TEST_POSTGRES is not set");
            SAID.call_once(|| println!("skipped on PostgreSQL: RECAPD_TEST_POSTGRES is not set"));
            return None;
        };
        let name = format!("recapd_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
        let drop_old = sqlx::AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"));
        connection.execute(sqlx::raw_sql(drop_old)).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"));
        connection.execute(sqlx::raw_sql(create)).await.unwrap();
        let (start, options) =
            server.split_once('?').map_or((server.as_str(), ""), |(start, options)| (start, options));
        let (base, _) = start.rsplit_once('/').unwrap();
        let url = StoreUrl::Postgres(format!("{base}/{name}?{options}"));
        Some(Self { store: open(&url).await, url, folder: tempfile::tempdir().unwrap() })
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Closes the database and opens it again, as a restart does.
    pub async fn reopen(&mut self) {
        self.store.close().await;
        self.store = open(&self.url).await;
    }

    pub async fn trajectory(&self, id: &str) {
        self.store.create_trajectory(new_trajectory(id)).await.unwrap();
    }
}

pub async fn open(url: &StoreUrl) -> Store {
    let store = Store::open(url).await.unwrap();
    store.migrate().await.unwrap();
    store
}

pub fn new_trajectory(id: &str) -> NewTrajectory {
    NewTrajectory { id: id.into(), namespace: "default".into(), created_ms: 1, ..NewTrajectory::default() }
}

/// A user message with one original.
pub fn message(text: &str) -> NewMessage {
    let text: Arc<str> = text.into();
    NewMessage {
        native: json!({"role": "user", "content": &*text}).to_string().into(),
        format: WireFormat::OpenAi,
        role: Role::User,
        origin: Origin::Agent,
        tokens: 7,
        admitted: BTreeMap::new(),
        originals: vec![(OriginalHash::of(&text), text)],
    }
}

pub fn request(trajectory: &str, messages: Vec<NewMessage>) -> AppendRequest {
    AppendRequest {
        trajectory: trajectory.into(),
        messages,
        expected_length: None,
        idempotency: None,
        job: None,
        now_ms: 2,
    }
}

pub fn key(key: &str, body: &str) -> IdempotencyKey {
    IdempotencyKey { key: key.into(), body_hash: *OriginalHash::of(body).as_bytes() }
}

/// Makes one test for each engine out of an async function that takes a `Bed`.
macro_rules! on_each_engine {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::store::bed::Bed::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(bed) = $crate::store::bed::Bed::postgres().await {
                    super::$name(bed).await;
                }
            })*
        }
    };
}
pub(crate) use on_each_engine;
