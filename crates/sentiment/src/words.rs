//! A text as words, each with what the lexicon says of it.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::lexicon::{Entry, emoji, entry};

/// Shortest word that loses the punctuation around it, in characters: what would be shorter is an emoticon.
const SHORTEST_STRIPPED: usize = 3;

/// A word of a text.
#[derive(Debug)]
pub(crate) struct Word {
    /// In lower case, without punctuation around it unless it is an emoticon.
    pub(crate) lower: String,
    /// Whether it is written in capitals.
    pub(crate) is_upper: bool,
    pub(crate) entry: Entry,
}

impl Word {
    fn of(token: &str) -> Word {
        let stripped = token.trim_matches(|char: char| char.is_ascii_punctuation());
        let is_word = stripped.chars().nth(SHORTEST_STRIPPED - 1).is_some();
        let word = if is_word { stripped } else { token };
        let lower = word.to_lowercase();
        Word {
            is_upper: is_upper(word),
            entry: entry(&lower),
            lower,
        }
    }
}

/// The words of a text.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) words: SmallVec<[Word; 16]>,
    /// Whether some of them, and not all, are written in capitals: only then capitals mean something.
    pub(crate) has_some_upper: bool,
}

impl Words {
    pub(crate) fn of(text: &str) -> Words {
        let words: SmallVec<[Word; 16]> = text
            .split(is_space)
            .filter(|token| !token.is_empty())
            .map(Word::of)
            .collect();
        let upper = words.iter().filter(|word| word.is_upper).count();
        Words {
            has_some_upper: 0 < upper && upper < words.len(),
            words,
        }
    }
}

/// Space as Python has it: that of Unicode, and the four ASCII separators.
fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

/// Whether there is a capital, and no letter that is none.
fn is_upper(word: &str) -> bool {
    let mut found = false;
    for char in word.chars() {
        if char.is_uppercase() {
            found = true;
        } else if char.is_lowercase() || !char.to_lowercase().eq([char]) {
            // The second is a letter such as `ǅ`, which is half a capital.
            return false;
        }
    }
    found
}

/// The text with words in the place of emoji, and a space before them.
pub(crate) fn with_emoji_spelled(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut spelled = String::with_capacity(text.len() * 2);
    let mut is_after_space = true;
    for char in text.chars() {
        if let Some(words) = emoji(char) {
            if !is_after_space {
                spelled.push(' ');
            }
            spelled.push_str(words);
            is_after_space = false;
        } else {
            spelled.push(char);
            is_after_space = char == ' ';
        }
    }
    Cow::Owned(spelled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lose_punctuation_and_emoticons_keep_it() {
        let of = |text: &str| {
            let words = Words::of(text).words;
            let words: Vec<String> = words.into_iter().map(|word| word.lower).collect();
            words
        };
        assert_eq!(
            of(" \"Well,\" it's... OK! :D \u{1c}?!"),
            ["well", "it's", "ok!", ":d", "?!"]
        );
        assert!(of(" \n").is_empty());
    }

    #[test]
    fn capitals_are_told_from_words_without_letters() {
        for (word, upper) in [
            ("GOOD", true),
            ("A1!", true),
            ("É", true),
            ("Good", false),
            ("123", false),
            ("", false),
            ("Ǆ", true),
            ("ǅ", false),
        ] {
            assert_eq!(is_upper(word), upper, "{word}");
        }
    }

    #[test]
    fn emoji_become_words_of_their_own_on_the_left_side_only() {
        assert_eq!(with_emoji_spelled("a"), "a");
        assert_eq!(
            with_emoji_spelled("é😁😁! 😁"),
            "é beaming face with smiling eyes beaming face with smiling eyes! beaming face with smiling eyes"
        );
    }
}
