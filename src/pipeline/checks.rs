//! What a client may give for a trajectory's record, whichever way it comes.

use serde_json::{Map, Value};

use super::failure::Failure;
use crate::store::{NewTrajectory, Outcome, Patch};

/// Bytes of what a judge says of a run.
const MOST_FEEDBACK_BYTES: usize = 64 << 10;
/// Bullets that an outcome names.
const MOST_USED_BULLETS: usize = 1000;
/// Bytes of the id of one of them.
const MOST_BULLET_ID_BYTES: usize = 64;

/// Checks a record that is to be made.
///
/// # Errors
///
/// [`Failure::Invalid`] for the first field that is wrong.
pub fn new_trajectory(new: &NewTrajectory) -> Result<(), Failure> {
    name("/id", &new.id)?;
    name("/namespace", &new.namespace)?;
    tools(new.tools.as_deref())?;
    budget(new.budget)?;
    metadata(new.metadata.as_ref())
}

/// Checks changes of a record.
///
/// # Errors
///
/// [`Failure::Invalid`] for the first field that is wrong.
pub fn patch(patch: &Patch) -> Result<(), Failure> {
    tools(patch.tools.as_ref().and_then(Option::as_deref))?;
    budget(patch.budget.flatten())?;
    metadata(patch.metadata.as_ref().and_then(Option::as_ref))?;
    patch.outcome.as_ref().and_then(Option::as_ref).map_or(Ok(()), outcome)
}

/// Checks an id or namespace: 1 to 128 of `A-Z a-z 0-9 . _ : -`.
///
/// # Errors
///
/// [`Failure::Invalid`] with the pointer.
pub fn name(pointer: &str, name: &str) -> Result<(), Failure> {
    let fits = (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte));
    if fits { Ok(()) } else { Err(Failure::field(pointer, "must be 1 to 128 of A-Z a-z 0-9 . _ : -")) }
}

/// Checks the JSON of tool schemas: a list of objects.
///
/// # Errors
///
/// [`Failure::Invalid`] for anything else.
pub fn tools(tools: Option<&str>) -> Result<(), Failure> {
    let Some(tools) = tools else { return Ok(()) };
    match serde_json::from_str::<Vec<Map<String, Value>>>(tools) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::field("/tools", format!("expected a list of objects: {error}"))),
    }
}

fn outcome(outcome: &Outcome) -> Result<(), Failure> {
    if outcome.feedback.as_ref().is_some_and(|feedback| feedback.len() > MOST_FEEDBACK_BYTES) {
        return Err(Failure::field("/feedback", format!("has more than {MOST_FEEDBACK_BYTES} bytes")));
    }
    if outcome.used_bullets.len() > MOST_USED_BULLETS {
        return Err(Failure::field("/used_bullets", format!("names more than {MOST_USED_BULLETS} bullets")));
    }
    match outcome.used_bullets.iter().position(|id| id.len() > MOST_BULLET_ID_BYTES) {
        Some(at) => {
            let pointer = format!("/used_bullets/{at}");
            Err(Failure::field(&pointer, format!("has more than {MOST_BULLET_ID_BYTES} bytes")))
        }
        None => Ok(()),
    }
}

fn budget(budget: Option<u64>) -> Result<(), Failure> {
    if budget == Some(0) { Err(Failure::field("/budget", "must be above 0")) } else { Ok(()) }
}

fn metadata(metadata: Option<&Value>) -> Result<(), Failure> {
    match metadata {
        Some(Value::Object(_)) | None => Ok(()),
        Some(_) => Err(Failure::field("/metadata", "expected an object")),
    }
}
