//! Stages: a headline, the work, its seconds.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Stages that ran, in order, with how long each took.
#[derive(Default)]
pub struct Stages(Vec<(String, Duration)>);

impl Stages {
    /// Runs one stage under its headline.
    ///
    /// # Errors
    ///
    /// Passes on the work's error with the stage's name in front.
    pub fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n== {name}");
        let began = Instant::now();
        let done = work();
        let took = began.elapsed();
        self.0.push((name.to_owned(), took));
        match done {
            Ok(value) => {
                println!("-- {name}: {:.1} s", took.as_secs_f64());
                Ok(value)
            }
            Err(error) => {
                println!("-- {name}: FAILED after {:.1} s", took.as_secs_f64());
                Err(error).with_context(|| format!("stage `{name}` failed"))
            }
        }
    }

    /// Prints one line: every stage's seconds and their sum.
    pub fn print_times(&self) {
        println!("\n{}", self.times());
    }

    fn times(&self) -> String {
        let total: Duration = self.0.iter().map(|(_, took)| *took).sum();
        let each: Vec<String> =
            self.0.iter().map(|(name, took)| format!("{name} {:.1} s", took.as_secs_f64())).collect();
        format!("{} · total {:.1} s", each.join(" · "), total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_stage() {
        let error = Stages::default().run("clippy", || -> Result<()> { anyhow::bail!("no") }).unwrap_err();
        assert_eq!(format!("{error:#}"), "stage `clippy` failed: no");
    }

    #[test]
    fn times_are_listed_in_order() {
        let stages = Stages(vec![("a".into(), Duration::from_secs(1)), ("b".into(), Duration::from_millis(500))]);
        assert_eq!(stages.times(), "a 1.0 s · b 0.5 s · total 1.5 s");
    }
}
