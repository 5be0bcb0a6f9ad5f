//! The curator: what of a reflection a playbook takes up.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::bullet::{Bullet, BulletId};
use super::super::operation::Operation;
use super::super::render::text;
use super::super::state::{Playbook, heading_key};
use super::reflect::{Reflection, id_schema};
use super::reply::{Members, Rejection, bullet_id, says_nothing, shown};
use crate::prompt::{Prompt, tagged};

/// Headings of a playbook that has none (ACE, appendix of the paper).
const SECTIONS: [&str; 8] = [
    "Strategies and hard rules",
    "APIs and tools for specific information",
    "Code snippets and templates",
    "Common mistakes",
    "Heuristics and workflows",
    "Verification checklist",
    "Troubleshooting",
    OTHERS,
];
/// Where a lesson goes whose heading is none of those shown.
const OTHERS: &str = "Others";
/// Operations of one reply.
const MOST_OPERATIONS: usize = 4;
/// Characters of a bullet's new words.
pub const MOST_LESSON_CHARS: usize = 600;
/// Characters of the reply's reasoning, which nobody keeps.
const REASONING_CHARS: usize = 400;
/// Bullets that one merge takes.
const MOST_MERGED: usize = 6;
/// Room under which a playbook is called almost full.
const ALMOST_FULL_TOKENS: u32 = 200;
const FORM: &str = "Reply with one JSON object: reasoning (at most two sentences) and operations, a list of at most 4, \
    mostly of 1. Members that an operation does not need stay empty.\n\
    - add: section, content\n\
    - update: id, content (all of the bullet's new words)\n\
    - merge: ids (two or more bullets that say the same), content (what they say together)\n\
    - delete: id (one at most, and only if the run shows that the bullet is wrong)\n\
    Each content is one lesson in at most three sentences that can be understood without the run.";

/// What is to be taken up.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The guideline's body, rendered with [`variables`].
    pub instructions: &'a str,
    /// The agent's task.
    pub task: &'a str,
    /// What was found.
    pub reflection: &'a Reflection,
    /// The playbook as it stands.
    pub playbook: &'a Playbook,
    /// Those of its bullets that the model sees; it can change no other ones.
    pub shown: &'a [&'a Bullet],
    /// Tokens that are left in the playbook's budget.
    pub tokens_left: u32,
}

/// What of a reply stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Curated {
    /// Operations for [`super::super::resolve`], without evidence; additions have no id yet.
    pub operations: Vec<Operation>,
    /// What of the reply was left out.
    pub refused: Vec<Refused>,
}

/// An operation that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its name.
    pub op: &'static str,
    /// Why.
    pub refusal: Refusal,
}

/// Why an operation is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A bullet says that already.
    #[error("{0} says the same")]
    Twin(BulletId),
    /// It is the second of its words in the reply.
    #[error("the reply says it twice")]
    Repeated,
    /// Its words say nothing.
    #[error("its content says nothing")]
    Generic,
    /// Its words are too long.
    #[error("its content has more than {MOST_LESSON_CHARS} characters")]
    TooLong,
    /// No bullet with that id was shown.
    #[error("`{0}` is none of the bullets that were shown")]
    UnknownBullet(String),
    /// A merge of fewer than two bullets.
    #[error("a merge needs two bullets or more")]
    TooFew,
    /// An earlier operation of the reply changes that bullet.
    #[error("{0} is changed already")]
    Again(BulletId),
    /// A reply deletes one bullet at most.
    #[error("one run deletes at most one bullet")]
    SecondDelete,
    /// It would leave little of long words: lessons are changed, not summarised away.
    #[error("it would leave less than a third of the words of {0}")]
    Shrinks(BulletId),
    /// There are more operations than were asked for.
    #[error("there are more than {MOST_OPERATIONS} operations")]
    TooMany,
}

impl Refusal {
    /// Whether a model that is asked again could mend it.
    fn is_mendable(&self) -> bool {
        matches!(self, Self::TooLong | Self::UnknownBullet(_) | Self::TooFew | Self::Shrinks(_))
    }
}

