//! What the agents under measure say: tool calls and tool output of a coding agent, never the same text twice.

use std::fmt::Write as _;

use serde_json::json;

/// Words that paths, names and prose are made of.
const WORDS: [&str; 48] = [
    "account", "buffer", "cache", "channel", "client", "config", "cursor", "decode", "driver", "encode", "engine",
    "error", "event", "filter", "format", "frame", "handle", "header", "index", "input", "journal", "layer", "ledger",
    "length", "limit", "loader", "merge", "message", "module", "number", "offset", "output", "parser", "policy",
    "queue", "reader", "record", "render", "request", "result", "router", "schema", "server", "session", "signal",
    "stream", "token", "writer",
];

/// One agent: its own stream of texts.
pub struct Agent {
    state: u64,
    calls: u64,
}

impl Agent {
    /// Makes the agent of a number; equal numbers say the same.
    pub fn new(number: u64) -> Self {
        Self { state: number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, calls: 0 }
    }

    /// Returns the body of an append of the system prompt and the task.
    pub fn opening(&mut self) -> String {
        let task =
            format!("The {} of {} fails since the last release. Find out why and mend it.", self.word(), self.path());
        let messages = [
            json!({"role": "system", "content": "You are a careful engineer. Work in small steps and run the tests."}),
            json!({"role": "user", "content": task}),
        ];
        json!({ "messages": messages }).to_string()
    }

    /// Returns the body of an append of `turns` tool calls, each with its result: 0.2 and 0.7–1.1 KB.
    pub fn turns(&mut self, turns: usize) -> String {
        let messages: Vec<_> = (0..turns).flat_map(|_| self.turn()).collect();
        json!({ "messages": messages }).to_string()
    }

    fn turn(&mut self) -> [serde_json::Value; 2] {
        self.calls += 1;
        let id = format!("call_{:08x}{:04x}", self.next() >> 32, self.calls);
        let (command, output) = match self.next() % 3 {
            0 => (format!("grep -rn '{}' {}", self.word(), self.path()), self.lines(Self::grep_line)),
            1 => (format!("sed -n '{},+20p' {}", self.next() % 900, self.path()), self.lines(Self::code_line)),
            _ => (format!("cargo test {}::{}", self.word(), self.word()), self.lines(Self::log_line)),
        };
        let said = format!("The {} may come from the {}; I look at it next.", self.word(), self.word());
        let arguments = json!({ "command": command }).to_string();
        let call = json!({"id": id, "type": "function", "function": {"name": "bash", "arguments": arguments}});
        [
            json!({"role": "assistant", "content": said, "tool_calls": [call]}),
            json!({"role": "tool", "tool_call_id": id, "content": output}),
        ]
    }

    fn lines(&mut self, line: fn(&mut Self, &mut String)) -> String {
        let bytes = 600 + self.below(400);
        let mut text = String::with_capacity(bytes + 120);
        while text.len() < bytes {
            line(self, &mut text);
            text.push('\n');
        }
        text
    }

    fn grep_line(&mut self, text: &mut String) {
        let (path, at, name, value) = (self.path(), self.next() % 900, self.word(), self.word());
        push(text, format_args!("{path}:{at}:    let {name} = {value}.{}(&self.{})?;", self.word(), self.word()));
    }

    fn code_line(&mut self, text: &mut String) {
        let (name, value) = (self.word(), self.word());
        match self.next() % 3 {
            0 => {
                push(text, format_args!("        if {name}.len() > {} {{ return Err({value}); }}", self.next() % 5000));
            }
            1 => push(text, format_args!("    /// Returns the {name} of the {value} before the {}.", self.word())),
            _ => push(text, format_args!("    pub fn {name}_{value}(&self, {}: u64) -> usize {{", self.word())),
        }
    }

    fn log_line(&mut self, text: &mut String) {
        let (module, name) = (self.word(), self.word());
        match self.next() % 8 {
            0 => push(
                text,
                format_args!("error: {module}::{name} was {} where {} was due", self.next() % 997, self.word()),
            ),
            _ => push(text, format_args!("test {module}::{name}_{} ... ok ({} ms)", self.word(), self.next() % 400)),
        }
    }

    fn path(&mut self) -> String {
        format!("src/{}/{}_{}.rs", self.word(), self.word(), self.next() % 100)
    }

    fn word(&mut self) -> &'static str {
        let at = self.below(WORDS.len());
        WORDS.get(at).copied().unwrap_or_default()
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or(0)
    }

    /// The high bits of an xorshift generator.
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    text.write_fmt(line).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_say_new_things_of_the_announced_size() {
        let mut agent = Agent::new(7);
        let (first, second) = (agent.turns(2), agent.turns(2));
        assert_ne!(first, second);
        assert!((1_600..3_600).contains(&first.len()), "{}", first.len());
        let mut same = Agent::new(7);
        assert_eq!(same.turns(2), first);
    }
}
