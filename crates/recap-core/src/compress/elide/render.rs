//! Units in source order, with a short marker for each gap and the handle at the end.

use super::pick::Pick;
use super::worth::Worths;
use crate::compress::kind::Kind;
use crate::compress::units::{Unit, UnitRole, Units};
use crate::trajectory::OriginalHash;

/// Returns about how many tokens a marker costs: a gap of fewer is shown instead.
pub fn marker_tokens(kind: Kind) -> f64 {
    if matches!(kind, Kind::Json | Kind::Jsonl) { 3.0 } else { 6.0 }
}

/// The most blanks that are kept before a line.
const INDENT_BYTES: usize = 40;

/// What is rendered.
pub struct Plan<'a> {
    /// The source.
    pub text: &'a str,
    /// Its units.
    pub cut: &'a Units,
    /// Their worth and cost.
    pub worths: &'a Worths,
    /// The source's address.
    pub original: OriginalHash,
}

/// A rendering.
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Units shown.
    pub kept: u32,
    /// Units not shown.
    pub dropped: u32,
}

/// Returns the line that names the whole text.
pub fn closing_line(original: OriginalHash) -> String {
    format!("[cut by recapd: full text is {}]", original.handle())
}

/// Renders the units picked.
pub fn render(plan: &Plan<'_>, picks: &[Pick]) -> Rendered {
    let shown = shown_units(plan, picks);
    let mut out = String::new();
    let mut before: Option<usize> = None;
    let mut kept = 0_u32;
    for (at, unit) in plan.cut.units.iter().enumerate().filter(|(at, _)| shown.get(*at).copied().unwrap_or(false)) {
        gap(plan, before, Some(at), &mut out);
        out.push_str(plan.text.get(unit.span.clone()).unwrap_or_default());
        before = Some(at);
        kept = kept.saturating_add(1);
    }
    gap(plan, before, None, &mut out);
    out.truncate(out.trim_end().len());
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&closing_line(plan.original));
    let total = u32::try_from(plan.cut.units.len()).unwrap_or(u32::MAX);
    Rendered { text: out, kept, dropped: total.saturating_sub(kept) }
}

/// Marks the units picked, the brackets that close them, and gaps that cost less than a marker.
fn shown_units(plan: &Plan<'_>, picks: &[Pick]) -> Vec<bool> {
    let units = &plan.cut.units;
    let mut shown = vec![false; units.len()];
    for pick in picks {
        if let Some(place) = shown.get_mut(pick.unit) {
            *place = true;
        }
    }
    if is_json(plan) {
        for (at, unit) in units.iter().enumerate() {
            let above = unit.parent.is_some_and(|parent| shown.get(parent as usize).copied().unwrap_or(false));
            let closes = above && unit.role == UnitRole::Boilerplate && source(plan, unit).starts_with(['}', ']']);
            if let Some(place) = shown.get_mut(at).filter(|_| closes) {
                *place = true;
            }
        }
    }
    fill_cheap_gaps(plan, &mut shown);
    shown
}

/// Shows inner gaps that would cost no more than their marker.
fn fill_cheap_gaps(plan: &Plan<'_>, shown: &mut [bool]) {
    let mut before: Option<usize> = None;
    let kept: Vec<usize> = shown.iter().enumerate().filter(|(_, shown)| **shown).map(|(at, _)| at).collect();
    for at in kept {
        if let Some(from) = before.filter(|from| needs_marker(plan, from + 1..at)) {
            let telling = (from + 1..at).filter(|unit| tells(plan, *unit));
            let free = telling.clone().all(|unit| {
                let above = plan.cut.units.get(unit).and_then(|unit| unit.parent);
                let enclosed = above
                    .is_none_or(|above| above as usize > from || shown.get(above as usize).copied().unwrap_or(false));
                enclosed && plan.worths.units.get(unit).is_some_and(|worth| !worth.dropped)
            });
            let worths = telling.clone().filter_map(|unit| plan.worths.units.get(unit));
            if free && worths.map(|worth| worth.cost).sum::<f64>() <= marker_tokens(plan.cut.kind) {
                for unit in telling {
                    if let Some(place) = shown.get_mut(unit) {
                        *place = true;
                    }
                }
            }
        }
        before = Some(at);
    }
}

fn needs_marker(plan: &Plan<'_>, mut range: std::ops::Range<usize>) -> bool {
    range.any(|at| tells(plan, at))
}

/// Tells whether a reader should know that a unit is not shown.
fn tells(plan: &Plan<'_>, at: usize) -> bool {
    plan.worths.units.get(at).is_some_and(|worth| !worth.silent)
}

