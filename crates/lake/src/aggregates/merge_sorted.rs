//! Adds one sorted list to another in one pass.

use std::cmp::Ordering;

/// Adds `theirs` to `mine`; both ascend by `order`, without repeats. Where both have an element, `add` joins them.
pub(crate) fn merge_sorted<T: Clone>(
    mine: &mut Vec<T>,
    theirs: &[T],
    order: impl Fn(&T, &T) -> Ordering,
    add: impl Fn(&mut T, &T),
) {
    let mut theirs = theirs.iter().peekable();
    let mut out = Vec::with_capacity(mine.len());
    for mut own in mine.drain(..) {
        while let Some(other) = theirs.next_if(|other| order(other, &own).is_lt()) {
            out.push(other.clone());
        }
        if let Some(other) = theirs.next_if(|other| order(other, &own).is_eq()) {
            add(&mut own, other);
        }
        out.push(own);
    }
    out.extend(theirs.cloned());
    *mine = out;
}
