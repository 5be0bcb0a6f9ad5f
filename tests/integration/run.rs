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

/// A run of which later actions use what earlier results say.
#[cfg(feature = "local-models")]
pub fn export_run(task: usize) -> Vec<Value> {
    let mut messages = tool_run(14, 160);
    for turn in 4..14 {
        let job = ((turn - 3) * 7919 + 104_729 * (task % 5)) % 9973;
        let arguments = json!({ "job": job, "rows": job * 3 }).to_string();
        messages[2 + 2 * turn]["tool_calls"][0]["function"]["arguments"] = json!(arguments);
    }
    messages
}

/// A run of another kind: guests' stays in records, and the agent names what it was told some turns before.
#[cfg(feature = "local-models")]
pub fn desk_run(task: usize) -> Vec<Value> {
    let code = |turn: usize| format!("RES{}QX", 1000 + 37 * task + turn);
    let stay = |turn: usize| {
        let guest = ["Ada Lovelace", "Emmy Noether", "Mary Somerville"][turn % 3];
        let words = "The guest asked for a quiet room and for a late breakfast on each of the days. ".repeat(9);
        json!({ "reservation": code(turn), "guest": guest, "hotel": { "name": "Villa Aurora", "city": "Trieste" },
            "mail": format!("guest{turn}@example.org"), "nights": 2 + turn % 5, "notes": words })
    };
    let mut messages = vec![
        json!({ "role": "system", "content": "You work at the desk of a hotel." }),
        json!({ "role": "user", "content": "Please look after the stays of my family, one after the other." }),
    ];
    for turn in 0..14_usize {
        let id = format!("call_{turn}");
        let arguments = json!({ "reservation": code(turn.saturating_sub(3)) }).to_string();
        let call = json!({ "id": id, "type": "function", "function": { "name": "get_stay", "arguments": arguments } });
        messages.push(json!({ "role": "assistant", "content": null, "tool_calls": [call] }));
        messages.push(json!({ "role": "tool", "tool_call_id": id, "content": stay(turn).to_string() }));
    }
    messages
}
