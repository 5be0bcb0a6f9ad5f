//! Tuning runs and pairs in the store: every step once, and gone with what it was drawn from.

use recapd::store::{
    CHAMPION, CandidateStatus, ChangeError, CheckedCandidates, NewJob, PairRow, Resumer, TuningCandidate, TuningCase,
    TuningChange, TuningRun, TuningScore, TuningSpent, TuningStage, TuningState,
};
use serde_json::json;

use super::bed::{Bed, on_each_engine};

on_each_engine!(steps_are_stored_once, a_run_stands_only_where_it_can, law_11_tuning_forgets, pairs_are_stored_once);

fn run(id: &str, created_ms: i64) -> TuningRun {
    TuningRun {
        id: id.into(),
        namespace: None,
        actor: "me".into(),
        spec: "{}".into(),
        command: None,
        state: TuningState::Queued,
        stage: TuningStage::Collect,
        why: None,
        done: 0,
        total: 0,
        spent: TuningSpent::default(),
        champion: "b3:00".into(),
        beside: "{}".into(),
        unscanned: 0,
        verdict: None,
        created_ms,
        updated_ms: created_ms,
    }
}

fn job(id: &str) -> NewJob {
    NewJob {
        id: format!("job of {id}"),
        kind: "tune".into(),
        key: "runs".into(),
        trajectory: None,
        namespace: "default".into(),
        payload: json!(null),
        run_after_ms: 1,
        now_ms: 1,
    }
}

fn case(n: i64, trajectory: Option<&str>, pair: Option<&str>) -> TuningCase {
    TuningCase {
        n,
        name: trajectory.map_or_else(|| format!("case {n}"), str::to_owned),
        task: format!("task {n}"),
        side: "train".into(),
        trajectory: trajectory.map(str::to_owned),
        pair: pair.map(str::to_owned),
        length: 3,
    }
}

fn candidate(n: i64) -> TuningCandidate {
    TuningCandidate {
        n,
        hash: format!("b3:{n}"),
        text: "text".into(),
        note: "note".into(),
        proposer: "rules".into(),
        status: CandidateStatus::Proposed,
        why: None,
    }
}

fn score(candidate: i64, case: i64) -> TuningScore {
    TuningScore { candidate, case, record: Some(format!("{{\"n\":{case}}}")), why: None }
}

fn pair(id: &str, trajectories: [Option<&str>; 2], created_ms: i64) -> PairRow {
    let [full, compressed] = trajectories.map(|id| id.map(str::to_owned));
    PairRow {
        id: id.into(),
        namespace: "default".into(),
        key: format!("key of {id}"),
        task: "task".into(),
        origin: "import".into(),
        full_trajectory: full,
        compressed_trajectory: compressed,
        record: "{}".into(),
        created_ms,
    }
}

const SPENT: TuningSpent = TuningSpent { tokens: 5, cost_usd_micros: 7, is_unpriced: false, worked_ms: 11 };

/// Makes a run with cases that is being audited.
async fn audited(bed: &Bed, id: &str, cases: Vec<TuningCase>) {
    bed.store.create_tuning_run(run(id, 1), None).await.unwrap();
    bed.store.change_tuning_run(id, TuningChange::Begin, 2).await.unwrap();
    assert!(bed.store.put_tuning_cases(id, cases, 9, 2).await.unwrap());
}

