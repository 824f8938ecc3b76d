//! What is known of words and emoji: their valence, and what they do to the words behind them.

use std::sync::LazyLock;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// What a word that strengthens adds to the valence of a word behind it, away from 0.
const STRENGTHENS: f64 = 0.293;

/// The same for a word that weakens.
pub(crate) const WEAKENS: f64 = -0.293;

/// What is known of a word in lower case.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Entry {
    /// How friendly the word is by itself, about -4 to 4; `None` if the lexicon does not have it.
    pub(crate) valence: Option<f64>,
    /// What it adds to the valence of a word behind it; 0 for most words.
    pub(crate) degree: f64,
    /// Whether it negates words behind it.
    pub(crate) negates: bool,
}

type Entries = HashMap<String, Entry, FixedState>;
type Emoji = HashMap<char, &'static str, FixedState>;

/// Words of one part; those of several, such as `kind of`, are looked for where they count.
const STRENGTHENING: &str = "absolutely amazingly awfully completely considerable considerably decidedly deeply effing \
     enormous enormously entirely especially exceptional exceptionally extreme extremely fabulously flipping flippin \
     frackin fracking fricking frickin frigging friggin fully fuckin fucking fuggin fugging greatly hella highly hugely \
     incredible incredibly intensely major majorly more most particularly purely quite really remarkably so \
     substantially thoroughly total totally tremendous tremendously uber unbelievably unusually utter utterly very";

const WEAKENING: &str = "almost barely hardly kinda kindof kind-of less little marginal marginally occasional \
     occasionally partly scarce scarcely slight slightly somewhat sorta sortof sort-of";

const NEGATING: &str = "aint arent cannot cant couldnt darent didnt doesnt ain't aren't can't couldn't daren't didn't \
     doesn't dont hadnt hasnt havent isnt mightnt mustnt neither don't hadn't hasn't haven't isn't mightn't mustn't \
     neednt needn't never none nope nor not nothing nowhere oughtnt shant shouldnt uhuh wasnt werent oughtn't shan't \
     shouldn't uh-uh wasn't weren't without wont wouldnt won't wouldn't rarely seldom despite";

/// Valences of 3.3.2 that the crate has not or has otherwise: words that came later, and a name of which another
/// spelling, `:P`, took the place.
const CORRECTED: [(&str, f64); 3] = [("heart", 3.2), ("hearts", 3.3), (":p", 1.0)];

static ENTRIES: LazyLock<Entries> = LazyLock::new(|| {
    let mut entries = Entries::default();
    for (name, valence) in vader_sentiment::LEXICON.iter() {
        let name: &str = name.as_ref();
        // Two names have a capital thorn. Texts are looked up in lower case, so the reference never finds them.
        if name.is_ascii() {
            entries
                .entry(name.to_ascii_lowercase())
                .or_default()
                .valence = Some(*valence);
        }
    }
    for (name, valence) in CORRECTED {
        entries.entry(name.to_owned()).or_default().valence = Some(valence);
    }
    for (names, degree) in [(STRENGTHENING, STRENGTHENS), (WEAKENING, WEAKENS)] {
        for name in names.split_whitespace() {
            entries.entry(name.to_owned()).or_default().degree = degree;
        }
    }
    for name in NEGATING.split_whitespace() {
        entries.entry(name.to_owned()).or_default().negates = true;
    }
    entries
});

static EMOJI: LazyLock<Emoji> = LazyLock::new(|| {
    let mut emoji = Emoji::default();
    for (name, description) in vader_sentiment::EMOJI_LEXICON.iter() {
        let mut chars = name.chars();
        // Those of several characters are met character by character.
        if let (Some(char), None) = (chars.next(), chars.next()) {
            emoji.insert(char, description.trim());
        }
    }
    emoji
});

/// What is known of the word, which is in lower case.
pub(crate) fn entry(word: &str) -> Entry {
    let mut entry = ENTRIES.get(word).copied().unwrap_or_default();
    entry.negates |= word.contains("n't");
    entry
}

/// The words for an emoji of one character; none of them is ASCII.
pub(crate) fn emoji(char: char) -> Option<&'static str> {
    EMOJI.get(&char).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lexicon_has_as_many_entries_as_the_reference_can_find() {
        let valences = ENTRIES.values().filter(|entry| entry.valence.is_some());
        assert_eq!(valences.count(), 7_492);
        let count = |degree: f64| {
            ENTRIES
                .values()
                .filter(|entry| entry.degree == degree)
                .count()
        };
        assert_eq!((count(STRENGTHENS), count(WEAKENS)), (60, 21));
        assert_eq!(ENTRIES.values().filter(|entry| entry.negates).count(), 59);
        assert_eq!(EMOJI.len(), 1_212);
        assert!(EMOJI.keys().all(|char| !char.is_ascii()));
    }
}
