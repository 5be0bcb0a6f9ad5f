//! Deltas applied.

use std::sync::Arc;

use super::bullet::{Bullet, BulletId, Evidence};
use super::operation::{Delta, Operation};
use super::state::Playbook;

/// Why an operation cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such bullet.
    #[error("there is no bullet {0}")]
    NoBullet(BulletId),
    /// The id is or was another bullet's.
    #[error("the id {0} is or was another bullet's")]
    Taken(BulletId),
    /// An addition has no id yet.
    #[error("the new bullet has no id")]
    NoId,
    /// A merge names fewer than two bullets.
    #[error("a merge needs two bullets or more")]
    TooFew,
    /// A merge goes into a bullet that is not among those that are merged.
    #[error("the merge goes into {0}, which is not among the merged bullets")]
    NotAmong(BulletId),
    /// An update changes nothing.
    #[error("nothing of {0} is changed: tell `content` or `section`")]
    Nothing(BulletId),
    /// There is no such version to go back to.
    #[error("there is no version {0} to go back to")]
    NoVersion(u64),
    /// The delta's version is not above the playbook's.
    #[error("version {to} does not follow version {from}")]
    Order {
        /// The playbook's version.
        from: u64,
        /// The delta's.
        to: u64,
    },
}

impl Playbook {
    /// Applies a delta that [`super::resolve`] made: all of it or nothing. A revert needs the version that it goes back to
    /// from `earlier`.
    ///
    /// # Errors
    /// [`Fault`], with nothing changed.
    pub fn apply(&mut self, delta: &Delta, earlier: impl Fn(u64) -> Option<Self>) -> Result<(), Fault> {
        if delta.version <= self.version {
            return Err(Fault::Order { from: self.version, to: delta.version });
        }
        let mut next = self.clone();
        for operation in &delta.operations {
            next.perform(operation, delta, &earlier)?;
        }
        next.version = delta.version;
        *self = next;
        Ok(())
    }

    /// As [`Playbook::apply`], passing over operations that cannot be applied. Returns those that were.
    pub(super) fn apply_leniently(&mut self, delta: &Delta, earlier: impl Fn(u64) -> Option<Self>) -> Vec<Operation> {
        let performed = delta.operations.iter().filter(|operation| self.perform(operation, delta, &earlier).is_ok());
        let performed = performed.cloned().collect();
        self.version = delta.version;
        performed
    }

    /// Performs one operation: whole, or not at all.
    fn perform(
        &mut self,
        operation: &Operation,
        delta: &Delta,
        earlier: &impl Fn(u64) -> Option<Self>,
    ) -> Result<(), Fault> {
        match operation {
            Operation::Add { id, section, content, origin, evidence } => {
                let id = id.clone().ok_or(Fault::NoId)?;
                if self.knows(&id) {
                    return Err(Fault::Taken(id));
                }
                self.open(section);
                self.last_number = self.last_number.max(id.number().unwrap_or(0));
                let mut bullet = Bullet {
                    id,
                    section: Arc::clone(section),
                    content: Arc::clone(content),
                    origin: origin.unwrap_or(delta.source.origin),
                    credits: super::bullet::Credits::default(),
                    evidence: Vec::new(),
                    created_ms: delta.at_ms,
                    updated_ms: delta.at_ms,
                };
                bullet.support(evidence);
                self.bullets.push(bullet);
            }
            Operation::Update { id, content, section, evidence } => {
                if content.is_none() && section.is_none() {
                    return Err(Fault::Nothing(id.clone()));
                }
                self.at(id)?;
                if let Some(section) = section {
                    self.open(section);
                }
                let bullet = self.at(id)?;
                bullet.section = section.clone().unwrap_or_else(|| Arc::clone(&bullet.section));
                bullet.write(content.as_ref(), evidence, delta);
                bullet.updated_ms = delta.at_ms;
            }
            Operation::Merge { ids, into, content } => self.merge(ids, into.as_ref(), content.as_ref(), delta)?,
            Operation::Delete { id } => self.remove(id)?,
            Operation::Tag { id, tag, count, inferred } => {
                self.at(id)?.credits.of(*tag, *inferred).add(*count, delta.at_ms);
            }
            Operation::Section { section } => self.open(section),
            Operation::Retire { id } => {
                if self.knows(id) {
                    return Err(Fault::Taken(id.clone()));
                }
                self.last_number = self.last_number.max(id.number().unwrap_or(0));
                self.retired.insert(id.clone());
            }
            Operation::Revert { to } => {
                let then = earlier(*to).ok_or(Fault::NoVersion(*to))?;
                let gone = self.bullets.iter().map(|bullet| &bullet.id).filter(|id| then.bullet(id).is_none());
                self.retired.extend(gone.cloned());
                self.retired.retain(|id| then.bullet(id).is_none());
                self.bullets = then.bullets;
                self.sections = then.sections;
            }
        }
        Ok(())
    }

    fn merge(
        &mut self,
        ids: &[BulletId],
        into: Option<&BulletId>,
        content: Option<&Arc<str>>,
        delta: &Delta,
    ) -> Result<(), Fault> {
        let into = into.or(ids.first()).ok_or(Fault::TooFew)?;
        let others: std::collections::BTreeSet<&BulletId> = ids.iter().filter(|id| *id != into).collect();
        if others.is_empty() {
            return Err(Fault::TooFew);
        }
        if !ids.contains(into) {
            return Err(Fault::NotAmong(into.clone()));
        }
        self.at(into)?;
        for id in &others {
            self.at(id)?;
        }
        for id in others {
            let Some(at) = self.bullets.iter().position(|bullet| bullet.id == *id) else { continue };
            let gone = self.bullets.remove(at);
            self.retired.insert(gone.id.clone());
            let kept = self.at(into)?;
            kept.credits.merge(&gone.credits);
            kept.support(&gone.evidence);
        }
        let kept = self.at(into)?;
        if content.is_some() {
            kept.write(content, &[], delta);
            kept.updated_ms = delta.at_ms;
        }
        Ok(())
    }

    fn at(&mut self, id: &BulletId) -> Result<&mut Bullet, Fault> {
        self.bullets.iter_mut().find(|bullet| bullet.id == *id).ok_or_else(|| Fault::NoBullet(id.clone()))
    }

    fn remove(&mut self, id: &BulletId) -> Result<(), Fault> {
        let at = self.bullets.iter().position(|bullet| bullet.id == *id).ok_or_else(|| Fault::NoBullet(id.clone()))?;
        self.bullets.remove(at);
        self.retired.insert(id.clone());
        Ok(())
    }

    fn open(&mut self, section: &Arc<str>) {
        if !self.sections.contains(section) {
            self.sections.push(Arc::clone(section));
        }
    }
}

impl Bullet {
    /// Takes new words, which are then the delta's: its origin is the bullet's.
    fn write(&mut self, content: Option<&Arc<str>>, evidence: &[Evidence], delta: &Delta) {
        if let Some(content) = content {
            self.content = Arc::clone(content);
            self.origin = delta.source.origin;
        }
        self.support(evidence);
    }
}
