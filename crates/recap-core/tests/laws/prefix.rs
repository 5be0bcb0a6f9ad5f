//! Law 5: prefixes are stable, epochs are announced and last, a restart changes nothing.

use proptest::prelude::*;
use recap_core::context::{ContextRequest, EpochRecord, Served, Session};
use recap_core::trajectory::OutFormat;

use crate::world::{Answer, ByLine, Case, blocks_of, case, cheap};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn law_5_contexts_only_grow_within_an_epoch(case in case(30..900)) {
        let mut lines: ByLine<Served> = ByLine::new();
        case.play(&cheap(), |answer| {
            let Ok(served) = answer.result else { return Ok(()) };
            if let Some(before) = lines.get(&same_line(&case, answer.request)) {
                follows(before, &served)?;
            }
            lines.insert(same_line(&case, answer.request), served);
            Ok(())
        })?;
    }

    #[test]
    fn law_5_an_epoch_leaves_space_to_grow(case in case(60..700)) {
        case.play(&cheap(), leaves_space)?;
    }

    #[test]
    fn law_5_a_restart_serves_the_same_bytes(case in case(30..700)) {
        let counter = cheap();
        let mut records: ByLine<EpochRecord> = ByLine::new();
        case.play(&counter, |answer| {
            let Ok(served) = answer.result else { return Ok(()) };
            records.extend(served.new_epoch.clone().map(|record| (same_line(&case, answer.request), record)));
            let mut again = Session::new(answer.world.settings.clone());
            let length = answer.world.messages.len();
            again.append(case.admitted(&counter).into_iter().take(length).collect());
            for record in records.values() {
                again.install_epoch(record.clone());
            }
            let restarted = again.serve(answer.request).expect("it was served before");
            prop_assert!(restarted.new_epoch.is_none(), "{:?}", restarted.new_epoch);
            prop_assert_eq!(&restarted.messages, &served.messages);
            prop_assert_eq!(&restarted.system, &served.system);
            prop_assert_eq!(&restarted.text, &served.text);
            prop_assert_eq!(&restarted.receipt.tokens, &served.receipt.tokens);
            Ok(())
        })?;
    }
}

/// The first of the case's lines with the same key: two equal requests are one line.
fn same_line(case: &Case, request: &ContextRequest) -> usize {
    let key = request.line_key();
    case.lines.iter().position(|line| line.line_key() == key).expect("it is one of them")
}

fn follows(before: &Served, after: &Served) -> Result<(), TestCaseError> {
    let grown = starts_with(before, after);
    let (old, new) = (&before.receipt, &after.receipt);
    prop_assert!(new.epoch == old.epoch || new.epoch == old.epoch + 1);
    prop_assert_eq!(new.epoch > old.epoch, after.new_epoch.is_some());
    if new.epoch == old.epoch {
        prop_assert!(grown, "epoch {} changed: {:#?} then {:#?}", new.epoch, blocks_of(before), blocks_of(after));
        prop_assert!(!new.prefix.changed && new.prefix.recache_tokens == 0, "{:?}", new.prefix);
    }
    if !grown {
        prop_assert!(new.prefix.changed, "{:?}: {:#?} then {:#?}", new.prefix, blocks_of(before), blocks_of(after));
    }
    prop_assert!(new.prefix.stable_tokens + new.prefix.recache_tokens <= new.tokens.total);
    Ok(())
}

fn starts_with(before: &Served, after: &Served) -> bool {
    match (&before.text, &after.text) {
        (Some(before), Some(after)) => after.starts_with(before),
        _ => blocks_of(after).starts_with(&blocks_of(before)),
    }
}

/// A new epoch takes at most about the low mark, unless the last turn is itself large; then there is a quarter of the
/// room for the block.
fn leaves_space(answer: Answer<'_>) -> Result<(), TestCaseError> {
    let Ok(served) = answer.result else {
        return Ok(());
    };
    let Some(epoch) = served.new_epoch.filter(|epoch| epoch.cause == "room") else {
        return Ok(());
    };
    if answer.request.format == OutFormat::Text || answer.request.format == OutFormat::Responses {
        return Ok(());
    }
    let last = answer.world.last_servable();
    let last_tokens: u32 = served
        .receipt
        .pieces
        .iter()
        .filter(|piece| piece.turns.first().is_some_and(|turn| *turn as usize == last))
        .map(|piece| piece.tokens)
        .sum();
    let taken = epoch.room.saturating_sub(answer.request.limit() - served.receipt.tokens.total);
    let most = (epoch.room / 2).max(last_tokens + epoch.room / 4) + epoch.room / 10 + 64;
    prop_assert!(taken <= most, "{taken} of {} are taken, the last turn takes {last_tokens}", epoch.room);
    Ok(())
}
