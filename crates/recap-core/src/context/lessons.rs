//! What a playbook lends to a context: an excerpt, chosen when an epoch begins and frozen until its end.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::epoch::Section;
use super::made::Maker;
use super::plan::share;
use super::receipt::PieceKind;
use crate::playbook::{BulletId, Choice, Excerpt, Playbook, Query, excerpt};
use crate::tokens::{MESSAGE_TOKENS, TokenCounter};
use crate::trajectory::{OriginalHash, SERVED_BLOCK_OPEN};

/// Tokens below which an excerpt is mostly frame.
const LEAST_TOKENS: u32 = 96;
/// What chooses bullets where there are no points, as receipts show it.
pub const WORDS: &str = "words";
/// Words that stand around the bullets.
const INTRODUCTION: &str = "Lessons from earlier runs. Use those that fit this task, and name their ids where you say why. \
                            They are notes, not orders: the task and what you see go first.";

/// The playbook that a session is served with.
#[derive(Debug, Clone)]
pub struct Lessons {
    name: String,
    playbook: Arc<Playbook>,
    words: OriginalHash,
    bounds: LessonBounds,
    now_ms: i64,
    meaning: Option<Meaning>,
}

/// Points whose nearness is likeness of meaning: those of a playbook's bullets, and that of what an agent does.
#[derive(Debug, Clone)]
pub struct Meaning {
    /// The encoder that made them, as receipts show it.
    pub by: String,
    /// The points of all bullets.
    pub bullets: Arc<HashMap<BulletId, Vec<f32>>>,
    /// The point of the task and of recent words, in the same space.
    pub query: Arc<[f32]>,
}

/// The words by which an excerpt is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LessonWords {
    /// The task.
    pub task: String,
    /// What the agent is about to do: the read's query, or the words of its last turn; none before its first one.
    pub recent: Vec<String>,
}

/// How large an excerpt may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LessonBounds {
    /// Largest share of the room, from 0 to 1.
    pub share: f64,
    /// Most tokens in any case.
    pub tokens: u32,
}

/// Which state of which playbook an excerpt is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaybookVersion {
    /// Its name.
    pub name: String,
    /// Its version then.
    pub version: u64,
    /// The address of all its words then.
    pub words: OriginalHash,
}

impl Lessons {
    /// Takes a playbook. `now_ms` is the time up to which its counters have faded, in milliseconds since 1970.
    #[must_use]
    pub fn new(name: String, playbook: Arc<Playbook>, bounds: LessonBounds, now_ms: i64) -> Self {
        Self { name, words: playbook.words_hash(), playbook, bounds, now_ms, meaning: None }
    }

    /// Returns the address of the playbook's words.
    #[must_use]
    pub fn words(&self) -> OriginalHash {
        self.words
    }

    /// Returns the playbook.
    #[must_use]
    pub fn playbook(&self) -> &Arc<Playbook> {
        &self.playbook
    }

    /// Returns the points by which excerpts are chosen beside words.
    #[must_use]
    pub fn meaning(&self) -> Option<&Meaning> {
        self.meaning.as_ref()
    }

    /// Chooses excerpts by these points too, from the next epoch on.
    pub fn set_meaning(&mut self, meaning: Option<Meaning>) {
        self.meaning = meaning;
    }

    /// Tells whether it is this playbook at this version, under these bounds.
    #[must_use]
    pub fn is(&self, name: &str, version: u64, bounds: LessonBounds) -> bool {
        self.name == name && self.playbook.version == version && self.bounds == bounds
    }

    /// Returns the most tokens that an excerpt takes of a room.
    #[must_use]
    pub(super) fn most(&self, room: u32) -> u32 {
        share(room, self.bounds.share).min(self.bounds.tokens)
    }

    /// Writes the excerpt for a task and what the agent is about to do, in at most `most` tokens. The one of the epoch
    /// before stays, byte for byte, while the playbook's words are the same and it fits; one that words alone chose, until
    /// there are points.
    #[must_use]
    pub(super) fn section(
        &self,
        (task, recent): (&str, &[String]),
        most: u32,
        before: Option<&Section>,
        counter: &dyn TokenCounter,
    ) -> Option<Section> {
        let stays = |section: &&Section| {
            let is_better_now = self.meaning.is_some() && !is_settled(section);
            self.is_current(section) && !is_better_now && section.tokens <= most
        };
        if let Some(kept) = before.filter(stays) {
            return Some(kept.clone());
        }
        let recent: Vec<&str> = recent.iter().map(String::as_str).collect();
        let (nothing, meaning) = (HashMap::new(), self.meaning.as_ref());
        let points = meaning.map_or(&nothing, |meaning| &*meaning.bullets);
        let query = Query { task, recent: &recent, embedding: meaning.map(|meaning| &*meaning.query) };
        let mut spare = counter.count(&frame("")) + MESSAGE_TOKENS;
        while spare + LEAST_TOKENS <= most {
            let chosen = excerpt(&self.playbook, &query, points, most - spare, self.now_ms, counter);
            if chosen.bullets.is_empty() {
                return None;
            }
            let text = frame(&chosen.text);
            let tokens = counter.count(&text) + MESSAGE_TOKENS;
            if tokens <= most {
                return Some(self.written(text, tokens, chosen));
            }
            spare += tokens - most;
        }
        None
    }

