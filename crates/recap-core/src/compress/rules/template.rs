//! Bodies as templates: minijinja without functions, includes and inheritance, its work bounded.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, Error, UndefinedBehavior, Value};

use super::{Guideline, RulesError};

/// Work that any rendering may do: instructions, or 64 bytes each.
const FUEL: usize = 20_000;
/// How often a rendering may handle each byte of the body and of the values.
const PASSES: usize = 16;
const FUEL_BYTES: usize = 64;
/// Tags that reach for other templates.
const FOREIGN_TAGS: [&str; 4] = ["include", "import", "from", "extends"];

/// Checks that the body is a template, places what is declared and nothing else, and can be filled. `line` is added
/// to the numbers of the body's lines.
///
/// # Errors
/// [`RulesError::Template`], [`RulesError::Field`].
pub(super) fn check(guideline: &Guideline, line: usize) -> Result<(), RulesError> {
    if let Some(fault) = foreign_tag(&guideline.body, line) {
        return Err(fault);
    }
    let environment = environment(0);
    let template = environment.template_from_str(&guideline.body).map_err(|error| fault(&error, line))?;
    let placed: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
    let reason = if let Some(name) = placed.iter().find(|name| !guideline.places(name)) {
        format!("the body places `{name}`, which is not named here")
    } else if let Some(name) = guideline.variables.iter().find(|name| !placed.contains(*name)) {
        format!("the body does not place `{name}`")
    } else {
        return check_filling(guideline, line);
    };
    Err(RulesError::Field { field: "variables", reason })
}

/// Fills the body with values of three kinds, so that most branches are taken.
fn check_filling(guideline: &Guideline, line: usize) -> Result<(), RulesError> {
    for sample in ["", "12", "A sample of a value,\nwhich has two lines."] {
        let values: Vec<(&str, &str)> = guideline.variables.iter().map(|name| (name.as_str(), sample)).collect();
        render(&guideline.body, &values, line)?;
    }
    Ok(())
}

fn foreign_tag(body: &str, line: usize) -> Option<RulesError> {
    let mut before = line + 1;
    let mut parts = body.split("{%");
    before += parts.next()?.matches('\n').count();
    for part in parts {
        let inner = part.trim_start_matches(['-', '+']).trim_start();
        let word = inner.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if FOREIGN_TAGS.contains(&word) {
            return Some(RulesError::Template { line: before, reason: format!("there is no tag `{word}` here") });
        }
        before += part.matches('\n').count();
    }
    None
}

/// Fills a body.
///
/// # Errors
/// [`RulesError::Template`]
pub(super) fn render(body: &str, values: &[(&str, &str)], line: usize) -> Result<String, RulesError> {
    let bytes = body.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>();
    let environment = environment(bytes);
    let context: BTreeMap<String, Value> =
        values.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    environment.render_named_str("guideline", body, context).map_err(|error| fault(&error, line))
}

fn environment<'a>(bytes: usize) -> Environment<'a> {
    let mut environment = Environment::new();
    let functions: Vec<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();
    for name in functions {
        environment.remove_global(&name);
    }
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some((FUEL + bytes.saturating_mul(PASSES) / FUEL_BYTES) as u64));
    environment
}

fn fault(error: &Error, line: usize) -> RulesError {
    let reason = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    RulesError::Template { line: error.line().unwrap_or(1) + line, reason }
}
