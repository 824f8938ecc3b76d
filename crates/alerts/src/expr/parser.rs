//! Reads a condition, by recursive descent.

use crate::expr::ast::{Compare, Comparison, Condition, Operand, Selector};
use crate::expr::error::ExprError;
use crate::expr::lexer::{Token, What, tokens};
use crate::model::Labels;

/// Deepest nesting of parentheses, so that no text overflows the stack.
const DEEPEST: usize = 50;

/// Longest text, in bytes.
const LONGEST: usize = 16 * 1024;

/// Reads a condition such as `avg_over_time(engine_rpm{kind="vehicle"}[60s]) > 6000`.
///
/// # Errors
///
/// [`ExprError`] for all that is not of our part of PromQL.
pub fn parse(text: &str) -> Result<Condition, ExprError> {
    if text.len() > LONGEST {
        return Err(ExprError {
            at: LONGEST,
            message: format!("an expression has at most {LONGEST} bytes"),
        });
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
    };
    let (at, node) = parser.either()?;
    let condition = condition(at, node)?;
    match parser.peek() {
        What::End => Ok(condition),
        What::Sign(")") => Err(parser.error("this `)` closes nothing")),
        _ => Err(parser.error(
            "the condition ends before this: join two conditions by `and`, `or` or `unless`",
        )),
    }
}

/// Reads one series, such as `engine_rpm{kind="vehicle", entity_id="veh-1"}`: its signal and its labels.
///
/// # Errors
///
/// [`ExprError`] if it is anything else.
pub fn parse_series(text: &str) -> Result<(String, Labels), ExprError> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
    };
    let selector = parser.selector()?;
    if *parser.peek() != What::End {
        return Err(parser.error("a series ends with its labels"));
    }
    let labels = selector.demanded();
    if labels.len() < selector.matchers.len() {
        let message = "the labels of a series stand once each, with `=` and a text".to_owned();
        return Err(ExprError { at: 0, message });
    }
    Ok((selector.signal, labels))
}

/// A part of an expression.
pub(super) enum Node {
    Condition(Condition),
    Operand(Operand),
    /// `absent_over_time`, which may be compared.
    Absent(Selector, i64),
    Number(f64),
}

fn condition(at: usize, node: Node) -> Result<Condition, ExprError> {
    let message = match node {
        Node::Condition(condition) => return Ok(condition),
        Node::Absent(selector, range) => return Ok(Condition::Absent(selector, range)),
        Node::Operand(_) => "this value is compared with nothing: add a comparison, such as `> 80`",
        Node::Number(_) => {
            "a number is no condition: write such as `avg_over_time(cpu_usage[60s]) > 80`"
        }
    };
    let message = message.to_owned();
    Err(ExprError { at, message })
}

/// Refuses sides that could never be matched.
fn same_labels(left: &Condition, right: &Condition, at: usize) -> Result<(), ExprError> {
    let (left, right) = (left.key_names(), right.key_names());
    if left == right {
        return Ok(());
    }
    let show = |names: Vec<&str>| {
        if names.is_empty() {
            "no labels".to_owned()
        } else {
            names.join(", ")
        }
    };
    let message = format!(
        "both sides are matched by their labels, which differ: {} on the left, {} on the right",
        show(left),
        show(right)
    );
    Err(ExprError { at, message })
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    pub(super) next: usize,
    depth: usize,
}

impl Parser {
    pub(super) fn peek(&self) -> &What {
        &self.tokens[self.next].what
    }

