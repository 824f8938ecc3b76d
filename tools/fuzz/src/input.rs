//! Sound inputs with a few changes.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::Corpus;

/// Most changes of an input.
const MAX_CHANGES: usize = 6;

/// Longest input: past every bound that readers have on a part, and short enough for many a second.
const MAX_BYTES: usize = 1 << 18;

/// An input, which is shown as text where it is some.
#[derive(Clone)]
pub(crate) struct Input(pub(crate) Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// How an input is made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    sound: usize,
    changes: Vec<Change>,
}

#[derive(Debug, Clone)]
struct Change {
    at: Index,
    /// Bytes that go.
    length: Length,
    with: Piece,
}

#[derive(Debug, Clone)]
enum Length {
    Few(usize),
    /// Up to this place.
    To(Index),
}

#[derive(Debug, Clone)]
enum Piece {
    Nothing,
    Token(usize),
    Bytes(Vec<u8>),
    Text(String),
    /// What stands between two places of a sound input.
    Cut(usize, Index, Index),
    /// A token so many times.
    Many(usize, usize),
}

pub(crate) fn strategy(sound: usize, tokens: usize) -> impl Strategy<Value = Made> {
    assert!(sound > 0 && tokens > 0, "a corpus has inputs and tokens");
    let length = prop_oneof![
        4 => Just(Length::Few(0)),
        4 => (0..12_usize).prop_map(Length::Few),
        1 => any::<Index>().prop_map(Length::To),
    ];
    let piece = prop_oneof![
        2 => Just(Piece::Nothing),
        6 => (0..tokens).prop_map(Piece::Token),
        2 => vec(any::<u8>(), 1..4).prop_map(Piece::Bytes),
        2 => ".{1,3}".prop_map(Piece::Text),
        2 => (0..sound, any::<Index>(), any::<Index>()).prop_map(|(of, a, b)| Piece::Cut(of, a, b)),
        1 => (0..tokens, 1..2000_usize).prop_map(|(token, times)| Piece::Many(token, times)),
    ];
    let change = (any::<Index>(), length, piece);
    let change = change.prop_map(|(at, length, with)| Change { at, length, with });
    (0..sound, vec(change, 0..=MAX_CHANGES)).prop_map(|(sound, changes)| Made { sound, changes })
}

impl Made {
    pub(crate) fn input(self, corpus: &Corpus<'_>) -> Input {
        let mut input = corpus.sound[self.sound].to_vec();
        for change in self.changes {
            let start = change.at.index(input.len() + 1);
            let end = match change.length {
                Length::Few(length) => input.len().min(start + length),
                Length::To(at) => start + at.index(input.len() - start + 1),
            };
            let with = match change.with {
                Piece::Nothing => Vec::new(),
                Piece::Token(token) => corpus.tokens[token].as_bytes().to_vec(),
                Piece::Bytes(bytes) => bytes,
                Piece::Text(text) => text.into_bytes(),
                Piece::Cut(of, a, b) => {
                    let of = corpus.sound[of];
                    let (a, b) = (a.index(of.len() + 1), b.index(of.len() + 1));
                    of[a.min(b)..a.max(b)].to_vec()
                }
                Piece::Many(token, times) => corpus.tokens[token].repeat(times).into_bytes(),
            };
            input.splice(start..end, with);
            input.truncate(MAX_BYTES);
        }
        Input(input)
    }
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;

    #[test]
    fn inputs_are_sound_ones_with_changes_of_all_sorts() {
        let corpus = Corpus {
            sound: &[b"[1,2,3]", b"{\"a\":1}"],
            tokens: &["null", "]"],
        };
        let mut runner = TestRunner::deterministic();
        let mut of = || {
            let made = strategy(2, 2).new_tree(&mut runner).unwrap().current();
            made.input(&corpus).0
        };
        let inputs: Vec<Vec<u8>> = (0..2000).map(|_| of()).collect();
        let some = |is_it: &dyn Fn(&[u8]) -> bool| inputs.iter().any(|input| is_it(input));
        for sound in corpus.sound {
            assert!(some(&|input| input == *sound), "unchanged");
        }
        let has = |input: &[u8], part: &[u8]| input.windows(part.len()).any(|here| here == part);
        assert!(some(&|input| has(input, b"null")), "a token");
        assert!(
            some(&|input| has(input, b"nullnullnullnull")),
            "a token many times"
        );
        assert!(some(&|input| std::str::from_utf8(input).is_err()), "bytes");
        assert!(
            some(&|input| input.starts_with(b"[1") && has(input, b"\"a\"")),
            "two in one"
        );
        assert!(some(&<[u8]>::is_empty) && some(&|input| input.len() > 1000));
    }
}
