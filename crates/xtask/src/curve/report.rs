//! What was measured, as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::agent::{Cost, Try};
use super::run::{Condition, Measured, Outcome, Phase};
use super::stats::{sign_test, wilson};
use super::task::FAMILIES;

/// Tasks of a point of the curve: one of each family.
const BLOCK: usize = FAMILIES.len();

/// What was measured with what.
pub struct Report {
    /// The model's file name.
    pub model: String,
    pub sha256: String,
    /// The command that repeats it.
    pub command: String,
    pub seed: u64,
    pub seconds: u64,
    pub measured: Measured,
}

/// How often a first try was right.
struct Rate {
    right: usize,
    n: usize,
}

/// Two conditions on the same tasks.
struct Paired {
    only_this: usize,
    only_other: usize,
}

impl Rate {
    fn of<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Self {
        outcomes.fold(Self { right: 0, n: 0 }, |rate, outcome| Self {
            right: rate.right + usize::from(outcome.is_right()),
            n: rate.n + 1,
        })
    }

    fn text(&self) -> String {
        let (low, high) = wilson(self.right, self.n);
        format!("{}/{} ({low:.2}–{high:.2})", self.right, self.n)
    }

    fn json(&self) -> Value {
        let (low, high) = wilson(self.right, self.n);
        json!({ "right": self.right, "n": self.n, "low": low, "high": high })
    }
}

impl Paired {
    fn p(&self) -> f64 {
        sign_test(self.only_this, self.only_other)
    }
}

impl Report {
    /// Returns the conditions that were measured, in order.
    fn conditions(&self) -> Vec<Condition> {
        let mut all: Vec<Condition> = self.measured.outcomes.iter().map(|outcome| outcome.condition).collect();
        all.dedup();
        all
    }

    fn of(&self, condition: Condition, phase: Phase) -> impl Iterator<Item = &Outcome> {
        let is_of = move |outcome: &&Outcome| outcome.condition == condition && outcome.phase == phase;
        self.measured.outcomes.iter().filter(is_of)
    }

    /// Returns the rates of the training tasks, block by block.
    fn curve(&self, condition: Condition) -> Vec<Rate> {
        let all: Vec<&Outcome> = self.of(condition, Phase::Training).collect();
        all.chunks(BLOCK).map(|block| Rate::of(block.iter().copied())).collect()
    }

    fn held_out(&self, condition: Condition) -> Rate {
        Rate::of(self.of(condition, Phase::HeldOut))
    }

    /// Compares a condition with none on the held-out tasks; `None` where there is nothing to compare.
    fn against_none(&self, condition: Condition) -> Option<Paired> {
        self.paired(condition, Condition::None)
    }

    /// Compares two conditions on the held-out tasks; `None` where there is nothing to compare.
    fn paired(&self, condition: Condition, with: Condition) -> Option<Paired> {
        let has = |condition| self.of(condition, Phase::HeldOut).next().is_some();
        if condition == with || !has(condition) || !has(with) {
            return None;
        }
        let mut paired = Paired { only_this: 0, only_other: 0 };
        for (this, other) in self.of(condition, Phase::HeldOut).zip(self.of(with, Phase::HeldOut)) {
            paired.only_this += usize::from(this.is_right() && !other.is_right());
            paired.only_other += usize::from(other.is_right() && !this.is_right());
        }
        Some(paired)
    }

    fn cost(&self, condition: Condition, phase: Phase) -> Cost {
        let mut sum = Cost::default();
        for outcome in self.of(condition, phase) {
            sum.add(outcome.first.cost);
            if let Some(second) = &outcome.second {
                sum.add(second.cost);
            }
        }
        sum
    }

