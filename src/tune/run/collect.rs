//! Which runs of agents a tuning run measures on, and where their messages are.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use recap_core::trajectory::WireFormat;
use recap_core::tuning::{Side, Split};

use super::error::RunError;
use super::pairs::{PairRecord, speak_for};
use super::spec::{EvidenceSource, Spec};
use crate::pipeline::task::TaskTold;
use crate::store::{PairRow, Store, TrajectoryFilter, TrajectoryRow, TuningCase};
use crate::tune::runner::{self, Arm, Crew, RunnerResult};
use crate::tune::stored::{StoredError, stored_run};
use crate::tune::{RecordedRun, Unusable};

/// Records on one page.
const PAGE: usize = 200;
/// Bytes of messages that stay in memory between two replays of their cases.
const HELD_BYTES: usize = 128 << 20;

/// Recorded runs from files, by name.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<String, Arc<RecordedRun>>);

impl Files {
    /// Takes a run. A name that is taken gets a number, the same one each time.
    pub fn take(&mut self, run: RecordedRun) {
        let mut name = run.id.clone();
        let mut n = 1;
        while self.0.contains_key(&name) {
            n += 1;
            name = format!("{}#{n}", run.id);
        }
        self.0.insert(name, Arc::new(run));
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a run draws on beside the store.
#[derive(Clone, Copy, Default)]
pub struct Sources<'a> {
    /// The recorded runs that it measures on, in place of stored ones.
    pub files: Option<&'a Files>,
    /// The agent whose runs are its cases, and which does the held-out tasks before the gate judges.
    pub crew: Option<&'a Crew>,
}

/// What agents did, and under which version.
pub(super) struct Done<'a> {
    pub results: &'a [RunnerResult],
    pub version: &'a str,
}

/// What was found.
#[allow(clippy::struct_field_names, reason = "the words of the field")]
#[derive(Default)]
pub(super) struct Found {
    pub cases: Vec<TuningCase>,
    /// Their names.
    known: HashSet<String>,
    found: usize,
    small: usize,
    unusable: usize,
}

/// Where the messages of cases come from.
pub(super) struct Library<'a> {
    store: &'a Store,
    files: Option<&'a Files>,
    held: HashMap<i64, Arc<RecordedRun>>,
    held_bytes: usize,
}

/// A case's messages, if they can be had.
pub(super) enum Loaded {
    Run(Arc<RecordedRun>),
    /// It was erased.
    Gone,
    /// It cannot be replayed.
    Unusable(String),
}

impl<'a> Library<'a> {
    pub fn new(store: &'a Store, files: Option<&'a Files>) -> Self {
        Self { store, files, held: HashMap::new(), held_bytes: 0 }
    }

    /// Finds the cases that a spec asks for and divides them.
    ///
    /// # Errors
    ///
    /// [`RunError::NoCases`], [`RunError::OneSided`].
    pub async fn collect(&self, spec: &Spec) -> Result<Vec<TuningCase>, RunError> {
        let mut found = Found::default();
        match (self.files, spec.evidence) {
            (Some(files), _) => found.take_files(files, spec),
            (None, EvidenceSource::Audit) => self.trajectories(spec, &mut found).await?,
            (None, EvidenceSource::Pairs) => self.pairs(spec, &mut found).await?,
        }
        found.divided(&spec.split)
    }

    /// Finds the cases that runs of agents are: of training tasks those that are evidence for the objective, of held-out
    /// tasks all. Their messages are those with full contexts.
    ///
    /// # Errors
    ///
    /// As [`Library::collect`]; [`RunError::NoEvidence`].
    pub async fn collect_done(&self, spec: &Spec, done: &Done<'_>) -> Result<Vec<TuningCase>, RunError> {
        let speaking: HashSet<&str> = runner::pairs(done.results, done.version)
            .into_iter()
            .filter(|(full, compressed)| speak_for(spec.objective, [full.success, compressed.success]))
            .map(|(full, _)| full.task.as_str())
            .collect();
        let is_case = |task: &str| spec.split.side(task) == Side::HeldOut || speaking.contains(task);
        let full = done.results.iter().filter(|result| result.arm == Arm::Full && result.is_evidence());
        let mut found = Found::default();
        for result in full.filter(|result| is_case(&result.task)) {
            if found.cases.len() >= spec.most_cases() {
                break;
            }
            let Some(row) = self.store.trajectory(&result.trajectory).await? else { continue };
            found.found += 1;
            let row = TrajectoryRow { task: Some(result.task.clone()), metadata: None, ..row };
            self.trajectory(row, None, (spec, &mut found)).await?;
        }
        if !found.cases.is_empty() && found.cases.iter().all(|case| spec.split.side(&case.task) == Side::HeldOut) {
            return Err(RunError::NoEvidence);
        }
        found.divided(&spec.split)
    }

