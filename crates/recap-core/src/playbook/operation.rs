//! Changes of a playbook.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bullet::{BulletId, Credit, Evidence, Origin};

/// One change. Nothing else is known: another name is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum Operation {
    /// A new bullet at the end of its section.
    Add {
        /// Its id; given by [`super::resolve`] where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<BulletId>,
        /// The heading; a new one opens a section.
        section: Arc<str>,
        /// The lesson.
        content: Arc<str>,
        /// Who brought the words, where that is not the delta's source.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Origin>,
        /// Where it comes from.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        evidence: Vec<Evidence>,
    },
    /// Other words, or another section, for a bullet.
    Update {
        /// The bullet.
        id: BulletId,
        /// The new words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Arc<str>>,
        /// The new section.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        section: Option<Arc<str>>,
        /// What supports the change.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        evidence: Vec<Evidence>,
    },
    /// Several bullets become one, which takes over their counters and evidence.
    Merge {
        /// The bullets.
        ids: Vec<BulletId>,
        /// The one of them that stays; the first where it is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        into: Option<BulletId>,
        /// Its new words; those that it has where they are left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content: Option<Arc<str>>,
    },
    /// A bullet goes.
    Delete {
        /// The bullet.
        id: BulletId,
    },
    /// Events are counted for a bullet.
    Tag {
        /// The bullet.
        id: BulletId,
        /// How it served.
        tag: Credit,
        /// How many events; below 0 where earlier ones are taken back.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        count: i64,
        /// Whether that was concluded from an outcome and nobody said so.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        inferred: bool,
    },
    /// A section is there from now on, be it empty.
    Section {
        /// The heading.
        section: Arc<str>,
    },
    /// An id that is not given again: its bullet was forgotten with the run that it was learned from.
    Retire {
        /// The id.
        id: BulletId,
    },
    /// The bullets and sections are those of an earlier version.
    Revert {
        /// The version.
        to: u64,
    },
}

impl Operation {
    /// Returns the bullets whose words it rests on: those that get other words or sections, are merged, or go.
    #[must_use]
    pub fn rests_on(&self) -> &[BulletId] {
        match self {
            Self::Update { id, .. } | Self::Delete { id } => std::slice::from_ref(id),
            Self::Merge { ids, .. } => ids,
            Self::Add { .. } | Self::Tag { .. } | Self::Section { .. } | Self::Retire { .. } | Self::Revert { .. } => {
                &[]
            }
        }
    }
}

/// Who changes a playbook, and on what ground.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Who brings the words of what is added.
    pub origin: Origin,
    /// In the bringer's own words, where they say more: a file, a job, a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The run that it was learned from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trajectory: Option<String>,
    /// What told whether that run was good: `outcome`, `feedback`, `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// Guidelines and models that made it (law 12).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub makers: Vec<String>,
}

impl Source {
    /// Returns a source of which nothing more is known.
    #[must_use]
    pub fn of(origin: Origin) -> Self {
        Self { origin, name: None, trajectory: None, labels: None, makers: Vec::new() }
    }
}

/// Operations that were applied together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The playbook's version after it; versions grow, from 1, and may leave numbers out.
    pub version: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who, as the audit log names them.
    pub actor: String,
    /// On what ground.
    pub source: Source,
    /// What, in order, as [`super::resolve`] made it.
    pub operations: Vec<Operation>,
}

/// A bullet's words before and after; `None` where it was not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The bullet.
    pub id: BulletId,
    /// Section and words before.
    pub before: Option<(Arc<str>, Arc<str>)>,
    /// Section and words after.
    pub after: Option<(Arc<str>, Arc<str>)>,
}

fn one() -> i64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_one(count: &i64) -> bool {
    *count == 1
}