    /// Returns the tables in Markdown.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        // Writing into a String cannot fail.
        self.write_markdown(&mut out).unwrap_or_default();
        out
    }

    fn write_markdown(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "Model {} (SHA-256 {}), `{}`, {} s.\n", self.model, self.sha256, self.command, self.seconds)?;
        self.write_rates(out)?;
        self.write_forms(out)?;
        self.write_control(out)?;
        self.write_learning(out)
    }

    fn write_rates(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "| condition | training, blocks of {BLOCK} | held-out right at first (95 %) | right only with it, only without, p | lessons in a context | tokens read, written a task | s a task |"
        )?;
        writeln!(out, "|---|---|--:|---|--:|---|--:|")?;
        for condition in self.conditions() {
            let curve: Vec<String> = self.curve(condition).iter().map(|rate| rate.right.to_string()).collect();
            let curve = if curve.is_empty() { "–".to_owned() } else { curve.join(" ") };
            let paired = self.against_none(condition);
            let paired = paired
                .map_or("–".to_owned(), |pair| format!("{}, {}, {:.4}", pair.only_this, pair.only_other, pair.p()));
            let cost = self.cost(condition, Phase::HeldOut);
            let calls = cost.calls.max(1);
            writeln!(
                out,
                "| {} | {curve} | {} | {paired} | {:.1} | {}, {} | {:.1} |",
                condition.name(),
                self.held_out(condition).text(),
                self.lessons(condition),
                cost.tokens_in / calls,
                cost.tokens_out / calls,
                cost.took.as_secs_f64() / f64::from(u32::try_from(calls).unwrap_or(1)),
            )?;
        }
        Ok(())
    }

    fn write_forms(&self, out: &mut String) -> std::fmt::Result {
        let forms: Vec<&str> = FAMILIES.iter().map(|family| family.form).collect();
        writeln!(out, "\n| held-out, right at first | {} |", forms.join(" | "))?;
        writeln!(out, "|---|{}", "--:|".repeat(forms.len()))?;
        for condition in self.conditions() {
            let rate =
                |form: &&str| Rate::of(self.of(condition, Phase::HeldOut).filter(|outcome| outcome.form == *form));
            let cells: Vec<String> = forms.iter().map(rate).map(|rate| format!("{}/{}", rate.right, rate.n)).collect();
            writeln!(out, "| {} | {} |", condition.name(), cells.join(" | "))?;
        }
        Ok(())
    }

    /// The two playbooks that were written by hand, task by task: the control must not be as good.
    fn write_control(&self, out: &mut String) -> std::fmt::Result {
        let Some(pair) = self.paired(Condition::Oracle, Condition::ShuffledOracle) else { return Ok(()) };
        writeln!(
            out,
            "\nTrue rules against the same with forms and fields exchanged: right only with the true ones {}, only with the \
             exchanged ones {}, p {:.2e}.",
            pair.only_this,
            pair.only_other,
            pair.p()
        )
    }

    fn write_learning(&self, out: &mut String) -> std::fmt::Result {
        let learned = &self.measured.learned;
        let runs = self.of(Condition::Online, Phase::Training).count();
        if runs == 0 {
            return Ok(());
        }
        let changed = self.measured.lessons.iter().zip(&self.measured.exchanged).filter(|(a, b)| a != b).count();
        writeln!(
            out,
            "\nLearning from {runs} runs: {} model calls, {} tokens read, {} written, {:.0} s of model time, {:.0} s waited; {} \
             changes accepted from review, {} jobs failed; {} bullets at the end, {changed} of them changed in the control.",
            learned.cost.calls,
            learned.cost.tokens_in,
            learned.cost.tokens_out,
            learned.cost.took.as_secs_f64(),
            learned.waited.as_secs_f64(),
            learned.accepted,
            learned.failed,
            self.measured.lessons.len(),
        )
    }

    /// Returns how many lessons stood in a held-out context on average.
    fn lessons(&self, condition: Condition) -> f64 {
        let all: Vec<u32> = self
            .of(condition, Phase::HeldOut)
            .map(|outcome| u32::try_from(outcome.first.lessons).unwrap_or(u32::MAX))
            .collect();
        let n = u32::try_from(all.len().max(1)).unwrap_or(u32::MAX);
        f64::from(all.iter().sum::<u32>()) / f64::from(n)
    }

    /// Returns everything that was measured.
    pub fn json(&self) -> Value {
        let conditions: Vec<Value> = self.conditions().into_iter().map(|condition| self.condition(condition)).collect();
        let learned = &self.measured.learned;
        json!({
            "model": { "file": self.model, "sha256": self.sha256 },
            "command": self.command,
            "seed": self.seed,
            "seconds": self.seconds,
            "block": BLOCK,
            "conditions": conditions,
            "learning": {
                "cost": cost(&learned.cost),
                "waited_ms": millis(learned.waited),
                "accepted_from_review": learned.accepted,
                "failed_jobs": learned.failed,
            },
            "lessons": self.measured.lessons,
            "exchanged_lessons": self.measured.exchanged,
            "written_lessons": self.measured.written.iter().map(written).collect::<Vec<_>>(),
            "tasks": self.measured.outcomes.iter().map(outcome).collect::<Vec<_>>(),
        })
    }

    fn condition(&self, condition: Condition) -> Value {
        let paired = self
            .against_none(condition)
            .map(|pair| json!({ "only_this": pair.only_this, "only_none": pair.only_other, "p": pair.p() }));
        json!({
            "condition": condition.name(),
            "training": self.curve(condition).iter().map(Rate::json).collect::<Vec<_>>(),
            "held_out": self.held_out(condition).json(),
            "against_none": paired,
            "lessons_in_context": self.lessons(condition),
            "training_cost": cost(&self.cost(condition, Phase::Training)),
            "held_out_cost": cost(&self.cost(condition, Phase::HeldOut)),
        })
    }
}

