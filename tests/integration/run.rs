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
    let arguments = json!({ "path": format!("/srv/export/part-{turn}.log"), "lines": 40 + turn }).to_string();
    [
        json!({ "role": "assistant", "content": format!("Reading part {turn} of the log."),
                "tool_calls": [{ "id": id, "type": "function", "function": { "name": "read_file", "arguments": arguments } }] }),
        json!({ "role": "tool", "tool_call_id": id, "content": observation(turn, words) }),
    ]
}

fn observation(turn: usize, words: usize) -> String {
    let line = |line: usize| {
        let (code, worker, shard) = ((turn * 7919 + line * 104_729) % 9973, line % 7, line % 5);
        let day = turn % 28 + 1;
        format!("2026-03-{day:02} worker-{worker} job {code} wrote {} rows to shard {shard}\n", code * 3)
    };
    (0..words / 8).map(line).collect::<Vec<_>>().concat()
}
