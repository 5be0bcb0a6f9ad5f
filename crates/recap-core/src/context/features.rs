//! What is known of a value when an epoch is planned, as numbers: the input of a trained head.
//!
//! Every number is cheap: it is read off the digest, or counted in the words of the value's newest line. Nothing looks
//! ahead of the newest turn.

use std::collections::HashSet;
use std::hash::{Hash as _, Hasher as _};

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::digest::{Digest, Line, LineFact, Sightings, TurnDigest};
use super::made::Made;
use super::recap::words;
use crate::compress::{Kind, UnitRole};
use crate::trajectory::{FactKey, FactKind, TurnKind, facts};

/// How many numbers there are for a value.
pub const FEATURES: usize = 56;

/// The features of one value.
pub type Features = [f32; FEATURES];

/// Where the features of lines begin; those of values stand before them.
const LINE_AT: usize = 24;
/// Where a reranker's score of a line stands, the last number that [`Outlook::line_features`] pushes; 0 without a reranker.
pub(super) const SCORE_AT: usize = LINE_AT + 29;
/// Lines before and after a line in which the agent's later use of a value tells of the line itself.
const NEAR_LINES: usize = 3;
/// Words of a line that are looked at, and lines of an agent's own words.
const MOST_WORDS: usize = 32;
const MOST_SAID_LINES: usize = 64;

/// What all values of one plan are seen against.
pub struct Outlook<'a> {
    /// All turns.
    pub digest: &'a Digest,
    /// What models said of them.
    pub made: &'a Made,
    /// The last turn that the plan covers.
    pub covered: u32,
    /// The newest turn.
    pub now: u32,
    /// Values of the head.
    pub pinned: &'a HashSet<FactKey>,
    /// Values of the turns that stay verbatim.
    pub tail: &'a HashSet<FactKey>,
    /// Lower-case words of the newest turn and the query.
    pub echo: &'a HashSet<String>,
    /// Lower-case words of the task.
    pub task: &'a HashSet<String>,
}

/// A value that covered turns hold, seen in the newest line that holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenValue {
    /// Its identity.
    pub key: FactKey,
    /// What it is in that line.
    pub(super) fact: LineFact,
    /// Its text.
    pub value: String,
    /// The turn of that line.
    pub turn: u32,
    /// Whether the agent wrote it so far.
    pub said: bool,
    /// Its numbers, as they are counted.
    pub features: Features,
}

/// In how many lines a word stands.
struct Common {
    lines: u32,
    words: FxHashMap<u64, u32>,
}

/// What is the same for all values of a turn.
struct TurnView<'a> {
    turn: &'a TurnDigest,
    /// Words with which the agent acted in this turn, and in the next one.
    action: FxHashSet<String>,
    next: FxHashSet<String>,
    /// For each line, whether the agent wrote one of its values after this turn.
    used: Vec<bool>,
    /// For each source, its first line and how many it has.
    sizes: Vec<(u32, u32)>,
}

