//! The laws of playbooks: the log is the truth, ids are given once, nothing is half done, an excerpt is true to its budget.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use recap_core::playbook::{
    Bullet, BulletId, Credit, Credits, Delta, Duplicate, Evidence, How, Operation, Origin, Playbook, Prior, Query,
    Source, check_growth, collapses, duplicates, excerpt, forgotten, line, merges, replay, resolve, text, tokens,
    twin_of,
};
use recap_core::tokens::for_model;

use crate::world::{cases, cheap};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const TRAJECTORIES: [&str; 3] = ["run_0001", "run_0002", "run_0003"];
const SECTIONS: [&str; 5] = ["Strategies and hard rules", "APIs", "## ## Notes: ", "Ünïcode — 見出し", "Others"];

/// One operation, its bullets named by their place among those that are there.
#[derive(Debug, Clone)]
enum Wish {
    Add { section: usize, words: String, id: Option<u32>, evidence: Vec<usize> },
    Write { bullet: Index, words: String, evidence: Vec<usize> },
    Move { bullet: Index, section: usize },
    Merge { bullets: Vec<Index>, words: Option<String> },
    Delete { bullet: Index },
    Tag { bullet: Index, tag: Credit, count: i64, inferred: bool },
    Section { section: usize },
    Revert { to: Index },
}

/// What is asked for at once.
#[derive(Debug, Clone)]
struct Step {
    wishes: Vec<Wish>,
    trajectory: Option<usize>,
    days: i64,
}

fn words() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z]{2,8}( [a-z]{2,8}){0,6}",
        1 => Just("## a heading\n\n- item one\n  - [shr-00001] item two\n```\nlet x = 1;\n```".to_owned()),
        1 => Just("多行\n\n\n内容 🦀 e\u{301}\u{200d}".to_owned()),
        1 => Just("a\tb\r\nc  \r\n  d ## e\u{2028}f".to_owned()),
        1 => "\\PC{1,40}",
    ];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| format!("x{}", pieces.join(" ")))
}

