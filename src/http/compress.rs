//! `/v1/compress`

use axum::extract::State;
use axum::response::Response;
use recap_core::context::{ContextRequest, Include};
use recap_core::trajectory::{OutFormat, WireFormat};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::App;
use super::context::{ContextAnswer, answer_text, unwritten};
use super::extract::Json;
use super::pages::json_bytes;
use super::problem::{Problem, ProblemDocument};
use super::trajectories::tools_text;
use crate::pipeline::append_messages::Incoming;
use crate::pipeline::compress_once::Compress;
use crate::pipeline::keys::Caller;

/// Messages to compress without storing them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompressMessages {
    /// The messages.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Box<RawValue>>,
    /// Anthropic's system prompt; only where the messages are in its format.
    #[schema(value_type = Option<Object>)]
    system: Option<Box<RawValue>>,
    /// The tool schemas; they count.
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Box<RawValue>>,
    /// Most tokens of the whole payload.
    budget: u32,
    /// Tokens kept free inside the budget.
    #[serde(default)]
    reserve: u32,
    /// The format of the answer; messages in Anthropic's format are told by `anthropic` here.
    #[schema(value_type = Option<String>)]
    format: Option<OutFormat>,
    /// The model whose tokenizer counts.
    model: Option<String>,
    /// The guideline set that compresses; `default` where it is left out.
    guideline_set: Option<String>,
    /// What the agent is about to do.
    query: Option<String>,
    /// Whether to wait for the models that the configuration names; rules serve where they fail. The receipt warns with
    /// `no_model` where there are none, with `model_failed` where they made nothing, or not all, in three quarters of
    /// `server.request_timeout_ms`.
    #[serde(default)]
    wait: bool,
}

/// Compresses messages; nothing is stored, so markers carry no handles.
#[utoipa::path(post, path = "/v1/compress", tag = "context", operation_id = "compress_messages",
    request_body = CompressMessages,
    responses((status = 200, body = ContextAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn compress_messages(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<CompressMessages>,
) -> Result<Response, Problem> {
    if body.budget == 0 {
        return Err(Problem::field("/budget", "must be above 0"));
    }
    let format = body.format.unwrap_or(OutFormat::OpenAi);
    let wire = if format == OutFormat::Anthropic { WireFormat::Anthropic } else { WireFormat::OpenAi };
    let request = ContextRequest {
        budget: body.budget,
        reserve: body.reserve,
        format,
        query: body.query,
        include: Include::default(),
    };
    let compress = Compress {
        incoming: Incoming { format: wire, messages: body.messages, system: body.system },
        tools: body.tools.and_then(tools_text),
        model: body.model,
        guideline_set: body.guideline_set,
        request,
    };
    let served = if body.wait {
        app.pipeline().compress_with_models(&caller, compress).await?
    } else {
        app.pipeline().compress_once(compress).await?
    };
    Ok(json_bytes(answer_text(None, &served, format).map_err(unwritten)?))
}