async fn steps_are_stored_once(bed: Bed) {
    let store = &bed.store;
    audited(&bed, "r", vec![case(0, None, None), case(1, None, None)]).await;
    assert!(!store.put_tuning_cases("r", vec![case(2, None, None)], 9, 3).await.unwrap());
    assert_eq!(store.tuning_cases("r").await.unwrap(), [case(0, None, None), case(1, None, None)]);

    assert!(store.put_tuning_score("r", score(CHAMPION, 0), Some("{}".into()), SPENT).await.unwrap());
    let other = TuningScore { record: None, why: Some("no".into()), ..score(CHAMPION, 0) };
    assert!(!store.put_tuning_score("r", other, Some("[]".into()), SPENT).await.unwrap(), "the first one stays");
    assert!(!store.put_tuning_score("r", score(CHAMPION, 7), None, SPENT).await.unwrap(), "there is no such case");
    assert_eq!(store.tuning_scores("r").await.unwrap(), [score(CHAMPION, 0)]);
    assert_eq!(store.tuning_scores_of("r", CHAMPION).await.unwrap(), [score(CHAMPION, 0)]);
    assert_eq!(store.tuning_scores_of("r", 0).await.unwrap(), []);
    assert_eq!(store.tuning_scored("r").await.unwrap(), [(CHAMPION, 0)]);
    let evidence = async |case: i64| store.tuning_evidence("r", case).await.unwrap();
    assert_eq!((evidence(0).await.as_deref(), evidence(1).await), (Some("{}"), None));
    let now = store.tuning_run("r").await.unwrap().unwrap();
    assert_eq!((now.done, now.total, now.stage), (1, 9, TuningStage::Audit));
    assert_eq!(now.spent, TuningSpent { tokens: 15, cost_usd_micros: 21, is_unpriced: false, worked_ms: 33 });

    let checked = |all: &[i64], spent: TuningSpent| CheckedCandidates {
        candidates: all.iter().copied().map(candidate).collect(),
        total: 6,
        unscanned: 3,
        spent,
    };
    assert!(!store.put_tuning_candidates("r", checked(&[0], SPENT), 4).await.unwrap(), "it is not that far");
    let proposal = async |n: u32, said: &str| {
        store.put_tuning_proposal("r", (n, said.to_owned()), TuningSpent::default()).await.unwrap()
    };
    assert!(!proposal(1, "early").await, "it is not that far");
    let reach = TuningChange::Reach { stage: TuningStage::Propose, total: 5 };
    store.change_tuning_run("r", reach, 4).await.unwrap();
    let unpriced = TuningSpent { is_unpriced: true, ..SPENT };
    assert_eq!((proposal(2, "b").await, proposal(1, "a").await, proposal(1, "c").await), (true, true, false));
    assert_eq!(store.tuning_proposals("r").await.unwrap(), ["a", "b"]);
    assert!(store.put_tuning_candidates("r", checked(&[0, 1], unpriced), 4).await.unwrap());
    assert!(!store.put_tuning_candidates("r", checked(&[2], SPENT), 4).await.unwrap());
    assert!(store.tuning_proposals("r").await.unwrap().is_empty() && !proposal(3, "late").await);
    assert_eq!(store.tuning_run("r").await.unwrap().unwrap().unscanned, 3);
    store.note_candidate_scored("r", 1).await.unwrap();
    let candidates = store.tuning_candidates("r").await.unwrap();
    assert_eq!(candidates[1].status, CandidateStatus::Scored);
    let end = TuningChange::End { verdict: Some("{}".into()), why: Some("won".into()), winner: Some(1) };
    let (ended, changed) = store.change_tuning_run("r", end, 5).await.unwrap().unwrap();
    assert!(changed && ended.state == TuningState::Done && ended.spent.is_unpriced && ended.done == ended.total);
    assert_eq!(store.tuning_candidates("r").await.unwrap()[1].status, CandidateStatus::Winner);
    assert_eq!(evidence(0).await, None, "nobody needs it any more");
    assert!(matches!(store.create_tuning_run(run("r", 1), None).await, Err(ChangeError::Exists)));
}

async fn a_run_stands_only_where_it_can(bed: Bed) {
    let store = &bed.store;
    for (id, at) in [("a", 1), ("b", 2), ("c", 3)] {
        store.create_tuning_run(run(id, at), Some(job(id))).await.unwrap();
    }
    let of_command = TuningRun { command: Some("{}".into()), namespace: Some("blue".into()), ..run("d", 0) };
    store.create_tuning_run(of_command, None).await.unwrap();
    let next = async |after: Option<&TuningRun>| store.next_tuning_run(after).await.unwrap().map(|run| run.id);
    assert_eq!(next(None).await.as_deref(), Some("a"), "the daemon leaves what a command works on");
    let [b, c] = [("b", 2), ("c", 3)].map(|(id, at)| run(id, at));
    assert_eq!((next(Some(&b)).await.as_deref(), next(Some(&c)).await), (Some("c"), None));
    let change = async |id: &str, change: TuningChange| {
        let (run, changed) = store.change_tuning_run(id, change, 9).await.unwrap().unwrap();
        (run.state, changed)
    };
    let why = || "why".to_owned();
    assert_eq!(change("a", TuningChange::Pause { why: why() }).await, (TuningState::Queued, false));
    assert_eq!(change("a", TuningChange::Begin).await, (TuningState::Running, true));
    assert_eq!(change("a", TuningChange::Pause { why: why() }).await, (TuningState::Paused, true));
    assert_eq!(change("a", TuningChange::Begin).await, (TuningState::Paused, false));
    assert_eq!(next(None).await.as_deref(), Some("b"));
    assert_eq!(change("a", TuningChange::Cancel { why: why() }).await, (TuningState::Cancelled, true));
    assert_eq!(change("a", TuningChange::Cancel { why: why() }).await, (TuningState::Cancelled, false));
    let reach = TuningChange::Reach { stage: TuningStage::Judge, total: 1 };
    assert_eq!(change("a", reach).await, (TuningState::Cancelled, false), "who was cancelled changes nothing");
    let resume = |by| TuningChange::Resume { spec: "{\"caps\":{}}".into(), job: Some(job("again")), by };
    assert_eq!(change("a", resume(Resumer::Daemon)).await, (TuningState::Queued, true));
    let resumed = store.tuning_run("a").await.unwrap().unwrap();
    assert_eq!((resumed.spec.as_str(), resumed.why), ("{\"caps\":{}}", None));
    assert_eq!(change("a", TuningChange::Fail { why: why() }).await, (TuningState::Failed, true));
    assert_eq!(change("b", TuningChange::Begin).await, (TuningState::Running, true));
    assert_eq!(change("b", resume(Resumer::Daemon)).await, (TuningState::Running, false), "it is its worker's");
    assert_eq!(change("b", resume(Resumer::Command)).await, (TuningState::Running, true), "it was cut off");
    let end = TuningChange::End { verdict: None, why: None, winner: None };
    assert_eq!(change("b", end).await, (TuningState::Done, true));
    assert_eq!(change("b", resume(Resumer::Daemon)).await, (TuningState::Done, false));
    assert_eq!(change("b", resume(Resumer::Command)).await, (TuningState::Done, false));
    assert!(store.change_tuning_run("none", TuningChange::Begin, 9).await.unwrap().is_none());

    let page = store.list_tuning_runs(None, None, 3).await.unwrap();
    assert_eq!(page.runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["c", "b", "a"]);
    let page = store.list_tuning_runs(None, page.next_cursor.as_deref(), 3).await.unwrap();
    assert_eq!((page.runs.len(), page.next_cursor), (1, None));
    assert_eq!(store.list_tuning_runs(Some("blue"), None, 3).await.unwrap().runs.len(), 1);
    assert!(store.list_tuning_runs(None, Some("nonsense"), 3).await.is_err());
}

