//! API keys: made, looked up, revoked. Only hashes are kept.

use std::time::Duration;

use moka::future::Cache;
use rand::TryRngCore;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::store::{KeyRow, Store, StoreError};
use crate::world::World;

/// How long a looked-up key is believed by other daemons on the same database after it was revoked.
const BELIEVED: Duration = Duration::from_secs(5);

/// What a key may do; each has the rights of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyScope {
    /// Appends, reads, searches.
    Agent,
    /// Reads the audit log, usage and metrics, too.
    Operator,
    /// Makes and revokes keys, too.
    Admin,
}

impl KeyScope {
    /// Returns the name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    fn of(name: &str) -> Result<Self, StoreError> {
        [Self::Agent, Self::Operator, Self::Admin]
            .into_iter()
            .find(|scope| scope.as_str() == name)
            .ok_or(StoreError::Unreadable("a key's scope"))
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// How the audit log names it.
    pub actor: String,
    /// What it may do.
    pub scope: KeyScope,
    /// The one namespace that it reaches; `None` reaches all.
    pub namespace: Option<String>,
}

impl Caller {
    /// Returns who calls on loopback without a key, or uses the command line on the data folder.
    #[must_use]
    pub fn local() -> Self {
        Self { actor: "local".to_owned(), scope: KeyScope::Admin, namespace: None }
    }

    /// Tells whether the scope includes another.
    #[must_use]
    pub fn may(&self, needed: KeyScope) -> bool {
        self.scope >= needed
    }

    /// Tells whether the caller reaches a namespace.
    #[must_use]
    pub fn reaches(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

/// A key that was just made: the only time that its text is known.
pub struct NewKey {
    /// What is kept of it.
    pub row: KeyRow,
    /// The text that callers send.
    pub secret: SecretString,
}

/// Why a key cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The system has no randomness to give.
    #[error("the system gives no randomness: {0}")]
    Randomness(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All keys.
pub struct Keys {
    store: Store,
    world: World,
    fixed: Option<[u8; 32]>,
    known: Cache<[u8; 32], Option<Caller>>,
    // one entry: whether the store holds any key
    stored: Cache<(), bool>,
}

impl Keys {
    /// Makes the keys of a store, with the static key of `auth.key_file`.
    #[must_use]
    pub fn new(store: Store, world: World, fixed: Option<&SecretString>) -> Self {
        let fixed = fixed.map(|key| hash_of(key.expose_secret()));
        Self {
            store,
            world,
            fixed,
            known: Cache::builder().max_capacity(10_000).time_to_live(BELIEVED).build(),
            stored: Cache::builder().max_capacity(1).time_to_live(BELIEVED).build(),
        }
    }

    /// Tells whether there is any key. One that this process makes or revokes counts at once; one of another
    /// daemon on the same database within seconds.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn any(&self) -> Result<bool, StoreError> {
        if self.fixed.is_some() {
            return Ok(true);
        }
        if let Some(any) = self.stored.get(&()).await {
            return Ok(any);
        }
        let any = !self.list().await?.is_empty();
        self.stored.insert((), any).await;
        Ok(any)
    }

    /// Returns who sends a key; `None` if it is no key.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn caller(&self, key: &str) -> Result<Option<Caller>, StoreError> {
        let hash = hash_of(key);
        if self.fixed.is_some_and(|fixed| bool::from(fixed.ct_eq(&hash))) {
            return Ok(Some(Caller { actor: "key file".to_owned(), scope: KeyScope::Admin, namespace: None }));
        }
        if let Some(known) = self.known.get(&hash).await {
            return Ok(known);
        }
        let row = self.store.key_by_hash(&hash).await?.filter(|row| bool::from(row.hash.ct_eq(&hash)));
        let caller = match row {
            None => None,
            Some(row) => {
                self.note_use(&row).await?;
                let scope = KeyScope::of(&row.scope)?;
                Some(Caller { actor: format!("key {}", row.id), scope, namespace: row.namespace })
            }
        };
        self.known.insert(hash, caller.clone()).await;
        Ok(caller)
    }

    /// Notes once a minute that a key is used.
    async fn note_use(&self, row: &KeyRow) -> Result<(), StoreError> {
        let now = self.world.now_ms();
        if row.last_used_ms.is_none_or(|last| now - last > 60_000) {
            self.store.touch_key(&row.id, now).await?;
        }
        Ok(())
    }

    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`KeyError`]
    pub async fn create(&self, name: String, scope: KeyScope, namespace: Option<String>) -> Result<NewKey, KeyError> {
        let mut bytes = [0_u8; 32];
        rand::rngs::OsRng.try_fill_bytes(&mut bytes).map_err(|error| KeyError::Randomness(error.to_string()))?;
        let secret = format!("recapd_{}", blake3::Hash::from_bytes(bytes).to_hex());
        let row = KeyRow {
            id: self.world.new_id(),
            hash: hash_of(&secret),
            name,
            scope: scope.as_str().to_owned(),
            namespace,
            created_ms: self.world.now_ms(),
            last_used_ms: None,
        };
        self.store.add_key(row.clone()).await?;
        self.known.invalidate(&row.hash).await;
        self.stored.insert((), true).await;
        Ok(NewKey { row, secret: secret.into() })
    }

    /// Returns all keys.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn list(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.store.list_keys().await
    }

    /// Revokes a key; tells whether there was one.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn revoke(&self, id: &str) -> Result<bool, StoreError> {
        let was = self.store.delete_key(id).await?;
        self.known.invalidate_all();
        self.stored.invalidate(&()).await;
        Ok(was)
    }
}

/// Keys carry 256 random bits: a plain hash is enough.
fn hash_of(key: &str) -> [u8; 32] {
    *blake3::hash(key.as_bytes()).as_bytes()
}
