//! The name that was meant by one that is not known.

/// The one of `names` that is nearest to `name`, if any is near: at most a third of its letters differ.
pub fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let distances = names
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known));
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= name.chars().count().max(3)).then_some(nearest)
}
