//! A declared pattern, matched by a table where it is small enough for one.

use regex::Regex;
use regex_automata::Input;
use regex_automata::dfa::{Automaton, dense};
use regex_automata::nfa::thompson;

/// Most bytes of a pattern's table; what needs more, such as long runs of Unicode classes, is left
/// to the regex.
const MAX_TABLE_BYTES: usize = 64 * 1024;

/// Says whether a text has the form of a pattern. The regex is the truth; the table gives its
/// answer in one step a byte, without the regex's search for the best engine.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    regex: Regex,
    table: Option<dense::DFA<Vec<u32>>>,
}

impl Matcher {
    pub(crate) fn new(regex: &Regex) -> Matcher {
        let table = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .dfa_size_limit(Some(MAX_TABLE_BYTES))
                    .determinize_size_limit(Some(16 * MAX_TABLE_BYTES)),
            )
            .thompson(thompson::Config::new().nfa_size_limit(Some(16 * MAX_TABLE_BYTES)))
            .build(regex.as_str())
            .ok();
        Matcher {
            regex: regex.clone(),
            table,
        }
    }

    /// Whether `text` has the form.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        let by_table = self.table.as_ref().and_then(|table| walk(table, text));
        by_table.unwrap_or_else(|| self.regex.is_match(text))
    }
}

/// Whether the table finds a match; nothing where it gives up, as one of a Unicode `\b` can.
fn walk(table: &dense::DFA<Vec<u32>>, text: &str) -> Option<bool> {
    let mut state = table.start_state_forward(&Input::new(text)).ok()?;
    for byte in text.bytes() {
        state = table.next_state(state, byte);
        if table.is_special_state(state) {
            if table.is_match_state(state) {
                return Some(true);
            }
            if table.is_dead_state(state) {
                return Some(false);
            }
            if table.is_quit_state(state) {
                return None;
            }
        }
    }
    // A match shows one byte late, and so the last one at the end of the text.
    Some(table.is_match_state(table.next_eoi_state(state)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATTERNS: [&str; 9] = [
        "^[A-Za-z0-9][A-Za-z0-9._:-]*$",
        "^0x(1[0-9A-Fa-f]{7}|0?[0-9A-Fa-f]{1,7})$",
        "[a-c]+:",
        "",
        "$",
        "(?i)^veh-\\d+$",
        "^(?m:a$)",
        "^.é?x*$",
        "\\bx\\b",
    ];

    proptest! {
        #[test]
        fn table_and_regex_agree(
            text in prop_oneof!["[ -~\n]{0,12}", "0x[01][0-9A-Fa-f]{0,9}", "[a-c:é\nx]{0,6}", "(veh|VEH)-[0-9٣]{0,4}"],
        ) {
            for pattern in PATTERNS {
                let regex = Regex::new(pattern).unwrap();
                prop_assert_eq!(Matcher::new(&regex).is_match(&text), regex.is_match(&text), "{} {:?}", pattern, text);
            }
        }
    }

    #[test]
    fn the_default_patterns_have_a_table_and_huge_ones_do_not() {
        let has_table = |pattern: &str| Matcher::new(&Regex::new(pattern).unwrap()).table.is_some();
        assert!(PATTERNS[..2].iter().all(|pattern| has_table(pattern)));
        assert!(!has_table("^\\w{1,64}$"));
        assert!(Matcher::new(&Regex::new("^\\w{1,64}$").unwrap()).is_match("жук"));
    }
}
