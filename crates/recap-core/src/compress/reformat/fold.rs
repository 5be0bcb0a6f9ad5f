//! Runs of identical lines, or of short cycles of lines, written once with a count.

/// A cycle of lines longer than this is not looked for.
const MAX_CYCLE: usize = 8;
/// Fewer repetitions than this are left alone.
const MIN_RUN: usize = 3;
/// A fold has to save at least this many bytes.
const MIN_SAVING: usize = 16;
/// More bytes than this are not restored from markers.
const MAX_RESTORED_BYTES: usize = 256 << 20;
const OPEN: &str = "[above ";
const CLOSE: &str = " more times]";

/// Returns the text with its repeats folded, or `None` if nothing repeats or if the text itself holds a
/// line that reads like a marker.
pub(super) fn fold(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.split('\n').collect();
    if lines.iter().any(|line| is_marker_like(line)) {
        return None;
    }
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    let mut folded = false;
    while let Some(rest) = lines.get(at..).filter(|rest| !rest.is_empty()) {
        let (cycle, runs) = best_run(rest);
        out.extend(rest.iter().take(cycle).map(|&line| line.to_owned()));
        if runs > 1 {
            out.push(marker(cycle, runs - 1));
            folded = true;
        }
        at += cycle * runs;
    }
    folded.then(|| out.join("\n"))
}

/// Returns the text that [`fold`] folded, or `None` if a marker asks for lines that are not there.
pub(super) fn unfold(text: &str) -> Option<String> {
    let mut out: Vec<&str> = Vec::new();
    let mut bytes = 0;
    for line in text.split('\n') {
        if !is_marker_like(line) {
            out.push(line);
            continue;
        }
        let (cycle, more) = read_marker(line)?;
        let start = out.len().checked_sub(cycle)?;
        let block: Vec<&str> = out.get(start..)?.to_vec();
        bytes = block.iter().map(|line| line.len() + 1).sum::<usize>().checked_mul(more)?.checked_add(bytes)?;
        if bytes > MAX_RESTORED_BYTES {
            return None;
        }
        for _ in 0..more {
            out.extend(&block);
        }
    }
    Some(out.join("\n"))
}

/// Returns the cycle length and the number of its runs at the start of the lines; one line once if no
/// fold pays.
fn best_run(lines: &[&str]) -> (usize, usize) {
    (1..=MAX_CYCLE)
        .find_map(|cycle| {
            let block = lines.get(..cycle)?;
            let runs = lines.chunks_exact(cycle).take_while(|&chunk| chunk == block).count();
            let bytes: usize = block.iter().map(|line| line.len() + 1).sum();
            let saved = bytes * runs.saturating_sub(1);
            (runs >= MIN_RUN && saved >= marker(cycle, runs).len() + MIN_SAVING).then_some((cycle, runs))
        })
        .unwrap_or((1, 1))
}

fn marker(cycle: usize, more: usize) -> String {
    if cycle == 1 {
        format!("{OPEN}line repeats {more}{CLOSE}")
    } else {
        format!("{OPEN}{cycle} lines repeat {more}{CLOSE}")
    }
}

fn is_marker_like(line: &str) -> bool {
    line.starts_with(OPEN) && line.ends_with(CLOSE)
}

fn read_marker(line: &str) -> Option<(usize, usize)> {
    let body = line.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    if let Some(more) = body.strip_prefix("line repeats ") {
        return Some((1, more.parse().ok()?));
    }
    let (cycle, more) = body.split_once(" lines repeat ")?;
    Some((cycle.parse().ok()?, more.parse().ok()?))
}
