//! Law 12: every result names its makers.

use proptest::prelude::*;
use recap_core::context::{PieceKind, RULES};

use crate::models::maker;
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
            }
            prop_assert_eq!(&served.receipt.tokens.counter, "thirds");
            for piece in &served.receipt.pieces {
                let written = piece.kind != PieceKind::Verbatim;
                let model = maker();
                let by_model = format!("{}+{RULES}", model.compressor);
                let rules = match piece.kind {
                    PieceKind::Observation => &settings.observation_guideline,
                    // no guideline chooses bullets; the playbook has its own makers in its log
                    PieceKind::Playbook => &None,
                    _ => &settings.guideline,
                };
                let guideline = match piece.compressor.as_deref() {
                    Some(RULES) => rules,
                    Some(compressor) if compressor == by_model => &model.guideline,
                    None if !written => continue,
                    other => return Err(TestCaseError::fail(format!("{other:?} made {piece:?}"))),
                };
                prop_assert_eq!(piece.kind == PieceKind::Playbook, piece.playbook.is_some());
                prop_assert!(!written || piece.guideline == *guideline, "{piece:?}");
            }
            Ok(())
        })?;
    }
}
