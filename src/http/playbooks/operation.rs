//! Operations on a playbook as they are sent.

use std::sync::Arc;

use recap_core::playbook::{BulletId, Credit, Evidence, Operation};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::pipeline::failure::{Failure, Fault};

/// One change of a playbook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum OperationBody {
    /// A new bullet at the end of its section; the playbook gives its id.
    Add {
        /// The heading; a new one opens a section.
        #[schema(value_type = String)]
        section: Arc<str>,
        /// The lesson, at most 16 KiB.
        #[schema(value_type = String)]
        content: Arc<str>,
        /// The runs that it comes from: `{trajectory, turn?}`.
        #[serde(default)]
        #[schema(value_type = Vec<Object>)]
        evidence: Vec<Evidence>,
    },
    /// Other words, or another section, for a bullet.
    Update {
        #[schema(value_type = String)]
        id: BulletId,
        #[schema(value_type = Option<String>)]
        content: Option<Arc<str>>,
        #[schema(value_type = Option<String>)]
        section: Option<Arc<str>>,
        /// What supports the change: `{trajectory, turn?}`.
        #[serde(default)]
        #[schema(value_type = Vec<Object>)]
        evidence: Vec<Evidence>,
    },
    /// Several bullets become one, which takes over their counters and evidence.
    Merge {
        #[schema(value_type = Vec<String>)]
        ids: Vec<BulletId>,
        /// The one that stays, one of `ids`; the first where it is left out.
        #[schema(value_type = Option<String>)]
        into: Option<BulletId>,
        /// Its new words; those that it has where they are left out.
        #[schema(value_type = Option<String>)]
        content: Option<Arc<str>>,
    },
    /// A bullet goes. Its id is not given again.
    Delete {
        #[schema(value_type = String)]
        id: BulletId,
    },
    /// Events are counted: either `tag` with `count`, or a number for each kind.
    Tag {
        #[schema(value_type = String)]
        id: BulletId,
        /// `helpful`, `harmful` or `neutral`.
        #[schema(value_type = Option<String>)]
        tag: Option<Credit>,
        /// How many events, 1 to 1000; 1 where it is left out.
        count: Option<i64>,
        #[serde(default, deserialize_with = "events")]
        helpful: i64,
        #[serde(default, deserialize_with = "events")]
        harmful: i64,
        #[serde(default, deserialize_with = "events")]
        neutral: i64,
    },
}

/// A number of events, or whether there is one.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Events {
    /// `true` is one event.
    Is(bool),
    /// How many, at most 1000.
    Number(u32),
}

impl Events {
    /// Returns how many there are.
    pub fn count(self) -> i64 {
        match self {
            Self::Is(is) => i64::from(is),
            Self::Number(count) => i64::from(count),
        }
    }
}

fn events<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Events::deserialize(deserializer).map(Events::count)
}

/// Operations as the core knows them, with the place of each among those that were sent.
#[derive(Debug)]
pub struct Sent {
    /// The operations.
    pub operations: Vec<Operation>,
    places: Vec<usize>,
}

impl Sent {
    /// Reads what was sent: a tag of several kinds becomes an operation for each.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] for a tag that counts nothing.
    pub fn of(bodies: Vec<OperationBody>) -> Result<Self, Failure> {
        let mut sent = Self { operations: Vec::with_capacity(bodies.len()), places: Vec::with_capacity(bodies.len()) };
        for (at, body) in bodies.into_iter().enumerate() {
            let operations = core(body);
            if operations.is_empty() {
                let said = "count something: `tag` with `count`, or `helpful`, `harmful` or `neutral`";
                return Err(Failure::field(format!("/operations/{at}"), said));
            }
            sent.places.extend(operations.iter().map(|_| at));
            sent.operations.extend(operations);
        }
        Ok(sent)
    }

    /// Returns a function that makes a failure name the operations' places among those that were sent.
    pub fn places(&self) -> impl Fn(Failure) -> Failure + use<> {
        let places = self.places.clone();
        move |failure| match failure {
            Failure::Invalid(faults) => {
                Failure::Invalid(faults.into_iter().map(|fault| moved(fault, &places)).collect())
            }
            failure => failure,
        }
    }
}

fn moved(fault: Fault, places: &[usize]) -> Fault {
    let Some(rest) = fault.pointer.strip_prefix("/operations/") else { return fault };
    let (at, field) = rest.split_once('/').map_or((rest, ""), |(at, field)| (at, field));
    let place = at.parse::<usize>().ok().and_then(|at| places.get(at));
    let Some(place) = place else { return fault };
    let slash = if field.is_empty() { "" } else { "/" };
    Fault { pointer: format!("/operations/{place}{slash}{field}"), detail: fault.detail }
}

fn core(body: OperationBody) -> Vec<Operation> {
    match body {
        OperationBody::Add { section, content, evidence } => {
            vec![Operation::Add { id: None, section, content, origin: None, evidence }]
        }
        OperationBody::Update { id, content, section, evidence } => {
            vec![Operation::Update { id, content, section, evidence }]
        }
        OperationBody::Merge { ids, into, content } => vec![Operation::Merge { ids, into, content }],
        OperationBody::Delete { id } => vec![Operation::Delete { id }],
        OperationBody::Tag { id, tag, count, helpful, harmful, neutral } => {
            let told = tag.map(|tag| (tag, count.unwrap_or(1)));
            let each = [(Credit::Helpful, helpful), (Credit::Harmful, harmful), (Credit::Neutral, neutral)];
            let each = each.into_iter().filter(|(_, count)| *count != 0);
            let tag = |(tag, count)| Operation::Tag { id: id.clone(), tag, count, inferred: false };
            told.into_iter().chain(each).map(tag).collect()
        }
    }
}
