//! Agents at work: their messages' JSON, turn by turn.

use recap_core::trajectory::WireFormat;
use serde_json::{Value, json};

use super::dice::Dice;
use super::texts::Text;

/// What sort of agent, and in which provider's format.
#[derive(Debug, Clone, Copy)]
pub enum Agent {
    OpenAiTools,
    AnthropicTools,
    WritesActions,
}

/// What tools reply with, in turn.
const REPLIES: [Text; 9] = [
    Text::Code,
    Text::Log,
    Text::JsonReply,
    Text::Listing,
    Text::TestOutput,
    Text::Grep,
    Text::Diff,
    Text::Prose,
    Text::StackTrace,
];

impl Agent {
    /// Every sort.
    pub const ALL: [Self; 3] = [Self::OpenAiTools, Self::AnthropicTools, Self::WritesActions];

    /// Returns the system message and the task, which all agents have alike.
    pub fn head() -> Vec<String> {
        let mut dice = Dice::new(0);
        let system = format!("You are an agent that mends software. {}", dice.sentence(120));
        let task = format!("Find out why order W0000410 fails. {}", dice.sentence(60));
        vec![
            json!({"role": "system", "content": system}).to_string(),
            json!({"role": "user", "content": task}).to_string(),
        ]
    }

    /// Returns the provider's format.
    pub fn format(self) -> WireFormat {
        match self {
            Self::OpenAiTools | Self::WritesActions => WireFormat::OpenAi,
            Self::AnthropicTools => WireFormat::Anthropic,
        }
    }

    /// Returns the messages of turn `n`: an action and its observation of 200 to 2,200 bytes.
    pub fn turn(self, n: u64) -> Vec<String> {
        let mut dice = Dice::new(n + 1);
        let bytes = 200 + usize::try_from(dice.below(2_000)).unwrap_or_default();
        let kind = REPLIES.get(usize::try_from(n).unwrap_or_default() % REPLIES.len());
        self.turn_with(n, &kind.map_or_else(String::new, |kind| kind.write(bytes, n)))
    }

    /// Returns the messages of turn `n` with a given observation.
    pub fn turn_with(self, n: u64, reply: &str) -> Vec<String> {
        let mut dice = Dice::new(n + 1);
        let say = format!("I look at {} because {}.", dice.path(), dice.sentence(9));
        let arguments = json!({"path": dice.path(), "line": dice.below(900), "name": dice.name()});
        let id = format!("call_{n}");
        let messages: [Value; 2] = match self {
            Self::OpenAiTools => [
                json!({"role": "assistant", "content": say, "tool_calls": [{"id": id, "type": "function", "function": {"name": "read_file", "arguments": arguments.to_string()}}]}),
                json!({"role": "tool", "tool_call_id": id, "content": reply}),
            ],
            Self::AnthropicTools => [
                json!({"role": "assistant", "content": [{"type": "text", "text": say}, {"type": "tool_use", "id": id, "name": "read_file", "input": arguments}]}),
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": reply}]}),
            ],
            Self::WritesActions => [
                json!({"role": "assistant", "content": format!("THOUGHT: {say}\n\n```bash\nsed -n 1,80p {}\n```", dice.path())}),
                json!({"role": "user", "content": reply}),
            ],
        };
        messages.iter().map(Value::to_string).collect()
    }
}