/// Writes what stands between two shown units.
fn gap(plan: &Plan<'_>, before: Option<usize>, next: Option<usize>, out: &mut String) {
    let units = &plan.cut.units;
    let first = before.map_or(0, |at| at + 1);
    let last = next.unwrap_or(units.len());
    let from = before.and_then(|at| units.get(at)).map_or(0, |unit| unit.span.end);
    let to = next.and_then(|at| units.get(at)).map_or(plan.text.len(), |unit| unit.span.start);
    let between = plan.text.get(from..to).unwrap_or_default();
    let breaks = between.contains('\n') || (plan.cut.kind == Kind::Html && has_block_tag(between));
    let marker = needs_marker(plan, first..last).then(|| marker(plan, before, first..last, between));
    match marker {
        Some(marker) if breaks || before.is_none() => {
            if before.is_some() {
                out.push('\n');
            }
            out.push_str(&marker);
            out.push('\n');
            out.push_str(indent(between));
        }
        Some(marker) => {
            out.push(' ');
            out.push_str(if is_json(plan) { &marker } else { "[…]" });
            out.push(' ');
        }
        None if before.is_none() => out.push_str(indent(between)),
        None if next.is_none() || between.is_empty() => {}
        None if breaks => {
            out.push('\n');
            out.push_str(indent(between));
        }
        None => out.push(' '),
    }
}

fn is_json(plan: &Plan<'_>) -> bool {
    matches!(plan.cut.kind, Kind::Json | Kind::Jsonl)
}

/// Tells whether markup between two texts sets them on lines of their own.
fn has_block_tag(between: &str) -> bool {
    const INLINE: [&str; 12] = ["a", "b", "i", "u", "em", "strong", "span", "code", "small", "sub", "sup", "label"];
    between.split('<').skip(1).any(|tag| {
        let name = tag.trim_start_matches('/');
        let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        !INLINE.iter().any(|inline| name.get(..end).is_some_and(|name| name.eq_ignore_ascii_case(inline)))
    })
}

/// Returns the blanks at the end of a gap that indent what follows.
fn indent(between: &str) -> &str {
    let line = between.rfind('\n').map_or(0, |at| at + 1);
    let tail = between.get(line..).unwrap_or_default();
    if tail.trim().is_empty() && tail.len() <= INDENT_BYTES { tail } else { "" }
}

/// Says how much of what is not shown.
fn marker(plan: &Plan<'_>, before: Option<usize>, range: std::ops::Range<usize>, between: &str) -> String {
    let told = range.clone().filter(|at| tells(plan, *at)).count();
    if let Some(count) = folded(plan, before, &range) {
        return format!("[… {count} more like it]");
    }
    match plan.cut.kind {
        Kind::Json | Kind::Jsonl => json_marker(plan, range),
        Kind::Html => counted(told, "part"),
        _ => {
            let lines = between.lines().filter(|line| !line.trim().is_empty()).count().max(1);
            counted(lines, "line")
        }
    }
}

fn counted(count: usize, noun: &str) -> String {
    format!("[… {count} {noun}{} cut]", if count == 1 { "" } else { "s" })
}

/// Returns how many lines a gap has, if all differ from the line before it in numbers only.
fn folded(plan: &Plan<'_>, before: Option<usize>, range: &std::ops::Range<usize>) -> Option<usize> {
    let like = plan.worths.units.get(before?)?.template;
    let dropped = plan.worths.units.get(range.clone())?;
    let alike = dropped.len() >= 2 && dropped.iter().all(|worth| worth.template == like);
    (alike && matches!(plan.cut.kind, Kind::Log | Kind::TestOutput | Kind::Prose)).then_some(dropped.len())
}

/// Counts the elements that are cut of an array; members of objects only leave dots.
fn json_marker(plan: &Plan<'_>, range: std::ops::Range<usize>) -> String {
    let first = range.start;
    let (mut items, mut members) = (0, 0);
    for unit in range.filter(|at| tells(plan, *at)).filter_map(|at| plan.cut.units.get(at)) {
        if unit.parent.is_some_and(|parent| parent as usize >= first) {
            continue;
        }
        let parent = unit.parent.and_then(|parent| plan.cut.units.get(parent as usize));
        if parent.is_some_and(|parent| source(plan, parent).ends_with('[')) {
            items += 1;
        } else {
            members += 1;
        }
    }
    match (items, members) {
        (0, _) => "…".to_owned(),
        (items, 0) => counted(items, "item"),
        (items, _) => format!("… {}", counted(items, "item")),
    }
}

fn source<'a>(plan: &Plan<'a>, unit: &Unit) -> &'a str {
    plan.text.get(unit.span.clone()).unwrap_or_default()
}
