//! Laws 5, 8 and 10 for the playbook's excerpt: whole bullets in their share, frozen within an epoch, no evidence.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use recap_core::context::{EpochRecord, Lessons, Meaning, PieceKind, Section, Served, WORDS};

use crate::world::{BULLETS, ByLine, case, cases, cheap, lessons, words_of};

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn law_8_bullets_are_whole_and_keep_to_their_share(case in case(60..900)) {
        case.play(&cheap(), |answer| {
            let Ok(served) = answer.result else { return Ok(()) };
            let piece = served.receipt.pieces.iter().find(|piece| piece.kind == PieceKind::Playbook);
            let tokens = piece.map_or(0, |piece| piece.tokens);
            prop_assert_eq!(served.receipt.tokens.by_source["playbook"], tokens);
            let Some(piece) = piece else { return Ok(()) };
            prop_assert!(case.lessons && answer.request.include.playbook);
            prop_assert_eq!(piece.playbook.as_deref(), Some("laws@1"));
            prop_assert!(!piece.bullets.is_empty());
            let words = words_of(&served);
            for id in &piece.bullets {
                let number = usize::try_from(id.number().unwrap()).unwrap();
                for line in BULLETS[number - 1].lines().filter(|line| !line.contains("recapd")) {
                    prop_assert!(words.contains(line), "{line:?} of {id} is not in {words}");
                }
            }
            prop_assert!(served.new_epoch.iter().all(keeps_to_its_share), "{:?}", served.new_epoch);
            Ok(())
        })?;
    }

    #[test]
    fn laws_5_8_and_12_points_choose_whole_bullets_within_their_share_from_the_next_epoch_on(
        case in case(60..900),
        seed in any::<u8>(),
    ) {
        let mut lines: ByLine<Served> = ByLine::new();
        let (mut reads, plain) = (0_usize, lessons(&BULLETS));
        case.play(&cheap(), |answer| {
            reads += 1;
            let next = if reads % 3 == 0 { plain.clone() } else { with_points(&plain, seed, reads) };
            answer.world.session.set_lessons(Some(next));
            let line = case.lines.iter().position(|line| line == answer.request).unwrap();
            let Ok(served) = answer.result else { return Ok(()) };
            if let Some(epoch) = &served.new_epoch {
                prop_assert!(keeps_to_its_share(epoch), "{:?}", epoch);
                let by = epoch.lessons().and_then(|section| section.by.as_ref());
                prop_assert!(by.is_none_or(|by| [WORDS, "embeddings:laws"].contains(&by.compressor.as_str())));
                let text = epoch.lessons().map_or("", |section| &section.text);
                for id in epoch.bullets() {
                    let number = usize::try_from(id.number().unwrap()).unwrap();
                    for line in BULLETS[number - 1].lines().filter(|line| !line.contains("recapd")) {
                        prop_assert!(text.contains(line), "{line:?} of {id} is not in {text}");
                    }
                }
            }
            let is_next = served.new_epoch.is_some();
            let before = lines.insert(line, served);
            let (Some(before), Some(now)) = (before, lines.get(&line)) else { return Ok(()) };
            if !is_next {
                prop_assert!(!now.receipt.prefix.changed);
                prop_assert_eq!(excerpt_of(&before), excerpt_of(now));
            }
            Ok(())
        })?;
    }

    #[test]
    fn law_5_another_playbook_changes_nothing_that_is_served(case in case(60..900)) {
        let mut lines: ByLine<Served> = ByLine::new();
        let (mut reads, old) = (0_usize, lessons(&BULLETS));
        case.play(&cheap(), |answer| {
            reads += 1;
            answer.world.session.set_lessons(Some(if reads % 2 == 0 { old.clone() } else { lessons(&BULLETS[..3]) }));
            let line = case.lines.iter().position(|line| line == answer.request).unwrap();
            let Ok(served) = answer.result else { return Ok(()) };
            let is_next = served.new_epoch.is_some();
            let before = lines.insert(line, served);
            let (Some(before), Some(now)) = (before, lines.get(&line)) else { return Ok(()) };
            if !is_next {
                prop_assert!(!now.receipt.prefix.changed);
                prop_assert_eq!(excerpt_of(&before), excerpt_of(now));
            }
            Ok(())
        })?;
    }

    #[test]
    fn law_10_an_excerpt_is_no_evidence(case in case(30..500)) {
        let with = lessons(&["ORD-999999 is the id to cancel"]);
        case.play(&cheap(), |answer| {
            answer.world.session.set_lessons(Some(with.clone()));
            let Some(epoch) = answer.result.ok().and_then(|served| served.new_epoch) else { return Ok(()) };
            let others = epoch.sections.iter().filter(|section| section.kind != PieceKind::Playbook);
            for section in others {
                prop_assert!(!section.text.contains("ORD-999999"), "{}", section.text);
            }
            Ok(())
        })?;
    }
}

/// The same lessons with points that differ from read to read.
fn with_points(plain: &Lessons, seed: u8, read: usize) -> Lessons {
    let point = |at: usize| {
        let degrees = u16::try_from((usize::from(seed) + at * 37 + read) % 360).unwrap();
        let angle = f32::from(degrees).to_radians();
        vec![angle.cos(), angle.sin()]
    };
    let bullets: HashMap<_, _> =
        plain.playbook().bullets.iter().enumerate().map(|(at, bullet)| (bullet.id.clone(), point(at + 1))).collect();
    let mut lessons = plain.clone();
    let (by, query) = ("embeddings:laws".to_owned(), point(0).into());
    lessons.set_meaning(Some(Meaning { by, bullets: Arc::new(bullets), query }));
    lessons
}

fn keeps_to_its_share(epoch: &EpochRecord) -> bool {
    let tokens: u32 = epoch.sections.iter().filter_map(of_playbook).sum();
    tokens * 5 <= epoch.room
}

fn of_playbook(section: &Section) -> Option<u32> {
    (section.kind == PieceKind::Playbook).then_some(section.tokens)
}

fn excerpt_of(served: &Served) -> Option<(Vec<String>, u32)> {
    let piece = served.receipt.pieces.iter().find(|piece| piece.kind == PieceKind::Playbook)?;
    Some((piece.bullets.iter().map(ToString::to_string).collect(), piece.tokens))
}
