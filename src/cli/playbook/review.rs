//! `recapd playbook review`

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{Desk, name, table};

#[derive(Debug, Args)]
pub(super) struct Review {
    /// The playbook
    #[arg(value_parser = name)]
    name: String,
    /// What is decided; the changes that wait are listed where it is left out
    #[arg(value_enum, requires = "id")]
    decision: Option<Decision>,
    /// The change that waits
    id: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Decision {
    /// It is applied
    Accept,
    /// It is not
    Reject,
}

impl Desk {
    pub(super) async fn review(&self, review: &Review) -> anyhow::Result<()> {
        let (Some(decision), Some(id)) = (review.decision, &review.id) else {
            return self.tell(&self.pages(&[&review.name, "review"], "review").await?, table::reviews);
        };
        let word = match decision {
            Decision::Accept => "accept",
            Decision::Reject => "reject",
        };
        let answer = self.post(&[&review.name, "review", id], &[], &json!({ "decision": word })).await?;
        self.tell(&answer, |answer| match decision {
            Decision::Accept => table::change(answer),
            Decision::Reject => format!("rejected {id}"),
        })
    }
}
