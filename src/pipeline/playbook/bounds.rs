//! What a playbook may not become: over its budget, or a fraction of itself at once.

use recap_core::playbook::{Bullet, Playbook, text};
use recap_core::tokens::Counter;

/// Returns a playbook's text: all bullets under their headings.
pub fn full_text(playbook: &Playbook) -> String {
    text(playbook.by_section().flat_map(|(_, bullets)| bullets))
}

/// Returns the tokens of a playbook's text.
pub fn tokens(playbook: &Playbook, counter: &Counter) -> u32 {
    counter.count(&full_text(playbook))
}

/// Tells whether two playbooks have the same text.
pub fn same_words(one: &Playbook, other: &Playbook) -> bool {
    let words = |bullet: &Bullet| (bullet.id.clone(), bullet.section.clone(), bullet.content.clone(), bullet.origin);
    one.sections == other.sections && one.bullets.iter().map(words).eq(other.bullets.iter().map(words))
}
