//! Chat completions: a prompt as a request, an answer's JSON as a reply.
//!
//! <https://platform.openai.com/docs/api-reference/chat>. Answers are read leniently: compatible servers
//! leave out much of what OpenAI's own always have.

use async_openai::types::chat::{
    ChatCompletionRequestMessage, ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage,
    CreateChatCompletionRequest, ResponseFormat, ResponseFormatJsonSchema,
};
use serde::Deserialize;
use serde_json::Value as Json;

use super::dialect::Form;
use super::error::LlmError;
use super::prices::Usage;
use super::prompt::{Finish, Prompt, Reply};

/// Bytes for which an estimate counts a token: fewer than most texts have.
const BYTES_PER_TOKEN: u64 = 3;

/// Writes a request of a form.
#[must_use]
#[expect(deprecated, reason = "`max_tokens` is the name that every compatible server knows")]
pub fn request(prompt: &Prompt, model: &str, max_tokens: u32, form: Form) -> CreateChatCompletionRequest {
    let mut messages: Vec<ChatCompletionRequestMessage> = Vec::with_capacity(2);
    if !prompt.system.is_empty() {
        messages.push(ChatCompletionRequestSystemMessage::from(prompt.system.as_str()).into());
    }
    messages.push(ChatCompletionRequestUserMessage::from(prompt.user.as_str()).into());
    let schema = prompt.schema.as_ref().filter(|_| form.is_constrained);
    CreateChatCompletionRequest {
        model: model.to_owned(),
        messages,
        max_tokens: (!form.limits_completion).then_some(max_tokens),
        max_completion_tokens: form.limits_completion.then_some(max_tokens),
        temperature: form.has_temperature.then_some(prompt.temperature),
        response_format: schema.map(|schema| ResponseFormat::JsonSchema {
            json_schema: ResponseFormatJsonSchema {
                description: None,
                name: schema.name.clone(),
                schema: schema.json.clone(),
                strict: Some(true),
            },
        }),
        ..CreateChatCompletionRequest::default()
    }
}

/// Returns what a call may use at most, by the size of its texts.
#[must_use]
pub fn estimate(prompt: &Prompt, max_tokens: u32) -> Usage {
    let schema = prompt.schema.as_ref().map_or(0, |schema| schema.json.to_string().len());
    let bytes = prompt.system.len() + prompt.user.len() + schema;
    Usage { prompt: tokens_of(bytes) + 16, cached: 0, reply: u64::from(max_tokens) }
}

