//! Reads a signal with its labels and its range.

use regex::Regex;

use crate::expr::ast::{Matcher, Selector, Test};
use crate::expr::duration::format_duration;
use crate::expr::error::{ExprError, LONGEST_RANGE_MS, STEP_MS};
use crate::expr::lexer::What;
use crate::expr::parser::Parser;

/// Most bytes of a compiled regular expression.
const REGEX_BYTES: usize = 1 << 20;

impl Parser {
    pub(super) fn ranged_selector(&mut self) -> Result<(Selector, i64), ExprError> {
        let selector = self.selector()?;
        if self.is_sign("(") {
            return Err(self.error(
                "functions do not stand within each other: a function takes a signal and a range, as in `x[60s]`",
            ));
        }
        if !self.is_sign("[") {
            return Err(self.error(format!(
                "the range is missing: write `{}[60s]`",
                selector.signal
            )));
        }
        let range = self.range()?;
        self.refuse_arithmetic()?;
        Ok((selector, range))
    }

    /// `[60s]`.
    pub(super) fn range(&mut self) -> Result<i64, ExprError> {
        self.expect("[", "the signal")?;
        let at = self.at();
        let What::Duration(range) = self.take() else {
            let message = "a range is a duration with its unit, such as `60s`".to_owned();
            return Err(ExprError { at, message });
        };
        if self.is_sign(":") {
            return Err(
                self.error("subqueries are not taken: a range is one duration, such as `[60s]`")
            );
        }
        if range == 0 || range % STEP_MS != 0 || range > LONGEST_RANGE_MS {
            let message = format!(
                "a range is a multiple of {}, at most {}",
                format_duration(STEP_MS),
                format_duration(LONGEST_RANGE_MS)
            );
            return Err(ExprError { at, message });
        }
        self.expect("]", "the range")?;
        Ok(range)
    }

    /// `signal{label="text"}`, or `{"signal", label="text"}`.
    pub(super) fn selector(&mut self) -> Result<Selector, ExprError> {
        let mut signal = match self.peek() {
            What::Word(name) => Some(name.clone()),
            What::Sign("{") => None,
            _ => return Err(self.error("a signal is missing here, such as `cpu_usage`")),
        };
        self.next += usize::from(signal.is_some());
        let mut matchers = Vec::new();
        let at = self.at();
        if self.is_sign("{") {
            self.next += 1;
            while !self.is_sign("}") {
                self.matcher(&mut signal, &mut matchers)?;
                if self.is_sign(",") {
                    self.next += 1;
                } else if !self.is_sign("}") {
                    return Err(self.error("`,` or `}` is missing after a label"));
                }
            }
            self.next += 1;
        }
        let signal = signal.ok_or_else(|| ExprError {
            at,
            message: "the signal's name is missing: write it before the `{`".to_owned(),
        })?;
        Ok(Selector { signal, matchers })
    }

    fn matcher(
        &mut self,
        signal: &mut Option<String>,
        matchers: &mut Vec<Matcher>,
    ) -> Result<(), ExprError> {
        let at = self.at();
        let label = match self.take() {
            What::Word(label) => label,
            What::Text(name) if matches!(self.peek(), What::Sign("," | "}")) => {
                if signal.is_some() {
                    let message = "the signal is named twice".to_owned();
                    return Err(ExprError { at, message });
                }
                *signal = Some(name);
                return Ok(());
            }
            What::Text(label) => label,
            _ => {
                let message = "a label is missing here, as in `kind=\"vehicle\"`".to_owned();
                return Err(ExprError { at, message });
            }
        };
        if label == "__name__" {
            let message =
                "`__name__` is not taken: write the signal's name before the `{`".to_owned();
            return Err(ExprError { at, message });
        }
        let sign = match self.peek() {
            What::Sign(sign @ ("=" | "!=" | "=~" | "!~")) => *sign,
            _ => {
                return Err(self.error("a label is followed by `=`, `!=`, `=~` or `!~` and a text"));
            }
        };
        self.next += 1;
        let at = self.at();
        let What::Text(text) = self.take() else {
            let message = "the value of a label stands in quotes".to_owned();
            return Err(ExprError { at, message });
        };
        let test = match sign {
            "=" => Test::Equal(text),
            "!=" => Test::NotEqual(text),
            "=~" => Test::Like(whole(&text, at)?),
            _ => Test::NotLike(whole(&text, at)?),
        };
        matchers.push(Matcher { label, test });
        Ok(())
    }
}

/// A regular expression that a whole value must match, as in Prometheus.
fn whole(text: &str, at: usize) -> Result<Regex, ExprError> {
    let built = regex::RegexBuilder::new(&format!("^(?s:{text})$"))
        .size_limit(REGEX_BYTES)
        .build();
    built.map_err(|error| ExprError {
        at,
        message: format!("not a regular expression that is taken: {error}"),
    })
}
