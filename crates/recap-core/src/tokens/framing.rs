//! What a payload counts beside its texts: stated rules, on the safe side of what providers publish.

use serde_json::Value;

use super::counter::TokenCounter;

/// Tokens for each message: three of framing and one of role (OpenAI cookbook, "How to count tokens").
pub const MESSAGE_TOKENS: u32 = 4;

/// Tokens that prime the reply, once a payload.
pub const REPLY_TOKENS: u32 = 3;

/// Tokens for each tool call beside its name and arguments.
pub const CALL_TOKENS: u32 = 3;

/// Tokens for each content part after the first of a message: the break between them.
pub const PART_TOKENS: u32 = 1;

/// Tokens for each tool beside its name, description and schema.
pub const TOOL_TOKENS: u32 = 8;

/// Tokens for a list of tools that is not empty, once.
pub const TOOLS_TOKENS: u32 = 12;

/// Returns the tokens of a list of tool definitions: name, description and minified JSON text of the schema,
/// [`TOOL_TOKENS`] each, [`TOOLS_TOKENS`] once.
///
/// Takes OpenAI's Chat (`{"type":"function","function":{…}}`) and Responses forms and Anthropic's
/// (`input_schema`). A definition of another form counts as its JSON text.
#[must_use]
pub fn count_tools(tools: &[Value], counter: &dyn TokenCounter) -> u32 {
    if tools.is_empty() {
        return 0;
    }
    tools.iter().map(|tool| count_tool(tool, counter)).fold(TOOLS_TOKENS, u32::saturating_add)
}

fn count_tool(tool: &Value, counter: &dyn TokenCounter) -> u32 {
    let definition = tool.get("function").unwrap_or(tool);
    let schema = definition.get("parameters").or_else(|| definition.get("input_schema"));
    let text = |key| definition.get(key).and_then(Value::as_str);
    let tokens = match (text("name"), schema) {
        (Some(name), Some(schema)) => {
            let description = text("description").map_or(0, |text| counter.count(text));
            counter.count(name).saturating_add(description).saturating_add(counter.count(&schema.to_string()))
        }
        _ => counter.count(&tool.to_string()),
    };
    tokens.saturating_add(TOOL_TOKENS)
}