/// Returns the values of a guideline's variables: where its prompt holds the data, never the data (law 13).
#[must_use]
pub fn variables(most_tokens: &str) -> [(&'static str, &str); 4] {
    [("task", "<task>"), ("reflection", "<reflection>"), ("playbook", "<playbook>"), ("most_tokens", most_tokens)]
}

/// Returns the prompt for an input.
#[must_use]
pub fn prompt(input: &Input<'_>) -> Prompt {
    let sections = sections(input.playbook);
    let bullets = text(input.shown.iter().copied());
    let mut user = tagged(&[
        ("task", input.task),
        ("sections", &sections.join("\n")),
        ("playbook", if bullets.is_empty() { "(no bullets yet)" } else { &bullets }),
        ("reflection", &input.reflection.text()),
    ]);
    let _infallible = write!(user, "The playbook has room for {} more tokens. ", input.tokens_left);
    if input.tokens_left < ALMOST_FULL_TOKENS {
        user.push_str("It is almost full: rather update or merge than add. ");
    }
    user.push_str(if input.shown.is_empty() {
        "No bullet is there yet: add what <reflection> teaches."
    } else {
        "Take up what <reflection> teaches and no bullet in <playbook> says yet."
    });
    let system = format!("{}\n\n{}\n{FORM}", input.instructions.trim(), super::RULES);
    let ids: Vec<&str> = input.shown.iter().map(|bullet| bullet.id.as_str()).collect();
    Prompt { system, user, schema: schema(&sections, &ids) }
}

/// The headings that a reply may name.
fn sections(playbook: &Playbook) -> Vec<&str> {
    if playbook.sections.is_empty() {
        return SECTIONS.to_vec();
    }
    playbook.sections.iter().map(AsRef::as_ref).collect()
}

fn schema(sections: &[&str], ids: &[&str]) -> Value {
    let operations: &[&str] = match ids.len() {
        0 => &["add"],
        1 => &["add", "update", "delete"],
        _ => &["add", "update", "merge", "delete"],
    };
    let (or_no_section, or_no_id) = ([&[""], sections].concat(), [&[""], ids].concat());
    let operation = json!({
        "type": "object",
        "properties": {
            "op": {"type": "string", "enum": operations},
            "section": {"type": "string", "enum": or_no_section},
            "id": id_schema(&or_no_id),
            "ids": {"type": "array", "items": id_schema(ids), "maxItems": ids.len().min(MOST_MERGED)},
            "content": {"type": "string", "maxLength": MOST_LESSON_CHARS},
        },
        "required": ["op", "section", "id", "ids", "content"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "reasoning": {"type": "string", "maxLength": REASONING_CHARS},
            "operations": {"type": "array", "items": operation, "maxItems": MOST_OPERATIONS},
        },
        "required": ["reasoning", "operations"],
        "additionalProperties": false,
    })
}

/// Checks a reply to the prompt of an input. `twin_of` names a bullet that says the same as a new text.
///
/// An operation that cannot be applied is left out and named. An empty list of operations is a reply that stands.
///
/// # Errors
/// [`Rejection`]: another form, an unknown operation, or no operation that stands although one could have been mended.
pub fn accept(
    reply: &str,
    input: &Input<'_>,
    twin_of: &dyn Fn(&str) -> Option<BulletId>,
) -> Result<Curated, Rejection> {
    let members = Members::read(reply)?;
    let asked = members.objects("operations")?;
    let asked = asked.iter().map(Asked::read).collect::<Result<Vec<_>, _>>()?;
    let mut curator =
        Curator { input, twin_of, written: BTreeSet::new(), touched: BTreeSet::new(), has_deleted: false };
    let mut curated = Curated::default();
    for (at, asked) in asked.iter().enumerate() {
        let judged = if at < MOST_OPERATIONS { curator.operation(asked) } else { Err(Refusal::TooMany) };
        match judged {
            Ok(operation) => curated.operations.push(operation),
            Err(refusal) => curated.refused.push(Refused { op: asked.op.name(), refusal }),
        }
    }
    let mendable = curated.refused.iter().find(|refused| refused.refusal.is_mendable());
    match mendable.filter(|_| curated.operations.is_empty()) {
        Some(Refused { op, refusal }) => Err(Rejection::NothingStands(format!("{op}: {refusal}"))),
        None => Ok(curated),
    }
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Add,
    Update,
    Merge,
    Delete,
}

impl Op {
    fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Update => "update",
            Self::Merge => "merge",
            Self::Delete => "delete",
        }
    }
}

/// An operation as a reply asks for it.
struct Asked<'a> {
    op: Op,
    section: &'a str,
    id: &'a str,
    ids: Vec<&'a str>,
    content: &'a str,
}

