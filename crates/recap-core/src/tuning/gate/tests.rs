#![allow(clippy::float_cmp, reason = "equal inputs give equal numbers")]

use proptest::prelude::*;

use super::*;

fn score(n: usize, bound: usize, billed: f64) -> CaseScore {
    CaseScore {
        case: format!("case {n}"),
        task: format!("task {}", n / 2),
        success: None,
        need: 20,
        kept: 18,
        bound,
        first: 5,
        first_kept: 3,
        billed,
        full_billed: 20_000.0,
        faults: 0,
    }
}

fn scores(cases: usize, bound: usize, billed: f64) -> Vec<CaseScore> {
    (0..cases).map(|n| score(n, bound, billed)).collect()
}

fn with_success(mut scores: Vec<CaseScore>, success: impl Fn(usize) -> bool) -> Vec<CaseScore> {
    for (n, score) in scores.iter_mut().enumerate() {
        score.success = Some(success(n));
        score.task = format!("task {n}");
    }
    scores
}

fn verdict(objective: Objective, champion: &[CaseScore], candidate: &[CaseScore]) -> Verdict {
    judge(objective, champion, candidate, &Margins::default(), 1)
}

const ALL: [Objective; 3] = [Objective::Utility, Objective::Compression, Objective::Both];

#[test]
fn what_is_better_passes_by_what_it_is_better_at() {
    let champion = scores(20, 10, 10_000.0);
    let passes = |bound, billed| ALL.map(|objective| verdict(objective, &champion, &scores(20, bound, billed)).passes);
    assert_eq!(passes(11, 10_000.0), [true, false, false]);
    assert_eq!(passes(10, 9_900.0), [false, true, false]);
    assert_eq!(passes(11, 9_900.0), [true, true, true]);
    assert_eq!(passes(11, 10_400.0), [true, false, false]);
    assert_eq!(passes(11, 10_600.0), [false, false, false]);
    assert_eq!(passes(9, 5_000.0), [false, false, false]);
}

#[test]
fn a_verdict_says_why_with_its_numbers() {
    let champion = with_success(scores(20, 10, 10_000.0), |n| n < 8);
    let candidate = with_success(scores(20, 10, 10_100.0), |n| n < 14);
    let found = verdict(Objective::Utility, &champion, &candidate);
    let success = found.success.unwrap();
    assert_eq!((success.tasks, success.gained, success.lost), (20, 6, 0));
    assert_eq!((found.cases, found.tasks, found.missing), (20, 20, 0));
    insta::assert_snapshot!(found.reason, @"passes: more tasks solved: 6 gained, 0 lost, p = 0.0156; billed tokens +1.0 % (+1.0 % to +1.0 %)");
    insta::assert_snapshot!(verdict(Objective::Compression, &champion, &candidate).reason, @"refused: tokens are not surely saved, and a tie keeps the champion; billed +1.0 % (+1.0 % to +1.0 %); 0 tasks better, 20 worse, p = 1.0000");
    insta::assert_snapshot!(verdict(Objective::Utility, &candidate, &champion).reason, @"refused: success is surely lower");
}

#[test]
fn four_tasks_of_one_mind_do_not_convince() {
    let champion = with_success(scores(20, 10, 10_000.0), |_| false);
    let with = |gained| with_success(scores(20, 10, 10_000.0), move |n| n < gained);
    assert!(!verdict(Objective::Utility, &champion, &with(4)).passes);
    assert!(verdict(Objective::Utility, &champion, &with(5)).passes);
    let few = verdict(Objective::Utility, &scores(8, 10, 10_000.0), &scores(8, 15, 10_000.0));
    insta::assert_snapshot!(few.reason, @"refused: bound recall: measured on 4 tasks, and 5 are the least to be sure");
}

/// Scores of tasks of which the first so many needed values.
fn needed_by(tasks: usize, mut scores: Vec<CaseScore>) -> Vec<CaseScore> {
    for (n, score) in scores.iter_mut().enumerate() {
        score.task = format!("task {n}");
        if n >= tasks {
            *score = CaseScore { need: 0, kept: 0, bound: 0, first: 0, first_kept: 0, ..score.clone() };
        }
    }
    scores
}

