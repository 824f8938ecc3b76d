//! The valence of each word where it stands. The steps and their order are those of the reference, also where they
//! look odd: its figures come of them.

use smallvec::SmallVec;

use crate::lexicon::WEAKENS;
use crate::words::{Word, Words};

/// What capitals add, away from 0.
const CAPITALS: f64 = 0.733;

/// What a negation makes of a valence.
const NEGATED: f64 = -0.74;

/// What `never so` and `so` make of it.
const EVEN: f64 = 1.25;

/// How much a word one, two and three places before counts.
const NEARNESS: [f64; 3] = [1.0, 0.95, 0.9];

/// Valences of the words; 0 for those that say nothing.
pub(crate) fn valences(words: &Words) -> SmallVec<[f64; 16]> {
    let mut valences = (0..words.words.len()).map(|at| words.valence(at)).collect();
    weigh_by_but(words, &mut valences);
    valences
}

/// What stands before the first `but` counts half, and what stands behind it half as much again. The reference finds a
/// valence by its value, so that one that stands twice can be changed twice.
fn weigh_by_but(words: &Words, valences: &mut SmallVec<[f64; 16]>) {
    let Some(but) = words.words.iter().position(|word| word.lower == "but") else {
        return;
    };
    for at in 0..valences.len() {
        let valence = valences[at];
        let first = valences.iter().position(|other| *other == valence);
        let first = first.unwrap_or(at);
        if first < but {
            valences[first] = valence * 0.5;
        } else if first > but {
            valences[first] = valence * 1.5;
        }
    }
}

impl Words {
    fn valence(&self, at: usize) -> f64 {
        let word = &self.words[at];
        let is_kind_of = word.lower == "kind" && self.is(at + 1, "of");
        let Some(of_word) = word.entry.valence else {
            return 0.0;
        };
        if word.entry.degree != 0.0 || is_kind_of {
            return 0.0;
        }
        let mut valence = of_word;
        let next = self.words.get(at + 1);
        if word.lower == "no" && next.is_some_and(|next| next.entry.valence.is_some()) {
            valence = 0.0;
        }
        if self.is_after_no(at) {
            valence = of_word * NEGATED;
        }
        if word.is_upper && self.has_some_upper {
            valence += away_from_zero(valence, CAPITALS);
        }
        for (back, nearness) in (1..).zip(NEARNESS) {
            let Some(before) = self.before(at, back) else {
                break;
            };
            if before.entry.valence.is_some() {
                continue;
            }
            valence += self.degree(before, valence) * nearness;
            valence = self.negated(at, back, valence);
            if back == NEARNESS.len() {
                valence = self.of_idioms(at, valence);
            }
        }
        if self.is_least(at) {
            valence *= NEGATED;
        }
        valence
    }

    /// Whether the word at that place is this one.
    fn is(&self, at: usize, lower: &str) -> bool {
        self.words.get(at).is_some_and(|word| word.lower == lower)
    }

    /// The word so many places before.
    fn before(&self, at: usize, back: usize) -> Option<&Word> {
        self.words.get(at.checked_sub(back)?)
    }

    /// Whether the word so many places before is one of these.
    fn is_before(&self, at: usize, back: usize, any: &[&str]) -> bool {
        let word = self.before(at, back);
        word.is_some_and(|word| any.contains(&word.lower.as_str()))
    }

    fn is_after_no(&self, at: usize) -> bool {
        self.is_before(at, 1, &["no"])
            || self.is_before(at, 2, &["no"])
            || self.is_before(at, 3, &["no"]) && self.is_before(at, 1, &["or", "nor"])
    }

    /// What a word before adds to a valence by its degree.
    fn degree(&self, word: &Word, valence: f64) -> f64 {
        let degree = word.entry.degree;
        if degree == 0.0 {
            return 0.0;
        }
        let added = if valence < 0.0 { -degree } else { degree };
        if word.is_upper && self.has_some_upper {
            added + away_from_zero(valence, CAPITALS)
        } else {
            added
        }
    }

    fn negated(&self, at: usize, back: usize, valence: f64) -> f64 {
        let is = |back: usize, any: &[&str]| self.is_before(at, back, any);
        let so = ["so", "this"];
        let (is_even, is_doubtless) = match back {
            2 => (
                is(2, &["never"]) && is(1, &so),
                is(2, &["without"]) && is(1, &["doubt"]),
            ),
            3 => (
                is(3, &["never"]) && is(2, &so) || is(1, &so),
                is(3, &["without"]) && (is(2, &["doubt"]) || is(1, &["doubt"])),
            ),
            _ => (false, false),
        };
        let negates = self.before(at, back).is_some_and(|word| word.entry.negates);
        if is_even {
            valence * EVEN
        } else if negates && !is_doubtless {
            valence * NEGATED
        } else {
            valence
        }
    }

    /// Idioms around the word, which has three words before it, take the place of its valence.
    fn of_idioms(&self, at: usize, valence: f64) -> f64 {
        let word = |at: usize| self.words.get(at).map_or("", |word| word.lower.as_str());
        let (three, two, one, zero) = (word(at - 3), word(at - 2), word(at - 1), word(at));
        let (next, after) = (word(at + 1), word(at + 2));
        let found = of_two(one, zero)
            .or_else(|| of_three(two, one, zero))
            .or_else(|| of_two(two, one))
            .or_else(|| of_three(three, two, one))
            .or_else(|| of_two(three, two));
        let valence = of_two(zero, next).or(found).unwrap_or(valence);
        let mut valence = of_three(zero, next, after).unwrap_or(valence);
        for pair in [(three, two), (two, one)] {
            if matches!(pair, ("just", "enough") | ("kind" | "sort", "of")) {
                valence += WEAKENS;
            }
        }
        valence
    }

    /// Whether the word stands behind `least`, and neither behind `at least` nor behind `very least`.
    fn is_least(&self, at: usize) -> bool {
        self.is_before(at, 1, &["least"]) && !self.is_before(at, 2, &["at", "very"])
    }
}

/// `amount` with the sign of the valence; that of 0 is minus.
fn away_from_zero(valence: f64, amount: f64) -> f64 {
    if valence > 0.0 { amount } else { -amount }
}

/// Valence of an idiom of two words.
fn of_two(one: &str, two: &str) -> Option<f64> {
    Some(match (one, two) {
        ("the", "shit" | "bomb") => 3.0,
        ("bad", "ass") => 1.5,
        ("bus", "stop") => 0.0,
        ("yeah", "right") => -2.0,
        ("beating", "heart") => 3.5,
        _ => return None,
    })
}

/// Valence of an idiom of three words.
fn of_three(one: &str, two: &str, three: &str) -> Option<f64> {
    Some(match (one, two, three) {
        ("kiss", "of", "death") => -1.5,
        ("to", "die", "for") => 3.0,
        _ => return None,
    })
}
