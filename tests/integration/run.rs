//! Conversations that tests append.

use serde_json::{Value, json};

/// A tool agent's run of `turns` turns with observations of about `words` words.
pub fn tool_run(turns: usize, words: usize) -> Vec<Value> {
    let mut messages = vec![
        json!({ "role": "system", "content": "You are a careful engineer." }),
        json!({ "role": "user", "content": "Find out why the nightly export fails and mend it." }),
    ];
    for turn in 0..turns {
        messages.extend(tool_turn(turn, words));
    }
    messages
}

/// One turn: a call and its result.
pub fn tool_turn(turn: usize, words: usize) -> [Value; 2] {
    let id = format!("call_{turn}");
    let arguments =
        json!({ "path": format!("/srv/export/part-{turn}.log"), "lines": 40 + turn }).to_string();
    [
        json!({ "role": "assistant", "content": format!("Reading part {turn} of the log."),
                "tool_calls": [{ "id": id, "type": "function", "function": { "name": "read_file", "arguments": arguments } }] }),
        json!({ "role": "tool", "tool_call_id": id, "content": observation(turn, words) }),
    ]
}

fn observation(turn: usize, words: usize) -> String {
    (0..words / 8)
        .map(|line| {
            let code = (turn * 7919 + line * 104_729) % 9973;
            format!(
                "2026-03-{:02} worker-{} job {code} wrote {} rows to shard {}\n",
                turn % 28 + 1,
                line % 7,
                code * 3,
                line % 5
            )
        })
        .collect()
}