    /// Tells whether epochs keep a section as long as it fits, whatever points there will be.
    pub(super) fn keeps(&self, section: &Section) -> bool {
        self.is_current(section) && is_settled(section)
    }

    fn is_current(&self, section: &Section) -> bool {
        let same = |from: &PlaybookVersion| from.name == self.name && from.words == self.words;
        section.kind == PieceKind::Playbook && section.playbook.as_ref().is_some_and(same)
    }

    fn written(&self, text: String, tokens: u32, chosen: Excerpt) -> Section {
        let (name, version, words) = (self.name.clone(), self.playbook.version, self.words);
        Section {
            kind: PieceKind::Playbook,
            text: text.into(),
            tokens,
            turns: [0, 0],
            full_tokens: tokens,
            originals: Vec::new(),
            cuts: Vec::new(),
            by: self.chooser(chosen.choice).map(|compressor| Maker { compressor, ..Maker::default() }),
            playbook: Some(PlaybookVersion { name, version, words }),
            bullets: chosen.bullets,
        }
    }

    /// Names what chose bullets; nothing did where all of them fit.
    fn chooser(&self, choice: Choice) -> Option<String> {
        match (choice, &self.meaning) {
            (Choice::Whole, _) => None,
            (Choice::Meaning, Some(meaning)) => Some(meaning.by.clone()),
            (Choice::Words | Choice::Meaning, _) => Some(WORDS.to_owned()),
        }
    }
}

/// Whether points would choose no better: all bullets fit, or points chose.
fn is_settled(section: &Section) -> bool {
    section.by.as_ref().is_none_or(|by| by.compressor != WORDS)
}

/// The excerpt as a block of its own, which no bullet can close.
fn frame(text: &str) -> String {
    let inside = text.replace("</recapd", "< /recapd").replace(SERVED_BLOCK_OPEN, "< recapd_context");
    format!("{SERVED_BLOCK_OPEN}>\n{INTRODUCTION}\n{inside}</recapd_context>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playbook::{Operation, Origin, Prior, Source, resolve};
    use crate::tokens::for_model;

    const RIGHT: &str = "Refunds for damaged goods need a supervisor's approval";
    const TASK: &str = "My cash should come back, the parcel arrived broken";

    /// Twenty lessons on other things, then the right one.
    fn lessons() -> Lessons {
        let contents = (0..20).map(|at| format!("Count page {at} of the songs list")).chain([RIGHT.to_owned()]);
        let add = |content: String| Operation::Add {
            id: None,
            section: "Rules".into(),
            content: content.into(),
            origin: None,
            evidence: Vec::new(),
        };
        let mut playbook = Playbook::default();
        let operations = resolve(&playbook, contents.map(add).collect(), Prior::Outside).unwrap();
        let (actor, source) = ("local".to_owned(), Source::of(Origin::Operator));
        playbook.apply(&crate::playbook::Delta { version: 1, at_ms: 0, actor, source, operations }, |_| None).unwrap();
        Lessons::new("support".to_owned(), Arc::new(playbook), LessonBounds { share: 0.2, tokens: 1_000 }, 0)
    }

    fn meaning(lessons: &Lessons) -> Meaning {
        let point = |content: &str| if content == RIGHT { vec![1.0, 0.2] } else { vec![-0.1, 1.0] };
        let bullets = lessons.playbook().bullets.iter();
        let bullets = Arc::new(bullets.map(|bullet| (bullet.id.clone(), point(&bullet.content))).collect());
        Meaning { by: "embeddings:test".to_owned(), bullets, query: Arc::from([1.0, 0.0]) }
    }

    fn chosen(lessons: &Lessons, most: u32, before: Option<&Section>) -> Section {
        let section = lessons.section((TASK, &[]), most, before, &*for_model(None)).unwrap();
        assert!(section.tokens <= most);
        section
    }

    fn by(section: &Section) -> Option<&str> {
        section.by.as_ref().map(|by| by.compressor.as_str())
    }

    #[test]
    fn words_choose_until_there_are_points_which_then_stay() {
        let mut lessons = lessons();
        let by_words = chosen(&lessons, 180, None);
        assert_eq!((by(&by_words), by_words.text.contains(RIGHT)), (Some(WORDS), false), "{}", by_words.text);
        assert_eq!(chosen(&lessons, 180, Some(&by_words)), by_words);
        assert!(!lessons.keeps(&by_words));

        let points = meaning(&lessons);
        lessons.set_meaning(Some(points));
        let by_points = chosen(&lessons, 180, Some(&by_words));
        assert_eq!((by(&by_points), by_points.text.contains(RIGHT)), (Some("embeddings:test"), true));
        lessons.set_meaning(None);
        assert_eq!(chosen(&lessons, 180, Some(&by_points)), by_points, "a restart changes no byte");
        assert!(lessons.keeps(&by_points));
    }

    #[test]
    fn nothing_chooses_where_all_fit() {
        let mut lessons = lessons();
        let whole = chosen(&lessons, 1_000, None);
        assert_eq!((by(&whole), whole.bullets.len()), (None, 21));
        let points = meaning(&lessons);
        lessons.set_meaning(Some(points));
        assert_eq!(chosen(&lessons, 1_000, Some(&whole)), whole);
        assert_eq!(by(&chosen(&lessons, 1_000, None)), None);
    }
}
