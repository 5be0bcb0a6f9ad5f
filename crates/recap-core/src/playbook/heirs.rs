//! Which bullets took over from those that were merged.

use std::collections::BTreeMap;

use super::bullet::BulletId;
use super::operation::{Delta, Operation};

/// Returns the bullets that deltas merged into others, each with the one that has its counters after the last of them.
/// Deltas come oldest first, without those that were reverted.
#[must_use]
pub fn heirs<'a>(deltas: impl IntoIterator<Item = &'a Delta>) -> BTreeMap<BulletId, BulletId> {
    let mut heirs: BTreeMap<BulletId, BulletId> = BTreeMap::new();
    for operation in deltas.into_iter().flat_map(|delta| &delta.operations) {
        let Operation::Merge { ids, into, .. } = operation else { continue };
        let Some(into) = into.as_ref().or(ids.first()) else { continue };
        heirs.values_mut().filter(|heir| ids.contains(heir)).for_each(|heir| heir.clone_from(into));
        heirs.extend(ids.iter().filter(|id| *id != into).map(|id| (id.clone(), into.clone())));
    }
    heirs
}

#[cfg(test)]
mod tests {
    use super::super::bullet::Origin;
    use super::super::operation::Source;
    use super::*;

    #[test]
    fn heirs_of_heirs_are_followed() {
        let id = |n: u32| -> BulletId { format!("r-{n}").parse().unwrap() };
        let merge = |version: u64, ids: &[u32], into: Option<u32>| Delta {
            version,
            at_ms: 0,
            actor: "key".to_owned(),
            source: Source::of(Origin::Operator),
            operations: vec![Operation::Merge {
                ids: ids.iter().copied().map(id).collect(),
                into: into.map(id),
                content: None,
            }],
        };
        let log = [merge(1, &[1, 2], Some(2)), merge(2, &[4, 5], None), merge(3, &[3, 2, 4], None)];
        let of = heirs(&log);
        assert_eq!(of, [(1, 3), (2, 3), (4, 3), (5, 3)].map(|(gone, heir)| (id(gone), id(heir))).into());
    }
}
