//! Keeps what steers up to date with the operator's folder, and with what other daemons store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use recap_core::trajectory::OriginalHash;

use super::current::{Current, Served};
use super::folder::{self, Stamps};
use super::{File, GuidelineFault, Guidelines, Kind, Place, Steering, shipped, steering_of};
use crate::pipeline::Pipeline;
use crate::store::{
    GuidelineChange, GuidelineError, GuidelineHead, GuidelineStep, GuidelineVersion, Store, StoreError,
};

/// Files that were changed this shortly before are read again: a second change may have left no trace.
const UNSETTLED: Duration = Duration::from_secs(5);
/// Who the log names for changes of files.
const ACTOR: &str = "file";

/// What was seen of the folder.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Whether folder and store were compared.
    is_open: bool,
    stamps: Stamps,
    /// The folder's guidelines as they were usable last.
    files: BTreeMap<Place, Seen>,
    faults: Vec<String>,
}

#[derive(Debug, Clone)]
struct Seen {
    path: PathBuf,
    text: String,
    hash: OriginalHash,
}

/// The folder as it was read.
struct Scan {
    stamps: Stamps,
    files: BTreeMap<Place, Seen>,
    faults: Vec<GuidelineFault>,
}

impl Pipeline {
    /// Takes up what operators activated and what changed in the folder since the last daemon looked.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn open_guidelines(&self) -> Result<(), StoreError> {
        let now_ms = self.world().now_ms();
        let shipped = shipped::files().into_iter().map(|file| version_of(&file.place, file.text, "shipped", now_ms));
        self.store().add_guideline_versions(shipped.collect()).await?;
        self.watch_guidelines().await
    }

    /// Looks once at folder and store. A changed file becomes the champion; one that cannot be used is reported and
    /// changes nothing. Takes up the trained head that the store names, too.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn watch_guidelines(&self) -> Result<(), StoreError> {
        self.guidelines().watch(self.store(), self.world().now_ms()).await?;
        self.take_up_head().await
    }
}

impl Guidelines {
    async fn watch(&self, store: &Store, now_ms: i64) -> Result<(), StoreError> {
        let mut watched = self.watched.lock().await;
        let was_open = watched.is_open;
        let scan = self.scan(&watched, now_ms).await;
        let mut is_changed = !was_open;
        if let Some(scan) = scan {
            let faults: Vec<String> = scan.faults.iter().map(ToString::to_string).collect();
            let files = kept(&watched.files, scan.files, &scan.faults);
            if was_open {
                self.note_changes(store, &watched.files, &files, now_ms).await?;
            } else {
                self.note_first(store, &files, now_ms).await?;
            }
            tell(&watched.faults, &faults);
            is_changed |= faults != watched.faults;
            *watched = Watched { is_open: true, stamps: scan.stamps, files, faults };
        }
        let state = store.guideline_state().await?;
        if is_changed || state != self.current.load().state {
            self.rebuild(store, watched.faults.clone()).await?;
        }
        Ok(())
    }

    /// Takes up what the store says now.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub(super) async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let watched = self.watched.lock().await;
        self.rebuild(store, watched.faults.clone()).await
    }

    /// Reads the folder if it stands in another way than before; always at first.
    async fn scan(&self, watched: &Watched, now_ms: i64) -> Option<Scan> {
        let dir = match &self.dir {
            Some(dir) => dir.clone(),
            None if watched.is_open => return None,
            None => return Some(Scan { stamps: Stamps::new(), files: BTreeMap::new(), faults: Vec::new() }),
        };
        let before = watched.is_open.then(|| watched.stamps.clone());
        let settled = u64::try_from(now_ms).ok().map(|now| SystemTime::UNIX_EPOCH + Duration::from_millis(now));
        let settled = settled.and_then(|now| now.checked_sub(UNSETTLED));
        tokio::task::spawn_blocking(move || read(&dir, before.as_ref(), settled)).await.ok().flatten()
    }

    /// Compares the folder with what the store saw of it last.
    async fn note_first(&self, store: &Store, files: &BTreeMap<Place, Seen>, now_ms: i64) -> Result<(), StoreError> {
        let heads = store.guideline_heads().await?;
        let known: BTreeMap<Place, OriginalHash> =
            heads.iter().filter_map(|head| Some((place_of(head)?, head.file?))).collect();
        for (place, seen) in files.iter().filter(|(place, seen)| known.get(place) != Some(&seen.hash)) {
            self.note(store, place, Some(seen), now_ms).await?;
        }
        for place in known.keys().filter(|place| !files.contains_key(place)) {
            self.note(store, place, None, now_ms).await?;
        }
        Ok(())
    }

    async fn note_changes(
        &self,
        store: &Store,
        before: &BTreeMap<Place, Seen>,
        files: &BTreeMap<Place, Seen>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let hash_before = |place: &Place| before.get(place).map(|seen| seen.hash);
        for (place, seen) in files.iter().filter(|(place, seen)| hash_before(place) != Some(seen.hash)) {
            self.note(store, place, Some(seen), now_ms).await?;
        }
        for place in before.keys().filter(|place| !files.contains_key(place)) {
            self.note(store, place, None, now_ms).await?;
        }
        Ok(())
    }

    async fn note(&self, store: &Store, place: &Place, seen: Option<&Seen>, now_ms: i64) -> Result<(), StoreError> {
        let step = match seen {
            Some(seen) => GuidelineStep::File(version_of(place, seen.text.clone(), "file", now_ms)),
            None => GuidelineStep::FileGone,
        };
        tracing::info!(set = place.set, kind = place.kind.name(), gone = seen.is_none(), "a guideline's file changed");
        let change = GuidelineChange {
            key: place.key(),
            shipped: self.shipped.get(place).map(|steering| steering.hash),
            actor: ACTOR.to_owned(),
            at_ms: now_ms,
            step,
        };
        match store.change_guideline(change).await {
            Ok(_) => Ok(()),
            Err(GuidelineError::Store(error)) => Err(error),
            Err(_) => Err(StoreError::Unreadable("a guideline's file")),
        }
    }

    async fn rebuild(&self, store: &Store, mut faults: Vec<String>) -> Result<(), StoreError> {
        let state = store.guideline_state().await?;
        let before = self.current.load_full();
        let champions = self
            .shipped
            .iter()
            .map(|(place, steering)| (place.clone(), Served { champion: Some(steering.clone()), canary: None }));
        let mut served: BTreeMap<Place, Served> = champions.collect();
        for head in store.guideline_heads().await? {
            let Some(place) = place_of(&head) else { continue };
            let known = before.served.get(&place);
            let at = served.entry(place.clone()).or_default();
            if let Some(hash) = head.champion {
                let champion = steering(store, &place, hash, known, &mut faults).await?;
                // What cannot be used changes nothing: what steered before goes on.
                let champion = champion.or_else(|| known.and_then(|known| known.champion.clone()));
                at.champion = champion.or_else(|| at.champion.take());
            }
            if let Some((hash, ppm)) = head.canary {
                at.canary = steering(store, &place, hash, known, &mut faults).await?.map(|steering| (steering, ppm));
            }
        }
        metrics::gauge!("recapd_guideline_faults").set(f64::from(u32::try_from(faults.len()).unwrap_or(u32::MAX)));
        if let Some(current) = Current::new(served, state, faults) {
            self.current.store(Arc::new(current.with_head(before.head.clone())));
        }
        Ok(())
    }
}

