//! Files of playbooks: no panic; what is taken can be applied, and comes back from every format.

#![no_main]

use libfuzzer_sys::fuzz_target;
use recap_core::playbook::interchange::{Format, read, write};
use recap_core::playbook::{Delta, Origin, Playbook, Prior, Source, resolve};

/// Takes a text as the daemon does; `None` if it is refused.
fn taken(format: Format, text: &str) -> Option<Playbook> {
    let mut playbook = Playbook::default();
    let operations = read(format, text).ok()?.operations(&playbook).operations;
    let operations = resolve(&playbook, operations, Prior::Trusted).expect("an import is complete");
    let (actor, source) = ("fuzz".to_owned(), Source::of(Origin::Import));
    let delta = Delta { version: 1, at_ms: 0, actor, source, operations };
    playbook.apply(&delta, |_| None).expect("an import can be applied");
    Some(playbook)
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for format in Format::ALL {
        let Some(playbook) = taken(format, &text) else { continue };
        for other in Format::ALL {
            let back = taken(other, &write(other, &playbook)).expect("what is written is read");
            assert_eq!(write(Format::Kayba, &back), write(Format::Kayba, &playbook));
        }
    }
});
