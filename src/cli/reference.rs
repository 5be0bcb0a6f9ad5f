//! `recapd reference`, hidden: the source of `docs/cli.md`.

use clap::builder::StyledStr;
use clap::{Arg, Args, Command, CommandFactory as _};

use super::{Cli, Done, Setting, output};

/// Print the reference of all commands as Markdown.
#[derive(Debug, Args)]
pub struct Reference;

impl Reference {
    /// Prints it.
    ///
    /// # Errors
    ///
    /// Fails where standard output is gone.
    pub fn run(_: &Setting) -> anyhow::Result<Done> {
        output::say(text().trim_end())?;
        Ok(Done::Well)
    }
}

/// Returns the reference, the same on every machine and in every environment.
pub fn text() -> String {
    let mut command = Cli::command();
    command.build();
    let mut out = "# Command line\n\nGenerated from the program by `cargo xtask generate`; do not edit.\n\n\
        Exit codes: 0 done, 1 failed, 2 bad use. Results go to standard output, all else to standard error.\n"
        .to_owned();
    section(&mut out, &mut command, 2);
    out
}

/// Writes a command, then its own commands one level deeper.
fn section(out: &mut String, command: &mut Command, level: usize) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).trim();
    let about = prose(command.get_long_about().or(command.get_about()));
    out.extend(["\n", &"#".repeat(level), " `", &name, "`\n\n", &about, "\n\n```text\n", usage, "\n```\n"]);
    let args: Vec<String> = command.get_arguments().filter(|arg| is_own(arg, level)).map(entry).collect();
    if !args.is_empty() {
        out.extend(["\n", &args.join("\n"), "\n"]);
    }
    if level == 2 {
        out.push_str("\nThese options hold for every command.\n");
    }
    for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        section(out, sub, level + 1);
    }
}

/// Options that all commands share stand at the top alone.
fn is_own(arg: &Arg, level: usize) -> bool {
    let is_everywhere = matches!(arg.get_id().as_str(), "help" | "version");
    !arg.is_hide_set() && !is_everywhere && (level == 2 || !arg.is_global_set())
}

fn entry(arg: &Arg) -> String {
    let mut line = format!("- `{}`", spelled(arg));
    let help = prose(arg.get_long_help().or(arg.get_help()));
    if !help.is_empty() {
        line.extend([": ", &help.replace("\n\n", "\n\n  ")]);
    }
    if arg.get_action().takes_values() {
        let values: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        line += &note("one of", &values.join(", "));
        let defaults: Vec<String> =
            arg.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
        line += &note("default", &defaults.join(" "));
    }
    let env = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy()));
    line + &note("environment", &env.unwrap_or_default())
}

fn note(label: &str, value: &str) -> String {
    if value.is_empty() { String::new() } else { format!(" ({label}: {value})") }
}

/// Returns an argument as it is typed.
fn spelled(arg: &Arg) -> String {
    let names: Vec<String> = arg
        .get_short()
        .map(|short| format!("-{short}"))
        .into_iter()
        .chain(arg.get_long().map(|l| format!("--{l}")))
        .collect();
    if arg.is_positional() || !arg.get_action().takes_values() {
        return if names.is_empty() { arg.to_string() } else { names.join(", ") };
    }
    let values: Vec<String> =
        arg.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    format!("{} {}", names.join(", "), values.join(" "))
}

fn prose(text: Option<&StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().trim().to_owned()
}
