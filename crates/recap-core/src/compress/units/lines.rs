//! Texts whose lines are their units: tables, diffs, code, listings, logs, test output, traces, matches.

use super::build::Builder;
use super::{UnitRole, line_role};
use crate::compress::kind::{is_frame, is_ls_row, is_separator, is_test_summary, number_prefix};

/// Cuts a table: its first row is the heading of all others; frames are boilerplate.
pub fn cut_table(builder: &mut Builder<'_>) {
    let mut header = None;
    for (span, line) in builder.lines() {
        if is_separator(line) || is_wrapper(line) {
            builder.push(span, line_role(line), None);
        } else if header.is_none() {
            header = builder.push(span, UnitRole::Heading, None);
        } else {
            builder.push(span, UnitRole::Plain, header);
        }
    }
}

/// Tells a line that is one tag around a tool's output.
fn is_wrapper(line: &str) -> bool {
    line.starts_with('<') && line.ends_with('>') && line.len() <= 80
}

/// Cuts a diff: file headers, hunk headers under them, lines under their hunk.
pub fn cut_diff(builder: &mut Builder<'_>) {
    let (mut file, mut hunk) = (None, None);
    for (span, line) in builder.lines() {
        if line.starts_with("diff --git ") || (line.starts_with("--- ") && hunk.is_some()) {
            (file, hunk) = (builder.push(span, UnitRole::Heading, None), None);
        } else if line.starts_with("@@ ") {
            hunk = builder.push(span, UnitRole::Heading, file);
        } else if hunk.is_none() && line.starts_with("+++ ") {
            let unit = builder.push(span, UnitRole::Heading, file);
            file = unit.or(file);
        } else if hunk.is_none()
            && ["index ", "--- ", "new file", "similarity "].iter().any(|mark| line.starts_with(mark))
        {
            builder.push(span, UnitRole::Boilerplate, file);
        } else if line.starts_with(['+', '-']) {
            let role = if is_separator(line) { UnitRole::Boilerplate } else { UnitRole::Detail };
            builder.push(span, role, hunk.or(file));
        } else {
            builder.push(span, UnitRole::Plain, hunk);
        }
    }
}

/// Cuts code: each line under the signature that encloses it by indentation.
pub fn cut_code(builder: &mut Builder<'_>) {
    let mut signatures: Vec<(usize, Option<u32>)> = Vec::new();
    for (span, line) in builder.lines() {
        let code = number_prefix(line).and_then(|(_, at)| line.get(at..)).unwrap_or(line);
        if code.trim().is_empty() {
            builder.push(span, UnitRole::Boilerplate, None);
            continue;
        }
        let indent = code.len() - code.trim_start().len();
        let role = code_role(code.trim());
        if !is_separator(code) {
            signatures.retain(|(depth, _)| *depth < indent);
        }
        let parent = signatures.last().and_then(|(_, unit)| *unit);
        let unit = builder.push(span, role, parent);
        if role == UnitRole::Heading {
            signatures.push((indent, unit));
        }
    }
}

/// Returns the role of a line of code without its number and indentation.
fn code_role(code: &str) -> UnitRole {
    const IMPORTS: [&str; 6] = ["import ", "from ", "use ", "#include", "require(", "package "];
    if is_separator(code) || IMPORTS.iter().any(|word| code.starts_with(word)) {
        return UnitRole::Boilerplate;
    }
    if is_signature(code) {
        return UnitRole::Heading;
    }
    match line_role(code) {
        UnitRole::Error if !(code.starts_with("E   ") || code.starts_with("Error")) => UnitRole::Plain,
        UnitRole::Summary => UnitRole::Plain,
        role => role,
    }
}