impl<'a> Asked<'a> {
    fn read(members: &'a Members) -> Result<Self, Rejection> {
        let name = members.words("op");
        let op =
            [Op::Add, Op::Update, Op::Merge, Op::Delete].into_iter().find(|op| op.name().eq_ignore_ascii_case(name));
        Ok(Self {
            op: op.ok_or_else(|| Rejection::UnknownOperation(shown(name)))?,
            section: members.words("section"),
            id: members.words("id"),
            ids: members.list("ids")?.iter().filter_map(Value::as_str).collect(),
            content: members.words("content"),
        })
    }
}

struct Curator<'a> {
    input: &'a Input<'a>,
    twin_of: &'a dyn Fn(&str) -> Option<BulletId>,
    written: BTreeSet<String>,
    touched: BTreeSet<BulletId>,
    has_deleted: bool,
}

impl<'a> Curator<'a> {
    fn operation(&mut self, asked: &Asked<'_>) -> Result<Operation, Refusal> {
        match asked.op {
            Op::Add => {
                let content = self.content(asked.content, &[])?;
                let section = self.section(asked.section);
                Ok(Operation::Add { id: None, section, content, origin: None, evidence: Vec::new() })
            }
            Op::Update => {
                let bullet = self.bullet(asked.id)?;
                let content = self.content(asked.content, &[bullet])?;
                self.touch(&[bullet]);
                Ok(Operation::Update {
                    id: bullet.id.clone(),
                    content: Some(content),
                    section: None,
                    evidence: Vec::new(),
                })
            }
            Op::Merge => self.merge(asked),
            Op::Delete => {
                let bullet = self.bullet(asked.id)?;
                if std::mem::replace(&mut self.has_deleted, true) {
                    return Err(Refusal::SecondDelete);
                }
                self.touch(&[bullet]);
                Ok(Operation::Delete { id: bullet.id.clone() })
            }
        }
    }

    fn merge(&mut self, asked: &Asked<'_>) -> Result<Operation, Refusal> {
        let mut bullets: Vec<&Bullet> = Vec::new();
        for name in &asked.ids {
            let bullet = self.bullet(name)?;
            if bullets.iter().all(|known| known.id != bullet.id) {
                bullets.push(bullet);
            }
        }
        if bullets.len() < 2 {
            return Err(Refusal::TooFew);
        }
        let content = self.content(asked.content, &bullets)?;
        self.touch(&bullets);
        let ids: Vec<BulletId> = bullets.iter().map(|bullet| bullet.id.clone()).collect();
        let into = bullet_id(asked.id).filter(|into| ids.contains(into)).or_else(|| ids.first().cloned());
        Ok(Operation::Merge { ids, into, content: Some(content) })
    }

    /// A bullet that was shown and that no earlier operation changes.
    fn bullet(&self, name: &str) -> Result<&'a Bullet, Refusal> {
        let known = |id: &BulletId| self.input.shown.iter().copied().find(|bullet| bullet.id == *id);
        let bullet = bullet_id(name).as_ref().and_then(known).ok_or_else(|| Refusal::UnknownBullet(shown(name)))?;
        if self.touched.contains(&bullet.id) { Err(Refusal::Again(bullet.id.clone())) } else { Ok(bullet) }
    }

    fn touch(&mut self, bullets: &[&Bullet]) {
        self.touched.extend(bullets.iter().map(|bullet| bullet.id.clone()));
    }

    /// New words, in place of those of some bullets or of none.
    fn content(&mut self, content: &str, replaced: &[&Bullet]) -> Result<Arc<str>, Refusal> {
        if says_nothing(content) {
            return Err(Refusal::Generic);
        }
        let chars = content.chars().count();
        if chars > MOST_LESSON_CHARS {
            return Err(Refusal::TooLong);
        }
        let shrunk = replaced.iter().find(|bullet| chars * 3 < bullet.content.chars().count());
        if let Some(bullet) = shrunk {
            return Err(Refusal::Shrinks(bullet.id.clone()));
        }
        if let Some(twin) = (self.twin_of)(content).filter(|twin| replaced.iter().all(|bullet| bullet.id != *twin)) {
            return Err(Refusal::Twin(twin));
        }
        let key = content.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        if self.written.insert(key) { Ok(content.into()) } else { Err(Refusal::Repeated) }
    }

    fn section(&self, name: &str) -> Arc<str> {
        let key = heading_key(name);
        let known = sections(self.input.playbook).into_iter().find(|section| heading_key(section) == key);
        known.unwrap_or(OTHERS).into()
    }
}
