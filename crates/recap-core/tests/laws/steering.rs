//! What a guideline favours and how it weighs shows in a recap.

use std::sync::Arc;

use recap_core::compress::{Guideline, GuidelineKind, RulesMatcher};
use recap_core::context::{ContextRequest, Include, Reformatting, Session, Settings, Weights, admit};
use recap_core::trajectory::{OutFormat, WireFormat};
use serde_json::{Value, json};

use crate::world::{cheap, message, settings, words_of};

/// Rows of orders with paths, and one of words alone in an early turn.
fn natives() -> Vec<Value> {
    let mut natives = vec![json!({"role": "user", "content": "Send the parcel."})];
    for step in 1..12 {
        let id = format!("c{step}");
        let call = json!({"id": id, "type": "function", "function": {"name": "look", "arguments": "{}"}});
        natives.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
        let row = |row: u32| format!("ORD-{step}{row:03} weighs {} g, shelf stock/bay{step}/{row}.bin", row * 37);
        let mut rows: Vec<String> = (0..40).map(row).collect();
        if step == 2 {
            rows.insert(20, "the courier rings twice and leaves by the yard".to_owned());
        }
        natives.push(json!({"role": "tool", "tool_call_id": id, "content": rows.join("\n")}));
    }
    natives
}

fn recap_under(guideline: &str) -> String {
    let counter = cheap();
    let guideline = Guideline::parse_as(GuidelineKind::History, guideline).unwrap();
    let history_rules = Arc::new(RulesMatcher::new(&guideline.rules).unwrap());
    let weights = Weights::default().under(&guideline.weigh);
    let mut session = Session::new(Settings { history_rules, weights, ..settings(&counter) });
    for native in natives() {
        session.append(vec![admit(message(WireFormat::OpenAi, &native), &*counter, Reformatting::On)]);
    }
    let include = Include { playbook: false, facts: false, recalled: false };
    let request = ContextRequest { budget: 3_000, reserve: 0, format: OutFormat::OpenAi, query: None, include };
    words_of(&session.serve(&request).unwrap())
}

#[test]
fn a_favoured_line_comes_before_lines_of_values() {
    let courier = "the courier rings twice";
    assert!(!recap_under("").contains(courier));
    assert!(recap_under("---\nfavour: [{pattern: courier, worth: 3}]\n---\n").contains(courier));
    let both = "---\ndrop: [twice]\nfavour: [{pattern: courier, worth: 3}]\n---\n";
    assert!(!recap_under(both).contains(courier), "a dropped line stays out");
}

#[test]
fn weights_change_what_a_recap_is_made_of() {
    let plain = recap_under("");
    assert_eq!(recap_under("---\nweigh: {path: 0.43}\n---\n"), plain, "the default by its name");
    assert_ne!(recap_under("---\nweigh: {density: 0.3, age: 0, crowd: 0}\n---\n"), plain);
}
