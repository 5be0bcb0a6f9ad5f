//! Where an import goes: the data folder, or a daemon.

use anyhow::Context as _;
use recap_core::trajectory::WireFormat;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::shapes::Conversation;
use crate::cli::client::{Daemon, Refused};
use crate::cli::setting::Local;
use crate::pipeline::append_messages::{Append, Incoming};
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::store::{NewTrajectory, StoreError};

/// Messages of one append: short transactions let others in between.
const BATCH_MESSAGES: usize = 500;
const BATCH_BYTES: usize = 4 << 20;

/// Where an import goes.
pub enum Target {
    /// The data folder.
    Local(Local),
    /// A running daemon.
    Daemon(Daemon),
}

/// What was stored of one conversation.
#[derive(Debug, Default)]
pub struct Stored {
    pub messages: u64,
    pub tokens: u64,
}

#[derive(Serialize)]
struct Body<'a> {
    messages: &'a [Box<RawValue>],
    format: WireFormat,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<&'a RawValue>,
}

impl Target {
    /// Stores a conversation. The inner error is a reason to skip it.
    ///
    /// # Errors
    ///
    /// Fails where the store or the daemon does.
    pub async fn store(&self, namespace: &str, conversation: Conversation) -> anyhow::Result<Result<Stored, String>> {
        match self {
            Self::Local(local) => in_store(local, namespace, conversation).await,
            Self::Daemon(daemon) => in_daemon(daemon, namespace, conversation).await,
        }
    }

    /// Closes the data folder.
    ///
    /// # Errors
    ///
    /// Fails where the store does.
    pub async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Local(local) => local.close().await,
            Self::Daemon(_) => Ok(()),
        }
    }
}

async fn in_store(
    local: &Local,
    namespace: &str,
    conversation: Conversation,
) -> anyhow::Result<Result<Stored, String>> {
    let caller = Caller::local();
    let format = conversation.format();
    let task = conversation.task_text();
    let new = NewTrajectory {
        id: conversation.id.unwrap_or_default(),
        namespace: namespace.to_owned(),
        task,
        agent: conversation.agent,
        model: conversation.model,
        tools: conversation.tools.map(|tools| tools.get().to_owned()),
        metadata: conversation.metadata.filter(Value::is_object),
        ..NewTrajectory::default()
    };
    let id = match local.pipeline.create_trajectory(&caller, new).await {
        Ok(row) => row.id,
        Err(failure) => return refusal(failure).map(Err),
    };
    let mut stored = Stored::default();
    let mut system = conversation.system;
    for batch in batches(conversation.messages) {
        let incoming = Incoming { format, messages: batch, system: system.take() };
        let append = Append { incoming, expected_length: None, idempotency: None };
        match local.pipeline.append_messages(&caller, &id, append).await {
            Ok(appended) => {
                stored.messages += appended.appended;
                stored.tokens += appended.tokens;
            }
            Err(failure) => {
                let deleted = local.pipeline.delete_trajectory(&caller, &id).await;
                deleted.with_context(|| half_stored(&id, &failure))?;
                return refusal(failure).map(Err);
            }
        }
    }
    Ok(Ok(stored))
}

/// Returns why a conversation is skipped, or the failure where it is none of the conversation's.
fn refusal(failure: Failure) -> anyhow::Result<String> {
    match failure {
        Failure::Exists(id) => Ok(format!("a trajectory `{id}` exists")),
        Failure::Invalid(faults) => {
            let said = faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail));
            Ok(said.collect::<Vec<_>>().join("; "))
        }
        Failure::Store(error @ StoreError::NulInText) => Ok(error.to_string()),
        failure => Err(failure.into()),
    }
}

fn half_stored(id: &str, cause: &dyn std::fmt::Display) -> String {
    format!("the trajectory `{id}` is stored in part ({cause}) and cannot be deleted")
}

async fn in_daemon(
    daemon: &Daemon,
    namespace: &str,
    conversation: Conversation,
) -> anyhow::Result<Result<Stored, String>> {
    let format = conversation.format();
    let task = conversation.task_text();
    let record = json!({
        "id": conversation.id, "namespace": namespace, "agent": conversation.agent, "model": conversation.model,
        "task": task, "tools": conversation.tools,
        "metadata": conversation.metadata.filter(Value::is_object),
    });
    let made = match daemon.post("/v1/trajectories", record.to_string()).await {
        Ok(made) => serde_json::from_str::<Value>(&made)?,
        Err(error) => return daemons_refusal(error).map(Err),
    };
    let id = made.get("id").and_then(Value::as_str).context("the daemon's answer has no id")?;
    let path = format!("/v1/trajectories/{id}");
    let mut stored = Stored::default();
    let mut system = conversation.system;
    for batch in batches(conversation.messages) {
        let system = system.take();
        let body = Body { messages: &batch, format, system: system.as_deref() };
        match append_to(daemon, &path, &body).await {
            Ok(appended) => {
                stored.messages += appended.messages;
                stored.tokens += appended.tokens;
            }
            Err(error) => {
                daemon.delete(&path).await.with_context(|| half_stored(id, &error))?;
                return daemons_refusal(error).map(Err);
            }
        }
    }
    Ok(Ok(stored))
}

async fn append_to(daemon: &Daemon, path: &str, body: &Body<'_>) -> anyhow::Result<Stored> {
    let answer = daemon.post(&format!("{path}/messages"), serde_json::to_string(body)?).await?;
    let answer: Value = serde_json::from_str(&answer)?;
    let count = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    Ok(Stored { messages: count("appended"), tokens: count("tokens") })
}

/// As [`refusal`], of a daemon.
fn daemons_refusal(error: anyhow::Error) -> anyhow::Result<String> {
    match error.downcast_ref::<Refused>() {
        Some(refused) if refused.is_about_content() => Ok(refused.to_string()),
        _ => Err(error),
    }
}

fn batches(messages: Vec<Box<RawValue>>) -> Vec<Vec<Box<RawValue>>> {
    let mut batches: Vec<Vec<Box<RawValue>>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        let size = message.get().len();
        let fits = batches.last().is_some_and(|last| last.len() < BATCH_MESSAGES && bytes + size <= BATCH_BYTES);
        if let Some(last) = batches.last_mut().filter(|_| fits) {
            bytes += size;
            last.push(message);
        } else {
            bytes = size;
            batches.push(vec![message]);
        }
    }
    batches
}