fn written((condition, lessons): &(Condition, Vec<String>)) -> Value {
    json!({ "condition": condition.name(), "lessons": lessons })
}

fn outcome(outcome: &Outcome) -> Value {
    json!({
        "condition": outcome.condition.name(),
        "phase": outcome.phase.name(),
        "number": outcome.number,
        "form": outcome.form,
        "task": outcome.words,
        "first": one_try(&outcome.first),
        "second": outcome.second.as_ref().map(one_try),
    })
}

fn one_try(one: &Try) -> Value {
    json!({ "reply": one.reply, "complaint": one.complaint, "lessons": one.lessons, "cost": cost(&one.cost) })
}

fn cost(cost: &Cost) -> Value {
    json!({ "calls": cost.calls, "tokens_in": cost.tokens_in, "tokens_out": cost.tokens_out, "ms": millis(cost.took) })
}

fn millis(took: std::time::Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(condition: Condition, number: usize, is_right: bool) -> Outcome {
        let complaint = (!is_right).then(|| "error".to_owned());
        let first = Try { reply: "{}".into(), complaint, cost: Cost { calls: 1, ..Cost::default() }, lessons: 2 };
        let (phase, words) = (Phase::HeldOut, "File it.".into());
        Outcome { condition, phase, number, form: "refund", words, first, second: None }
    }

    fn report() -> Report {
        let mut outcomes: Vec<_> = (0..8).map(|n| outcome(Condition::None, n, n == 0)).collect();
        outcomes.extend((0..8).map(|n| outcome(Condition::Online, n, n != 0)));
        let measured = Measured { outcomes, ..Measured::default() };
        let (model, sha256, command) = ("m.gguf".into(), "00".into(), "cargo xtask curve".into());
        Report { model, sha256, command, seed: 1, seconds: 2, measured }
    }

    #[test]
    fn conditions_are_compared_task_by_task() {
        let report = report();
        let online = report.against_none(Condition::Online).unwrap();
        assert_eq!((online.only_this, online.only_other), (7, 1));
        assert!(report.against_none(Condition::None).is_none() && report.against_none(Condition::Oracle).is_none());
        assert_eq!(report.json()["conditions"][1]["held_out"]["right"], 7);
    }

    #[test]
    fn every_condition_has_its_row() {
        let markdown = report().markdown();
        assert!(markdown.contains("| none | – | 1/8 (0.02–0.47) | – |"), "{markdown}");
        assert!(markdown.contains("| online | – | 7/8 (0.53–0.98) | 7, 1, 0.0703 |"), "{markdown}");
    }
}
