//! Operations that somebody sends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use recap_core::playbook::{
    BulletId, Evidence, MOST_EVIDENCE, Operation, Playbook, Prior, Source, duplicates, resolve,
};

use super::bounds::{Removals, Rules, WORDS_WAIT, only_tags};
use super::change::{Asked, ChangeKind, origin_of};
use super::refusal::Refusal;
use super::{MOST_OPERATIONS, MOST_SOURCE_BYTES};
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::pipeline::{Pipeline, checks, compute};
use crate::store::{PlaybookChanged, PlaybookDecision, PlaybookKey, PlaybookNow};

/// Operations that somebody sends.
#[derive(Debug, Clone)]
pub struct DeltaRequest {
    /// The version that they were made for.
    pub expected_version: Option<u64>,
    /// The operations.
    pub operations: Vec<Operation>,
    /// What the sender says of them.
    pub source: Option<String>,
    /// The run that they were learned from.
    pub trajectory: Option<String>,
    /// Whether much may go at once.
    pub removals: Removals,
}

/// What was applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The version since.
    pub version: u64,
    /// The operations, with the ids of new bullets.
    pub operations: Vec<Operation>,
    /// New bullets, each with one that it says the same as.
    pub duplicates: Vec<[BulletId; 2]>,
    /// Tokens of the playbook's text.
    pub tokens: u32,
}

/// What became of operations.
#[derive(Debug, Clone, PartialEq)]
pub enum DeltaOutcome {
    /// They were applied.
    Applied(Applied),
    /// They wait for somebody's word.
    Waits {
        /// Under which id.
        id: String,
        /// Why.
        reasons: Vec<String>,
    },
}

impl Pipeline {
    /// Applies operations, all or none, or lets them wait where changes of words do. A playbook that is not there is made.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`], [`Failure::Version`], [`Failure::Playbook`].
    pub async fn apply_delta(
        &self,
        caller: &Caller,
        key: PlaybookKey,
        request: DeltaRequest,
    ) -> Result<DeltaOutcome, Failure> {
        check(&request)?;
        let source = Source {
            name: request.source.clone(),
            trajectory: request.trajectory.clone(),
            ..Source::of(origin_of(caller))
        };
        let rules = Rules::of(self, &caller.actor);
        let expected_version = request.expected_version;
        let asked = Asked {
            key,
            kind: ChangeKind::Delta,
            expected_version,
            actor: caller.actor.clone(),
            source: source.clone(),
            run: None,
            accepts: None,
            job: None,
            lesson: None,
            decide: Arc::new(move |now| decide(now, &request, &source, &rules)),
        };
        let changed = self.change_playbook(asked).await?;
        self.outcome_of(changed).await
    }

    /// Tells what became of a change.
    pub(super) async fn outcome_of(&self, changed: PlaybookChanged) -> Result<DeltaOutcome, Failure> {
        if let Some((id, reasons)) = changed.waits {
            metrics::counter!("recapd_playbook_reviews_total", "decision" => "pending").increment(1);
            return Ok(DeltaOutcome::Waits { id, reasons });
        }
        let shelved = self.inner.playbooks.put(&changed.row).await?;
        let operations = changed.applied.map(|delta| delta.operations).unwrap_or_default();
        Ok(DeltaOutcome::Applied(Applied {
            version: changed.row.playbook.version,
            duplicates: new_duplicates(Arc::clone(&changed.row.playbook), &operations).await?,
            operations,
            tokens: shelved.tokens,
        }))
    }
}

/// Returns the pairs of bullets that say the same of which operations added at least one.
pub(super) async fn new_duplicates(
    playbook: Arc<Playbook>,
    operations: &[Operation],
) -> Result<Vec<[BulletId; 2]>, Failure> {
    let added = operations.iter().filter_map(|operation| match operation {
        Operation::Add { id, .. } => id.clone(),
        _ => None,
    });
    let added: HashSet<BulletId> = added.collect();
    if added.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = playbook.bullets.iter().map(|bullet| bullet.content.len()).sum();
    let found = move || {
        let pairs = duplicates(&playbook, &HashMap::new()).into_iter().map(|duplicate| duplicate.ids);
        pairs.filter(|ids| ids.iter().any(|id| added.contains(id))).collect()
    };
    compute(bytes, found).await
}

fn check(request: &DeltaRequest) -> Result<(), Failure> {
    if request.operations.is_empty() {
        return Err(Failure::field("/operations", "holds none"));
    }
    if request.operations.len() > MOST_OPERATIONS {
        return Err(Failure::field("/operations", format!("holds more than {MOST_OPERATIONS}")));
    }
    if request.source.as_ref().is_some_and(|source| source.len() > MOST_SOURCE_BYTES) {
        return Err(Failure::field("/source", format!("has more than {MOST_SOURCE_BYTES} bytes")));
    }
    request.trajectory.as_deref().map_or(Ok(()), |id| checks::name("/source/trajectory", id))?;
    request.operations.iter().enumerate().try_for_each(|(at, operation)| match operation {
        Operation::Add { evidence, .. } | Operation::Update { evidence, .. } => check_evidence(at, evidence),
        _ => Ok(()),
    })
}

fn check_evidence(at: usize, evidence: &[Evidence]) -> Result<(), Failure> {
    let pointer = format!("/operations/{at}/evidence");
    if evidence.len() > MOST_EVIDENCE {
        return Err(Failure::field(pointer, format!("names more than {MOST_EVIDENCE} runs")));
    }
    evidence.iter().try_for_each(|evidence| checks::name(&pointer, &evidence.trajectory))
}

fn decide(
    now: &PlaybookNow,
    request: &DeltaRequest,
    source: &Source,
    rules: &Rules,
) -> Result<PlaybookDecision, Refusal> {
    let playbook = &now.row.playbook;
    let operations = resolve(playbook, request.operations.clone(), Prior::Outside).map_err(Refusal::of_faults)?;
    let after = rules.after(playbook, &operations, source)?;
    if only_tags(&operations) {
        return Ok(PlaybookDecision::apply(operations));
    }
    rules.hold(&now.row, &after, request.removals)?;
    if rules.waits(&now.row) {
        let reasons = vec![WORDS_WAIT.to_owned()];
        return Ok(PlaybookDecision::wait(request.operations.clone(), reasons));
    }
    Ok(PlaybookDecision::apply(operations))
}