/// Returns a version ready to steer: as it is known already, or from the store.
async fn steering(
    store: &Store,
    place: &Place,
    hash: OriginalHash,
    known: Option<&Served>,
    faults: &mut Vec<String>,
) -> Result<Option<Steering>, StoreError> {
    let known =
        known.into_iter().flat_map(|known| known.champion.iter().chain(known.canary.iter().map(|(one, _)| one)));
    if let Some(steering) = known.into_iter().find(|steering| steering.hash == hash) {
        return Ok(Some(steering.clone()));
    }
    let version = store.guideline_version(&place.key(), &hash).await?;
    let version = version.ok_or(StoreError::Unreadable("a guideline without its version"))?;
    match Steering::read(&place.set, place.kind, &version.text) {
        Ok(steering) => Ok(Some(steering)),
        Err(error) => {
            let fault = format!("{}/{} {hash}: {error}", place.set, place.kind.name());
            tracing::error!(fault, "a stored guideline cannot be used");
            faults.push(fault);
            Ok(None)
        }
    }
}

/// Returns the files as they were read, and those that cannot be used now as they were before.
fn kept(
    before: &BTreeMap<Place, Seen>,
    mut files: BTreeMap<Place, Seen>,
    faults: &[GuidelineFault],
) -> BTreeMap<Place, Seen> {
    let is_at_fault = |path: &Path| faults.iter().any(|fault| path.starts_with(fault.path()));
    for (place, seen) in before.iter().filter(|(_, seen)| is_at_fault(&seen.path)) {
        files.entry(place.clone()).or_insert_with(|| seen.clone());
    }
    files
}

/// Logs the faults that were not there before.
fn tell(before: &[String], faults: &[String]) {
    for fault in faults.iter().filter(|fault| !before.contains(fault)) {
        tracing::error!(fault, "a guideline's file cannot be used: what steered before goes on");
    }
}

fn read(dir: &Path, before: Option<&Stamps>, settled: Option<SystemTime>) -> Option<Scan> {
    let stamps = folder::stamps(dir);
    let is_unsettled = stamps.values().any(|(changed, _)| *changed > settled);
    if before == Some(&stamps) && !is_unsettled {
        return None;
    }
    let mut faults = Vec::new();
    let files = folder::files(dir, &mut faults);
    let usable = steering_of(&files, &mut faults);
    let seen = files.into_iter().filter_map(|File { place, path, text }| {
        let hash = usable.get(&place)?.hash;
        Some((place, Seen { path, text, hash }))
    });
    Some(Scan { stamps, files: seen.collect(), faults })
}

fn place_of(head: &GuidelineHead) -> Option<Place> {
    Some(Place { set: head.key.set.clone(), kind: Kind::of(&head.key.kind)? })
}

fn version_of(place: &Place, text: String, origin: &str, created_ms: i64) -> GuidelineVersion {
    GuidelineVersion {
        key: place.key(),
        hash: OriginalHash::of(&text),
        text,
        note: None,
        origin: origin.to_owned(),
        actor: if origin == "file" { ACTOR } else { "recapd" }.to_owned(),
        created_ms,
        was_champion: false,
    }
}
