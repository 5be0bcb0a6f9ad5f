//! Laws 1, 4 and 9: nothing vanishes, nothing grows, what is quoted was said.

use std::collections::HashSet;

use proptest::prelude::*;
use recap_core::context::{
    ContextRequest, EpochRecord, HistoryBy, Include, PieceKind, Prepares, Reformatting, Section, Served, Session,
    Settings, admit,
};
use recap_core::trajectory::{Message, Origin, OriginalHash, OutFormat, WireFormat};
use serde_json::json;

use crate::models::{LEAST, prepare, told_in};
use crate::pinned::texts;
use crate::world::{Case, World, case, cases, cheap, message, settings, words_of};

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn law_1_every_piece_names_originals(case in case(30..700)) {
        case.play(&cheap(), |answer| {
            let Ok(served) = answer.result else { return Ok(()) };
            let stored = originals(answer.world);
            for piece in &served.receipt.pieces {
                for original in &piece.originals {
                    prop_assert!(stored.contains(original), "{original} of {piece:?}");
                }
            }
            for original in served.receipt.omitted.iter().filter_map(|omitted| omitted.expand) {
                prop_assert!(stored.contains(&original), "{original}");
            }
            for handle in handles(&words_of(&served)) {
                let found = stored.iter().any(|original| original.to_string().starts_with(&handle));
                prop_assert!(found, "{handle} leads nowhere");
            }
            Ok(())
        })?;
    }

    #[test]
    fn law_1_what_a_model_told_names_all_its_originals(case in case(30..700)) {
        let case = Case { models: true, ..case };
        case.play(&cheap(), |answer| {
            let Some(epoch) = answer.result.ok().and_then(|served| served.new_epoch) else { return Ok(()) };
            names_all_told(&epoch, answer.world)
        })?;
    }

    #[test]
    fn law_1_every_turn_is_accounted_for(case in case(0..700)) {
        case.play(&cheap(), |answer| {
            let Ok(served) = answer.result else { return Ok(()) };
            let ranges: Vec<[u32; 2]> = accounted(&served);
            let last = answer.world.turns().len() - 1;
            for turn in 1..=u32::try_from(last).unwrap() {
                let found = ranges.iter().any(|[first, last]| (*first..=*last).contains(&turn));
                prop_assert!(found, "turn {turn} of {last}: {:#?}", served.receipt);
            }
            Ok(())
        })?;
    }

    #[test]
    fn law_4_nothing_grows(case in case(10..700)) {
        let counter = cheap();
        for admitted in case.admitted(&counter) {
            prop_assert!(admitted.served_tokens <= admitted.tokens);
        }
        case.play(&counter, |answer| {
            let Ok(served) = answer.result else { return Ok(()) };
            for piece in &served.receipt.pieces {
                if matches!(piece.kind, PieceKind::Observation | PieceKind::Recap) {
                    prop_assert!(piece.tokens < piece.full_tokens, "{piece:?}");
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn law_9_recaps_quote(case in case(30..500)) {
        // what a model tells is checked where its reply is accepted
        quotes(&Case { models: false, ..case })?;
    }
}

/// More originals than a section lists are no matter of this law.
const LISTED: usize = 256;

fn names_all_told(epoch: &EpochRecord, world: &World) -> Result<(), TestCaseError> {
    let turns = world.turns();
    for section in epoch.sections.iter().filter(|section| section.originals.len() < LISTED) {
        for [first, last] in told_in(&section.text) {
            for turn in &turns[first as usize..=last as usize] {
                let messages = world.of(turn).iter().filter(|message| message.origin == Origin::Agent);
                for text in messages.flat_map(texts) {
                    let found = section.originals.contains(&OriginalHash::of(&text));
                    prop_assert!(found, "{text:?} of turns {first} to {last} in {:?}", section.turns);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn law_1_a_telling_names_the_turns_of_the_section_before_it() {
    let counter = cheap();
    let told = Prepares { observations: false, history: HistoryBy::Told { least_tokens: LEAST } };
    let settings = Settings { prepares: told, ..settings(&counter) };
    let mut world = World { session: Session::new(settings.clone()), settings, messages: Vec::new() };
    let (format, include) = (OutFormat::OpenAi, Include { playbook: false, facts: false, recalled: false });
    let request = ContextRequest { budget: 2_000, reserve: 0, format, query: None, include };
    let mut crossing = 0;
    for step in 0..120 {
        let content =
            format!("Order ORD-{step:05} has {} units in /stock/{step}.bin. {}", step * 13, "On. ".repeat(40));
        let call =
            json!({"id": format!("c{step}"), "type": "function", "function": {"name": "look", "arguments": "{}"}});
        let asked = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        let natives = match step {
            0 => vec![json!({"role": "user", "content": "Count the orders."})],
            _ => vec![asked, json!({"role": "tool", "tool_call_id": format!("c{step}"), "content": content})],
        };
        for native in &natives {
            let message = message(WireFormat::OpenAi, native);
            world.messages.push(message.clone());
            world.session.append(vec![admit(message, &*counter, Reformatting::On)]);
        }
        if step % 5 == 0 {
            // several turns at once
            prepare(&mut world.session, &request, &counter);
        }
        let Some(epoch) = world.session.serve(&request).ok().and_then(|served| served.new_epoch) else { continue };
        names_all_told(&epoch, &world).unwrap();
        let crosses = |section: &&Section| told_in(&section.text).iter().any(|told| told[0] < section.turns[0]);
        crossing += epoch.sections.iter().filter(crosses).count();
    }
    assert!(crossing > 0, "no telling crosses from one section to the next");
}

fn originals(world: &World) -> HashSet<OriginalHash> {
    let texts = world.messages.iter().flat_map(Message::originals);
    texts.map(|text| OriginalHash::of(text)).collect()
}

/// Returns what looks like a handle in a text.
fn handles(text: &str) -> Vec<String> {
    let digits = |rest: &str| {
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    text.match_indices("b3:")
        .map(|(at, _)| format!("b3:{}", digits(&text[at + 3..])))
        .filter(|handle| handle.len() >= 11)
        .collect()
}

fn accounted(served: &Served) -> Vec<[u32; 2]> {
    let pieces = served.receipt.pieces.iter().filter_map(|piece| {
        let (first, last) = (piece.turns.first()?, piece.turns.last()?);
        Some([*first, *last])
    });
    pieces.chain(served.receipt.omitted.iter().map(|omitted| omitted.turns)).collect()
}

fn quotes(case: &Case) -> Result<(), TestCaseError> {
    let counter = cheap();
    let served_texts: Vec<String> = case
        .admitted(&counter)
        .iter()
        .flat_map(|admitted| {
            let lossless = admitted.reformatted.iter().flat_map(|edits| edits.texts.values());
            admitted.message.originals().chain(lossless).map(ToString::to_string).collect::<Vec<_>>()
        })
        .collect();
    let all = served_texts.join("\n");
    case.play(&counter, |answer| {
        let Some(epoch) = answer.result.ok().and_then(|served| served.new_epoch) else {
            return Ok(());
        };
        for section in epoch.sections.iter().filter(|section| section.kind != PieceKind::Playbook) {
            for line in section.text.lines() {
                // an excerpt follows its turn's number; a recap's line with a turn's number is a heading
                let excerpt = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map(|(_, rest)| rest);
                let line = excerpt.filter(|_| section.kind != PieceKind::Recap).unwrap_or(line);
                if is_frame(line) {
                    continue;
                }
                let line = line
                    .strip_prefix("Open after turn ")
                    .and_then(|open| open.split_once(": "))
                    .map_or(line, |open| open.1);
                prop_assert!(all.contains(line.trim()), "{line:?} was never said: {}", section.text);
            }
        }
        Ok(())
    })
}

/// Tells recapd's own lines: the frame, headings of turns, markers, the closing line.
fn is_frame(line: &str) -> bool {
    let turn = || {
        let inner = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        inner.is_some_and(|(inner, _)| inner.starts_with(|c: char| c.is_ascii_digit()))
    };
    let own = [
        "<recapd_context",
        "</recapd_context>",
        "Earlier turns of ",
        "Errors met in turn",
        "Exact values from earlier turns, in the words around them:",
        "Recalled from earlier turns, since it matches the newest one:",
        "…",
    ];
    own.iter().any(|own| line.starts_with(own)) || turn()
}
