//! How much of what is wrong a report names.

/// The most examples that are named of each fault.
pub const EXAMPLES: usize = 20;

/// Longest text that an example shows of an event, in characters.
const SHOWN: usize = 300;

/// The text, or its beginning.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