impl Outlook<'_> {
    /// Returns every value of the covered turns that the head does not hold, oldest line first. Linear in their text.
    #[must_use]
    pub fn values(&self) -> Vec<SeenValue> {
        let turns = self.digest.up_to(self.covered);
        let common = Common::of(turns);
        let mut found = Vec::new();
        for (at, turn) in turns.iter().enumerate() {
            let view = self.view(turn, turns.get(at + 1));
            for (number, line) in turn.lines.iter().enumerate() {
                self.values_of(&view, (number, line), &common, &mut found);
            }
        }
        found
    }

    fn values_of(&self, view: &TurnView<'_>, (number, line): (usize, &Line), common: &Common, to: &mut Vec<SeenValue>) {
        let is_newest = |fact: &&LineFact| {
            let seen = self.digest.sightings(fact.key);
            seen.last_turn == view.turn.turn && seen.last_line == line.number && !self.pinned.contains(&fact.key)
        };
        let newest: Vec<&LineFact> = line.facts.iter().filter(is_newest).collect();
        if newest.is_empty() {
            return;
        }
        let of_line = self.line_features(view, (number, line), common);
        for found in facts(&line.text) {
            let Some(value) = line.text.get(found.span.clone()) else { continue };
            let key = FactKey::of(value);
            let Some(fact) = newest.iter().find(|fact| fact.key == key) else { continue };
            if to.last().is_some_and(|last| last.key == key && last.turn == view.turn.turn) {
                continue;
            }
            let seen = self.digest.sightings(key);
            let mut features = of_line;
            self.value_features(**fact, &seen, &mut Numbers { to: &mut features, at: 0 });
            let place = ratio(count(found.span.start), count(line.text.len()));
            self.text_features(value, place, common, &mut Numbers { to: &mut features, at: 16 });
            let (turn, said) = (view.turn.turn, seen.said_turn > 0);
            to.push(SeenValue { key, fact: **fact, value: value.to_owned(), turn, said, features });
        }
    }

    fn view<'t>(&self, turn: &'t TurnDigest, next: Option<&TurnDigest>) -> TurnView<'t> {
        let is_used = |line: &Line| line.facts.iter().any(|fact| self.digest.sightings(fact.key).said_turn > turn.turn);
        let mut sizes = vec![(0, 0); turn.sources.len()];
        for (number, line) in (0u32..).zip(&turn.lines) {
            if let Some((first, lines)) = sizes.get_mut(line.source as usize) {
                *first = if *lines == 0 { number } else { *first };
                *lines += 1;
            }
        }
        TurnView {
            turn,
            action: said_words(turn),
            next: next.map(said_words).unwrap_or_default(),
            used: turn.lines.iter().map(is_used).collect(),
            sizes,
        }
    }

    /// 30 numbers: shape, place and kind of the line, words that it shares, what the agent did with its neighbours.
    fn line_features(&self, view: &TurnView<'_>, (number, line): (usize, &Line), common: &Common) -> Features {
        let mut features = [0.0; FEATURES];
        let mut push = Numbers { to: &mut features, at: LINE_AT };
        let source = view.turn.sources.get(line.source as usize);
        let (first, lines) = view.sizes.get(line.source as usize).copied().unwrap_or_default();
        let place = count(number).saturating_sub(first);
        push.log(line.tokens);
        push.log(count(line.facts.len()));
        for role in [UnitRole::Error, UnitRole::Summary, UnitRole::Heading, UnitRole::Detail, UnitRole::Boilerplate] {
            push.flag(line.role == role);
        }
        push.flag(line.parent.is_some());
        push.log(lines);
        push.number(ratio(place, lines));
        push.log(place);
        push.flag(source.is_some_and(|source| source.said));
        push.flag(view.turn.kind == TurnKind::Said);
        push.kind(source.map(|source| source.kind));
        self.shared_words(view, line, common, &mut push);
        let from = number.saturating_sub(NEAR_LINES);
        let near = view.used.get(from..view.used.len().min(number + NEAR_LINES + 1)).unwrap_or_default();
        let used = |lines: &[bool]| count(lines.iter().filter(|used| **used).count());
        push.flag(view.used.get(number).copied().unwrap_or(false));
        push.number(ratio(used(near), count(2 * NEAR_LINES + 1)));
        push.number(ratio(used(&view.used), count(view.used.len())));
        push.number(self.made.score(view.turn.turn, line.number));
        features
    }

    /// Rare words that the line shares with the task, with what the agent did then and next, and with what it does now.
    fn shared_words(&self, view: &TurnView<'_>, line: &Line, common: &Common, push: &mut Numbers<'_>) {
        let mut shared = [0.0_f32; 4];
        let mut total = 0.0;
        for word in words(&line.text).take(MOST_WORDS) {
            let rarity = common.rarity(&word);
            total += rarity;
            let stands = [
                self.task.contains(&word),
                view.action.contains(&word),
                view.next.contains(&word),
                self.echo.contains(&word),
            ];
            for (sum, _) in shared.iter_mut().zip(stands).filter(|(_, stands)| *stands) {
                *sum += rarity;
            }
        }
        for sum in &shared {
            push.number(sum / total.max(1.0));
        }
        let [task, _, next, echo] = shared;
        for sum in [task, next, echo] {
            push.number((sum / 4.0).min(2.0));
        }
    }

    /// 16 numbers: age, how often and by whom the value was written, what it looks like.
    fn value_features(&self, fact: LineFact, seen: &Sightings, push: &mut Numbers<'_>) {
        push.log(self.now.saturating_sub(seen.last_turn));
        push.log(seen.turns);
        push.log(seen.crowd);
        push.flag(seen.said_turn > 0);
        push.log(seen.said_turns);
        push.log(if seen.said_turn > 0 { self.now.saturating_sub(seen.said_turn) } else { 0 });
        push.flag(seen.said_turn > 0 && seen.said_turn >= seen.last_turn);
        let kinds = [
            FactKind::Path,
            FactKind::Url,
            FactKind::Address,
            FactKind::Date,
            FactKind::Id,
            FactKind::Number,
            FactKind::Name,
        ];
        for kind in kinds {
            push.flag(fact.kind == kind);
        }
        push.flag(fact.opens);
        push.flag(self.tail.contains(&fact.key));
    }

    /// 8 numbers: length, place in the line, parts that the task and the newest turn name, spelling.
    fn text_features(&self, value: &str, place: f32, common: &Common, push: &mut Numbers<'_>) {
        push.log(count(value.chars().count()));
        push.number(place);
        let (mut parts, mut task, mut echo, mut rarest) = (0, 0, 0, 0.0_f32);
        for part in words(value) {
            parts += 1;
            task += u32::from(self.task.contains(&part));
            echo += u32::from(self.echo.contains(&part));
            rarest = rarest.max(common.rarity(&part));
        }
        push.log(parts);
        push.number(ratio(task, parts));
        push.number(ratio(echo, parts));
        push.number(rarest / 8.0);
        push.flag(value.contains('.'));
        push.flag(value.starts_with(char::is_uppercase));
    }
}

