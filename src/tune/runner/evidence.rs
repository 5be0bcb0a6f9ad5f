//! What runs of agents say: pairs, and how a version did.

use std::collections::BTreeMap;

use recap_core::tuning::CaseScore;

use super::{Arm, RunnerResult};

/// Returns the pairs under a version: the full run succeeded, the compressed one did not, and both say something.
#[must_use]
pub fn pairs<'a>(results: &'a [RunnerResult], version: &str) -> Vec<(&'a RunnerResult, &'a RunnerResult)> {
    let told = || results.iter().filter(|result| result.is_evidence());
    let full: BTreeMap<&str, &RunnerResult> = told()
        .filter(|result| result.arm == Arm::Full && result.success)
        .map(|result| (result.task.as_str(), result))
        .collect();
    told()
        .filter(|result| result.arm == Arm::Compressed && !result.success)
        .filter(|result| result.version.as_deref() == Some(version))
        .filter_map(|result| full.get(result.task.as_str()).map(|full| (*full, result)))
        .collect()
}

/// Returns how a version did on a task. Where the run says nothing of contexts its success is missing; what its steps cost is
/// their dependency, which counts as what was billed.
#[must_use]
pub fn case_score(result: &RunnerResult) -> CaseScore {
    let (served, full) = result.dependency.unwrap_or_default();
    CaseScore {
        case: result.task.clone(),
        task: result.task.clone(),
        success: result.is_evidence().then_some(result.success),
        billed: served,
        full_billed: full,
        ..CaseScore::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::End;
    use super::*;

    fn result(task: &str, arm: Arm, success: bool) -> RunnerResult {
        RunnerResult {
            task: task.to_owned(),
            arm,
            version: (arm == Arm::Compressed).then(|| "v".to_owned()),
            trajectory: String::new(),
            budget: None,
            success,
            score: None,
            end: End::Exited { code: 0 },
            messages: 4,
            tokens: 100,
            has_read: true,
            peak_tokens: None,
            dependency: Some((1.0, 2.0)),
            ms: 1,
            stdout: String::new(),
            stderr: String::new(),
        }
    }

    #[test]
    fn a_pair_is_a_full_success_and_a_compressed_failure_that_say_something() {
        let unread = RunnerResult { has_read: false, ..result("d", Arm::Compressed, false) };
        let other = RunnerResult { version: Some("w".to_owned()), ..result("a", Arm::Compressed, false) };
        let results = [
            result("a", Arm::Full, true),
            result("b", Arm::Full, false),
            result("c", Arm::Full, true),
            result("d", Arm::Full, true),
            result("a", Arm::Compressed, false),
            result("b", Arm::Compressed, false),
            result("c", Arm::Compressed, true),
            unread,
            other,
        ];
        let found: Vec<&str> = pairs(&results, "v").iter().map(|(full, _)| full.task.as_str()).collect();
        assert_eq!(found, ["a"]);
        assert_eq!(case_score(&results[4]).success, Some(false));
        assert_eq!(case_score(&results[7]).success, None);
    }
}