fn tokens_of(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

#[derive(Deserialize)]
struct Completion {
    model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Reported>,
}

#[derive(Deserialize)]
struct Choice {
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Reported {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

impl From<Reported> for Usage {
    fn from(reported: Reported) -> Self {
        let prompt = reported.prompt_tokens.unwrap_or(0);
        let cached = reported.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
        Self { prompt, cached: cached.min(prompt), reply: reported.completion_tokens.unwrap_or(0) }
    }
}

/// Reads an answer: the reply or why it is none, and the tokens that were reported.
pub fn read(answer: Json, form: Form) -> (Result<Reply, LlmError>, Option<Usage>) {
    let garbage = |reason: &str| LlmError::Garbage { reason: reason.to_owned() };
    let is_error = answer.get("error").is_some_and(|error| !error.is_null());
    let Ok(completion) = serde_json::from_value::<Completion>(answer) else {
        return (Err(garbage("its fields have other types")), None);
    };
    let usage = completion.usage.map(Usage::from).filter(|usage| usage.total() > 0);
    let Some(choice) = completion.choices.into_iter().next() else {
        return (Err(garbage(if is_error { "it is an error" } else { "it has no choices" })), usage);
    };
    let model = completion.model.unwrap_or_default();
    (reply_of(choice, model, form.is_constrained), usage)
}

/// Returns what a reply used for which no tokens were reported.
#[must_use]
pub fn estimate_of(reply: &Reply, estimate: Usage) -> Usage {
    Usage { reply: tokens_of(reply.text.len()).min(estimate.reply), ..estimate }
}

fn reply_of(choice: Choice, model: String, constrained: bool) -> Result<Reply, LlmError> {
    let (content, refusal) = choice.message.map_or((None, None), |message| (message.content, message.refusal));
    let finish = choice.finish_reason.as_deref();
    if finish == Some("content_filter") || refusal.is_some_and(|refusal| !refusal.trim().is_empty()) {
        return Err(LlmError::Refused);
    }
    if finish == Some("length") {
        return Err(LlmError::Cut);
    }
    let text = content.filter(|text| !text.trim().is_empty()).ok_or(LlmError::Empty)?;
    let finish = if finish == Some("stop") { Finish::Stop } else { Finish::Unsaid };
    Ok(Reply { text, constrained, model, finish })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::prompt::{Purpose, Schema};
    use super::*;

    const FORM: Form = Form { is_constrained: true, limits_completion: false, has_temperature: true };

    fn prompt() -> Prompt {
        Prompt {
            purpose: Purpose::Probe,
            system: "Be brief.".into(),
            user: "Hello.".into(),
            schema: Some(Schema { name: "s".into(), json: json!({"type": "object"}) }),
            max_tokens: 99,
            temperature: 0.2,
            within: None,
        }
    }

    #[test]
    fn requests_hold_what_their_form_says() {
        let whole = serde_json::to_value(request(&prompt(), "m", 7, FORM)).unwrap();
        let wanted = json!({
            "messages": [{"content": "Be brief.", "role": "system"}, {"content": "Hello.", "role": "user"}],
            "model": "m",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": true}
            },
            "max_tokens": 7,
            "temperature": 0.2_f32,
        });
        assert_eq!(whole, wanted);
        let form = Form { is_constrained: false, limits_completion: true, has_temperature: false };
        let plain = request(&Prompt { system: String::new(), ..prompt() }, "m", 7, form);
        let wanted =
            json!({"messages": [{"content": "Hello.", "role": "user"}], "model": "m", "max_completion_tokens": 7});
        assert_eq!(serde_json::to_value(plain).unwrap(), wanted);
    }

    #[test]
    fn replies_end_in_their_own_ways() {
        let end = |message: Json, finish: Json| {
            read(json!({"choices": [{"message": message, "finish_reason": finish}]}), FORM).0
        };
        let text = |text: &str| json!({"role": "assistant", "content": text});
        assert_eq!(end(text("yes"), json!("stop")).unwrap().text, "yes");
        assert_eq!(end(text("yes"), json!(null)).unwrap().finish, Finish::Unsaid);
        assert_eq!(end(text("ye"), json!("length")), Err(LlmError::Cut));
        assert_eq!(end(text("ye"), json!("content_filter")), Err(LlmError::Refused));
        assert_eq!(end(json!({"content": null, "refusal": "No."}), json!("stop")), Err(LlmError::Refused));
        assert_eq!(end(text(" \n"), json!("stop")), Err(LlmError::Empty));
        assert_eq!(end(json!(null), json!("tool_calls")), Err(LlmError::Empty));
        for (answer, reason) in [
            (json!({"error": {"message": "busy"}}), "it is an error"),
            (json!({"choices": []}), "it has no choices"),
            (json!({"choices": "?"}), "its fields have other types"),
            (json!("hello"), "its fields have other types"),
        ] {
            let garbage = LlmError::Garbage { reason: reason.to_owned() };
            assert_eq!(read(answer.clone(), FORM), (Err(garbage), None), "{answer}");
        }
    }

    #[test]
    fn usage_is_read_where_it_is_reported() {
        let usage = |usage: Json| read(json!({"choices": [], "usage": usage}), FORM).1;
        let details =
            json!({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}});
        assert_eq!(usage(details), Some(Usage { prompt: 9, cached: 4, reply: 2 }));
        assert_eq!(usage(json!({"prompt_tokens": 9})), Some(Usage { prompt: 9, cached: 0, reply: 0 }));
        assert_eq!(usage(json!({"prompt_tokens": 0, "completion_tokens": 0})), None);
        assert_eq!(usage(json!(null)), None);
    }

    #[test]
    fn estimates_grow_with_texts() {
        let used = estimate(&prompt(), 50);
        assert_eq!(used, Usage { prompt: 11 + 16, cached: 0, reply: 50 });
        let reply = Reply { text: "x".repeat(30), constrained: false, model: String::new(), finish: Finish::Stop };
        assert_eq!(estimate_of(&reply, used).reply, 10);
    }
}
