//! Pairs of runs of one task, with whole and with compressed contexts: evidence from outside.

use recap_core::trajectory::{OriginalHash, WireFormat};
use recap_core::tuning::Objective;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::tuning::Tuning;
use crate::pipeline::checks;
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::pipeline::task::TaskTold;
use crate::pipeline::trajectories::DEFAULT_NAMESPACE;
use crate::store::{OutcomeStatus, PairPage, PairRow};
use crate::tune::RecordedRun;

/// Most pairs of one import.
const MOST_PAIRS: usize = 200;
/// Bytes of a task's name.
const MOST_TASK_BYTES: usize = 2_000;
/// Bytes of what a judge says of a run.
const MOST_FEEDBACK_BYTES: usize = 64 << 10;

/// A pair that is to be stored.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPair {
    /// The task's name: its pairs stand on one side of every split.
    pub task: String,
    /// The run with whole contexts; its messages are needed.
    pub full: PairSide,
    /// The run with compressed contexts.
    pub compressed: PairSide,
}

/// One run of a pair.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PairSide {
    /// The stored trajectory that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trajectory: Option<String>,
    /// Or its messages, in the format of `OpenAI`'s chat completions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub messages: Option<Vec<Box<RawValue>>>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a run of a pair ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The verdict.
    pub status: Told,
    /// A score on the caller's scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What the judge says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<String>,
}

/// A run's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Told {
    /// The task was done.
    Success,
    /// It was not.
    Failure,
    /// Some of it was.
    Partial,
    /// Nobody knows.
    Unknown,
}

impl From<OutcomeStatus> for Told {
    fn from(status: OutcomeStatus) -> Self {
        match status {
            OutcomeStatus::Success => Self::Success,
            OutcomeStatus::Failure => Self::Failure,
            OutcomeStatus::Partial => Self::Partial,
            OutcomeStatus::Unknown => Self::Unknown,
        }
    }
}

/// What is stored of both runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PairRecord {
    /// The run with whole contexts.
    pub full: PairSide,
    /// The run with compressed contexts.
    pub compressed: PairSide,
}

impl PairRecord {
    /// Tells whether the pair shows what an objective needs: what compression broke, or what it could have left out.
    #[must_use]
    pub fn speaks_for(&self, objective: Objective) -> bool {
        speak_for(objective, [&self.full, &self.compressed].map(|side| side.outcome.status == Told::Success))
    }
}

/// Tells whether two runs of a task show what an objective needs, by whether they succeeded with full contexts and with
/// compressed ones.
#[must_use]
pub fn speak_for(objective: Objective, [full, compressed]: [bool; 2]) -> bool {
    full && match objective {
        Objective::Utility => !compressed,
        Objective::Compression => compressed,
        Objective::Both => true,
    }
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The ids of new pairs.
    pub ids: Vec<String>,
    /// Pairs that were there already.
    pub known: usize,
}

impl Tuning {
    /// Stores pairs, all or none. Those that are there already are passed over.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] with the first pair that is wrong, [`Failure::Namespace`].
    pub async fn import_pairs(
        &self,
        caller: &Caller,
        namespace: Option<String>,
        pairs: Vec<NewPair>,
    ) -> Result<Imported, Failure> {
        let own = caller.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        let namespace = namespace.unwrap_or(own);
        checks::name("/namespace", &namespace)?;
        if !caller.reaches(&namespace) {
            return Err(Failure::Namespace(namespace));
        }
        if !(1..=MOST_PAIRS).contains(&pairs.len()) {
            return Err(Failure::field("/pairs", format!("must have 1 to {MOST_PAIRS}")));
        }
        let mut rows = Vec::new();
        for (n, pair) in pairs.into_iter().enumerate() {
            self.check_pair(&format!("/pairs/{n}"), &namespace, &pair).await?;
            rows.push(self.row_of(&namespace, pair)?);
        }
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let is_new = self.pipeline().store().add_pairs(rows).await;
        let is_new = is_new.map_err(|error| Failure::of_change(error, "of a pair"))?;
        let known = is_new.iter().filter(|is_new| !**is_new).count();
        let ids: Vec<String> = ids.into_iter().zip(is_new).filter(|(_, is_new)| *is_new).map(|(id, _)| id).collect();
        let detail = json!({ "imported": ids.len(), "known": known });
        self.pipeline().audit(caller, Some(&namespace), "pairs.import", &namespace, detail).await?;
        Ok(Imported { ids, known })
    }

