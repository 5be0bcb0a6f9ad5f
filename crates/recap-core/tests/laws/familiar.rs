//! A trained head has a word on plans that are like those of its training, and on no others.

use std::sync::Arc;

use recap_core::context::{
    ActiveHead, Compression, ContextRequest, FEATURE_SET, FEATURES, Familiar, Features, Head, HeadWord, Include, Layer,
    Maker, Reformatting, Scored, Served, Session, Settings, admit, profile,
};
use recap_core::trajectory::{AgentKind, Limits, Message, OutFormat, WireFormat, parse_messages};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::models::SCORER;
use crate::world::{cheap, settings};

fn run() -> Vec<Message> {
    let mut values = vec![json!({ "role": "user", "content": "Find out why the export fails." })];
    for turn in 0..30 {
        let id = format!("call_{turn}");
        let arguments = json!({ "path": format!("/srv/part-{turn}.log") }).to_string();
        let lines =
            (0..12).map(|line| format!("worker-{line} job {} wrote {} rows\n", turn * 7919 + line, turn * line));
        let call = json!({ "id": id, "type": "function", "function": { "name": "read_file", "arguments": arguments } });
        values.push(json!({ "role": "assistant", "content": null, "tool_calls": [call] }));
        values.push(json!({ "role": "tool", "tool_call_id": id, "content": lines.collect::<String>() }));
    }
    let natives: Vec<Box<RawValue>> = values.iter().map(|value| to_raw_value(value).unwrap()).collect();
    let raws: Vec<&RawValue> = natives.iter().map(AsRef::as_ref).collect();
    parse_messages(WireFormat::OpenAi, &raws, &Limits::default()).unwrap()
}

/// A head that says of each value what its age says.
fn head(familiar: Option<Familiar>) -> Arc<ActiveHead> {
    let mut weights = vec![0.0; FEATURES];
    weights[0] = 1.0;
    let layers = vec![Layer { weights: vec![weights], bias: vec![0.0] }];
    let file = Head { features: FEATURE_SET.to_owned(), layers, familiar }.to_bytes().unwrap();
    Arc::new(ActiveHead::parse(std::str::from_utf8(&file).unwrap()).unwrap())
}

/// A training in which every plan had this profile.
fn of_one_kind(profile: Features) -> Familiar {
    Familiar { means: profile.to_vec(), deviations: vec![0.0; FEATURES], limit: 0.01 }
}

fn session(head: Option<Arc<ActiveHead>>, scored: bool) -> Session {
    let counter = cheap();
    let mut session = Session::new(Settings { head, ..settings(&counter) });
    let messages = run();
    let admitted = messages.into_iter().map(|message| admit(message, &*counter, Reformatting::On));
    session.append(admitted.collect());
    let by = Maker { compressor: SCORER.to_owned(), ..Maker::default() };
    for turn in 1..=20 {
        let scores = (0..12).map(|line| (line, 0.9)).collect();
        let scored = scored.then(|| Scored { turn, agent_kind: AgentKind::Tool, scores, by: by.clone() });
        assert!(scored.is_none_or(|scored| session.take(Compression::Scored(scored))));
    }
    session
}

fn request(budget: u32) -> ContextRequest {
    ContextRequest { budget, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() }
}

fn served(head: Option<Arc<ActiveHead>>, scored: bool) -> (Served, Features) {
    let (mut session, request) = (session(head, scored), request(1_500));
    let served = session.serve(&request).unwrap();
    let values = session.seen_values(&request.line_key());
    let looks = profile(values.iter().map(|value| &value.features)).unwrap();
    (served, looks)
}

fn makers(served: &Served) -> Vec<&str> {
    let sections = served.new_epoch.iter().flat_map(|epoch| &epoch.sections);
    sections.filter_map(|section| section.by.as_ref()).map(|by| by.compressor.as_str()).collect()
}

#[test]
fn a_plan_unlike_those_of_its_training_is_left_to_rules() {
    let (by_rules, looks) = served(None, false);
    assert_eq!((by_rules.head_word, makers(&by_rules).len()), (None, 0));
    let mut other = looks;
    other[8..20].fill(0.9);
    let (alien, _) = served(Some(head(Some(of_one_kind(other)))), false);
    assert_eq!((alien.head_word, &alien.messages), (Some(HeadWord::Unfamiliar), &by_rules.messages));
    assert_eq!(makers(&alien).len(), 0);
    for knowing in [Some(of_one_kind(looks)), None] {
        let (own, _) = served(Some(head(knowing)), false);
        assert_eq!(own.head_word, Some(HeadWord::Asked));
        assert!(!makers(&own).is_empty() && makers(&own).iter().all(|by| by.starts_with("extract:head@")));
        assert_ne!(own.messages, by_rules.messages);
    }
}

#[test]
fn a_rerankers_score_makes_no_plan_unlike_those_of_the_training() {
    let (_, looks) = served(None, false);
    let (_, with_scores) = served(None, true);
    let differ: Vec<usize> = (0..FEATURES).filter(|at| looks[*at].to_bits() != with_scores[*at].to_bits()).collect();
    assert_eq!(differ, [53], "the score is the last number of a line");
    let (scored, _) = served(Some(head(Some(of_one_kind(looks)))), true);
    assert_eq!(scored.head_word, Some(HeadWord::Asked));
}

#[test]
fn of_an_epoch_that_covers_nothing_there_is_nothing_to_ask() {
    let mut session = session(Some(head(Some(of_one_kind([0.0; FEATURES])))), false);
    let whole = session.serve(&request(100_000)).unwrap();
    assert_eq!((whole.new_epoch.map(|epoch| epoch.covered), whole.head_word), (Some(0), None));
    let again = session.serve(&request(100_000)).unwrap();
    assert_eq!((again.new_epoch, again.head_word), (None, None));
}
