//! What runs of agents show: pairs of one task's runs.

use std::collections::BTreeMap;

use super::{Arm, RunnerResult};

/// Returns the pairs under a version: the full run succeeded, and both say something.
#[must_use]
pub fn pairs<'a>(results: &'a [RunnerResult], version: &str) -> Vec<(&'a RunnerResult, &'a RunnerResult)> {
    let told = || results.iter().filter(|result| result.is_evidence());
    let full: BTreeMap<&str, &RunnerResult> = told()
        .filter(|result| result.arm == Arm::Full && result.success)
        .map(|result| (result.task.as_str(), result))
        .collect();
    told()
        .filter(|result| result.arm == Arm::Compressed && result.version.as_deref() == Some(version))
        .filter_map(|result| full.get(result.task.as_str()).map(|full| (*full, result)))
        .collect()
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
    fn a_pair_is_a_full_success_and_a_compressed_run_that_say_something() {
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
        assert_eq!(found, ["a", "c"]);
    }
}