    pub(super) fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    /// The next token, which is passed over unless it is the end.
    pub(super) fn take(&mut self) -> What {
        let what = self.peek().clone();
        if what != What::End {
            self.next += 1;
        }
        what
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ExprError {
        let (at, message) = (self.at(), message.into());
        ExprError { at, message }
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), What::Sign(next) if *next == sign)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), What::Word(next) if next.eq_ignore_ascii_case(word))
    }

    pub(super) fn skip_word(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        self.next += usize::from(there);
        there
    }

    pub(super) fn expect(&mut self, sign: &str, after: &str) -> Result<(), ExprError> {
        if self.is_sign(sign) {
            self.next += 1;
            return Ok(());
        }
        Err(self.error(format!("`{sign}` is missing after {after}")))
    }

    /// `a or b`, which binds least.
    fn either(&mut self) -> Result<(usize, Node), ExprError> {
        let (at, mut node) = self.both()?;
        while self.skip_word("or") {
            self.refuse_matching()?;
            let left = Box::new(condition(at, node)?);
            let (right_at, right) = self.both()?;
            let right = Box::new(condition(right_at, right)?);
            same_labels(&left, &right, right_at)?;
            node = Node::Condition(Condition::Either(left, right));
        }
        Ok((at, node))
    }

    /// `a and b`, `a unless b`.
    fn both(&mut self) -> Result<(usize, Node), ExprError> {
        let (at, mut node) = self.comparison()?;
        loop {
            let is_and = self.is_word("and");
            if !is_and && !self.is_word("unless") {
                return Ok((at, node));
            }
            self.next += 1;
            self.refuse_matching()?;
            let left = Box::new(condition(at, node)?);
            let (right_at, right) = self.comparison()?;
            let right = Box::new(condition(right_at, right)?);
            same_labels(&left, &right, right_at)?;
            node = Node::Condition(if is_and {
                Condition::Both(left, right)
            } else {
                Condition::Unless(left, right)
            });
        }
    }

    fn refuse_matching(&self) -> Result<(), ExprError> {
        for word in ["on", "ignoring", "group_left", "group_right"] {
            if self.is_word(word) {
                return Err(self.error(format!(
                    "`{word}` is not taken: both sides are matched by all of their labels; bring them to the same \
                     labels by `sum by (…)`"
                )));
            }
        }
        Ok(())
    }

    fn comparison(&mut self) -> Result<(usize, Node), ExprError> {
        let (at, left) = self.value()?;
        self.refuse_arithmetic()?;
        let compare = match self.peek() {
            What::Sign(sign) => Compare::SIGNS.iter().find(|(known, _)| known == sign),
            _ => None,
        };
        let Some((_, compare)) = compare.copied() else {
            if self.is_sign("=") {
                return Err(self.error("`=` is for labels: compare values by `==`"));
            }
            return Ok((at, left));
        };
        self.next += 1;
        if self.is_word("bool") {
            return Err(self.error("`bool` is not taken: a condition holds or does not"));
        }
        let (right_at, right) = self.value()?;
        self.refuse_arithmetic()?;
        if let What::Sign(sign) = self.peek()
            && Compare::SIGNS.iter().any(|(known, _)| known == sign)
        {
            return Err(self.error("one value is compared once: join two comparisons by `and`"));
        }
        let condition = match (left, right) {
            (Node::Operand(operand), Node::Number(threshold)) => Comparison {
                operand,
                compare,
                threshold,
            },
            (Node::Number(threshold), Node::Operand(operand)) => Comparison {
                operand,
                compare: compare.flipped(),
                threshold,
            },
            (Node::Absent(selector, range), Node::Number(number))
                if (compare, number) == (Compare::Equal, 1.0)
                    || (compare, number) == (Compare::Above, 0.0) =>
            {
                return Ok((at, Node::Condition(Condition::Absent(selector, range))));
            }
            (Node::Absent(..), _) => {
                let message =
                    "`absent_over_time` is a condition by itself: leave the comparison out"
                        .to_owned();
                return Err(ExprError { at, message });
            }
            (Node::Operand(_), _) => {
                let message = "a value is compared with a number, such as `80`".to_owned();
                return Err(ExprError {
                    at: right_at,
                    message,
                });
            }
            _ => {
                let message =
                    "a comparison has a function over a window on one side and a number on the other".to_owned();
                return Err(ExprError { at, message });
            }
        };
        Ok((at, Node::Condition(Condition::Compare(condition))))
    }

    pub(super) fn refuse_arithmetic(&self) -> Result<(), ExprError> {
        match self.peek() {
            What::Sign(sign @ ("+" | "-" | "*" | "/" | "%")) => Err(self.error(format!(
                "arithmetic (`{sign}`) is not taken: a condition compares one function over a window with a number"
            ))),
            What::Sign("@") => Err(self.error("`@` is not taken: a rule is looked at as of each window's end")),
            What::Word(word) if word.eq_ignore_ascii_case("offset") => {
                Err(self.error("`offset` is not taken: a rule is looked at as of each window's end"))
            }
            What::Sign("[") => Err(self.error("a range belongs to a signal, within a function; subqueries are not taken")),
            _ => Ok(()),
        }
    }

    fn value(&mut self) -> Result<(usize, Node), ExprError> {
        let at = self.at();
        let node = match self.take() {
            What::Number(number) => Node::Number(number),
            What::Sign(sign @ ("-" | "+")) => match self.take() {
                What::Number(number) => Node::Number(if sign == "-" { -number } else { number }),
                What::Word(word) if word.eq_ignore_ascii_case("inf") => {
                    Node::Number(if sign == "-" {
                        f64::NEG_INFINITY
                    } else {
                        f64::INFINITY
                    })
                }
                _ => {
                    let message = format!("`{sign}` stands before numbers only");
                    return Err(ExprError { at, message });
                }
            },
            What::Sign("(") => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Err(self.error(format!(
                        "at most {DEEPEST} parentheses stand within each other"
                    )));
                }
                let (_, inner) = self.either()?;
                self.expect(")", "the part in parentheses")?;
                self.depth -= 1;
                inner
            }
            What::Word(word) if word.eq_ignore_ascii_case("inf") => Node::Number(f64::INFINITY),
            What::Word(word) => self.call(at, &word)?,
            What::Sign("{") => {
                self.next -= 1;
                self.selector_alone(at)?
            }
            What::Duration(_) => {
                let message =
                    "a duration stands in brackets after a signal, as in `cpu_usage[60s]`"
                        .to_owned();
                return Err(ExprError { at, message });
            }
            What::Text(_) => {
                let message = "a text is no value".to_owned();
                return Err(ExprError { at, message });
            }
            What::End => {
                let message =
                    "a condition is missing here, such as `avg_over_time(cpu_usage[60s]) > 80`"
                        .to_owned();
                return Err(ExprError { at, message });
            }
            What::Sign(sign) => {
                let message = format!(
                    "`{sign}` is out of place: a function over a window would be taken here"
                );
                return Err(ExprError { at, message });
            }
        };
        Ok((at, node))
    }
}
