//! The JSON of Kayba's engine: <https://github.com/kayba-ai/agentic-context-engine>.
//!
//! `{"bullets": {"<id>": {…}}, "sections": {"<section>": ["<id>", …]}, "next_id": n}`; newer versions say `skills` for
//! `bullets`, and both are read. A bullet stands where `sections` lists it first; one that is not listed, in its own
//! `section`, after the others. A listed id without a bullet is nothing. Without `sections`, the bullets' order is that of
//! the object.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Map;

use super::super::bullet::Bullet;
use super::super::resolve::{plain_content, plain_section};
use super::super::state::Playbook;
use super::{Counts, ImportError, ImportFault, Imported, MOST_IMPORT_BULLETS, MOST_IMPORT_COUNT, NO_SECTION};

/// A file.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    bullets: Entries<Item>,
    #[serde(default)]
    skills: Entries<Item>,
    #[serde(default)]
    sections: Entries<Vec<String>, true>,
}

/// A bullet in a file.
#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    section: Option<Heading>,
    content: Words,
    #[serde(default)]
    helpful: Count,
    #[serde(default)]
    harmful: Count,
    #[serde(default)]
    neutral: Count,
    #[serde(default)]
    status: Option<String>,
}

/// The members of an object, in order. At most as many as a file may have bullets; `HEADED` where names are headings.
struct Entries<V, const HEADED: bool = false>(Vec<(String, V)>);

/// A heading that a section can have.
struct Heading(String);

/// Words that a bullet can have.
struct Words(Arc<str>);

/// A counter within bounds.
#[derive(Default, Clone, Copy)]
struct Count(u64);

impl<V, const HEADED: bool> Default for Entries<V, HEADED> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>, const HEADED: bool> Deserialize<'de> for Entries<V, HEADED> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Members<V, const HEADED: bool>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>, const HEADED: bool> Visitor<'de> for Members<V, HEADED> {
            type Value = Entries<V, HEADED>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    if members.len() >= MOST_IMPORT_BULLETS {
                        return Err(A::Error::custom(ImportFault::TooMany));
                    }
                    if HEADED {
                        plain_section(&name).map_err(A::Error::custom)?;
                    }
                    members.push((name, value));
                }
                Ok(Entries(members))
            }
        }
        from.deserialize_map(Members(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Heading {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        plain_section(&name).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let words = String::deserialize(from)?;
        plain_content(&words).map(Self).map_err(|detail| D::Error::custom(ImportFault::Content(detail)))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let count = u64::deserialize(from)?;
        if count > MOST_IMPORT_COUNT { Err(D::Error::custom(ImportFault::Count)) } else { Ok(Self(count)) }
    }
}

pub(super) fn read(text: &str) -> Result<Imported, ImportError> {
    let file: File = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let last = text.split('\n').count();
    let listed = file.bullets.0.into_iter().chain(file.skills.0);
    let mut items: Vec<Option<(String, Item)>> =
        listed.filter(|(_, item)| item.status.as_deref() != Some("invalid")).map(Some).collect();
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, (id, _)) in items.iter().flatten().enumerate() {
        places.entry(id.clone()).or_default().push(at);
    }
    let mut imported = Imported::default();
    for (name, ids) in &file.sections.0 {
        let section = imported.section(last, name)?;
        for at in ids.iter().filter_map(|id| places.remove(id)).flatten() {
            if let Some((id, item)) = items.get_mut(at).and_then(Option::take) {
                imported.bullet(last, Some(id), Arc::clone(&section), &item.content.0, item.counts())?;
            }
        }
    }
    for (id, item) in items.into_iter().flatten() {
        let name = item.section.as_ref().map_or(NO_SECTION, |heading| &heading.0);
        let section = imported.section(last, name)?;
        imported.bullet(last, Some(id), section, &item.content.0, item.counts())?;
    }
    Ok(imported)
}

impl Item {
    fn counts(&self) -> Counts {
        Counts { helpful: self.helpful.0, harmful: self.harmful.0, neutral: self.neutral.0 }
    }
}

/// The error with its line, which the JSON reader says at the end of its words.
fn wrong(error: &serde_json::Error) -> ImportError {
    let words = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let detail = words.strip_suffix(&place).unwrap_or(&words).to_owned();
    ImportError { line: error.line().max(1), reason: ImportFault::Json(detail) }
}

pub(super) fn write(playbook: &Playbook) -> String {
    let mut bullets = Map::new();
    let mut sections = Map::new();
    for (section, under) in playbook.by_section() {
        let ids: Vec<&str> = under.iter().map(|bullet| bullet.id.as_str()).collect();
        sections.insert(section.to_string(), ids.into());
        bullets.extend(under.iter().map(|bullet| (bullet.id.to_string(), item(bullet))));
    }
    let next_id = playbook.last_number.saturating_add(1);
    let file = serde_json::json!({ "bullets": bullets, "sections": sections, "next_id": next_id });
    format!("{file:#}\n")
}

fn item(bullet: &Bullet) -> serde_json::Value {
    let Counts { helpful, harmful, neutral } = Counts::of(bullet);
    serde_json::json!({
        "id": bullet.id,
        "section": bullet.section,
        "content": bullet.content,
        "helpful": helpful,
        "harmful": harmful,
        "neutral": neutral,
        "created_at": time(bullet.created_ms),
        "updated_at": time(bullet.updated_ms),
    })
}

/// RFC 3339.
fn time(ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(ms).ok().map(|time| time.to_string())
}
