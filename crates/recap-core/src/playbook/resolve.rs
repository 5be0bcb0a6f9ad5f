//! Operations as they are asked for, made into operations that can be logged.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::apply::Fault;
use super::bullet::BulletId;
use super::operation::Operation;
use super::state::{Playbook, bare_heading, heading_key};

/// Bytes of a bullet's words.
pub const MOST_CONTENT_BYTES: usize = 16 * 1024;
/// Bytes of a heading.
pub const MOST_SECTION_BYTES: usize = 200;
/// The highest number in an id that a file brings: leaves room for all that are given after it.
pub(super) const MOST_NUMBER: u64 = 1_000_000_000_000;
/// Letters of a new section's slug.
const SLUG_LETTERS: usize = 4;
/// The published playbooks' slugs by words of the heading.
const SLUGS: [(&str, &str); 8] = [
    ("strateg", "shr"),
    ("api", "api"),
    ("snippet", "code"),
    ("mistake", "cms"),
    ("heuristic", "psw"),
    ("verification", "vc"),
    ("troubleshoot", "ts"),
    ("other", "misc"),
];

/// Whether an operation may say what only a file or recapd itself says: ids of new bullets, events taken back,
/// inferred events, earlier versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prior {
    /// It may.
    Trusted,
    /// It comes from outside.
    Outside,
}

/// What is wrong with one operation of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationFault {
    /// Its place in the list, from 0.
    pub at: usize,
    /// The field, empty for the whole operation.
    pub field: &'static str,
    /// What is wrong.
    pub detail: String,
}

/// Makes operations complete: new bullets get ids that nothing ever had, sections their heading as it stands. Line ends
/// become `\n`, blanks around words go.
///
/// # Errors
/// All faults that can be seen without applying them.
pub fn resolve(
    playbook: &Playbook,
    operations: Vec<Operation>,
    prior: Prior,
) -> Result<Vec<Operation>, Vec<OperationFault>> {
    let mut resolver = Resolver {
        playbook,
        prior,
        sections: playbook.sections.clone(),
        given: BTreeSet::new(),
        number: playbook.last_number,
        faults: Vec::new(),
        at: 0,
    };
    let explicit = operations.iter().filter_map(|operation| match operation {
        Operation::Add { id: Some(id), .. } => id.number().filter(|number| *number <= MOST_NUMBER),
        _ => None,
    });
    resolver.number = explicit.max().unwrap_or(0).max(resolver.number);
    let mut resolved = Vec::with_capacity(operations.len());
    for (at, operation) in operations.into_iter().enumerate() {
        resolver.at = at;
        resolved.push(resolver.operation(operation));
    }
    if resolver.faults.is_empty() { Ok(resolved) } else { Err(resolver.faults) }
}

struct Resolver<'a> {
    playbook: &'a Playbook,
    prior: Prior,
    sections: Vec<Arc<str>>,
    given: BTreeSet<BulletId>,
    number: u64,
    faults: Vec<OperationFault>,
    at: usize,
}

impl Resolver<'_> {
    fn operation(&mut self, operation: Operation) -> Operation {
        match operation {
            Operation::Add { id, section, content, origin, evidence } => {
                let section = self.section(&section);
                let id = match id {
                    Some(id) => self.explicit(id),
                    None => self.new_id(&section),
                };
                if origin.is_some() && self.prior == Prior::Outside {
                    self.fault("origin", "is not for the caller to say");
                }
                Operation::Add { id: Some(id), section, content: self.content(&content), origin, evidence }
            }
            Operation::Update { id, content, section, evidence } => Operation::Update {
                id,
                content: content.map(|content| self.content(&content)),
                section: section.map(|section| self.section(&section)),
                evidence,
            },
            Operation::Merge { ids, into, content } => {
                let into = into.or_else(|| ids.first().cloned());
                if let Some(into) = into.as_ref().filter(|into| !ids.contains(into)) {
                    self.fault("into", Fault::NotAmong(into.clone()).to_string());
                }
                Operation::Merge { ids, into, content: content.map(|content| self.content(&content)) }
            }
            Operation::Tag { id, tag, count, inferred } => {
                if self.prior == Prior::Outside && (inferred || !(1..=1000).contains(&count)) {
                    self.fault("count", "expected 1 to 1000 events, said and not inferred");
                }
                Operation::Tag { id, tag, count, inferred }
            }
            Operation::Section { section } => Operation::Section { section: self.section(&section) },
            Operation::Revert { to } => {
                if self.prior == Prior::Outside {
                    self.fault("op", "expected add, update, merge, delete or tag");
                }
                Operation::Revert { to }
            }
            Operation::Retire { id } => {
                if self.prior == Prior::Outside {
                    self.fault("op", "expected add, update, merge, delete or tag");
                }
                Operation::Retire { id }
            }
            delete @ Operation::Delete { .. } => delete,
        }
    }

    fn explicit(&mut self, id: BulletId) -> BulletId {
        if self.prior == Prior::Outside {
            self.fault("id", "is given by the playbook");
        } else if id.number().is_some_and(|number| number > MOST_NUMBER) {
            self.fault("id", format!("ends in a number above {MOST_NUMBER}"));
        } else if self.playbook.knows(&id) || !self.given.insert(id.clone()) {
            self.fault("id", Fault::Taken(id.clone()).to_string());
        }
        id
    }

    fn new_id(&mut self, section: &str) -> BulletId {
        self.number += 1;
        BulletId::new(&slug(section), self.number)
    }

    /// The heading as the playbook has it, or as it is new.
    fn section(&mut self, name: &str) -> Arc<str> {
        let key = heading_key(name);
        if let Some(known) = self.sections.iter().find(|section| heading_key(section) == key) {
            return Arc::clone(known);
        }
        let plain = plain_section(name).unwrap_or_else(|detail| {
            self.fault("section", detail);
            name.to_owned()
        });
        let section: Arc<str> = plain.into();
        self.sections.push(Arc::clone(&section));
        section
    }

    fn content(&mut self, content: &str) -> Arc<str> {
        plain_content(content).unwrap_or_else(|detail| {
            self.fault("content", detail);
            content.into()
        })
    }

    fn fault(&mut self, field: &'static str, detail: impl Into<String>) {
        self.faults.push(OperationFault { at: self.at, field, detail: detail.into() });
    }
}