#[test]
fn what_no_action_needed_is_no_evidence() {
    let judged = |objective, tasks, bound, billed| {
        let [champion, candidate] =
            [(10, 10_000.0), (bound, billed)].map(|(bound, billed)| needed_by(tasks, scores(20, bound, billed)));
        verdict(objective, &champion, &candidate)
    };
    let nothing = judged(Objective::Compression, 0, 10, 5_000.0);
    assert_eq!((nothing.grounding, nothing.bound, nothing.first), (None, None, None));
    insta::assert_snapshot!(nothing.reason, @"refused: grounding: measured on 0 tasks, and 5 are the least to be sure");
    insta::assert_snapshot!(judged(Objective::Compression, 4, 10, 5_000.0).reason, @"refused: grounding: measured on 4 tasks, and 5 are the least to be sure");
    assert!(judged(Objective::Compression, 5, 10, 5_000.0).passes);
    let utility = judged(Objective::Utility, 4, 15, 10_000.0);
    insta::assert_snapshot!(utility.reason, @"refused: bound recall: measured on 4 tasks, and 5 are the least to be sure");
    let enough = judged(Objective::Utility, 5, 15, 10_000.0);
    assert_eq!((enough.passes, enough.bound.unwrap().tasks, enough.tasks), (true, 5, 20), "{}", enough.reason);
    let free = verdict(Objective::Utility, &scores(20, 10, 0.0), &scores(20, 15, 0.0));
    insta::assert_snapshot!(free.reason, @"refused: billed tokens: measured on 0 tasks, and 5 are the least to be sure");
}

#[test]
fn first_uses_are_guarded_where_there_are_any() {
    let without = |mut scores: Vec<CaseScore>| {
        for score in &mut scores {
            (score.first, score.first_kept) = (0, 0);
        }
        scores
    };
    let champion = without(scores(20, 10, 10_000.0));
    let found = verdict(Objective::Compression, &champion, &without(scores(20, 10, 5_000.0)));
    assert_eq!((found.passes, found.first), (true, None), "{}", found.reason);
    let mut worse = scores(20, 10, 5_000.0);
    for score in &mut worse {
        score.first_kept -= 1;
    }
    let found = verdict(Objective::Compression, &scores(20, 10, 10_000.0), &worse);
    assert!(!found.passes && found.reason.contains("first-use recall"), "{}", found.reason);
}

#[test]
fn four_changed_tasks_of_many_do_not_convince() {
    let champion = needed_by(20, scores(20, 10, 10_000.0));
    let with = |changed: usize, bound, billed| {
        let mut candidate = champion.clone();
        for score in candidate.iter_mut().take(changed) {
            (score.bound, score.billed) = (bound, billed);
        }
        candidate
    };
    let few = verdict(Objective::Utility, &champion, &with(4, 18, 10_000.0));
    assert!(few.bound.unwrap().interval[0] > 0.0, "the bootstrap alone is sure: {}", few.reason);
    insta::assert_snapshot!(few.reason, @"refused: nothing is surely better, and a tie keeps the champion; bound recall +8.0 % (+2.0 % to +14.0 %); 4 tasks better, 0 worse, p = 0.0625");
    let five = verdict(Objective::Utility, &champion, &with(5, 18, 10_000.0));
    assert_eq!((five.passes, five.bound_by_task), (true, Some(SignTest { better: 5, worse: 0, p: 0.03125 })));
    let few = verdict(Objective::Compression, &champion, &with(4, 10, 2_000.0));
    assert!(!few.passes && few.billed.unwrap().interval[1] < 0.0, "{}", few.reason);
    let five = verdict(Objective::Compression, &champion, &with(5, 10, 2_000.0));
    assert_eq!(five.billed_by_task.map(|test| (five.passes, test.better)), Some((true, 5)), "{}", five.reason);
}

/// Draws numbers from 0 to 1 by a linear congruence (Knuth's MMIX).
fn draws(mut state: u64) -> impl FnMut() -> f64 {
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 33).unwrap()) / f64::from(1u32 << 31)
    }
}

