//! Playbooks as they are answered.

use recap_core::playbook::{Credits, Delta, Evidence, Excerpt, Operation, Source};
use serde::Serialize;
use utoipa::ToSchema;

use crate::pipeline::playbook::{BulletView, PlaybookView};
use crate::world::rfc3339;

/// A playbook without its bullets.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlaybookSummary {
    name: String,
    namespace: String,
    /// One more with each delta.
    version: u64,
    /// How many there are.
    bullets: usize,
    /// Tokens of its text.
    tokens: u32,
    /// Most tokens.
    budget: u32,
    /// Whether changes of words wait until somebody accepts them.
    review: bool,
    /// How many wait.
    pending: u64,
    created_at: String,
    updated_at: String,
}

impl From<PlaybookView> for PlaybookSummary {
    fn from(view: PlaybookView) -> Self {
        Self {
            version: view.row.playbook.version,
            bullets: view.row.playbook.bullets.len(),
            tokens: view.tokens,
            budget: view.budget,
            review: view.review,
            pending: view.row.pending,
            created_at: rfc3339(view.row.created_ms),
            updated_at: rfc3339(view.row.updated_ms),
            name: view.row.key.name,
            namespace: view.row.key.namespace,
        }
    }
}

/// A playbook.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlaybookRecord {
    name: String,
    namespace: String,
    version: u64,
    /// Tokens of its text, or of the excerpt's.
    tokens: u32,
    /// Most tokens of the playbook, or those that were asked for.
    budget: u32,
    /// By how many tokens it is over its budget: nothing can be added until it fits.
    over_budget_tokens: u32,
    review: bool,
    pending: u64,
    /// The headings in order, those of empty sections too.
    #[schema(value_type = Vec<String>)]
    sections: Vec<std::sync::Arc<str>>,
    /// By section, in order.
    bullets: Vec<BulletRecord>,
    /// The excerpt's text as it would be served.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What chose the excerpt's bullets: `whole` where all fit, `words`, or `embeddings:` and the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    chosen_by: Option<String>,
}

impl PlaybookRecord {
    /// Writes a playbook with its bullets.
    pub fn of(view: PlaybookView, bullets: Vec<BulletView>) -> Self {
        Self {
            version: view.row.playbook.version,
            tokens: view.tokens,
            budget: view.budget,
            over_budget_tokens: view.tokens.saturating_sub(view.budget),
            review: view.review,
            pending: view.row.pending,
            sections: view.row.playbook.sections.clone(),
            bullets: bullets.into_iter().map(BulletRecord::from).collect(),
            text: None,
            chosen_by: None,
            name: view.row.key.name,
            namespace: view.row.key.namespace,
        }
    }

    /// Makes it the record of an excerpt within a budget.
    #[must_use]
    pub fn excerpt(self, excerpt: Excerpt, chosen_by: String, budget: u32) -> Self {
        let (text, chosen_by) = (Some(excerpt.text), Some(chosen_by));
        Self { tokens: excerpt.tokens, text, chosen_by, budget, ..self }
    }
}

/// A bullet.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulletRecord {
    id: String,
    section: String,
    content: String,
    /// How often somebody said that it helped.
    helpful: u64,
    /// How often somebody said that it harmed.
    harmful: u64,
    /// How often somebody said that it did neither.
    neutral: u64,
    /// What outcomes of runs that it was served in say.
    inferred: InferredRecord,
    /// Who brought its words: `operator`, `agent`, `import`, `learned` or `observed` (a tool's answer).
    origin: &'static str,
    /// The runs that it comes from or was found true in: `{trajectory, turn?}`.
    #[schema(value_type = Vec<Object>)]
    evidence: Vec<Evidence>,
    tokens: u32,
    created_at: String,
    updated_at: String,
}

/// What was concluded from outcomes; nobody said so.
#[derive(Debug, Serialize, ToSchema)]
pub struct InferredRecord {
    helpful: u64,
    harmful: u64,
    neutral: u64,
}

impl From<&Credits> for InferredRecord {
    fn from(credits: &Credits) -> Self {
        Self {
            helpful: credits.inferred_helpful.count(),
            harmful: credits.inferred_harmful.count(),
            neutral: credits.inferred_neutral.count(),
        }
    }
}

impl From<BulletView> for BulletRecord {
    fn from(BulletView { bullet, tokens }: BulletView) -> Self {
        Self {
            id: bullet.id.to_string(),
            section: bullet.section.to_string(),
            content: bullet.content.to_string(),
            helpful: bullet.credits.helpful.count(),
            harmful: bullet.credits.harmful.count(),
            neutral: bullet.credits.neutral.count(),
            inferred: InferredRecord::from(&bullet.credits),
            origin: bullet.origin.name(),
            evidence: bullet.evidence,
            tokens,
            created_at: rfc3339(bullet.created_ms),
            updated_at: rfc3339(bullet.updated_ms),
        }
    }
}

/// Operations that were applied together.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeltaRecord {
    version: u64,
    at: String,
    actor: String,
    /// Who brought the words (`origin`), in whose words (`name`), from which run (`trajectory`), told by what (`labels`),
    /// made by which guidelines and models (`makers`).
    #[schema(value_type = Object)]
    source: Source,
    #[schema(value_type = Vec<Object>)]
    operations: Vec<Operation>,
}

impl From<Delta> for DeltaRecord {
    fn from(delta: Delta) -> Self {
        Self {
            version: delta.version,
            at: rfc3339(delta.at_ms),
            actor: delta.actor,
            source: delta.source,
            operations: delta.operations,
        }
    }
}
