//! What operators do with guidelines: look, save drafts, activate, roll back.

use std::collections::BTreeSet;

use recap_core::secrets::secret_in;
use recap_core::trajectory::OriginalHash;
use serde_json::json;
use similar::TextDiff;

use super::current::{Place, WHOLE_PPM};
use super::folder::{MOST_BYTES, is_set_name};
use super::{Kind, Steering};
use crate::pipeline::Pipeline;
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::store::{GuidelineChange, GuidelineError, GuidelineEvent, GuidelineKey, GuidelineStep, GuidelineVersion};

/// Unchanged lines around changes in a diff.
const DIFF_CONTEXT: usize = 3;
/// Steps that are shown of a guideline's life.
const MOST_EVENTS: usize = 100;

/// A guideline as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct GuidelineState {
    /// The set.
    pub set: String,
    /// The kind.
    pub kind: Kind,
    /// The version that steers; `None` while nothing was activated.
    pub champion: Option<OriginalHash>,
    /// The version on trial and its share, above 0 and at most 1.
    pub canary: Option<(OriginalHash, f64)>,
    /// Versions that never steered, newest first.
    pub drafts: Vec<OriginalHash>,
}

/// A version that is to be saved.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The text.
    pub text: String,
    /// What its author says of it.
    pub note: Option<String>,
    /// Where it comes from, as `api`.
    pub origin: &'static str,
}

/// A version that is to steer.
#[derive(Debug, Clone)]
pub struct Activation {
    /// The version.
    pub hash: OriginalHash,
    /// The champion that the caller knows; `None` where there is none.
    pub expected_champion: Option<OriginalHash>,
    /// On trial for this share of trajectories; as the champion where it is not told.
    pub canary_share: Option<f64>,
}

impl Pipeline {
    /// Returns all guidelines, by set and kind.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn list_guidelines(&self) -> Result<Vec<GuidelineState>, Failure> {
        let versions = self.store().guideline_versions(None).await?;
        let stored = versions.iter().filter_map(|version| place_of(&version.key));
        let mut places: BTreeSet<Place> = self.guidelines().current.load().served.keys().cloned().collect();
        places.extend(stored);
        Ok(places.into_iter().map(|place| self.state_of(place, &versions)).collect())
    }

    /// Returns one guideline.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn guideline(&self, set: &str, kind: &str) -> Result<GuidelineState, Failure> {
        let place = known_place(set, kind)?;
        let versions = self.store().guideline_versions(Some(&place.key())).await?;
        let is_served = self.guidelines().current.load().served.contains_key(&place);
        if versions.is_empty() && !is_served {
            return Err(no_guideline(set, kind));
        }
        Ok(self.state_of(place, &versions))
    }

    fn state_of(&self, place: Place, versions: &[GuidelineVersion]) -> GuidelineState {
        let current = self.guidelines().current.load();
        let served = current.served.get(&place);
        let champion = served.and_then(|served| Some(served.champion.as_ref()?.hash));
        let canary = served.and_then(|served| served.canary.as_ref());
        let key = place.key();
        let is_draft = |version: &&GuidelineVersion| {
            version.key == key
                && !version.was_champion
                && Some(version.hash) != champion
                && !matches!(version.origin.as_str(), "shipped" | "file")
        };
        GuidelineState {
            champion,
            canary: canary.map(|(steering, ppm)| (steering.hash, share_of(*ppm))),
            drafts: versions.iter().filter(is_draft).map(|version| version.hash).collect(),
            set: place.set,
            kind: place.kind,
        }
    }

    /// Returns a guideline's versions, newest first.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn guideline_versions(&self, set: &str, kind: &str) -> Result<Vec<GuidelineVersion>, Failure> {
        let versions = self.store().guideline_versions(Some(&known_place(set, kind)?.key())).await?;
        if versions.is_empty() { Err(no_guideline(set, kind)) } else { Ok(versions) }
    }

    /// Returns one version.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn guideline_version(
        &self,
        set: &str,
        kind: &str,
        hash: &OriginalHash,
    ) -> Result<GuidelineVersion, Failure> {
        let version = self.store().guideline_version(&known_place(set, kind)?.key(), hash).await?;
        version.ok_or_else(|| Failure::NotFound(format!("version `{hash}` of guideline `{set}/{kind}`")))
    }

    /// Returns what happened to a guideline, newest first.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn guideline_events(&self, set: &str, kind: &str) -> Result<Vec<GuidelineEvent>, Failure> {
        Ok(self.store().guideline_events(&known_place(set, kind)?.key(), MOST_EVENTS).await?)
    }

    /// Returns what changes from one version to another as a unified diff; empty where nothing does.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn guideline_diff(
        &self,
        set: &str,
        kind: &str,
        [from, to]: [OriginalHash; 2],
    ) -> Result<String, Failure> {
        let before = self.guideline_version(set, kind, &from).await?;
        let after = self.guideline_version(set, kind, &to).await?;
        let name = |hash: OriginalHash| format!("{set}/{kind}@{}", hash.handle());
        let diff = TextDiff::from_lines(before.text.as_str(), after.text.as_str());
        Ok(diff.unified_diff().context_radius(DIFF_CONTEXT).header(&name(from), &name(to)).to_string())
    }

    /// Checks and stores a version. Tells whether it is new: a text that is stored already stays as it is.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] with what is wrong in the text; [`Failure::Namespace`].
    pub async fn draft_guideline(
        &self,
        caller: &Caller,
        set: &str,
        kind: &str,
        draft: Draft,
    ) -> Result<(GuidelineVersion, bool), Failure> {
        reaches_all(caller)?;
        let place = known_place(set, kind)?;
        let steering = check(&place, "/text", &draft.text)?;
        let version = GuidelineVersion {
            key: place.key(),
            hash: steering.hash,
            text: draft.text,
            note: draft.note,
            origin: draft.origin.to_owned(),
            actor: caller.actor.clone(),
            created_ms: self.world().now_ms(),
            was_champion: false,
        };
        let is_new = self.store().add_guideline_versions(vec![version]).await? > 0;
        let version = self.guideline_version(set, kind, &steering.hash).await?;
        if is_new {
            let detail = json!({ "hash": version.hash, "note": version.note });
            self.audit(caller, None, "guideline.draft", &subject(&place), detail).await?;
        }
        Ok((version, is_new))
    }

    /// Makes a version the champion, or puts it on trial.
    ///
    /// # Errors
    ///
    /// [`Failure::Champion`] if the champion is not the expected one; [`Failure::Invalid`], [`Failure::NotFound`],
    /// [`Failure::Namespace`].
    pub async fn activate_guideline(
        &self,
        caller: &Caller,
        set: &str,
        kind: &str,
        activation: Activation,
    ) -> Result<GuidelineState, Failure> {
        reaches_all(caller)?;
        let place = known_place(set, kind)?;
        let Activation { hash, expected_champion: expected, canary_share } = activation;
        let version = self.guideline_version(set, kind, &hash).await?;
        Steering::read(set, place.kind, &version.text).map_err(|error| Failure::field("/hash", error.to_string()))?;
        let step = match canary_share.map(ppm_of).transpose()? {
            Some(_) if expected == Some(hash) => {
                return Err(Failure::field("/hash", "the champion cannot be on trial against itself"));
            }
            Some(ppm) => GuidelineStep::Canary { hash, expected, ppm },
            None => GuidelineStep::Activate { hash, expected },
        };
        self.change(caller, &place, step).await?;
        let detail = json!({ "hash": hash, "before": expected, "canary_share": canary_share });
        self.audit(caller, None, "guideline.activate", &subject(&place), detail).await?;
        self.guideline(set, kind).await
    }

    /// Ends the trial; without one the champion before this one comes back.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] where no champion before this one is known; [`Failure::Namespace`].
    pub async fn roll_back_guideline(&self, caller: &Caller, set: &str, kind: &str) -> Result<GuidelineState, Failure> {
        reaches_all(caller)?;
        let place = known_place(set, kind)?;
        let before = self.guideline(set, kind).await?;
        self.change(caller, &place, GuidelineStep::Rollback).await?;
        let after = self.guideline(set, kind).await?;
        let detail = json!({ "before": before.champion, "after": after.champion });
        self.audit(caller, None, "guideline.rollback", &subject(&place), detail).await?;
        Ok(after)
    }

    async fn change(&self, caller: &Caller, place: &Place, step: GuidelineStep) -> Result<(), Failure> {
        let change = GuidelineChange {
            key: place.key(),
            shipped: self.guidelines().shipped.get(place).map(|steering| steering.hash),
            actor: caller.actor.clone(),
            at_ms: self.world().now_ms(),
            step,
        };
        self.store().change_guideline(change).await.map_err(|error| match error {
            GuidelineError::Champion { current } => Failure::Champion { current },
            GuidelineError::NoVersion => Failure::field("/hash", error.to_string()),
            GuidelineError::NoEarlier => Failure::field("", error.to_string()),
            GuidelineError::Store(error) => Failure::Store(error),
        })?;
        Ok(self.guidelines().refresh(self.store()).await?)
    }
}

