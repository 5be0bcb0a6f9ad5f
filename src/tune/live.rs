//! The grounding audit of a live trajectory in hindsight: each action against the context that was served before it.

use recap_core::context::{Admitted, Compression, ContextRequest, EpochRecord, Session};
use recap_core::trajectory::{Message, OutFormat, RenderItem, render_sequence};
use recap_core::tuning::{
    Auditor, Breakdown, ContextServer, Loss, Lost, MessageCache, RecordError, Recorded, ReplayBudget, ServedContext,
    Summary, TrajectoryScore, replay_with,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pipeline::Pipeline;
use crate::pipeline::failure::Failure;
use crate::pipeline::hindsight::Hindsight;
use crate::store::{AuditRow, ChangeError, Job, Lease};

/// Messages of a trajectory that are looked back on, from the first.
const MOST_MESSAGES: usize = 4_096;
/// Losses that are kept one by one, the newest.
const MOST_LOSSES: usize = 200;
/// Rules, keys and headings that are kept.
const MOST_NAMES: usize = 30;

/// Why a look back failed.
#[derive(Debug, thiserror::Error)]
pub enum HindsightError {
    /// The trajectory cannot be read.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// A message cannot be measured.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A rendered message is no JSON, or the result cannot be written as such.
    #[error("a message cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The work was cut off.
    #[error("the look back was cut off")]
    CutOff,
}

/// What hindsight says of one trajectory; stored as JSON.
#[derive(Debug, Serialize)]
pub struct LiveAudit {
    /// The line of reads: format, budget, reserve and what was included.
    line: String,
    /// Messages that were looked back on.
    messages: usize,
    /// Contexts before which nobody had read this line yet: the agent is taken to have seen everything.
    unread: usize,
    /// What was counted, by which a later audit tells what is new.
    counted: Counted,
    /// The measures.
    #[serde(flatten)]
    summary: Summary,
    /// What the losses have in common.
    lost: Breakdown,
    /// The newest losses.
    losses: Vec<Loss>,
    /// Older ones that are not among them.
    losses_left_out: usize,
}

/// Values by measure: needed, and of those kept.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Counted {
    needed: usize,
    kept: usize,
    bound: usize,
    first: usize,
    first_kept: usize,
}

impl Counted {
    fn of(score: &TrajectoryScore) -> Self {
        let TrajectoryScore { need, kept, bound, first, first_kept, .. } = *score;
        Self { needed: need, kept, bound, first, first_kept }
    }

    /// Counts in the metrics what an earlier audit of the trajectory had not counted.
    fn count_beyond(self, before: Self) {
        let measures = [
            ("grounding", (self.needed, self.kept), (before.needed, before.kept)),
            ("bound", (self.needed, self.bound), (before.needed, before.bound)),
            ("first", (self.first, self.first_kept), (before.first, before.first_kept)),
        ];
        for (measure, (needed, kept), (needed_before, kept_before)) in measures {
            let (lost, lost_before) = (needed - kept, needed_before - kept_before.min(needed_before));
            for (result, new) in
                [("kept", kept.saturating_sub(kept_before)), ("lost", lost.saturating_sub(lost_before))]
            {
                let counter = metrics::counter!("recapd_audit_values_total", "measure" => measure, "result" => result);
                counter.increment(new as u64);
            }
        }
    }
}

/// How a look back ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookedBack {
    /// There was nothing to look back on: the job is to be completed.
    Nothing,
    /// The result is stored, and the job completed with it.
    Stored,
    /// The job is another runner's, or the trajectory was deleted with it.
    Gone,
}

/// Looks back on the trajectory that a job names and stores the result with the job's end.
///
/// # Errors
///
/// [`HindsightError`]
pub async fn look_back(pipeline: &Pipeline, job: &Job, lease: Lease) -> Result<LookedBack, HindsightError> {
    let Some(id) = job.trajectory.as_deref() else { return Ok(LookedBack::Nothing) };
    let found = match pipeline.hindsight(id).await {
        Ok(found) => found,
        Err(Failure::NotFound(_)) => return Ok(LookedBack::Gone),
        Err(failure) => return Err(failure.into()),
    };
    let Some(found) = found else { return Ok(LookedBack::Nothing) };
    let maker = found.session.settings().maker.clone();
    let audit = tokio::task::spawn_blocking(move || audit(found)).await.map_err(|_| HindsightError::CutOff)??;
    let before = pipeline.store().audit_of(id).await.map_err(Failure::from)?;
    let before = before.and_then(|row| serde_json::from_str::<Before>(&row.record).ok()).unwrap_or_default();
    let row = AuditRow { maker, record: serde_json::to_string(&audit)?, at_ms: pipeline.world().now_ms() };
    match pipeline.store().put_audit(id, row, lease).await {
        Ok(()) => {
            audit.counted.count_beyond(before.counted);
            Ok(LookedBack::Stored)
        }
        Err(ChangeError::LeaseLost | ChangeError::NoTrajectory) => Ok(LookedBack::Gone),
        Err(error) => Err(Failure::of_change(error, id).into()),
    }
}