/// A candidate that is better or worse by chance alone passes about as rarely as the level says, also where it changes
/// few tasks.
#[test]
fn chance_passes_no_oftener_than_the_level() {
    const TRIALS: u32 = 200;
    let champion = needed_by(20, scores(20, 10, 10_000.0));
    for (objective, level, changed) in
        [(Objective::Utility, 0.05, 3), (Objective::Compression, 0.05, 3), (Objective::Utility, 0.2, 12)]
    {
        let margins = Margins { level, ..Margins::default() };
        let passes = |seed: u32| {
            let (mut candidate, mut draw) = (champion.clone(), draws(u64::from(seed) * 977 + 5));
            for score in candidate.iter_mut().take(changed) {
                let (is_better, much) = (draw() < 0.5, draw());
                match objective {
                    Objective::Utility if is_better => score.bound = if much < 0.5 { 18 } else { 12 },
                    Objective::Utility => score.bound = if much < 0.5 { 2 } else { 8 },
                    _ if is_better => score.billed = 8_000.0 - 4_000.0 * much,
                    _ => score.billed = 12_000.0 + 4_000.0 * much,
                }
            }
            judge(objective, &champion, &candidate, &margins, u64::from(seed)).passes
        };
        let passed: u32 = (0..TRIALS).map(|seed| u32::from(passes(seed))).sum();
        let most = level * f64::from(TRIALS);
        // three standard deviations of a binomial
        let most = most + 3.0 * (most * (1.0 - level)).sqrt();
        assert!(
            f64::from(passed) <= most,
            "{objective:?} at {level}: {passed} of {TRIALS} pass, {changed} tasks changed"
        );
    }
}

#[test]
fn runs_of_one_task_count_once() {
    let one_task = |success: bool| {
        let mut scores = with_success(scores(9, 10, 10_000.0), |_| success);
        for score in &mut scores {
            score.task = "the same".to_owned();
        }
        scores
    };
    let found = verdict(Objective::Utility, &one_task(false), &one_task(true));
    assert_eq!((found.passes, found.tasks), (false, 1));
}

#[test]
fn faults_and_missing_scores_are_refused() {
    let champion = scores(20, 10, 10_000.0);
    let mut candidate = scores(20, 15, 5_000.0);
    candidate[3].faults = 1;
    insta::assert_snapshot!(verdict(Objective::Both, &champion, &candidate).reason, @"refused: 1 contexts were over the budget, invalid or not served, the champion's 0");
    candidate[3].faults = 0;
    assert!(verdict(Objective::Both, &champion, &candidate).passes);
    for spoil in [
        (|score: &mut CaseScore| score.billed = f64::NAN) as fn(&mut CaseScore),
        |score| score.billed = 0.0,
        |score| score.bound = 19,
        |score| score.case = "case 4".to_owned(),
    ] {
        let mut spoilt = candidate.clone();
        spoil(&mut spoilt[3]);
        let found = verdict(Objective::Both, &champion, &spoilt);
        assert!(!found.passes && found.missing > 0, "{}", found.reason);
    }
    let empty = verdict(Objective::Both, &champion, &[]);
    assert_eq!((empty.passes, empty.missing, empty.billed.unwrap().by), (false, 20, 1.0));
    assert!(!verdict(Objective::Both, &[], &candidate).passes);
    let unscored: Vec<CaseScore> = with_success(candidate.clone(), |_| true);
    let outcomes = with_success(scores(20, 10, 10_000.0), |_| true);
    assert!(!verdict(Objective::Compression, &outcomes, &candidate).passes, "no outcome is no success");
    assert!(verdict(Objective::Compression, &outcomes, &unscored).passes);
}

#[test]
fn margins_are_checked() {
    let wrong = Margins { level: f64::NAN, ..Margins::default() };
    let found = judge(Objective::Utility, &scores(20, 5, 10_000.0), &scores(20, 15, 10_000.0), &wrong, 1);
    assert!(!found.passes && found.reason.contains("level"), "{}", found.reason);
    for wrong in [
        Margins { level: 0.0, ..Margins::default() },
        Margins { inferiority: -0.1, ..Margins::default() },
        Margins { token_growth: f64::INFINITY, ..Margins::default() },
    ] {
        assert!(wrong.check().is_err());
    }
    assert!(Margins::default().check().is_ok());
}