/// Tells a line that opens a function, a type or a module.
fn is_signature(code: &str) -> bool {
    const MODIFIERS: [&str; 17] = [
        "pub ",
        "pub(crate) ",
        "pub(super) ",
        "async ",
        "export ",
        "default ",
        "public ",
        "private ",
        "protected ",
        "static ",
        "final ",
        "abstract ",
        "const ",
        "unsafe ",
        "extern ",
        "virtual ",
        "override ",
    ];
    const WORDS: [&str; 14] = [
        "def ",
        "class ",
        "fn ",
        "func ",
        "function ",
        "struct ",
        "enum ",
        "trait ",
        "impl ",
        "impl<",
        "interface ",
        "mod ",
        "type ",
        "namespace ",
    ];
    let mut rest = code;
    let mut modified = false;
    while let Some(next) = MODIFIERS.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = next;
        modified = true;
    }
    let method = modified && rest.contains('(') && !rest.contains('=') && rest.ends_with(['{', ')', ':']);
    method || WORDS.iter().any(|word| rest.starts_with(word))
}

/// Cuts a listing: entries under the folder line above them, tree rows under their branch.
pub fn cut_listing(builder: &mut Builder<'_>) {
    let mut folder = None;
    let mut branches: Vec<(usize, Option<u32>)> = Vec::new();
    for (span, line) in builder.lines() {
        if line.ends_with(':') && !is_ls_row(line) {
            folder = builder.push(span, UnitRole::Heading, None);
        } else if let Some(depth) = tree_depth(line) {
            branches.retain(|(above, _)| *above < depth);
            let parent = branches.last().map_or(folder, |(_, unit)| *unit);
            let unit = builder.push(span, UnitRole::Plain, parent);
            branches.push((depth, unit));
        } else {
            let filler = line.starts_with("total ") || line.ends_with(" .") || line.ends_with(" ..");
            let role = if filler { UnitRole::Boilerplate } else { line_role_of_entry(line) };
            builder.push(span, role, folder);
        }
    }
}

/// File names are no errors, whatever words they hold; messages of the command itself are.
fn line_role_of_entry(line: &str) -> UnitRole {
    let message = line.contains(": ") && line.contains(' ') && !is_ls_row(line);
    if message { line_role(line) } else { UnitRole::Plain }
}

/// Returns how deep a row of `tree` stands, in bytes of its drawing.
fn tree_depth(line: &str) -> Option<usize> {
    let name = line.find(|c: char| !matches!(c, '│' | '├' | '└' | '─' | ' ' | '\u{a0}' | '|' | '`' | '-'))?;
    let drawn = line.get(..name)?;
    (drawn.contains(['├', '└', '│']) || drawn.contains("-- ")).then(|| drawn.chars().count())
}

/// Cuts logs, test output, traces and matches: whole lines, frames under their trace, test sections under their titles.
pub fn cut_output(builder: &mut Builder<'_>) {
    let (mut section, mut trace) = (None, None);
    for (span, line) in builder.lines() {
        let indented = line.starts_with([' ', '\t']);
        if is_section(line) {
            section = builder.push(span, UnitRole::Heading, None);
            trace = None;
        } else if line.trim_start().starts_with("Traceback (most recent call last)") {
            trace = builder.push(span, UnitRole::Heading, section);
        } else if is_frame(line) {
            builder.push(span, frame_role(line), trace.or(section));
        } else if trace.is_some() && indented {
            builder.push(span, UnitRole::Detail, trace);
        } else if trace.take().is_some() {
            let role = if line_role(line) == UnitRole::Plain { UnitRole::Error } else { line_role(line) };
            builder.push(span, role, section);
        } else {
            builder.push(span, line_role(line), section);
        }
    }
}

/// Tells a titled rule such as `==== FAILURES ====` or `____ test_x ____`.
fn is_section(line: &str) -> bool {
    let ruled = ["===", "---", "___", "***", "+++"].iter().any(|rule| line.starts_with(rule) && line.ends_with(rule));
    ruled && !is_separator(line) && !is_test_summary(line)
}

/// Frames of libraries and runtimes matter less than the user's own.
fn frame_role(line: &str) -> UnitRole {
    const FOREIGN: [&str; 9] = [
        "site-packages",
        "dist-packages",
        "node_modules",
        "node:internal",
        "java.base",
        "/rustc/",
        "/lib/python",
        "<frozen",
        "(internal/",
    ];
    if FOREIGN.iter().any(|mark| line.contains(mark)) { UnitRole::Plain } else { UnitRole::Detail }
}
