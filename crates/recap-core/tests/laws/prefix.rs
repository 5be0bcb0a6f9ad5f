//! Law 5: prefixes are stable, epochs are announced and last, a restart changes nothing.

use proptest::prelude::*;
use recap_core::context::{ContextError, ContextRequest, EpochRecord, Include, Reformatting, Served, Session, admit};
use recap_core::trajectory::{AgentKind, OutFormat, WireFormat};

use crate::world::{Answer, ByLine, Case, blocks_of, case, cases, cheap, message, settings};

proptest! {
    #![proptest_config(cases(40))]

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
    fn law_5_lines_do_not_disturb_each_other(case in case(30..700)) {
        // what a model makes for one line serves the others, too
        let case = Case { models: false, ..case };
        let counter = cheap();
        let mut together: ByLine<Vec<Result<Served, ContextError>>> = ByLine::new();
        case.play(&counter, |answer| {
            together.entry(same_line(&case, answer.request)).or_default().push(answer.result);
            Ok(())
        })?;
        for (line, expected) in &together {
            let mut alone = Vec::new();
            case.play_lines(&counter, |request| same_line(&case, request) == *line, |answer| {
                alone.push(answer.result);
                Ok(())
            })?;
            prop_assert_eq!(&alone, expected);
        }
    }

    #[test]
    fn law_5_an_epoch_ends_only_to_make_room(case in case(60..900)) {
        let mut lines: ByLine<(usize, u32)> = ByLine::new();
        let counter = cheap();
        let admitted = case.admitted(&counter);
        case.play(&counter, |answer| {
            let Ok(served) = answer.result else { return Ok(()) };
            let length = answer.world.messages.len();
            let line = same_line(&case, answer.request);
            let before = lines.insert(line, (length, served.receipt.tokens.total));
            let (Some((old, total)), Some(epoch)) = (before, &served.new_epoch) else { return Ok(()) };
            if epoch.cause == "room" {
                // a turn that was open before stands in full only now, so all that came after the head may be new
                let new: u32 = admitted[old.saturating_sub(8)..length].iter().map(|new| new.served_tokens + 24).sum();
                let limit = answer.request.limit();
                prop_assert!(total + new > limit, "{total} and at most {new} are no more than {limit}");
            }
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
            let mut again = case.world(&counter).session;
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

#[test]
fn law_5_an_epoch_ends_when_the_kind_of_agent_shows() {
    let counter = cheap();
    let thought = |at: usize| {
        format!("THOUGHT: {}\n\n```bash\nls {at}\n```", "I wonder where it is. ".repeat(if at == 0 { 90 } else { 1 }))
    };
    let said = |role: &str, content: String| {
        let native = serde_json::json!({"role": role, "content": content});
        admit(message(WireFormat::OpenAi, &native), &*counter, Reformatting::On)
    };
    let request =
        ContextRequest { budget: 500, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() };
    let mut messages = vec![said("user", "Find it.".to_owned())];
    let mut session = Session::new(settings(&counter));
    let mut record = None;
    let mut before: Option<Served> = None;
    for at in 0..4 {
        messages.push(said("assistant", thought(at)));
        messages.push(said("user", format!("{at}: {}", "one and another file ".repeat(3))));
        let new = messages.get(usize::try_from(session.length()).unwrap()..).unwrap_or_default().to_vec();
        session.append(new);
        let served = session.serve(&request).unwrap();
        if let Some(before) = before.replace(served.clone()) {
            follows(&before, &served).unwrap();
        }
        let mut again = Session::new(settings(&counter));
        again.append(messages.clone());
        record.clone().into_iter().for_each(|record| again.install_epoch(record));
        let restarted = again.serve(&request).unwrap();
        assert_eq!((restarted.receipt.epoch, restarted.messages), (served.receipt.epoch, served.messages));
        record = served.new_epoch.or(record);
    }
    assert_eq!(session.agent_kind(), Some(AgentKind::Text));
}

#[test]
fn law_5_a_kept_recap_leaves_space_for_a_large_observation() {
    let counter = cheap();
    let said = |role: &str, content: String| {
        let native = serde_json::json!({"role": role, "content": content});
        admit(message(WireFormat::OpenAi, &native), &*counter, Reformatting::On)
    };
    let log = |of: &str, lines: u32| {
        (0..lines).map(|n| format!("{of}{n}.rs:{n}: took {} ms", n * 7919 % 1000)).collect::<Vec<_>>().join("\n")
    };
    let thought = |at: u32| said("assistant", format!("THOUGHT: I look.\n\n```bash\nls {at}\n```"));
    let request = ContextRequest {
        budget: 1000,
        reserve: 0,
        format: OutFormat::OpenAi,
        query: None,
        include: Include::default(),
    };
    let mut session = Session::new(settings(&counter));
    session.append(vec![
        said("system", "Be brief.".to_owned()),
        said("user", "Find it.".to_owned()),
        thought(0),
        said("user", log("src/old", 300)),
        thought(1),
    ]);
    let before = session.serve(&request).unwrap();
    assert!(before.receipt.tokens.total > 700, "the recap takes the room: {}", before.receipt.tokens.total);
    session.append(vec![said("user", log("src/new", 200))]);
    let served = session.serve(&request).unwrap();
    let newest = served.messages.last().unwrap();
    assert!(newest.len() > 1500, "the newest observation is worth more than an old recap: {newest}");
}

#[test]
fn law_5_other_settings_go_on_with_the_next_epoch() {
    let counter = cheap();
    let mut session = Session::new(settings(&counter));
    let native = serde_json::json!({"role": "user", "content": "Find it."});
    session.append(vec![admit(message(WireFormat::OpenAi, &native), &*counter, Reformatting::On)]);
    let request =
        ContextRequest { budget: 500, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() };
    let record = session.serve(&request).unwrap().new_epoch.unwrap();
    session.install_epoch(EpochRecord { maker: "another".to_owned(), ..record });
    let served = session.serve(&request).unwrap();
    assert_eq!(served.receipt.epoch, 1);
    assert_eq!(served.new_epoch.unwrap().cause, "settings");
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
    let room = f64::from(epoch.room);
    let landing = room * answer.world.settings.marks.low;
    let beside_last = f64::from(last_tokens) + room / 4.0;
    let most = landing.max(beside_last) + room / 20.0 + 64.0;
    prop_assert!(f64::from(taken) <= most, "{taken} of {room}: the last turn takes {last_tokens}");
    Ok(())
}
