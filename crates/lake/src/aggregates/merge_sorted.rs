//! Adds one sorted list to another.

use std::cmp::Ordering;

/// Adds `theirs` to `mine`; both ascend by `order`, without repeats. Where both have an element, `add` joins them.
pub(crate) fn merge_sorted<T: Clone>(
    mine: &mut Vec<T>,
    theirs: &[T],
    order: impl Fn(&T, &T) -> Ordering,
    add: impl Fn(&mut T, &T),
) {
    // As a rule all of theirs are there, and nothing moves.
    let mut new = Vec::new();
    let mut next = 0;
    for other in theirs {
        let found = match mine.get(next).map(|own| order(own, other)) {
            Some(Ordering::Equal) => Ok(next),
            Some(Ordering::Less) => {
                let behind = next + 1;
                let found = mine[behind..].binary_search_by(|own| order(own, other));
                found.map(|at| behind + at).map_err(|at| behind + at)
            }
            Some(Ordering::Greater) | None => Err(next),
        };
        match found {
            Ok(at) => {
                add(&mut mine[at], other);
                next = at + 1;
            }
            Err(at) => {
                new.push(other);
                next = at;
            }
        }
    }
    if new.is_empty() {
        return;
    }
    let mut out = Vec::with_capacity(mine.len() + new.len());
    let mut new = new.into_iter().peekable();
    for own in mine.drain(..) {
        while let Some(other) = new.next_if(|other| order(other, &own).is_lt()) {
            out.push(other.clone());
        }
        out.push(own);
    }
    out.extend(new.cloned());
    *mine = out;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_sums_are_those_of_a_map(
            mine in prop::collection::btree_map(0..40_u32, 1..9_u32, 0..30),
            theirs in prop::collection::btree_map(0..40_u32, 1..9_u32, 0..30),
        ) {
            let list = |map: &BTreeMap<u32, u32>| map.iter().map(|(a, b)| (*a, *b)).collect::<Vec<_>>();
            let mut merged = list(&mine);
            merge_sorted(&mut merged, &list(&theirs), |a, b| a.0.cmp(&b.0), |a, b| a.1 += b.1);
            let mut sums = mine;
            for (key, value) in theirs {
                *sums.entry(key).or_default() += value;
            }
            prop_assert_eq!(merged, list(&sums));
        }
    }
}
