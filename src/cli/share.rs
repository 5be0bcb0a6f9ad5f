//! The share of the machine that local models take.
//!
//! candle's pool of barriers reads its size from the environment alone, once, and no process can change its own
//! environment safely while it may have threads. So a command whose models compute in this process is started again in the
//! same process, before any thread is, with the two counts set where they were not.

use std::ffi::{OsStr, OsString};
use std::process::Command as Program;

use super::{Cli, Command, output};

/// candle's barrier pool, and rayon's pool with the number of parts that candle cuts a product into.
const COUNTS: [&str; 2] = ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"];

/// How many threads models may compute with.
struct Threads {
    count: usize,
    /// Whether the count goes before what the environment says.
    is_asked: bool,
}

/// Starts the program again where its models compute here and the counts are not as they should be. Then they are, so
/// that it happens once. What keeps it from happening is told, and the command runs with what there is.
pub(super) fn hold(cli: &Cli) {
    let Some(threads) = threads(cli) else { return };
    let count = OsString::from(threads.count.max(1).to_string());
    let wrong = wrong(&threads, &count, current);
    if !wrong.is_empty() {
        let why = again(&wrong, &count);
        output::note(&format!("set {} to {}: {why}", wrong.join(" and "), count.display()));
    }
}

/// Returns the threads of a command whose models compute in this process. A faulty configuration is the command's to tell.
fn threads(cli: &Cli) -> Option<Threads> {
    let asked = match &cli.command {
        Command::Serve(_) => None,
        Command::Model(model) if model.computes() => model.threads(),
        _ => return None,
    };
    let models = cli.setting.load(&[]).ok()?.config.models;
    let is_used = models.chat.is_some() || models.reranker.is_some() || models.encoder.is_some();
    let is_needed = is_used || matches!(cli.command, Command::Model(_));
    is_needed.then(|| Threads { count: asked.unwrap_or(models.threads), is_asked: asked.is_some() })
}

/// Returns the variables that are to be set.
fn wrong(threads: &Threads, count: &OsStr, current: impl Fn(&str) -> Option<OsString>) -> Vec<&'static str> {
    let is_wrong = |name: &&str| current(name).is_none_or(|is| threads.is_asked && is != count);
    COUNTS.into_iter().filter(is_wrong).collect()
}

#[expect(clippy::disallowed_methods, reason = "candle reads these two from the environment and nowhere else")]
fn current(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Becomes the same program with the variables set; returns only why that failed.
#[cfg(unix)]
fn again(names: &[&str], count: &OsStr) -> String {
    use std::os::unix::process::CommandExt as _;

    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error.to_string(),
    };
    let mut arguments = std::env::args_os();
    let mut command = Program::new(&program);
    command.arg0(arguments.next().unwrap_or_else(|| program.into_os_string()));
    command.args(arguments).envs(names.iter().map(|name| (name, count)));
    command.exec().to_string()
}

#[cfg(not(unix))]
fn again(_: &[&str], _: &OsStr) -> String {
    "on this system recapd cannot, and local models take more threads than models.threads says".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_with(is_asked: bool, candle: Option<&str>, rayon: Option<&str>) -> Vec<&'static str> {
        let is = |name: &str| if name == COUNTS[0] { candle } else { rayon }.map(OsString::from);
        wrong(&Threads { count: 2, is_asked }, OsStr::new("2"), is)
    }

    #[test]
    fn the_environment_goes_before_the_configuration_and_behind_the_command_line() {
        assert_eq!(wrong_with(false, None, None), COUNTS);
        assert_eq!(wrong_with(false, Some("8"), None), [COUNTS[1]]);
        assert!(wrong_with(false, Some("8"), Some("1")).is_empty());
        assert_eq!(wrong_with(true, Some("8"), Some("2")), [COUNTS[0]]);
    }

    #[test]
    fn what_was_set_is_right_so_the_program_starts_again_once() {
        for is_asked in [false, true] {
            assert!(wrong_with(is_asked, Some("2"), Some("2")).is_empty());
        }
    }
}
