//! The guidelines that the program brings with it.

use std::path::PathBuf;

use super::{File, Kind, Place};

macro_rules! shipped {
    ($set:literal) => {
        (
            $set,
            [
                (Kind::Observation, include_str!(concat!("../../../guidelines/", $set, "/observation.md"))),
                (Kind::History, include_str!(concat!("../../../guidelines/", $set, "/history.md"))),
                (Kind::Reflect, include_str!(concat!("../../../guidelines/", $set, "/reflect.md"))),
                (Kind::Curate, include_str!(concat!("../../../guidelines/", $set, "/curate.md"))),
                (Kind::Analyse, include_str!(concat!("../../../guidelines/", $set, "/analyse.md"))),
                (Kind::Propose, include_str!(concat!("../../../guidelines/", $set, "/propose.md"))),
            ],
        )
    };
}

const SETS: [(&str, [(Kind, &str); 6]); 3] = [shipped!("default"), shipped!("coding"), shipped!("service")];

/// Returns the shipped guidelines; their paths are those in recapd's source.
pub(super) fn files() -> Vec<File> {
    let kinds = SETS.iter().flat_map(|(set, texts)| texts.iter().map(move |(kind, text)| (*set, *kind, *text)));
    kinds
        .map(|(set, kind, text)| File {
            place: Place { set: set.to_owned(), kind },
            path: PathBuf::from(format!("(shipped) guidelines/{set}/{}.md", kind.name())),
            text: text.to_owned(),
        })
        .collect()
}