/// What of an earlier audit is read again.
#[derive(Default, Deserialize)]
struct Before {
    counted: Counted,
}

/// Audits a trajectory against the epochs that it was served.
///
/// # Errors
///
/// [`HindsightError::Record`], [`HindsightError::Json`].
pub fn audit(found: Hindsight) -> Result<LiveAudit, HindsightError> {
    let Hindsight { session, mut messages, made, request, epochs, .. } = found;
    messages.truncate(MOST_MESSAGES);
    let (recorded, origins) = recorded(&messages)?;
    let line = request.line_key();
    let budget = i64::from(request.budget);
    let request = ContextRequest { format: OutFormat::OpenAi, ..request };
    let mut past = Past {
        session,
        recorded: &recorded,
        origins: &origins,
        messages: messages.into_iter(),
        taken: 0,
        handed: 0,
        made: made.into_iter().peekable(),
        request,
        epochs: &epochs,
        auditor: Auditor::of_origins(origins.clone()),
        losses: Vec::new(),
        unread: 0,
    };
    let score = replay_with(&recorded, ReplayBudget::Tokens(budget), &mut MessageCache::default(), &mut past)?;
    // what was served is shown again: no budget is asked for, so none was too small
    let score = TrajectoryScore { refused: 0, ..score };
    let Past { taken, mut losses, unread, .. } = past;
    let lost = Breakdown::of(&losses).top(MOST_NAMES);
    let losses_left_out = losses.len().saturating_sub(MOST_LOSSES);
    losses.drain(..losses_left_out);
    let (counted, summary) = (Counted::of(&score), Summary::of(&[score]));
    Ok(LiveAudit { line, messages: taken, unread, counted, summary, lost, losses, losses_left_out })
}

/// The messages in `OpenAI`'s form, which the measures read, and which message each of them was made from.
fn recorded(messages: &[Admitted]) -> Result<(Recorded, Vec<usize>), HindsightError> {
    let own: Vec<&Message> = messages.iter().map(|admitted| &admitted.message).collect();
    let items: Vec<RenderItem<'_>> = own.iter().map(|message| RenderItem::Message { message, edits: None }).collect();
    let rendered = render_sequence(&items, OutFormat::OpenAi);
    let mut origins = vec![0; rendered.messages.len()];
    for (item, range) in rendered.item_index.iter().enumerate() {
        if let Some(made) = origins.get_mut(range.clone()) {
            made.fill(item);
        }
    }
    let values: Vec<Value> =
        rendered.messages.iter().map(|text| serde_json::from_str(text)).collect::<Result<_, _>>()?;
    Ok((Recorded::new(values)?, origins))
}

/// A trajectory on its way from its first message to its last.
struct Past<'a> {
    session: Session,
    recorded: &'a Recorded,
    /// The message that each recorded one was made from.
    origins: &'a [usize],
    messages: std::vec::IntoIter<Admitted>,
    /// Messages that the session has.
    taken: usize,
    /// Recorded messages that were handed over.
    handed: usize,
    made: std::iter::Peekable<std::vec::IntoIter<Compression>>,
    request: ContextRequest,
    epochs: &'a [EpochRecord],
    auditor: Auditor,
    losses: Vec<Loss>,
    unread: usize,
}

impl ContextServer for Past<'_> {
    type Error = HindsightError;

    fn serve(&mut self, new: &[Value], _: i64) -> Result<ServedContext, HindsightError> {
        self.handed += new.len();
        let until = self.origins.get(self.handed).copied().unwrap_or(self.origins.len());
        let next: Vec<Admitted> = self.messages.by_ref().take(until.saturating_sub(self.taken)).collect();
        self.taken += next.len();
        self.session.append(next);
        let newest = self.session.newest_turn();
        let Some(epoch) = self.epochs.iter().rev().find(|epoch| epoch.began_at <= newest) else {
            self.unread += 1;
            let all = self.recorded.messages().get(..self.handed).unwrap_or_default().to_vec();
            return Ok(ServedContext { messages: all, refused: false });
        };
        self.take_made(epoch.covered);
        self.session.prepare(usize::MAX);
        let served = self.session.show_epoch(epoch, &self.request);
        self.auditor.note(&self.session, &self.request, epoch, &served.receipt.pieces);
        let messages = served.messages.iter().map(|text| serde_json::from_str(text)).collect::<Result<_, _>>()?;
        // what no longer fits was served in the next epoch, which begins with the read
        Ok(ServedContext { messages, refused: true })
    }

    fn lost(&mut self, lost: &Lost) {
        self.losses.extend(self.auditor.explain(self.recorded, &self.session, lost));
    }
}

impl Past<'_> {
    /// Takes what models had made when an epoch began.
    fn take_made(&mut self, covered: u32) {
        let is_due = |made: &Compression| match made {
            Compression::Told(told) => told.turns[1] <= covered,
            Compression::Scored(scored) => scored.turn <= covered,
            Compression::Condensed(_) => true,
        };
        while let Some(made) = self.made.next_if(is_due) {
            self.session.take(made);
        }
    }
}