impl Common {
    fn of(turns: &[TurnDigest]) -> Self {
        let mut common = Self { lines: 0, words: FxHashMap::default() };
        let mut seen = FxHashSet::default();
        for line in turns.iter().flat_map(|turn| &turn.lines) {
            common.lines += 1;
            seen.clear();
            for word in words(&line.text).take(MOST_WORDS).map(|word| hash(&word)) {
                if seen.insert(word) {
                    *common.words.entry(word).or_default() += 1;
                }
            }
        }
        common
    }

    /// How rare a word is: the logarithm of one by the share of lines that hold it (inverse document frequency, Spärck
    /// Jones 1972).
    #[expect(clippy::cast_precision_loss, reason = "counts of lines are far below 2^24")]
    fn rarity(&self, word: &str) -> f32 {
        let holding = self.words.get(&hash(word)).copied().unwrap_or(0);
        ((1 + self.lines) as f32 / (1 + holding) as f32).ln()
    }
}

/// Words of what the agent did and said in a turn.
fn said_words(turn: &TurnDigest) -> FxHashSet<String> {
    let said = |line: &&Line| turn.sources.get(line.source as usize).is_some_and(|source| source.said);
    let lines =
        turn.lines.iter().filter(said).take(MOST_SAID_LINES).flat_map(|line| words(&line.text).take(MOST_WORDS));
    words(&turn.headline.text).chain(lines).collect()
}

/// Writes numbers one after the other.
struct Numbers<'a> {
    to: &'a mut Features,
    at: usize,
}

impl Numbers<'_> {
    fn number(&mut self, number: f32) {
        if let Some(place) = self.to.get_mut(self.at) {
            *place = number;
        }
        self.at += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^24")]
    fn log(&mut self, count: u32) {
        self.number((count as f32).ln_1p() / 4.0);
    }

    fn flag(&mut self, flag: bool) {
        self.number(f32::from(u8::from(flag)));
    }

    fn kind(&mut self, kind: Option<Kind>) {
        self.flag(matches!(kind, Some(Kind::Code)));
        self.flag(matches!(kind, Some(Kind::Records | Kind::Json | Kind::Jsonl | Kind::Table)));
        self.flag(matches!(kind, Some(Kind::Grep | Kind::Listing)));
        self.flag(matches!(kind, Some(Kind::Diff)));
        self.flag(matches!(kind, Some(Kind::TestOutput | Kind::StackTrace | Kind::Log)));
        self.flag(matches!(kind, Some(Kind::Prose | Kind::Markdown | Kind::Html)));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^24")]
fn ratio(part: u32, of: u32) -> f32 {
    part as f32 / of.max(1) as f32
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn hash(word: &str) -> u64 {
    let mut hasher = FxHasher::default();
    word.hash(&mut hasher);
    hasher.finish()
}
