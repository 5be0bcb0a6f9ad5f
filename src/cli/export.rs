//! `recapd export`

use std::fs::File;
use std::io::{BufWriter, Stdout, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Done, Setting, output};
use crate::pipeline::Pipeline;
use crate::pipeline::keys::Caller;
use crate::store::{TrajectoryFilter, TrajectoryRow};
use crate::world::rfc3339;

const PAGE: usize = 200;

/// Write trajectories as JSONL, one a line, their messages byte for byte as they were sent.
#[derive(Debug, Args)]
pub struct Export {
    /// Only these trajectories; all where none is named
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Only this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// Only this agent
    #[arg(long)]
    agent: Option<String>,
    /// Write to this file (with .gz: compressed); standard output where it is left out
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Exported {
    id: String,
    namespace: String,
    agent: Option<String>,
    task: Option<String>,
    model: Option<String>,
    tools: Option<Box<RawValue>>,
    metadata: Option<Value>,
    outcome: Option<Value>,
    created_at: String,
    messages: Vec<Box<RawValue>>,
}

/// Where an export goes.
enum Out {
    Stdout(Stdout),
    Plain(BufWriter<File>),
    Packed(GzEncoder<BufWriter<File>>),
}

impl Out {
    /// Writes what is left, the end of a compressed file included: dropping it would hide a failure.
    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Stdout(mut out) => out.flush(),
            Self::Plain(mut out) => out.flush(),
            Self::Packed(out) => out.finish()?.flush(),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Plain(out) => out.write(bytes),
            Self::Packed(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Plain(out) => out.flush(),
            Self::Packed(out) => out.flush(),
        }
    }
}

impl Export {
    /// Exports.
    ///
    /// # Errors
    ///
    /// Fails where the store does, or the file cannot be written.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let local = setting.open().await?;
        let mut out = self.opened()?;
        let count = self.write_all(&local.pipeline, &mut out).await?;
        out.finish().context("the export cannot be written to its end")?;
        local.close().await?;
        if self.out.is_some() && setting.json {
            output::say_json(&serde_json::json!({ "trajectories": count }))?;
        } else if self.out.is_some() {
            output::say(&format!("{count} trajectories written"))?;
        }
        Ok(Done::Well)
    }

    fn opened(&self) -> anyhow::Result<Out> {
        let Some(path) = &self.out else {
            return Ok(Out::Stdout(std::io::stdout()));
        };
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        let file = BufWriter::new(file);
        Ok(if path.extension().is_some_and(|end| end == "gz") {
            Out::Packed(GzEncoder::new(file, Compression::default()))
        } else {
            Out::Plain(file)
        })
    }

    async fn write_all(&self, pipeline: &Pipeline, out: &mut Out) -> anyhow::Result<u64> {
        let caller = Caller::local();
        let mut count = 0;
        for id in &self.ids {
            let row = pipeline.record(&caller, id).await?;
            write_one(pipeline, row, out).await?;
            count += 1;
        }
        if !self.ids.is_empty() {
            return Ok(count);
        }
        let filter = TrajectoryFilter {
            namespace: self.namespace.clone(),
            agent: self.agent.clone(),
            ..TrajectoryFilter::default()
        };
        let mut cursor: Option<String> = None;
        loop {
            let page = pipeline.list_trajectories(&caller, filter.clone(), cursor.as_deref(), PAGE).await?;
            for row in page.trajectories {
                write_one(pipeline, row, out).await?;
                count += 1;
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(count);
            }
        }
    }
}

async fn write_one(pipeline: &Pipeline, row: TrajectoryRow, out: &mut Out) -> anyhow::Result<()> {
    let mut messages = Vec::new();
    while (messages.len() as u64) < row.length {
        let rows = pipeline
            .store()
            .messages(&row.id, messages.len() as u64..row.length.min(messages.len() as u64 + 1000))
            .await?;
        anyhow::ensure!(!rows.is_empty(), "trajectory `{}` was changed while it was read", row.id);
        for message in rows {
            messages.push(RawValue::from_string(message.native.to_string())?);
        }
    }
    let exported = Exported {
        id: row.id,
        namespace: row.namespace,
        agent: row.agent,
        task: row.task,
        model: row.model,
        tools: row.tools.map(RawValue::from_string).transpose()?,
        metadata: row.metadata,
        outcome: row.outcome.map(serde_json::to_value).transpose()?,
        created_at: rfc3339(row.created_ms),
        messages,
    };
    serde_json::to_writer(&mut *out, &exported)?;
    Ok(out.write_all(b"\n")?)
}