#[test]
fn a_verdict_goes_through_json() {
    let found = verdict(Objective::Both, &scores(9, 10, 10_000.0), &scores(8, 12, 9_000.0));
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), found);
}

/// Scores of one side: successes, values and tokens of each case.
fn any_scores() -> impl Strategy<Value = Vec<CaseScore>> {
    let case = (0usize..30, 0usize..30, 0usize..10, 1u32..50_000, proptest::option::of(any::<bool>()), 0usize..2);
    proptest::collection::vec(case, 1..25).prop_map(|cases| {
        let all = cases.into_iter().enumerate().map(|(n, (need, bound, first, billed, success, faults))| CaseScore {
            need,
            kept: need,
            bound: bound.min(need),
            first: first.min(need),
            first_kept: first.min(need).min(bound),
            success,
            faults,
            ..score(n, 0, f64::from(billed))
        });
        all.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_candidate_that_changes_nothing_never_passes(champion in any_scores(), seed in any::<u64>()) {
        for objective in ALL {
            let found = judge(objective, &champion, &champion, &Margins::default(), seed);
            prop_assert!(!found.passes, "{}", found.reason);
        }
    }

    #[test]
    fn a_uniform_improvement_passes(seed in any::<u64>(), cases in 10usize..30, better in 1usize..6, cheaper in 1u32..30) {
        let champion = scores(cases, 10, 10_000.0);
        let candidate = scores(cases, 10 + better, 10_000.0 * (1.0 - f64::from(cheaper) / 100.0));
        for objective in ALL {
            let found = judge(objective, &champion, &candidate, &Margins::default(), seed);
            prop_assert!(found.passes, "{}", found.reason);
        }
    }

    #[test]
    fn order_changes_nothing(
        champion in any_scores(), candidate in any_scores(), seed in any::<u64>(), turn in 0usize..25,
    ) {
        let mut others = [champion.clone(), candidate.clone()];
        for scores in &mut others {
            let by = turn % scores.len();
            scores.rotate_left(by);
            scores.reverse();
        }
        for objective in ALL {
            let found = judge(objective, &champion, &candidate, &Margins::default(), seed);
            prop_assert_eq!(&found, &judge(objective, &others[0], &others[1], &Margins::default(), seed));
        }
    }

    #[test]
    fn a_missing_score_never_helps(champion in any_scores(), candidate in any_scores(), gone in any::<prop::sample::Index>(),) {
        let mut fewer = candidate.clone();
        let missing = fewer.remove(gone.index(candidate.len()));
        for objective in ALL {
            let found = judge(objective, &champion, &fewer, &Margins::default(), 1);
            let was_asked = champion.iter().any(|score| score.case == missing.case);
            prop_assert!(!(was_asked && found.passes), "{}", found.reason);
        }
    }
}

#[test]
fn a_comparison_has_the_numbers_of_a_verdict_and_names_what_is_worse() {
    let champion = scores(20, 10, 10_000.0);
    let harms = |candidate: &[CaseScore]| compare(&champion, candidate, &Margins::default(), 1).harms();
    let mut candidate = scores(20, 9, 10_600.0);
    let found = compare(&champion, &candidate, &Margins::default(), 1);
    let judged = verdict(Objective::Utility, &champion, &candidate);
    assert_eq!((found.grounding, found.bound, found.first), (judged.grounding, judged.bound, judged.first));
    assert_eq!((found.billed, Some(found.billed_by_task)), (judged.billed, judged.billed_by_task));
    assert_eq!(found.bound.unwrap().to_string(), "-5.0 % (-5.0 % to -5.0 %)");
    assert_eq!(harms(&candidate), ["bound", "billed"]);
    candidate[0].faults = 1;
    candidate.pop();
    assert_eq!(harms(&candidate), ["bound", "billed", "missing", "faults"]);
    assert_eq!(harms(&[]), ["grounding", "bound", "first", "billed", "missing"]);
    assert!(harms(&champion).is_empty() && harms(&scores(20, 11, 9_000.0)).is_empty());
    let none = compare(&[], &[], &Margins::default(), 1);
    assert_eq!((none.cases, none.bound, none.harms().len()), (0, None, 0));
}
