//! A transcript: one section a step, each under a heading.

use super::plan::Step;
use super::source::Source;
use super::{MISSING_RESULT, Sheet};
use crate::trajectory::message::{Block, Role};

pub(super) fn write(steps: &[Step<'_>], sheet: &mut Sheet) {
    for step in steps {
        match step {
            Step::Said { source, blocks } => {
                let heading = match source.message.role {
                    Role::System | Role::Developer => "system",
                    _ => "user",
                };
                let body = body(source, blocks, sheet);
                sheet.push(source.item, format!("## {heading}\n\n{body}"));
            }
            Step::Synthetic { item, text } => sheet.push(*item, format!("## user\n\n{text}")),
            Step::Assistant { source, calls } => {
                let mut text = format!("## assistant\n\n{}", body(source, &source.all(), sheet));
                for call in calls {
                    if let Some(Block::Call(sent)) = source.block(call.block) {
                        let words = source.words(call.block);
                        text.extend([
                            "
[", &call.id, "] ", &sent.name, " ", &words,
                        ]);
                    }
                }
                sheet.push(source.item, text);
            }
            Step::Result { source, block, id } => {
                let mut text = format!("## result of {id}\n\n{}", source.words(*block));
                if let Some(Block::Observation(observation)) = source.block(*block) {
                    text.push_str(&"\n[image]".repeat(observation.images.len()));
                }
                sheet.push(source.item, text);
            }
            Step::Missing { item, id } => {
                sheet.push(*item, format!("## result of {id}\n\n{MISSING_RESULT}"));
            }
        }
    }
}

/// Returns texts in order, notes for pictures and for parts that are no words.
fn body(source: &Source<'_>, blocks: &[usize], sheet: &mut Sheet) -> String {
    let lines = blocks.iter().filter_map(|i| match source.block(*i)? {
        Block::Text(_) => Some(source.words(*i).to_string()),
        Block::Image(_) => Some("[image]".to_owned()),
        Block::Other(json) => Some(sheet.left_out(source.item, json)),
        _ => None,
    });
    lines.collect::<Vec<String>>().join("\n")
}
