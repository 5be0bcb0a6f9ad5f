//! The conditions, each on the same tasks.

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::agent::{Agent, Attempt, Try};
use super::memory::{Learned, Memory};
use super::task::{Draw, FAMILIES, Family, Task};
use crate::process::check_interrupted;

/// The playbook that learns, the one with exchanged lessons, the one with the true rules, the one with exchanged rules.
const ONLINE: &str = "office";
const SHUFFLED: &str = "shuffled";
const ORACLE: &str = "oracle";
const SHUFFLED_ORACLE: &str = "shuffled-oracle";

/// What an agent is served with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Condition {
    /// No playbook
    None,
    /// A playbook that is empty at first and learns from each training task
    Online,
    /// The learned playbook with forms and fields exchanged: as long, but wrong; needs `online`
    Shuffled,
    /// The true rules, written by hand
    Oracle,
    /// The true rules with forms and fields exchanged: a wrong playbook that looks right
    ShuffledOracle,
}

/// Which tasks a measurement is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Training,
    HeldOut,
}

/// What is measured.
pub struct Plan {
    pub seed: u64,
    /// Tasks to learn from.
    pub tasks: usize,
    /// New tasks at the end, without learning.
    pub held_out: usize,
    pub conditions: Vec<Condition>,
}

/// One task under one condition.
pub struct Outcome {
    pub condition: Condition,
    pub phase: Phase,
    /// The task's number in its phase.
    pub number: usize,
    pub form: &'static str,
    pub words: String,
    /// The first try; it alone counts.
    pub first: Try,
    /// The second try; none where the first one was right or there was nothing to learn.
    pub second: Option<Try>,
}

/// Everything that was measured.
#[derive(Default)]
pub struct Measured {
    pub outcomes: Vec<Outcome>,
    pub learned: Learned,
    /// The bullets at the end of training.
    pub lessons: Vec<String>,
    /// The bullets of the control, in the same order.
    pub exchanged: Vec<String>,
    /// The bullets of playbooks that were written by hand.
    pub written: Vec<(Condition, Vec<String>)>,
}

impl Condition {
    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Online => "online",
            Self::Shuffled => "shuffled",
            Self::Oracle => "oracle",
            Self::ShuffledOracle => "shuffled-oracle",
        }
    }

    fn playbook(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Online => Some(ONLINE),
            Self::Shuffled => Some(SHUFFLED),
            Self::Oracle => Some(ORACLE),
            Self::ShuffledOracle => Some(SHUFFLED_ORACLE),
        }
    }
}

impl Phase {
    /// Returns the name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::HeldOut => "held-out",
        }
    }
}

impl Outcome {
    /// Tells whether the first try was right.
    pub fn is_right(&self) -> bool {
        self.first.complaint.is_none()
    }
}

/// Runs all conditions of a plan, in the order of their names here: what learns comes before what is made of it.
///
/// # Errors
///
/// Fails when the plan cannot be, and when the daemon or the model's server does.
pub fn run(plan: &Plan, agent: &Agent) -> Result<Measured> {
    if plan.conditions.contains(&Condition::Shuffled) && !plan.conditions.contains(&Condition::Online) {
        bail!("`shuffled` exchanges what `online` learned: name both");
    }
    let mut draw = Draw::new(plan.seed);
    let training = tasks(plan.tasks, &mut draw);
    let held_out = tasks(plan.held_out, &mut draw);
    let mut conditions = plan.conditions.clone();
    conditions.sort_unstable();
    conditions.dedup();
    let memory = Memory { url: agent.memory.clone() };
    let mut bench = Bench { agent, memory, measured: Measured::default() };
    for condition in conditions {
        match condition {
            Condition::None => bench.tasks(condition, Phase::Training, &training)?,
            Condition::Online => bench.train(&training)?,
            Condition::Shuffled => bench.exchange()?,
            Condition::Oracle => bench.write(condition, ORACLE, rules())?,
            Condition::ShuffledOracle => bench.write(condition, SHUFFLED_ORACLE, wrong_rules())?,
        }
        bench.tasks(condition, Phase::HeldOut, &held_out)?;
    }
    Ok(bench.measured)
}

/// The true rules.
fn rules() -> Vec<String> {
    FAMILIES.iter().map(Family::lesson).collect()
}

/// The true rules, each said of another form and its field.
fn wrong_rules() -> Vec<String> {
    rules().iter().map(|rule| exchanged(rule)).collect()
}

/// Draws tasks, one of each family in turn.
fn tasks(count: usize, draw: &mut Draw) -> Vec<Task> {
    FAMILIES.iter().cycle().take(count).map(|family| family.task(draw)).collect()
}

struct Bench<'a> {
    agent: &'a Agent,
    memory: Memory,
    measured: Measured,
}

