//! The law of files of playbooks: what is written comes back.

use std::sync::Arc;

use proptest::prelude::*;
use recap_core::playbook::generate::{any_content, any_playbook};
use recap_core::playbook::interchange::{Format, Imported, read, write};
use recap_core::playbook::{BulletId, Delta, Operation, Origin, Playbook, Prior, Source, resolve};

use crate::world::cases;

/// What of a playbook a file keeps.
type Kept = Vec<(Arc<str>, Vec<(BulletId, Arc<str>, [u64; 3])>)>;

fn kept(playbook: &Playbook) -> Kept {
    let of = |bullet: &recap_core::playbook::Bullet| {
        let credits = &bullet.credits;
        let counts = [credits.helpful.count(), credits.harmful.count(), credits.neutral.count()];
        (bullet.id.clone(), Arc::clone(&bullet.content), counts)
    };
    let section = |(section, bullets): (&Arc<str>, Vec<&recap_core::playbook::Bullet>)| {
        (Arc::clone(section), bullets.into_iter().map(of).collect())
    };
    playbook.by_section().map(section).collect()
}

/// Applies operations as the daemon does.
fn applied(playbook: &Playbook, operations: Vec<Operation>) -> Playbook {
    let operations = resolve(playbook, operations, Prior::Trusted).unwrap();
    let (version, source) = (playbook.version + 1, Source::of(Origin::Import));
    let mut next = playbook.clone();
    next.apply(&Delta { version, at_ms: 0, actor: "key".to_owned(), source, operations }, |_| None).unwrap();
    next
}

fn imported(format: Format, text: &str) -> Imported {
    read(format, text).unwrap_or_else(|error| panic!("{format}: {error}\n{text}"))
}

fn any_format() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::ALL.to_vec())
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn what_is_exported_comes_back(playbook in any_playbook(), format in any_format(), windows in any::<bool>()) {
        let mut text = write(format, &playbook);
        if windows {
            text = text.replace('\n', "\r\n");
        }
        let import = imported(format, &text).operations(&Playbook::default());
        prop_assert!(import.renamed.is_empty() && import.skipped.is_empty());
        prop_assert_eq!(import.imported, playbook.bullets.len());
        let back = applied(&Playbook::default(), import.operations);
        prop_assert_eq!(kept(&back), kept(&playbook));
        prop_assert_eq!(write(Format::Ace, &back), write(Format::Ace, &playbook));
    }

    #[test]
    fn what_is_there_is_not_brought_again(playbook in any_playbook(), format in any_format()) {
        let import = imported(format, &write(format, &playbook)).operations(&playbook);
        prop_assert_eq!(import.operations, vec![]);
        prop_assert_eq!(import.skipped.len(), playbook.bullets.len());
    }

    #[test]
    fn two_playbooks_go_together(one in any_playbook(), other in any_playbook(), format in any_format()) {
        let import = imported(format, &write(format, &other)).operations(&one);
        let renamed = import.renamed.clone();
        prop_assert_eq!(import.imported + import.skipped.len(), other.bullets.len());
        let both = applied(&one, import.operations);
        prop_assert_eq!(both.bullets.get(..one.bullets.len()), Some(&*one.bullets));
        for bullet in &other.bullets {
            prop_assert!(both.bullets.iter().any(|kept| kept.content == bullet.content), "{}", bullet.id);
        }
        for (old, new) in renamed {
            prop_assert!(one.knows(&old.parse().unwrap()) && !one.knows(&new));
        }
        let again = imported(format, &write(format, &other)).operations(&both);
        prop_assert_eq!(again.operations, vec![]);
    }

    #[test]
    fn any_text_is_taken_or_refused(texts in prop::collection::vec(any_content(), 0..6), format in any_format()) {
        let Ok(imported) = read(format, &texts.join("\n")) else { return Ok(()) };
        let import = imported.operations(&Playbook::default());
        let playbook = applied(&Playbook::default(), import.operations);
        for format in Format::ALL {
            let import = read(format, &write(format, &playbook)).unwrap().operations(&Playbook::default());
            prop_assert_eq!(kept(&applied(&Playbook::default(), import.operations)), kept(&playbook));
        }
    }
}
