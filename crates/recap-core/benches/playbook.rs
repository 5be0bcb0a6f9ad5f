//! How fast duplicates are found and excerpts are cut. Both must stay near linear in the number of bullets.

mod inputs {
    pub mod dice;
}

use std::collections::HashMap;

use divan::Bencher;
use divan::counter::ItemsCount;
use inputs::dice::Dice;
use recap_core::playbook::{Bullet, BulletId, Credits, Origin, Playbook, Query, duplicates, excerpt};
use recap_core::tokens::for_model;

/// Numbers of an embedding.
const DIMENSIONS: usize = 384;

fn main() {
    // the encoding's tables are built on first use
    for_model(Some("gpt-4o")).count("warm");
    divan::main();
}

#[divan::bench(consts = [300, 1_200, 5_000], max_time = 1)]
fn lexical_duplicates<const BULLETS: usize>(bencher: Bencher) {
    let playbook = playbook(BULLETS);
    let none = HashMap::new();
    bencher.counter(ItemsCount::new(BULLETS)).bench_local(|| duplicates(&playbook, &none));
}

#[divan::bench(consts = [300, 1_200, 5_000], max_time = 1)]
fn duplicates_with_embeddings<const BULLETS: usize>(bencher: Bencher) {
    let playbook = playbook(BULLETS);
    let vectors = vectors(&playbook);
    bencher.counter(ItemsCount::new(BULLETS)).bench_local(|| duplicates(&playbook, &vectors));
}

/// All bullets are one text with other names in it: the case that an index does not help.
#[divan::bench(consts = [300, 1_200, 5_000], max_time = 1)]
fn duplicates_of_one_template<const BULLETS: usize>(bencher: Bencher) {
    let mut playbook = playbook(BULLETS);
    let mut dice = Dice::new(5);
    let template = playbook.bullets[0].content.to_string();
    for bullet in &mut playbook.bullets {
        bullet.content = format!("{template} {} {}", name(&mut dice), name(&mut dice)).into();
    }
    let none = HashMap::new();
    bencher.counter(ItemsCount::new(BULLETS)).bench_local(|| duplicates(&playbook, &none));
}

/// Of 2,000 tokens, for a task and 8 turns.
#[divan::bench(consts = [300, 1_200, 5_000], max_time = 1)]
fn excerpt_of_2000_tokens<const BULLETS: usize>(bencher: Bencher) {
    let playbook = playbook(BULLETS);
    let counter = for_model(Some("gpt-4o"));
    let vectors = vectors(&playbook);
    let mut dice = Dice::new(9);
    let task = lesson(&mut dice, 200);
    let turns: Vec<String> = (0..8).map(|_| lesson(&mut dice, 150)).collect();
    let recent: Vec<&str> = turns.iter().map(String::as_str).collect();
    let query = Query { task: &task, recent: &recent, embedding: vectors.values().next().map(Vec::as_slice) };
    bencher.counter(ItemsCount::new(BULLETS)).bench_local(|| excerpt(&playbook, &query, &vectors, 2_000, 0, &*counter));
}

/// Bullets of 20 to 60 words; every tenth says nearly the same as the one before it.
fn playbook(bullets: usize) -> Playbook {
    let mut dice = Dice::new(7);
    let sections = ["Rules", "APIs", "Mistakes", "Checks"];
    let mut playbook = Playbook { sections: sections.map(Into::into).to_vec(), ..Playbook::default() };
    for at in 0..bullets {
        let content = match playbook.bullets.last() {
            Some(before) if at % 10 == 9 => format!("{} {}", before.content, name(&mut dice)),
            _ => {
                let words = 20 + usize::try_from(dice.below(40)).unwrap_or(0);
                lesson(&mut dice, words)
            }
        };
        let Ok(id) = format!("b-{at:05}").parse() else { continue };
        playbook.bullets.push(Bullet {
            id,
            section: sections[at % sections.len()].into(),
            content: content.into(),
            origin: Origin::Learned,
            credits: Credits::default(),
            evidence: Vec::new(),
            created_ms: 0,
            updated_ms: 0,
        });
    }
    playbook
}

fn lesson(dice: &mut Dice, words: usize) -> String {
    let parts = (0..words / 5).map(|part| match part % 3 {
        0 => format!("{} {}", dice.sentence(4), name(dice)),
        1 => dice.sentence(5),
        _ => format!("{} {}", dice.sentence(4), dice.path()),
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// A name as in code, one of some thousands.
fn name(dice: &mut Dice) -> String {
    format!("{}_{}", dice.name(), dice.pick(&["list", "id", "page", "token"]))
}

/// Vectors as sentence encoders make them: all of them lean one way.
fn vectors(playbook: &Playbook) -> HashMap<BulletId, Vec<f32>> {
    let mut dice = Dice::new(3);
    let mut number = || f32::from(u16::try_from(dice.below(2_000)).unwrap_or(0)) / 1_000.0 - 0.5;
    let mut vector = || (0..DIMENSIONS).map(|_| number()).collect::<Vec<f32>>();
    playbook.bullets.iter().map(|bullet| (bullet.id.clone(), vector())).collect()
}