impl Bench<'_> {
    /// Measures tasks without learning: one try each, no outcome told.
    fn tasks(&mut self, condition: Condition, phase: Phase, tasks: &[Task]) -> Result<()> {
        for (number, task) in tasks.iter().enumerate() {
            let attempt = self.begin(condition, phase, number, task)?;
            let first = attempt.run()?;
            self.note(condition, phase, number, task, first, None);
        }
        Ok(())
    }

    /// Measures the training tasks while the daemon learns from each: a second try after a complaint, then the outcome.
    fn train(&mut self, tasks: &[Task]) -> Result<()> {
        for (number, task) in tasks.iter().enumerate() {
            let attempt = self.begin(Condition::Online, Phase::Training, number, task)?;
            let first = attempt.run()?;
            let second = first.complaint.is_some().then(|| attempt.run()).transpose()?;
            tell(&attempt, &first, second.as_ref())?;
            self.measured.learned.add(self.memory.learn(ONLINE, &attempt.id)?);
            self.note(Condition::Online, Phase::Training, number, task, first, second);
        }
        self.measured.lessons = self.memory.lessons(ONLINE)?;
        Ok(())
    }

    /// Writes a playbook by hand.
    fn write(&mut self, condition: Condition, playbook: &str, lessons: Vec<String>) -> Result<()> {
        self.memory.write(playbook, &lessons)?;
        self.measured.written.push((condition, lessons));
        Ok(())
    }

    /// Writes the control's playbook.
    fn exchange(&mut self) -> Result<()> {
        self.measured.exchanged = self.measured.lessons.iter().map(|lesson| exchanged(lesson)).collect();
        if self.measured.exchanged.is_empty() {
            return Ok(());
        }
        self.memory.write(SHUFFLED, &self.measured.exchanged)
    }

    fn begin<'t>(&'t self, condition: Condition, phase: Phase, number: usize, task: &'t Task) -> Result<Attempt<'t>> {
        check_interrupted()?;
        let id = format!("{}-{}-{number}", condition.name(), phase.name());
        self.agent.begin(id, task, condition.playbook())
    }

    fn note(
        &mut self,
        condition: Condition,
        phase: Phase,
        number: usize,
        task: &Task,
        first: Try,
        second: Option<Try>,
    ) {
        let words = task.words.clone();
        let outcome = Outcome { condition, phase, number, form: task.family.form, words, first, second };
        let said = if outcome.is_right() { "right" } else { "wrong" };
        eprintln!("{} {} {number} {}: {said}", condition.name(), phase.name(), outcome.form);
        self.measured.outcomes.push(outcome);
    }
}

fn tell(attempt: &Attempt<'_>, first: &Try, second: Option<&Try>) -> Result<()> {
    let Some(complaint) = &first.complaint else {
        return attempt.end("success", 1.0, "The form was taken at once.");
    };
    match second.and_then(|second| second.complaint.as_ref()) {
        None => attempt.end("partial", 0.5, &format!("The first form was refused, the second one taken. {complaint}")),
        Some(again) => attempt.end("failure", 0.0, again),
    }
}

/// Exchanges the names of forms and of their fields under rules, each for the next family's: the lesson is as long, and
/// says of one form what holds for another.
fn exchanged(lesson: &str) -> String {
    let (mut out, mut word) = (String::new(), String::new());
    for c in lesson.chars() {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        out.push_str(&other_name(&word));
        word.clear();
        out.push(c);
    }
    out.push_str(&other_name(&word));
    out
}

fn other_name(word: &str) -> String {
    let lower = word.to_lowercase();
    let (stem, plural) = lower.strip_suffix('s').map_or((lower.as_str(), ""), |stem| (stem, "s"));
    let next = FAMILIES.iter().cycle().skip(1);
    for (family, next) in FAMILIES.iter().zip(next) {
        for (name, other) in [(family.form, next.form), (family.field, next.field)] {
            if stem == name {
                return format!("{other}{plural}");
            }
        }
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_take_turns_and_never_repeat() {
        let mut draw = Draw::new(1);
        let (training, held_out) = (tasks(24, &mut draw), tasks(24, &mut draw));
        assert!(training.iter().zip(&held_out).all(|(a, b)| a.family.form == b.family.form));
        assert!(held_out.iter().all(|new| training.iter().all(|old| old.words != new.words)));
    }

    #[test]
    fn the_control_says_of_each_form_what_holds_for_another() {
        assert_eq!(exchanged("In Refunds, the field `amount` is whole."), "In visits, the field `date` is whole.");
        let (right, wrong) = (rules(), wrong_rules());
        for ((family, right), wrong) in FAMILIES.iter().zip(&right).zip(&wrong) {
            assert!(!wrong.contains(&format!("form {},", family.form)), "{wrong}");
            assert!(
                !right.contains(wrong.as_str()) && wrong.split_whitespace().count() == right.split_whitespace().count()
            );
        }
        // every form has a rule, and none its own
        for family in &FAMILIES {
            let about = format!("In the form {}, the field {} ", family.form, family.field);
            let of_form = |lessons: &[String]| lessons.iter().filter_map(|one| one.strip_prefix(&about)).count();
            assert_eq!((of_form(&right), of_form(&wrong)), (1, 1), "{about}");
            assert!(!wrong.contains(&family.lesson()));
        }
    }
}
