//! What a playbook holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bullet::{Bullet, BulletId};
use super::operation::Revision;
use crate::trajectory::OriginalHash;

/// A playbook: headed sections of bullets, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playbook {
    /// The version that its last delta made; 0 before the first.
    pub version: u64,
    /// The headings in order, those of empty sections too.
    pub sections: Vec<Arc<str>>,
    /// The bullets in the order in which they came; a text shows them by section.
    pub bullets: Vec<Bullet>,
    /// The highest number that an id ever had.
    pub last_number: u64,
    /// Ids that bullets had which are gone.
    pub retired: BTreeSet<BulletId>,
}

impl Playbook {
    /// Returns a bullet.
    #[must_use]
    pub fn bullet(&self, id: &BulletId) -> Option<&Bullet> {
        self.bullets.iter().find(|bullet| bullet.id == *id)
    }

    /// Tells whether an id is or was a bullet's.
    #[must_use]
    pub fn knows(&self, id: &BulletId) -> bool {
        self.retired.contains(id) || self.bullet(id).is_some()
    }

    /// Returns the bullets by section, both in order, empty sections too.
    pub fn by_section(&self) -> impl Iterator<Item = (&Arc<str>, Vec<&Bullet>)> {
        let of = |section: &Arc<str>| self.bullets.iter().filter(|bullet| bullet.section == *section).collect();
        self.sections.iter().map(move |section| (section, of(section)))
    }

    /// Returns the heading that a text names: spaces around it, a colon after it and the case of letters do not matter.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Arc<str>> {
        let wanted = heading_key(name);
        self.sections.iter().find(|section| heading_key(section) == wanted)
    }

    /// Returns the address of the words: ids, sections, contents and where they come from, without counters.
    #[must_use]
    pub fn words_hash(&self) -> OriginalHash {
        let of =
            |bullet: &'_ Bullet| (bullet.id.clone(), bullet.section.clone(), bullet.content.clone(), bullet.origin);
        let words: Vec<_> = self.bullets.iter().map(of).collect();
        OriginalHash::of(&serde_json::to_string(&(&self.sections, words)).unwrap_or_default())
    }

    /// Returns the bullets whose words or section are other ones in `later`.
    #[must_use]
    pub fn revisions(&self, later: &Self) -> Vec<Revision> {
        let words = |playbook: &Self| -> BTreeMap<BulletId, (Arc<str>, Arc<str>)> {
            let of = |bullet: &Bullet| (bullet.id.clone(), (Arc::clone(&bullet.section), Arc::clone(&bullet.content)));
            playbook.bullets.iter().map(of).collect()
        };
        let (mut before, mut after) = (words(self), words(later));
        let order = self.bullets.iter().chain(&later.bullets).map(|bullet| bullet.id.clone());
        let mut seen = BTreeSet::new();
        order
            .filter(|id| seen.insert(id.clone()))
            .map(|id| Revision { before: before.remove(&id), after: after.remove(&id), id })
            .filter(|revision| revision.before != revision.after)
            .collect()
    }
}

/// What of a heading must be the same in two that are one.
pub(super) fn heading_key(heading: &str) -> String {
    let bare = bare_heading(heading).trim_end_matches(|c: char| c == ':' || c.is_whitespace());
    bare.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// A heading without the marks and blanks before it.
pub(super) fn bare_heading(heading: &str) -> &str {
    heading.trim_start_matches(|c: char| c == '#' || c.is_whitespace())
}