fn wish() -> impl Strategy<Value = Wish> {
    let bullet = any::<Index>;
    let evidence = || prop::collection::vec(0..TRAJECTORIES.len(), 0..3);
    let tag = prop::sample::select(vec![Credit::Helpful, Credit::Harmful, Credit::Neutral]);
    prop_oneof![
        6 => (0..SECTIONS.len(), words(), prop::option::weighted(0.3, 0..40u32), evidence())
            .prop_map(|(section, words, id, evidence)| Wish::Add { section, words, id, evidence }),
        2 => (bullet(), words(), evidence()).prop_map(|(bullet, words, evidence)| Wish::Write { bullet, words, evidence }),
        1 => (bullet(), 0..SECTIONS.len()).prop_map(|(bullet, section)| Wish::Move { bullet, section }),
        2 => (prop::collection::vec(bullet(), 2..4), prop::option::of(words()))
            .prop_map(|(bullets, words)| Wish::Merge { bullets, words }),
        1 => bullet().prop_map(|bullet| Wish::Delete { bullet }),
        4 => (bullet(), tag, -2..6i64, any::<bool>())
            .prop_map(|(bullet, tag, count, inferred)| Wish::Tag { bullet, tag, count, inferred }),
        1 => (0..SECTIONS.len()).prop_map(|section| Wish::Section { section }),
        1 => any::<Index>().prop_map(|to| Wish::Revert { to }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (prop::collection::vec(wish(), 1..5), prop::option::weighted(0.4, 0..TRAJECTORIES.len()), 0..40i64)
        .prop_map(|(wishes, trajectory, days)| Step { wishes, trajectory, days });
    prop::collection::vec(step, 1..24)
}

/// A playbook with its log, and how it stood after each delta.
#[derive(Default)]
struct World {
    playbook: Playbook,
    log: Vec<Delta>,
    stood: Vec<Playbook>,
    now_ms: i64,
}

impl World {
    fn played(steps: &[Step]) -> Self {
        let mut world = Self { stood: vec![Playbook::default()], ..Self::default() };
        for step in steps {
            world.play(step);
        }
        world
    }

    /// Takes a step as the daemon does; one that is refused changes nothing.
    fn play(&mut self, step: &Step) {
        self.now_ms += step.days * DAY_MS;
        let of = step.trajectory.map(|at| TRAJECTORIES[at]);
        let operations: Vec<Operation> = step.wishes.iter().filter_map(|wish| self.operation(wish, of)).collect();
        let Ok(operations) = resolve(&self.playbook, operations, Prior::Trusted) else { return };
        let mut source = Source::of(if of.is_some() { Origin::Learned } else { Origin::Operator });
        source.trajectory = of.map(str::to_owned);
        source.name = of.map(|trajectory| format!("reflection on {trajectory}."));
        let version = self.playbook.version + 1 + u64::from(step.days % 3 == 0);
        let delta = Delta { version, at_ms: self.now_ms, actor: "key".to_owned(), source, operations };
        let earlier = self.stood.clone();
        let then = |to: u64| earlier.iter().rev().find(|playbook| playbook.version <= to).cloned();
        if self.playbook.apply(&delta, then).is_ok() {
            self.log.push(delta);
            self.stood.push(self.playbook.clone());
        }
    }

    fn operation(&self, wish: &Wish, of: Option<&str>) -> Option<Operation> {
        let ids: Vec<&BulletId> = self.playbook.bullets.iter().map(|bullet| &bullet.id).collect();
        let id = |at: &Index| (!ids.is_empty()).then(|| (*at.get(&ids)).clone());
        // what is learned from a run carries its name, so that a trace of it is seen
        let told = |words: &str| Arc::<str>::from(of.map_or(words.to_owned(), |of| format!("{words}\nlearned: {of}")));
        Some(match wish {
            Wish::Add { section, words, id, evidence } => Operation::Add {
                id: id.map(|number| format!("imp-{number:05}").parse().unwrap()),
                section: SECTIONS[*section].into(),
                content: told(words),
                origin: None,
                evidence: supports(evidence),
            },
            Wish::Write { bullet, words, evidence } => Operation::Update {
                id: id(bullet)?,
                content: Some(told(words)),
                section: None,
                evidence: supports(evidence),
            },
            Wish::Move { bullet, section } => Operation::Update {
                id: id(bullet)?,
                content: None,
                section: Some(SECTIONS[*section].into()),
                evidence: Vec::new(),
            },
            Wish::Merge { bullets, words } => Operation::Merge {
                ids: bullets.iter().map(id).collect::<Option<_>>()?,
                into: None,
                content: words.as_deref().map(told),
            },
            Wish::Delete { bullet } => Operation::Delete { id: id(bullet)? },
            Wish::Tag { bullet, tag, count, inferred } => {
                Operation::Tag { id: id(bullet)?, tag: *tag, count: *count, inferred: *inferred }
            }
            Wish::Section { section } => Operation::Section { section: SECTIONS[*section].into() },
            Wish::Revert { to } => Operation::Revert { to: to.get(&self.stood).version },
        })
    }
}

fn supports(evidence: &[usize]) -> Vec<Evidence> {
    evidence.iter().map(|at| Evidence { trajectory: TRAJECTORIES[*at].to_owned(), turn: Some(3) }).collect()
}

fn counts(credits: &Credits) -> [u64; 6] {
    [
        credits.helpful.count(),
        credits.harmful.count(),
        credits.neutral.count(),
        credits.inferred_helpful.count(),
        credits.inferred_harmful.count(),
        credits.inferred_neutral.count(),
    ]
}

fn given<'a>(log: &'a [Delta]) -> Vec<&'a BulletId> {
    let operations = log.iter().flat_map(|delta| &delta.operations);
    let id = |operation: &'a Operation| match operation {
        Operation::Add { id, .. } => id.as_ref(),
        Operation::Retire { id } => Some(id),
        _ => None,
    };
    operations.filter_map(id).collect()
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn replaying_the_log_gives_the_same_playbook(steps in steps()) {
        let world = World::played(&steps);
        prop_assert_eq!(replay(&world.log, None).unwrap(), world.playbook);
    }

    #[test]
    fn replaying_to_a_version_gives_the_playbook_as_it_stood(steps in steps()) {
        let world = World::played(&steps);
        for stood in &world.stood {
            prop_assert_eq!(&replay(&world.log, Some(stood.version)).unwrap(), stood);
        }
    }

    #[test]
    fn what_is_stored_reads_back_the_same(steps in steps()) {
        let world = World::played(&steps);
        let state = serde_json::to_string(&world.playbook).unwrap();
        prop_assert_eq!(serde_json::from_str::<Playbook>(&state).unwrap(), world.playbook);
        let log = serde_json::to_string(&world.log).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<Delta>>(&log).unwrap(), world.log);
    }

    #[test]
    fn a_revert_goes_back_to_exactly_that_version(steps in steps(), to in any::<Index>()) {
        let mut world = World::played(&steps);
        let then = to.get(&world.stood).clone();
        world.play(&Step { wishes: vec![Wish::Revert { to }], trajectory: None, days: 1 });
        prop_assert_eq!(&world.playbook.bullets, &then.bullets);
        prop_assert_eq!(&world.playbook.sections, &then.sections);
        prop_assert!(world.playbook.version > then.version);
    }

    #[test]
    fn ids_are_given_once(steps in steps(), more in steps(), of in 0..TRAJECTORIES.len()) {
        let mut world = World::played(&steps);
        let mut ids = given(&world.log).into_iter().cloned().collect::<Vec<_>>();
        let before = world.log.len();
        let version = world.playbook.version;
        let (log, playbook, _) = forgotten(&world.log, TRAJECTORIES[of]);
        let dropped = before - log.len();
        world.log = log;
        let stood = world.log.iter().map(|delta| replay(&world.log, Some(delta.version)).unwrap());
        world.stood = std::iter::once(Playbook::default()).chain(stood).collect();
        world.playbook = Playbook { version, ..playbook };
        for step in &more {
            world.play(step);
        }
        ids.extend(given(&world.log[before - dropped..]).into_iter().cloned());
        let distinct: BTreeSet<&BulletId> = ids.iter().collect();
        prop_assert_eq!(distinct.len(), ids.len());
        let now: BTreeSet<&BulletId> = world.playbook.bullets.iter().map(|bullet| &bullet.id).collect();
        prop_assert_eq!(now.len(), world.playbook.bullets.len());
        prop_assert!(now.iter().all(|id| !world.playbook.retired.contains(id)));
    }

    #[test]
    fn a_delta_is_applied_whole_or_not_at_all(steps in steps(), fault in 0..5) {
        let world = World::played(&steps);
        let nobody: BulletId = "nobody-1".parse().unwrap();
        let fault = match fault {
            0 => Operation::Delete { id: nobody },
            1 => Operation::Merge { ids: vec![nobody.clone(), nobody], into: None, content: None },
            2 => Operation::Update { id: nobody, content: Some("x".into()), section: None, evidence: Vec::new() },
            3 => Operation::Revert { to: u64::MAX },
            _ => Operation::Tag { id: nobody, tag: Credit::Helpful, count: 1, inferred: false },
        };
        for delta in &world.log {
            let mut playbook = replay(&world.log, Some(delta.version - 1)).unwrap();
            let before = playbook.clone();
            let mut faulty = delta.clone();
            faulty.operations.push(fault.clone());
            let then = |to| replay(&world.log, Some(to)).ok().filter(|_| to < u64::MAX);
            prop_assert!(playbook.apply(&faulty, then).is_err());
            prop_assert_eq!(playbook, before);
        }
    }

    #[test]
    fn a_merged_bullet_counts_what_all_counted(steps in steps(), chosen in prop::collection::vec(any::<Index>(), 2..5)) {
        let mut world = World::played(&steps);
        prop_assume!(!world.playbook.bullets.is_empty());
        let ids: BTreeSet<BulletId> = chosen.iter().map(|at| at.get(&world.playbook.bullets).id.clone()).collect();
        prop_assume!(ids.len() > 1);
        let all: Vec<[u64; 6]> = ids.iter().map(|id| counts(&world.playbook.bullet(id).unwrap().credits)).collect();
        let sums: Vec<u64> = (0..6).map(|at| all.iter().map(|counts| counts[at]).sum()).collect();
        let into = chosen[0].get(&world.playbook.bullets).id.clone();
        world.play(&Step { wishes: vec![Wish::Merge { bullets: chosen, words: None }], trajectory: None, days: 1 });
        prop_assert_eq!(counts(&world.playbook.bullet(&into).unwrap().credits).to_vec(), sums);
        prop_assert!(ids.iter().all(|id| *id == into || world.playbook.bullet(id).is_none()));
    }

    #[test]
    fn a_forgotten_trajectory_leaves_no_trace_and_a_log_that_replays(steps in steps(), of in 0..TRAJECTORIES.len()) {
        let world = World::played(&steps);
        let (log, playbook, left_out) = forgotten(&world.log, TRAJECTORIES[of]);
        let state = serde_json::to_string(&playbook).unwrap();
        prop_assert!(!state.contains(TRAJECTORIES[of]), "{}", state);
        let told = serde_json::to_string(&log).unwrap();
        prop_assert!(!told.contains(TRAJECTORIES[of]), "{}", told);
        prop_assert_eq!(&replay(&log, None).unwrap(), &playbook);
        prop_assert!(world.playbook.bullets.iter().all(|bullet| playbook.knows(&bullet.id)));
        let is_of = |delta: &&Delta| delta.source.trajectory.as_deref() == Some(TRAJECTORIES[of]);
        let own: usize = world.log.iter().filter(is_of).map(|delta| delta.operations.len()).sum();
        prop_assert!(left_out >= own);
    }

    #[test]
    fn forgetting_what_is_not_there_changes_nothing(steps in steps()) {
        let world = World::played(&steps);
        prop_assert_eq!(forgotten(&world.log, "run_0009"), (world.log, world.playbook, 0));
    }
}