/// A bullet's words with plain line ends and without blanks around them, or what is wrong with them.
pub(super) fn plain_content(content: &str) -> Result<Arc<str>, String> {
    let plain = content.replace("\r\n", "\n").replace('\r', "\n");
    let kept = plain.trim_matches(|c: char| c == '\n' || c == ' ' || c == '\t');
    if kept.trim().is_empty() {
        Err("is empty".to_owned())
    } else if kept.len() > MOST_CONTENT_BYTES {
        Err(format!("has {} bytes, at most {MOST_CONTENT_BYTES} are allowed", kept.len()))
    } else if kept.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        Err("holds control characters".to_owned())
    } else {
        Ok(kept.into())
    }
}

/// A heading without marks and with single blanks, or what is wrong with it.
pub(super) fn plain_section(name: &str) -> Result<String, String> {
    let bare: String = bare_heading(name).split_whitespace().collect::<Vec<_>>().join(" ");
    if heading_key(name).is_empty() || bare.len() > MOST_SECTION_BYTES || bare.chars().any(char::is_control) {
        return Err(format!("expected a heading of one line, at most {MOST_SECTION_BYTES} bytes"));
    }
    Ok(bare)
}

/// The letters before the number in the ids of a section's bullets.
pub(super) fn slug(section: &str) -> String {
    let key = heading_key(section);
    if let Some((_, slug)) = SLUGS.iter().find(|(word, _)| key.contains(word)) {
        return (*slug).to_owned();
    }
    let letters: String =
        key.split(' ').filter_map(|word| word.chars().find(char::is_ascii_alphanumeric)).take(SLUG_LETTERS).collect();
    if letters.is_empty() { "item".to_owned() } else { letters }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(id: Option<&str>, section: &str) -> Operation {
        let id = id.map(|id| id.parse().unwrap());
        Operation::Add { id, section: section.into(), content: "x".into(), origin: None, evidence: Vec::new() }
    }

    #[test]
    fn a_files_id_leaves_room_for_the_next() {
        let playbook = Playbook::default();
        let huge = format!("a-{}", u64::MAX);
        let faults = resolve(&playbook, vec![add(Some(&huge), "A"), add(None, "A")], Prior::Trusted).unwrap_err();
        assert_eq!((faults.len(), faults[0].at, faults[0].field), (1, 0, "id"));
        let most = format!("a-{MOST_NUMBER}");
        let resolved = resolve(&playbook, vec![add(Some(&most), "A"), add(None, "A")], Prior::Trusted).unwrap();
        let Operation::Add { id: Some(id), .. } = &resolved[1] else { panic!("{resolved:?}") };
        assert_eq!(id.number(), Some(MOST_NUMBER + 1));
    }

    #[test]
    fn a_heading_is_one_however_it_is_marked() {
        let marked = ["## Notes", "# #  notes:", "NOTES :"].map(|section| add(None, section)).to_vec();
        let resolved = resolve(&Playbook::default(), marked, Prior::Outside).unwrap();
        let is_notes = |one: &Operation| matches!(one, Operation::Add { section, .. } if **section == *"Notes");
        assert!(resolved.iter().all(is_notes), "{resolved:?}");
    }

    #[test]
    fn what_only_recapd_says_is_refused_from_outside() {
        let id: BulletId = "a-1".parse().unwrap();
        let tag =
            |count, inferred| Operation::Tag { id: id.clone(), tag: super::super::Credit::Helpful, count, inferred };
        let said = vec![
            add(Some("a-2"), "A"),
            Operation::Revert { to: 0 },
            Operation::Retire { id: id.clone() },
            tag(-1, false),
            tag(1, true),
        ];
        let faults = resolve(&Playbook::default(), said, Prior::Outside).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.at).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    }
}
