//! JSON text, read by the bytes: objects, strings without escapes, booleans and numbers.

use crate::event::Scalar;
use crate::read::check::MAX_EXACT;
use crate::scan::plain_end;

/// A place in JSON text. Each method moves past what it reads, or gives nothing and then stands anywhere.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) fn new(text: &'a str) -> Cursor<'a> {
        Cursor { text, at: 0 }
    }

    /// Whether nothing but white space is left.
    #[inline]
    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Skips white space, then takes the byte `wanted`.
    #[inline]
    fn take(&mut self, wanted: u8) -> Option<()> {
        self.skip_space();
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// Reads an object: `each` is given every key, and reads the value.
    #[inline]
    pub(super) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.take(b'{')?;
        self.skip_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.skip_space();
            let name = self.plain_text()?;
            self.take(b':')?;
            self.skip_space();
            each(self, name)?;
            self.skip_space();
            let next = self.peek()?;
            self.at += 1;
            match next {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Whether a string comes next.
    pub(super) fn is_at_text(&self) -> bool {
        self.peek() == Some(b'"')
    }

    /// A string without escapes.
    #[inline]
    pub(super) fn plain_text(&mut self) -> Option<&'a str> {
        (self.peek()? == b'"').then_some(())?;
        let start = self.at + 1;
        let end = plain_end(self.text.as_bytes(), start);
        self.at = end + 1;
        (*self.text.as_bytes().get(end)? == b'"').then(|| &self.text[start..end])
    }

    // Inlined for good: a value handed over in memory is written in two parts and read as one, and
    // the CPU waits for that.
    #[inline(always)]
    pub(super) fn scalar(&mut self) -> Option<Scalar<'a>> {
        match self.peek()? {
            b'"' => self.plain_text().map(|text| Scalar::Text(text.into())),
            b't' => self.word("true").map(|()| Scalar::Bool(true)),
            b'f' => self.word("false").map(|()| Scalar::Bool(false)),
            _ => self.number().map(Scalar::Number),
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        there.then(|| self.at += word.len())
    }

    /// The text of a number in JSON's grammar.
    pub(super) fn number_text(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.number()?;
        Some(&self.text[start..self.at])
    }

    /// A number in JSON's grammar, as the nearest double; a whole one within ±2^53.
    #[inline(always)]
    fn number(&mut self) -> Option<f64> {
        let start = self.at;
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let (mut digits, whole_from) = (0, self.at);
        self.digits(&mut digits);
        let whole = self.at - whole_from;
        let leading_zero = whole > 1 && self.text.as_bytes()[whole_from] == b'0';
        if whole == 0 || leading_zero {
            return None;
        }
        let (mut places, mut exact) = (0, true);
        if self.peek() == Some(b'.') {
            self.at += 1;
            let from = self.at;
            self.digits(&mut digits);
            places = self.at - from;
            (places > 0).then_some(())?;
        } else if whole > 19 || digits > MAX_EXACT {
            return None;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            let from = self.at;
            self.digits(&mut 0);
            (self.at > from).then_some(())?;
            exact = false;
        }
        // A double holds these digits and these powers of ten exactly, so that the quotient is
        // rounded once, as the standard library's slower way rounds it (Clinger 1990).
        if exact && whole + places <= 19 && digits <= MAX_EXACT && places < POWERS_OF_TEN.len() {
            let number = digits as f64 / POWERS_OF_TEN[places];
            return Some(if negative { -number } else { number });
        }
        let number: f64 = self.text[start..self.at].parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// Takes digits and appends them to `number`, which is of use up to 19 digits.
    #[inline]
    fn digits(&mut self, number: &mut u64) {
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            *number = number
                .wrapping_mul(10)
                .wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
    }
}

/// The powers of ten that a double holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
