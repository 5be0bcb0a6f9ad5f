//! What commands write: results to standard output, all else to standard error.

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

/// Writes one line of a result.
///
/// # Errors
///
/// Fails where standard output is gone.
pub fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes a result as one line of JSON.
///
/// # Errors
///
/// Fails where standard output is gone.
pub fn say_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(say(&serde_json::to_string(value)?)?)
}

/// Writes an error. Where even standard error is gone, nobody is left to tell.
pub fn complain(text: &str) {
    let written = writeln!(std::io::stderr().lock(), "recapd: {text}");
    drop(written);
}

/// Writes something beside the result.
pub fn note(text: &str) {
    // As above: where standard error is gone, nobody is left to tell.
    let written = writeln!(std::io::stderr().lock(), "{text}");
    drop(written);
}

/// Returns a unified diff, coloured on a terminal.
#[must_use]
pub fn coloured_diff(diff: &str) -> String {
    if !std::io::stdout().is_terminal() {
        return diff.to_owned();
    }
    let lines = diff.lines().map(|line| match line.get(..1) {
        Some("+") => format!("\u{1b}[32m{line}\u{1b}[0m"),
        Some("-") => format!("\u{1b}[31m{line}\u{1b}[0m"),
        Some("@") => format!("\u{1b}[36m{line}\u{1b}[0m"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}