/// Reads a text that came from outside.
///
/// # Errors
///
/// [`Failure::Invalid`] with the pointer.
pub(super) fn check(place: &Place, pointer: &str, text: &str) -> Result<Steering, Failure> {
    if text.len() as u64 > MOST_BYTES {
        return Err(Failure::field(pointer, format!("a guideline has at most {MOST_BYTES} bytes")));
    }
    if text.contains('\0') {
        return Err(Failure::field(pointer, "the text holds the character U+0000"));
    }
    if let Some((line, what)) = secret_in(text) {
        return Err(Failure::field(pointer, format!("line {line} holds {what}")));
    }
    Steering::read(&place.set, place.kind, text).map_err(|error| Failure::field(pointer, error.to_string()))
}

/// Returns the place of names from outside.
///
/// # Errors
///
/// [`Failure::NotFound`]
pub(super) fn known_place(set: &str, kind: &str) -> Result<Place, Failure> {
    let found = Kind::of(kind).filter(|_| is_set_name(set));
    found.map(|kind| Place { set: set.to_owned(), kind }).ok_or_else(|| no_guideline(set, kind))
}

fn place_of(key: &GuidelineKey) -> Option<Place> {
    Some(Place { set: key.set.clone(), kind: Kind::of(&key.kind)? })
}

fn no_guideline(set: &str, kind: &str) -> Failure {
    Failure::NotFound(format!("guideline `{set}/{kind}`"))
}

fn subject(place: &Place) -> String {
    format!("{}/{}", place.set, place.kind.name())
}

/// Guidelines steer every namespace: a key of one namespace may not change them.
fn reaches_all(caller: &Caller) -> Result<(), Failure> {
    if caller.namespace.is_none() { Ok(()) } else { Err(Failure::Namespace("*".to_owned())) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be above 0 and at most 1")]
fn ppm_of(share: f64) -> Result<u32, Failure> {
    if share > 0.0 && share <= 1.0 {
        return Ok(((share * f64::from(WHOLE_PPM)).round() as u32).max(1));
    }
    Err(Failure::field("/canary_share", "must be above 0 and at most 1"))
}

/// Returns a share in millionths as a number from 0 to 1.
pub(super) fn share_of(ppm: u32) -> f64 {
    f64::from(ppm) / f64::from(WHOLE_PPM)
}