/// Many bullets, some much alike, with vectors for some.
fn shelf() -> impl Strategy<Value = (Playbook, HashMap<BulletId, Vec<f32>>)> {
    let content = prop_oneof![
        3 => words(),
        2 => prop::collection::vec(prop::sample::select(vec!["read", "the", "whole", "list", "first"]), 5..9)
            .prop_map(|words| words.join(" ")),
        1 => Just("Read the whole list first, then act.".to_owned()),
        1 => Just("read the WHOLE list first - then act".to_owned()),
    ];
    let vector = prop::option::of(prop::collection::vec(-1.0f32..1.0, 3));
    let credits = (0..5i64, 0..5i64, 0..9i64);
    prop::collection::vec((content, 0..SECTIONS.len(), vector, credits), 0..40).prop_map(|rows| {
        let mut playbook = Playbook { sections: SECTIONS.map(Arc::from).to_vec(), ..Playbook::default() };
        let mut vectors = HashMap::new();
        for (at, (content, section, vector, (helpful, harmful, inferred))) in rows.into_iter().enumerate() {
            let id: BulletId = format!("b-{at:05}").parse().unwrap();
            let mut credits = Credits::default();
            credits.helpful.add(helpful, 0);
            credits.harmful.add(harmful, 0);
            credits.inferred_helpful.add(inferred, 0);
            vectors.extend(vector.map(|vector| (id.clone(), vector)));
            playbook.bullets.push(Bullet {
                id,
                section: SECTIONS[section].into(),
                content: content.into(),
                origin: if at % 5 == 0 { Origin::Observed } else { Origin::Agent },
                credits,
                evidence: Vec::new(),
                created_ms: i64::try_from(at % 3).unwrap(),
                updated_ms: 0,
            });
        }
        (playbook, vectors)
    })
}