    async fn trajectories(&self, spec: &Spec, found: &mut Found) -> Result<(), RunError> {
        let filter = TrajectoryFilter {
            namespace: spec.cases.namespace.clone(),
            agent: spec.cases.agent.clone(),
            since_ms: spec.since_ms().ok().flatten(),
            ..TrajectoryFilter::default()
        };
        let mut cursor = None;
        loop {
            let page = self.store.list_trajectories(&filter, cursor.as_deref(), PAGE).await?;
            for row in page.trajectories {
                found.found += 1;
                self.trajectory(row, None, (spec, found)).await?;
                if found.cases.len() >= spec.most_cases() {
                    return Ok(());
                }
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn trajectory(
        &self,
        row: TrajectoryRow,
        pair: Option<String>,
        (spec, found): (&Spec, &mut Found),
    ) -> Result<(), RunError> {
        if row.full_tokens < u64::from(spec.cases.min_peak) {
            found.small += 1;
            return Ok(());
        }
        let run = match stored_run(self.store, &row).await {
            Ok(run) => run,
            Err(StoredError::Store(error)) => return Err(error.into()),
            Err(StoredError::Changed(_) | StoredError::Unusable(_)) => {
                found.unusable += 1;
                return Ok(());
            }
        };
        let case = TuningCase { trajectory: Some(row.id), pair, length: row.length, ..case_of(&run) };
        found.take(&run, case, spec);
        Ok(())
    }

    async fn pairs(&self, spec: &Spec, found: &mut Found) -> Result<(), RunError> {
        let mut cursor = None;
        loop {
            let page = self.store.list_pairs(spec.cases.namespace.as_deref(), cursor.as_deref(), PAGE).await?;
            for pair in page.pairs {
                self.pair(pair, (spec, found)).await?;
                if found.cases.len() >= spec.most_cases() {
                    return Ok(());
                }
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn pair(&self, pair: PairRow, (spec, found): (&Spec, &mut Found)) -> Result<(), RunError> {
        let record: PairRecord = serde_json::from_str(&pair.record)?;
        if !record.speaks_for(spec.objective) {
            return Ok(());
        }
        // Pairs can share a whole run: it is one case.
        if pair.full_trajectory.as_ref().is_some_and(|id| found.known.contains(id)) {
            return Ok(());
        }
        found.found += 1;
        if let Some(id) = &pair.full_trajectory {
            return match self.store.trajectory(id).await? {
                Some(row) => {
                    let row = TrajectoryRow { task: Some(pair.task), metadata: None, ..row };
                    self.trajectory(row, Some(pair.id), (spec, found)).await
                }
                None => Ok(()),
            };
        }
        match inline_run(&pair, record) {
            Ok(run) => {
                let case = TuningCase { pair: Some(pair.id), ..case_of(&run) };
                found.take(&run, case, spec);
            }
            Err(_) => found.unusable += 1,
        }
        Ok(())
    }

    /// Returns a case's messages.
    ///
    /// # Errors
    ///
    /// [`RunError::Store`]; [`RunError::NotInFiles`].
    pub async fn run(&mut self, case: &TuningCase) -> Result<Loaded, RunError> {
        if let Some(run) = self.held.get(&case.n) {
            return Ok(Loaded::Run(Arc::clone(run)));
        }
        let loaded = self.loaded(case).await?;
        if let Loaded::Run(run) = &loaded {
            let bytes: usize = run.messages.iter().map(|message| message.get().len()).sum();
            // What actions need is kept beside the messages and takes about as much again.
            let bytes = bytes.saturating_mul(3);
            if self.files.is_none() && self.held_bytes + bytes <= HELD_BYTES {
                self.held_bytes += bytes;
                self.held.insert(case.n, Arc::clone(run));
            }
        }
        Ok(loaded)
    }

    async fn loaded(&self, case: &TuningCase) -> Result<Loaded, RunError> {
        if let Some(id) = &case.trajectory {
            let Some(row) = self.store.trajectory(id).await? else { return Ok(Loaded::Gone) };
            let row = TrajectoryRow { length: row.length.min(case.length), ..row };
            return match stored_run(self.store, &row).await {
                Ok(run) => Ok(Loaded::Run(Arc::new(run))),
                Err(StoredError::Store(error)) => Err(error.into()),
                Err(StoredError::Changed(_)) => Ok(Loaded::Gone),
                Err(StoredError::Unusable(error)) => Ok(Loaded::Unusable(error.to_string())),
            };
        }
        if let Some(id) = &case.pair {
            let Some(pair) = self.store.pair(id).await? else { return Ok(Loaded::Gone) };
            let record = serde_json::from_str(&pair.record)?;
            return Ok(inline_run(&pair, record)
                .map_or_else(|error| Loaded::Unusable(error.to_string()), |run| Loaded::Run(Arc::new(run))));
        }
        let held = self.files.and_then(|files| files.0.get(&case.name));
        match held {
            Some(run) if run.messages.len() as u64 == case.length => Ok(Loaded::Run(Arc::clone(run))),
            _ => Err(RunError::NotInFiles(case.name.clone())),
        }
    }
}

impl Found {
    fn take_files(&mut self, files: &Files, spec: &Spec) {
        for (name, run) in &files.0 {
            if self.cases.len() >= spec.most_cases() {
                return;
            }
            self.found += 1;
            let case = TuningCase { name: name.clone(), ..case_of(run) };
            self.take(run, case, spec);
        }
    }

    fn take(&mut self, run: &RecordedRun, case: TuningCase, spec: &Spec) {
        if !run.reaches(i64::from(spec.cases.min_peak)) || run.recorded.full_peak() == 0 {
            self.small += 1;
            return;
        }
        self.known.insert(case.name.clone());
        self.cases.push(case);
    }

    /// Numbers the cases and gives each its side.
    fn divided(self, split: &Split) -> Result<Vec<TuningCase>, RunError> {
        let Self { mut cases, found, small, unusable, .. } = self;
        if cases.is_empty() {
            return Err(RunError::NoCases { found, small, unusable });
        }
        // Whoever collects the same cases gets them in the same order.
        cases.sort_by(|one, other| (&one.task, &one.name).cmp(&(&other.task, &other.name)));
        let mut held_out = 0;
        for (n, case) in (0_i64..).zip(&mut cases) {
            case.n = n;
            let side = split.side(&case.task);
            held_out += usize::from(side == Side::HeldOut);
            side_name(side).clone_into(&mut case.side);
        }
        if held_out == 0 || held_out == cases.len() {
            let mut tasks: Vec<&str> = cases.iter().map(|case| case.task.as_str()).collect();
            tasks.dedup();
            return Err(RunError::OneSided { tasks: tasks.len() });
        }
        Ok(cases)
    }
}

/// Returns a side's name in the store.
pub(super) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Train => "train",
        Side::HeldOut => "held_out",
    }
}

fn case_of(run: &RecordedRun) -> TuningCase {
    TuningCase {
        n: 0,
        name: run.id.clone(),
        task: run.task.clone(),
        side: String::new(),
        trajectory: None,
        pair: None,
        length: run.messages.len() as u64,
    }
}

fn inline_run(pair: &PairRow, record: PairRecord) -> Result<RecordedRun, Unusable> {
    let messages = record.full.messages.unwrap_or_default();
    let told = TaskTold { metadata: None, task: Some(&pair.task) };
    RecordedRun::read(pair.id.clone(), told, None, (WireFormat::OpenAi, messages))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn small_runs_take_no_place_among_the_cases_of_files() {
        let run = |id: &str, words: usize| {
            let messages = [
                json!({ "role": "user", "content": id }),
                json!({ "role": "assistant", "content": "What does it say?" }),
                json!({ "role": "user", "content": "word ".repeat(words) }),
                json!({ "role": "assistant", "content": "done" }),
            ];
            let raw = messages.map(|message| serde_json::value::to_raw_value(&message).unwrap());
            RecordedRun::read(id.to_owned(), TaskTold::default(), None, (WireFormat::OpenAi, raw.into())).unwrap()
        };
        let mut files = Files::default();
        for (id, words) in [("a", 1), ("b", 1), ("c", 2_000), ("d", 2_000), ("e", 2_000)] {
            files.take(run(id, words));
        }
        let asked = json!({ "guideline": "default/history", "objective": "utility", "caps": { "max_cases": 2 },
            "cases": { "min_peak": 500 } });
        let mut found = Found::default();
        found.take_files(&files, &serde_json::from_value(asked).unwrap());
        let names: Vec<&str> = found.cases.iter().map(|case| case.name.as_str()).collect();
        assert_eq!((names, found.found, found.small), (vec!["c", "d"], 4, 2));
    }

    #[test]
    fn both_sides_need_a_task() {
        let split = Split { seed: 0, held_out: 0.5 };
        let case = |name: &str, task: &str| TuningCase {
            name: name.into(),
            task: task.into(),
            n: 0,
            side: String::new(),
            trajectory: None,
            pair: None,
            length: 1,
        };
        let found = |tasks: &[&str]| Found {
            cases: tasks.iter().enumerate().map(|(n, task)| case(&n.to_string(), task)).collect(),
            ..Found::default()
        };
        assert!(matches!(found(&[]).divided(&split), Err(RunError::NoCases { .. })));
        assert!(matches!(found(&["a", "a"]).divided(&split), Err(RunError::OneSided { tasks: 1 })));
        let tasks: Vec<String> = (0..40).map(|n| format!("t{}", n / 2)).collect();
        let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
        let cases = found(&tasks).divided(&split).unwrap();
        for pair in cases.chunks(2) {
            assert_eq!((&pair[0].task, &pair[0].side), (&pair[1].task, &pair[1].side));
        }
        assert!(cases.iter().any(|case| case.side == "held_out"));
    }
}
