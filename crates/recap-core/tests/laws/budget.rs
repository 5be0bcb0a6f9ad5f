//! Laws 2, 3 and 7: what is served fits, is valid, and there is always an answer.

use proptest::prelude::*;
use recap_core::context::{ContextError, ContextRequest, Reformatting, Served, Session, admit};
use recap_core::tokens::{Counter, REPLY_TOKENS, for_model};
use recap_core::trajectory::{OutFormat, Rendered, check_valid, count_rendered};

use crate::world::{Case, case, cases, cheap};

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn law_2_the_budget_is_true(case in case(0..700)) {
        within_budget(&case, &cheap())?;
    }

    #[test]
    fn law_3_sequences_are_valid(case in case(20..900)) {
        let counter = cheap();
        case.play(&counter, |answer| {
            let Ok(served) = answer.result else { return Ok(()) };
            let valid = check_valid(answer.request.format, served.system.as_deref(), &served.messages);
            prop_assert!(valid.is_ok(), "{valid:?}: {:#?}", served.messages);
            Ok(())
        })?;
    }

    #[test]
    fn law_7_there_is_always_an_answer(case in case(0..60), tiny in 0..64_u32, reserve in 0..80_u32) {
        let counter = cheap();
        let budget = tiny;
        case.play(&counter, |answer| {
            let request = ContextRequest { budget, reserve, ..answer.request.clone() };
            answers(&answer.result)?;
            answers(&answer.world.session.serve(&request))?;
            answers(&answer.world.session.compact(&request))
        })?;
    }
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn law_2_the_budget_is_true_by_a_models_own_count(case in case(40..500)) {
        within_budget(&case, &for_model(Some("gpt-4o")))?;
    }

    #[test]
    fn law_2_the_budget_is_true_by_an_approximation(case in case(40..500)) {
        within_budget(&case, &for_model(Some("claude-sonnet-4-5")))?;
    }
}

fn answers(result: &Result<Served, ContextError>) -> Result<(), TestCaseError> {
    if let Err(ContextError::BudgetTooSmall { budget, minimum_budget }) = result {
        prop_assert!(minimum_budget > budget, "{minimum_budget} would do, {budget} does not");
    }
    Ok(())
}

fn within_budget(case: &Case, counter: &Counter) -> Result<(), TestCaseError> {
    case.play(counter, |answer| match &answer.result {
        Ok(served) => {
            let tools = answer.world.settings.tools_tokens;
            fits(served, answer.request, tools, counter)
        }
        Err(ContextError::BudgetTooSmall { minimum_budget, .. }) => {
            let minimum_budget = *minimum_budget;
            minimum_is_least(&mut answer.world.session, answer.request, minimum_budget)
        }
    })
}

fn fits(served: &Served, request: &ContextRequest, tools: u32, counter: &Counter) -> Result<(), TestCaseError> {
    let tokens = &served.receipt.tokens;
    let sum = recount(served, request.format, counter) + tools + REPLY_TOKENS;
    prop_assert!(sum <= tokens.total, "counts {sum}, the receipt says {}", tokens.total);
    prop_assert!(tokens.total <= request.limit(), "{} of {}", tokens.total, request.limit());
    prop_assert_eq!(tokens.by_source.values().sum::<u32>(), tokens.total, "{:?}", &tokens.by_source);
    Ok(())
}

/// Counts what is served as its provider sees it.
fn recount(served: &Served, format: OutFormat, counter: &Counter) -> u32 {
    if let Some(text) = &served.text {
        return counter.count(text);
    }
    let rendered = Rendered { system: served.system.clone(), messages: served.messages.clone(), ..Rendered::default() };
    count_rendered(&rendered, format, &**counter).total().tokens
}

/// The least budget does when asked again at once, and one that is clearly less does not.
fn minimum_is_least(session: &mut Session, request: &ContextRequest, minimum: u32) -> Result<(), TestCaseError> {
    let enough = ContextRequest { budget: minimum, ..request.clone() };
    let served = session.serve(&enough);
    prop_assert!(served.is_ok(), "{minimum} should do: {:?}", served.err());
    let beside = minimum - request.reserve;
    let less = ContextRequest { budget: request.reserve + beside - beside / 20 - 1, ..request.clone() };
    let refused = session.serve(&less);
    prop_assert!(refused.is_err(), "{minimum} is said to be least, {} does", less.budget);
    Ok(())
}

#[test]
fn law_7_an_observation_larger_than_the_budget_is_cut() {
    let counter = cheap();
    let giant = "x".repeat(60_000);
    let natives = [
        serde_json::json!({"role": "user", "content": "Look."}),
        serde_json::json!({"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]}),
        serde_json::json!({"role": "tool", "tool_call_id": "a", "content": giant}),
    ];
    let mut session = Session::new(crate::world::settings(&counter));
    for native in &natives {
        let message = crate::world::message(recap_core::trajectory::WireFormat::OpenAi, native);
        session.append(vec![admit(message, &*counter, Reformatting::On)]);
    }
    let request = ContextRequest {
        budget: 1_000,
        reserve: 0,
        format: OutFormat::OpenAi,
        query: None,
        include: recap_core::context::Include::default(),
    };
    let served = session.serve(&request).unwrap();
    assert!(served.receipt.tokens.total <= 1_000);
    assert_eq!(served.receipt.omitted.len(), 1);
}
