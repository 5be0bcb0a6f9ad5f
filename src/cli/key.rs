//! `recapd key`

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{Done, Setting, output};
use crate::pipeline::keys::{Caller, KeyScope};
use crate::pipeline::{Pipeline, checks};
use crate::store::KeyRow;
use crate::world::rfc3339;

/// Make and revoke API keys in the data folder. While a daemon uses it, ask the daemon: `POST /v1/keys`.
#[derive(Debug, Args)]
pub struct Key {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key and print it: the only time that its text is shown
    Create {
        /// What it is for
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value_t = Scope::Agent)]
        scope: Scope,
        /// The one namespace that it reaches
        #[arg(long)]
        namespace: Option<String>,
    },
    /// List the keys
    List,
    /// Revoke a key
    Revoke {
        /// Its id, from `list`
        id: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scope {
    Agent,
    Operator,
    Admin,
}

impl Key {
    /// Makes, lists or revokes.
    ///
    /// # Errors
    ///
    /// Fails where the store does.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let local = setting.open().await?;
        let done = self.act(setting, &local.pipeline).await;
        local.close().await?;
        done
    }

    async fn act(self, setting: &Setting, pipeline: &Pipeline) -> anyhow::Result<Done> {
        match self.action {
            Action::Create { name, scope, namespace } => {
                let scope = match scope {
                    Scope::Agent => KeyScope::Agent,
                    Scope::Operator => KeyScope::Operator,
                    Scope::Admin => KeyScope::Admin,
                };
                namespace.as_deref().map_or(Ok(()), |namespace| checks::name("namespace", namespace))?;
                let new = pipeline.keys().create(name, scope, namespace).await?;
                let detail = json!({ "name": new.row.name, "scope": new.row.scope });
                let namespace = new.row.namespace.as_deref();
                pipeline.audit(&Caller::local(), namespace, "key.create", &new.row.id, detail).await?;
                let secret = new.secret.expose_secret();
                if setting.json {
                    output::say_json(&json!({ "id": new.row.id, "key": secret, "scope": new.row.scope }))?;
                } else {
                    output::say(secret)?;
                }
            }
            Action::List => list(setting, &pipeline.keys().list().await?)?,
            Action::Revoke { id } => {
                if !pipeline.keys().revoke(&id).await? {
                    anyhow::bail!("there is no key `{id}`");
                }
                pipeline.audit(&Caller::local(), None, "key.revoke", &id, json!({})).await?;
            }
        }
        Ok(Done::Well)
    }
}

fn list(setting: &Setting, rows: &[KeyRow]) -> anyhow::Result<()> {
    if setting.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({ "id": row.id, "name": row.name, "scope": row.scope, "namespace": row.namespace,
                        "created_at": rfc3339(row.created_ms), "last_used_at": row.last_used_ms.map(rfc3339) })
            })
            .collect();
        return output::say_json(&rows);
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["id", "name", "scope", "namespace", "last used"]);
    for row in rows {
        let namespace = row.namespace.as_deref().unwrap_or("(all)");
        let used = row.last_used_ms.map_or_else(|| "never".to_owned(), rfc3339);
        table.add_row([&row.id, &row.name, &row.scope, namespace, &used]);
    }
    Ok(output::say(&table.trim_fmt())?)
}