async fn law_11_tuning_forgets(bed: Bed) {
    let store = &bed.store;
    for id in ["goes", "stays"] {
        bed.trajectory(id).await;
    }
    store.add_pairs(vec![pair("p", [Some("stays"), Some("goes")], 1), pair("q", [None, None], 2)]).await.unwrap();
    let cases = vec![
        case(0, Some("goes"), None),
        case(1, Some("stays"), Some("p")),
        case(2, Some("stays"), None),
        case(3, None, Some("q")),
        case(4, Some("never there"), None),
    ];
    audited(&bed, "r", cases.clone()).await;
    assert_eq!(store.tuning_cases("r").await.unwrap().len(), 4, "what is gone is left out");
    for n in 0..4 {
        store.put_tuning_score("r", score(CHAMPION, n), Some("words".into()), SPENT).await.unwrap();
        store.put_tuning_score("r", score(0, n), None, SPENT).await.unwrap();
    }
    let verdict =
        json!({ "reason": "refused: 1 of 2 cases have no score, as `goes`", "missing_cases": ["goes", "stays"] });
    let why = Some("candidate 0 refused: 1 of 2 cases have no score, as `goes`".into());
    let end = TuningChange::End { verdict: Some(verdict.to_string()), why, winner: None };
    store.change_tuning_run("r", end, 5).await.unwrap();

    let report = store.delete_trajectory("goes", "me", 9).await.unwrap();
    assert_eq!((report.tuning_cases, report.tuning_scores, report.pairs), (2, 4, 1));
    assert_eq!(store.tuning_cases("r").await.unwrap(), [cases[2].clone(), cases[3].clone()]);
    assert!(store.tuning_scores("r").await.unwrap().iter().all(|score| score.case >= 2));
    let run = store.tuning_run("r").await.unwrap().unwrap();
    assert!(!format!("{run:?}").contains("goes"), "{run:?}");
    assert!(store.pair("p").await.unwrap().is_none());
    assert!(store.delete_pair("q").await.unwrap());
    assert_eq!(store.tuning_cases("r").await.unwrap(), [cases[2].clone()]);
    assert!(!store.put_tuning_score("r", score(1, 0), None, SPENT).await.unwrap());
    assert!(store.check().await.unwrap().is_sound());
}

async fn pairs_are_stored_once(bed: Bed) {
    let store = &bed.store;
    bed.trajectory("t").await;
    let first = pair("p", [Some("t"), None], 1);
    let again = PairRow { id: "q".into(), created_ms: 2, ..first.clone() };
    let elsewhere = PairRow { id: "r".into(), namespace: "blue".into(), created_ms: 3, ..first.clone() };
    assert_eq!(store.add_pairs(vec![first.clone(), again.clone(), elsewhere]).await.unwrap(), [true, false, true]);
    assert_eq!(store.add_pairs(vec![again]).await.unwrap(), [false]);
    let gone = pair("s", [None, Some("none")], 4);
    assert!(matches!(store.add_pairs(vec![gone]).await, Err(ChangeError::NoTrajectory)));
    assert_eq!(store.pair("p").await.unwrap().unwrap(), first);
    let page = store.list_pairs(None, None, 1).await.unwrap();
    assert_eq!(page.pairs[0].id, "r");
    let page = store.list_pairs(None, page.next_cursor.as_deref(), 1).await.unwrap();
    assert_eq!((page.pairs[0].id.as_str(), page.next_cursor), ("p", None));
    assert_eq!(store.list_pairs(Some("blue"), None, 9).await.unwrap().pairs.len(), 1);
}
