//! Law 12: every result names its makers.

use proptest::prelude::*;
use recap_core::context::{PieceKind, RULES};

use crate::world::{case, cheap};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

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
                prop_assert!(!written || piece.compressor.as_deref() == Some(RULES), "{piece:?}");
                prop_assert!(!written || piece.guideline == settings.guideline, "{piece:?}");
            }
            Ok(())
        })?;
    }
}
