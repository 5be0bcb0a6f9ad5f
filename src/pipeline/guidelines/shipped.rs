//! The guidelines that the program brings with it.

use std::path::PathBuf;

use super::{File, Kind};

macro_rules! shipped {
    ($set:literal) => {
        (
            $set,
            [
                include_str!(concat!("../../../guidelines/", $set, "/observation.md")),
                include_str!(concat!("../../../guidelines/", $set, "/history.md")),
            ],
        )
    };
}

/// Sets with their texts, in the order of [`Kind::ALL`].
const SETS: [(&str, [&str; 2]); 3] = [shipped!("default"), shipped!("coding"), shipped!("service")];

/// Returns the shipped guidelines; their paths are those in recapd's source.
pub(super) fn files() -> Vec<File> {
    let kinds = SETS.iter().flat_map(|(set, texts)| Kind::ALL.into_iter().zip(texts).map(move |pair| (*set, pair)));
    kinds
        .map(|(set, (kind, text))| File {
            set: set.to_owned(),
            kind,
            path: PathBuf::from(format!("(shipped) guidelines/{set}/{}.md", kind.name())),
            text: (*text).to_owned(),
        })
        .collect()
}