    async fn check_pair(&self, at: &str, namespace: &str, pair: &NewPair) -> Result<(), Failure> {
        if !(1..=MOST_TASK_BYTES).contains(&pair.task.len()) || pair.task.contains('\0') {
            return Err(Failure::field(format!("{at}/task"), "must have 1 to 2000 bytes and no U+0000"));
        }
        if pair.full.trajectory.is_none() && pair.full.messages.is_none() {
            return Err(Failure::field(format!("{at}/full"), "needs `trajectory` or `messages`"));
        }
        for (name, side) in [("full", &pair.full), ("compressed", &pair.compressed)] {
            let at = format!("{at}/{name}");
            if side.outcome.feedback.as_ref().is_some_and(|said| said.len() > MOST_FEEDBACK_BYTES) {
                return Err(Failure::field(format!("{at}/outcome/feedback"), "has more than 64 KiB"));
            }
            match (&side.trajectory, &side.messages) {
                (Some(_), Some(_)) => return Err(Failure::field(at, "has `trajectory` and `messages`: one is enough")),
                (Some(id), None) => {
                    let row = self.pipeline().store().trajectory(id).await?;
                    if row.is_none_or(|row| row.namespace != namespace) {
                        let detail = format!("there is no trajectory `{id}` in namespace `{namespace}`");
                        return Err(Failure::field(format!("{at}/trajectory"), detail));
                    }
                }
                (None, Some(messages)) => {
                    let read = RecordedRun::read(
                        String::new(),
                        TaskTold::default(),
                        None,
                        (WireFormat::OpenAi, messages.clone()),
                    );
                    read.map_err(|error| Failure::field(format!("{at}/messages"), error.to_string()))?;
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn row_of(&self, namespace: &str, pair: NewPair) -> Result<PairRow, Failure> {
        let NewPair { task, full, compressed } = pair;
        let (full_trajectory, compressed_trajectory) = (full.trajectory.clone(), compressed.trajectory.clone());
        let record = PairRecord { full, compressed };
        let record = serde_json::to_string(&record).map_err(|error| Failure::field("/pairs", error.to_string()))?;
        if record.contains("\\u0000") {
            return Err(Failure::field("/pairs", "a text holds the character U+0000"));
        }
        Ok(PairRow {
            id: self.pipeline().world().new_id(),
            namespace: namespace.to_owned(),
            key: OriginalHash::of(&format!("{task}\n{record}")).to_string(),
            task,
            origin: "import".to_owned(),
            full_trajectory,
            compressed_trajectory,
            record,
            created_ms: self.pipeline().world().now_ms(),
        })
    }

    /// Returns a page of the pairs that the caller reaches, newest first.
    ///
    /// # Errors
    ///
    /// [`Failure::Namespace`]; fails for a cursor that is none.
    pub async fn list_pairs(
        &self,
        caller: &Caller,
        namespace: Option<String>,
        (cursor, limit): (Option<&str>, usize),
    ) -> Result<PairPage, Failure> {
        let namespace = namespace.or_else(|| caller.namespace.clone());
        if let Some(asked) = namespace.as_ref().filter(|asked| !caller.reaches(asked)) {
            return Err(Failure::Namespace(asked.clone()));
        }
        Ok(self.pipeline().store().list_pairs(namespace.as_deref(), cursor, limit).await?)
    }

    /// Erases a pair, with what tuning runs know of it.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn delete_pair(&self, caller: &Caller, id: &str) -> Result<(), Failure> {
        let none = || Failure::NotFound(format!("pair `{id}`"));
        let pair = self.pipeline().store().pair(id).await?.filter(|pair| caller.reaches(&pair.namespace));
        let pair = pair.ok_or_else(none)?;
        if !self.pipeline().store().delete_pair(id).await? {
            return Err(none());
        }
        self.pipeline().audit(caller, Some(&pair.namespace), "pairs.delete", id, json!({})).await
    }
}
