#![allow(clippy::unwrap_used, reason = "tests")]

use clap::CommandFactory as _;

use super::Cli;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

// a build without local models has fewer commands
#[cfg(feature = "local-models")]
#[test]
fn help_is_as_written_down() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut text = command.render_long_help().to_string();
    for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set()) {
        let name = sub.get_name().to_owned();
        text.extend(["\n===== ", &name, " =====\n", &sub.render_help().to_string()]);
    }
    insta::assert_snapshot!(text);
}
