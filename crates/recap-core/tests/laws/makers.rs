//! Law 12: every result names its makers.

use proptest::prelude::*;
use recap_core::context::{PieceKind, RULES, WORDS};

use crate::models::{GUIDELINE, SCORER, maker, teller, told_in};
use crate::world::{case, cases, cheap};

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn law_12_every_result_names_its_makers(case in case(30..700)) {
        case.play(&cheap(), |answer| {
            let Ok(served) = answer.result else { return Ok(()) };
            let settings = &answer.world.settings;
            if let Some(epoch) = &served.new_epoch {
                prop_assert_eq!(&epoch.maker, &settings.maker);
                prop_assert_eq!(&epoch.line, &answer.request.line_key());
                for section in &epoch.sections {
                    let makers = section.by.as_ref().map_or("", |by| &by.compressor);
                    for [first, _] in told_in(&section.text) {
                        let teller = teller(first).compressor;
                        prop_assert!(makers.split('+').any(|maker| maker == teller), "{teller} in {makers}");
                    }
                }
            }
            prop_assert_eq!(&served.receipt.tokens.counter, "thirds");
            for piece in &served.receipt.pieces {
                let written = piece.kind != PieceKind::Verbatim;
                let rules = match piece.kind {
                    PieceKind::Observation => settings.observation_guideline.as_deref(),
                    _ => settings.guideline.as_deref(),
                };
                let Some(compressor) = piece.compressor.as_deref() else {
                    prop_assert!(!written, "nobody made {piece:?}");
                    continue;
                };
                prop_assert_eq!(piece.kind == PieceKind::Playbook, piece.playbook.is_some());
                let mut makers: Vec<&str> = compressor.split('+').collect();
                prop_assert_eq!(makers.pop(), Some(RULES));
                // no guideline chooses bullets; the playbook has its own makers in its log
                if piece.kind == PieceKind::Playbook {
                    prop_assert!(makers.iter().all(|name| *name == WORDS), "{piece:?}");
                    prop_assert!(piece.guideline.is_none() && piece.facts_appended.is_none(), "{piece:?}");
                    continue;
                }
                let tells = |name: &&str| [teller(1), teller(2), maker()].iter().any(|maker| maker.compressor == **name);
                prop_assert!(makers.iter().all(|name| *name == SCORER || tells(name)), "{piece:?}");
                let guideline = if makers.iter().any(tells) { Some(GUIDELINE) } else { rules };
                prop_assert!(!written || piece.guideline.as_deref() == guideline, "{piece:?}");
            }
            Ok(())
        })?;
    }
}
