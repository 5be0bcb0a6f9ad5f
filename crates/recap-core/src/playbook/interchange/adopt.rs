//! What a file holds, made into operations.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::bullet::{BulletId, Credit};
use super::super::operation::Operation;
use super::super::resolve::{MOST_NUMBER, slug};
use super::super::state::Playbook;
use super::{Counts, Imported, ImportedBullet};

/// The highest number in an id of a file that is kept: ids that are given after it stay below what a playbook takes.
const MOST_KEPT_NUMBER: u64 = MOST_NUMBER / 2;

/// What an import does to a playbook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// The operations, complete with ids, for [`crate::playbook::resolve`] with [`crate::playbook::Prior::Trusted`]; none
    /// if nothing is new.
    pub operations: Vec<Operation>,
    /// Ids of the file that could not be kept, and what they became.
    pub renamed: Vec<(String, BulletId)>,
    /// Bullets that were there already, or came before in the file, word for word. Their counters stay as they are.
    pub skipped: Vec<BulletId>,
    /// How many bullets are new.
    pub imported: usize,
}

impl Imported {
    /// Makes the operations that bring a file into a playbook. A bullet whose id is there with the same words is skipped;
    /// so is one whose words are there and that cannot keep an id. After the operations, new bullets have exactly the
    /// file's counters.
    #[must_use]
    pub fn operations(self, playbook: &Playbook) -> Import {
        let mut adoption = Adoption::new(&self, playbook);
        let fresh = self.sections.iter().filter(|section| playbook.section(section).is_none());
        adoption.import.operations.extend(fresh.map(|section| Operation::Section { section: Arc::clone(section) }));
        for bullet in self.bullets {
            adoption.bullet(bullet);
        }
        adoption.import
    }
}

struct Adoption<'a> {
    /// Bullets that are there, by their words.
    there: HashMap<&'a str, &'a BulletId>,
    /// Ids that are or were a bullet's, with its words if it is there.
    taken: HashMap<BulletId, Option<Arc<str>>>,
    /// The highest number in an id.
    number: u64,
    import: Import,
}

impl<'a> Adoption<'a> {
    fn new(imported: &Imported, playbook: &'a Playbook) -> Self {
        let numbers = imported.bullets.iter().filter_map(keepable).filter_map(|id| id.number());
        let retired = playbook.retired.iter().map(|id| (id.clone(), None));
        let there = playbook.bullets.iter().map(|bullet| (bullet.id.clone(), Some(Arc::clone(&bullet.content))));
        Self {
            there: playbook.bullets.iter().rev().map(|bullet| (&*bullet.content, &bullet.id)).collect(),
            taken: retired.chain(there).collect(),
            number: numbers.max().unwrap_or(0).max(playbook.last_number),
            import: Import::default(),
        }
    }

    fn bullet(&mut self, bullet: ImportedBullet) {
        let wanted = keepable(&bullet);
        if let Some(twin) = self.twin(wanted.as_ref(), &bullet.content) {
            self.import.skipped.push(twin);
            return;
        }
        let id = wanted.filter(|id| !self.taken.contains_key(id)).unwrap_or_else(|| {
            self.number += 1;
            BulletId::new(&slug(&bullet.section), self.number)
        });
        if let Some(old) = bullet.id.filter(|old| *old != id.as_str()) {
            self.import.renamed.push((old, id.clone()));
        }
        self.taken.insert(id.clone(), Some(Arc::clone(&bullet.content)));
        self.import.imported += 1;
        self.import.operations.push(Operation::Add {
            id: Some(id.clone()),
            section: bullet.section,
            content: bullet.content,
            origin: None,
            evidence: Vec::new(),
        });
        self.import.operations.extend(tags(&id, bullet.counts));
    }

    /// The bullet that makes one of the file superfluous.
    fn twin(&self, wanted: Option<&BulletId>, content: &str) -> Option<BulletId> {
        if let Some(id) = wanted {
            match self.taken.get(id) {
                None => return None,
                Some(Some(words)) if **words == *content => return Some(id.clone()),
                Some(_) => {}
            }
        }
        self.there.get(content).map(|id| (*id).clone())
    }
}

/// The id of a file's bullet, if a bullet can have it.
fn keepable(bullet: &ImportedBullet) -> Option<BulletId> {
    let id: BulletId = bullet.id.as_ref()?.parse().ok()?;
    id.number().is_none_or(|number| number <= MOST_KEPT_NUMBER).then_some(id)
}

fn tags(id: &BulletId, counts: Counts) -> impl Iterator<Item = Operation> {
    let Counts { helpful, harmful, neutral } = counts;
    let told = [(Credit::Helpful, helpful), (Credit::Harmful, harmful), (Credit::Neutral, neutral)];
    let id = id.clone();
    told.into_iter().filter(|(_, count)| *count > 0).filter_map(move |(tag, count)| {
        let count = i64::try_from(count).ok()?;
        Some(Operation::Tag { id: id.clone(), tag, count, inferred: false })
    })
}
