#![doc = include_str!("../README.md")]

mod lexicon;
mod valence;
mod words;

use valence::valences;
use words::Words;

/// Exclamation marks past this number add nothing.
const MOST_EXCLAMATIONS: usize = 4;
const EXCLAMATION: f64 = 0.292;
const QUESTION: f64 = 0.18;
/// What more than three question marks add together.
const MANY_QUESTIONS: f64 = 0.96;

/// The squared sum of valences at which a text is about two thirds of the way to an end of the scale.
const HALFWAY: f64 = 15.0;

/// How friendly the text is: from -1, hostile, over 0, neutral or not English, to 1; rounded to four digits as the
/// reference rounds.
///
/// ```
/// assert_eq!(sentiment::compound("what a clutch play!!!"), 0.5067);
/// assert_eq!(sentiment::compound("worst lag ever"), -0.7579);
/// assert_eq!(sentiment::compound("KEKW"), 0.0);
/// ```
pub fn compound(text: &str) -> f64 {
    let spelled = words::with_emoji_spelled(text);
    let words = Words::of(&spelled);
    let sum: f64 = valences(&words).iter().sum();
    let sum = if sum > 0.0 {
        sum + emphasis(&spelled)
    } else if sum < 0.0 {
        sum - emphasis(&spelled)
    } else {
        return 0.0;
    };
    rounded(sum / (sum * sum + HALFWAY).sqrt())
}

/// What punctuation adds to the sum, away from 0.
fn emphasis(text: &str) -> f64 {
    let (mut exclamations, mut questions) = (0_usize, 0_usize);
    for byte in text.bytes() {
        exclamations += usize::from(byte == b'!');
        questions += usize::from(byte == b'?');
    }
    let asked = match questions {
        0 | 1 => 0.0,
        2 | 3 => questions as f64 * QUESTION,
        _ => MANY_QUESTIONS,
    };
    exclamations.min(MOST_EXCLAMATIONS) as f64 * EXCLAMATION + asked
}

/// Rounded to four digits by the number's exact value, as decimal notation does; never -0.
fn rounded(value: f64) -> f64 {
    let text = format!("{value:.4}");
    text.parse().unwrap_or(value) + 0.0
}