fn place(playbook: &Playbook, id: &BulletId) -> (usize, usize) {
    let at = playbook.bullets.iter().position(|bullet| bullet.id == *id).unwrap();
    let section = playbook.sections.iter().position(|section| *section == playbook.bullets[at].section).unwrap();
    (section, at)
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn an_excerpt_is_within_its_budget_and_of_whole_bullets_in_order(
        (playbook, vectors) in shelf(),
        (task, recent) in (words(), words()),
        percent in 0..120u32,
        exact in any::<bool>(),
    ) {
        let counter = if exact { for_model(Some("gpt-4o")) } else { cheap() };
        let all = tokens(&playbook, &*counter);
        let budget = all * percent / 100;
        let query = Query { task: &task, recent: &[&recent], embedding: Some(&[0.3, -0.2, 0.9]) };
        let served = excerpt(&playbook, &query, &vectors, budget, 0, &*counter);
        prop_assert!(served.tokens <= budget, "{} of {}", served.tokens, budget);
        prop_assert_eq!(served.tokens, counter.count(&served.text));
        let places: Vec<_> = served.bullets.iter().map(|id| place(&playbook, id)).collect();
        prop_assert!(places.is_sorted_by(|a, b| a < b), "{:?}", places);
        let bullets: Vec<&Bullet> = served.bullets.iter().map(|id| playbook.bullet(id).unwrap()).collect();
        prop_assert!(bullets.iter().all(|bullet| served.text.contains(&line(bullet))));
        prop_assert_eq!(&served.text, &text(bullets));
        prop_assert_eq!(served.bullets.len() == playbook.bullets.len(), all <= budget);
        prop_assert_eq!(&excerpt(&playbook, &query, &vectors, budget, 0, &*counter), &served);
    }

    #[test]
    fn nothing_that_would_still_fit_alone_is_served_as_nothing((playbook, vectors) in shelf(), budget in 0..200u32) {
        let counter = cheap();
        let served = excerpt(&playbook, &Query::default(), &vectors, budget, 0, &*counter);
        let fits = |bullet: &&Bullet| counter.count(&text([*bullet])) + 2 <= budget;
        prop_assert!(!served.bullets.is_empty() || !playbook.bullets.iter().any(|bullet| fits(&bullet)));
    }

    #[test]
    fn no_line_of_a_bullet_reads_as_another_bullet_or_a_heading((playbook, _) in shelf()) {
        for bullet in &playbook.bullets {
            let written = line(bullet);
            let opening = format!("[{}]", bullet.id);
            prop_assert!(written.starts_with(&opening));
            prop_assert!(written.lines().skip(1).all(|line| line.is_empty() || line.starts_with("  ")));
        }
    }

    #[test]
    fn each_pair_of_duplicates_comes_once_and_in_order((playbook, vectors) in shelf()) {
        let found = duplicates(&playbook, &vectors);
        let mut pairs = BTreeSet::new();
        for Duplicate { ids: [a, b], how, score } in &found {
            prop_assert!(place(&playbook, a).1 < place(&playbook, b).1);
            prop_assert!(pairs.insert((a, b)));
            let least = if *how == How::Lexical { 0.85 } else { 0.9 };
            prop_assert!((least..=1.0).contains(score), "{:?} {}", how, score);
            let same = playbook.bullet(a).unwrap().content == playbook.bullet(b).unwrap().content;
            prop_assert_eq!(same, *how == How::Exact);
        }
        let key = |found: &Duplicate| (found.how, -found.score, place(&playbook, &found.ids[0]).1, place(&playbook, &found.ids[1]).1);
        prop_assert!(found.is_sorted_by(|a, b| key(a) <= key(b)));
        let contents: BTreeSet<&str> = playbook.bullets.iter().map(|bullet| bullet.content.as_ref()).collect();
        let exact = found.iter().filter(|pair| pair.how == How::Exact).count();
        prop_assert_eq!(exact, playbook.bullets.len() - contents.len());
    }

    #[test]
    fn merging_all_duplicates_loses_no_event_and_is_no_collapse((playbook, _) in shelf()) {
        let found = duplicates(&playbook, &HashMap::new());
        let operations = merges(&playbook, &found, 0);
        let operations = resolve(&playbook, operations, Prior::Outside).unwrap();
        let delta = Delta { version: 1, at_ms: 0, actor: String::new(), source: Source::of(Origin::Operator), operations };
        let mut after = playbook.clone();
        after.apply(&delta, |_| None).unwrap();
        let all = |playbook: &Playbook| -> u64 { playbook.bullets.iter().flat_map(|bullet| counts(&bullet.credits)).sum() };
        prop_assert_eq!(all(&after), all(&playbook));
        let exact_or_folded = found.iter().all(|pair| pair.how < How::Lexical);
        prop_assert!(!exact_or_folded || collapses(&playbook, &after).is_none());
        prop_assert!(duplicates(&after, &HashMap::new()).iter().all(|pair| pair.how == How::Lexical));
    }

    #[test]
    fn a_twin_is_found_for_words_that_are_there((playbook, _) in shelf(), at in any::<Index>()) {
        prop_assume!(!playbook.bullets.is_empty());
        let bullet = at.get(&playbook.bullets);
        let (id, how, _) = twin_of(&playbook, &bullet.content).unwrap();
        prop_assert_eq!(how, How::Exact);
        prop_assert_eq!(&playbook.bullet(&id).unwrap().content, &bullet.content);
    }

    #[test]
    fn what_would_have_to_go_makes_room((playbook, _) in shelf(), split in any::<Index>(), percent in 20..100u32) {
        prop_assume!(!playbook.bullets.is_empty());
        let counter = cheap();
        let known = split.index(playbook.bullets.len());
        let before = Playbook { bullets: playbook.bullets[..known].to_vec(), ..playbook.clone() };
        let budget = tokens(&playbook, &*counter) * percent / 100;
        match check_growth(&before, &playbook, budget, &*counter, 0) {
            Ok(now) => prop_assert!(now <= budget || now <= tokens(&before, &*counter)),
            Err(refusal) => {
                let gone: BTreeSet<&BulletId> = refusal.would_go.iter().map(|(id, _)| id).collect();
                let rest = playbook.bullets.iter().filter(|bullet| !gone.contains(&bullet.id)).cloned().collect();
                let rest = Playbook { bullets: rest, ..playbook.clone() };
                prop_assert!(tokens(&rest, &*counter) <= budget || gone.len() == before.bullets.len());
                prop_assert!(gone.iter().all(|id| before.bullet(id).is_some()));
                prop_assert_eq!(refusal.over_by, tokens(&playbook, &*counter) - budget);
            }
        }
    }
}
