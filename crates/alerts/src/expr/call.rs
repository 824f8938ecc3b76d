//! Reads what begins with a word: a function over a window, or a group of series.

use crate::expr::ast::{Function, GroupBy, Operand, OverTime};
use crate::expr::duration::format_duration;
use crate::expr::error::ExprError;
use crate::expr::lexer::What;
use crate::expr::parser::{Node, Parser};
use service::nearest::nearest;

const GROUPS: [(&str, GroupBy); 5] = [
    ("sum", GroupBy::Sum),
    ("avg", GroupBy::Avg),
    ("min", GroupBy::Min),
    ("max", GroupBy::Max),
    ("count", GroupBy::Count),
];

impl Parser {
    /// What begins with a word: a function, a group of series, or a signal without a function.
    pub(super) fn call(&mut self, at: usize, word: &str) -> Result<Node, ExprError> {
        let by_name = |(name, _): &&(&str, GroupBy)| name.eq_ignore_ascii_case(word);
        let group = GROUPS.iter().find(by_name);
        let is_call = self.is_sign("(");
        if let Some((_, group)) = group
            && (is_call || self.is_word("by") || self.is_word("without"))
        {
            return self.group(*group);
        }
        if !is_call {
            self.next -= 1;
            return self.selector_alone(at);
        }
        if word == "absent_over_time" {
            self.next += 1;
            let (selector, range) = self.ranged_selector()?;
            self.expect(")", "the range")?;
            return Ok(Node::Absent(selector, range));
        }
        let of = self.over_time(at, word)?;
        Ok(Node::Operand(Operand::Series(of)))
    }

    /// A function over a window, from its opening parenthesis on.
    fn over_time(&mut self, at: usize, word: &str) -> Result<OverTime, ExprError> {
        let known = Function::ALL.iter().find(|(name, _)| *name == word);
        let Some((_, mut function)) = known.copied() else {
            return Err(ExprError {
                at,
                message: unknown_function(word),
            });
        };
        self.expect("(", &format!("`{word}`"))?;
        if let Function::Quantile(quantile) = &mut function {
            let place = self.at();
            *quantile = match self.take() {
                What::Number(number) if (0.0..=1.0).contains(&number) => number,
                _ => {
                    let message =
                        "`quantile_over_time` takes a number from 0 to 1 first, as in `quantile_over_time(0.95, x[5m])`"
                            .to_owned();
                    return Err(ExprError { at: place, message });
                }
            };
            self.expect(",", "the quantile")?;
        }
        let (selector, range) = self.ranged_selector()?;
        self.refuse_arithmetic()?;
        self.expect(")", "the range")?;
        Ok(OverTime {
            function,
            selector,
            range,
        })
    }

    /// A group of series, from behind its name on.
    fn group(&mut self, group: GroupBy) -> Result<Node, ExprError> {
        let mut by = self.by()?;
        self.expect("(", "the aggregation")?;
        let at = self.at();
        let of = match self.take() {
            What::Word(word) if self.is_sign("(") => self.over_time(at, &word)?,
            _ => {
                let message =
                    "an aggregation takes a function over a window, as in `sum by (kind) (count_over_time(x[60s]))`"
                        .to_owned();
                return Err(ExprError { at, message });
            }
        };
        self.refuse_arithmetic()?;
        self.expect(")", "the function over a window")?;
        if by.is_none() {
            by = self.by()?;
        }
        let mut by = by.unwrap_or_default();
        by.sort();
        by.dedup();
        Ok(Node::Operand(Operand::Group { group, by, of }))
    }

    /// `by (label, …)`, if it is there.
    fn by(&mut self) -> Result<Option<Vec<String>>, ExprError> {
        if self.is_word("without") {
            return Err(
                self.error("`without` is not taken: name the labels that remain by `by (…)`")
            );
        }
        if !self.skip_word("by") {
            return Ok(None);
        }
        self.expect("(", "`by`")?;
        let mut labels = Vec::new();
        while !self.is_sign(")") {
            match self.take() {
                What::Word(label) | What::Text(label) => labels.push(label),
                _ => {
                    self.next = self.next.saturating_sub(1);
                    return Err(self.error("a label is missing here, such as `kind`"));
                }
            }
            if self.is_sign(",") {
                self.next += 1;
            } else if !self.is_sign(")") {
                return Err(self.error("labels are separated by commas"));
            }
        }
        self.next += 1;
        Ok(Some(labels))
    }

    /// A signal that no function is applied to: an error that says which one could be.
    pub(super) fn selector_alone(&mut self, at: usize) -> Result<Node, ExprError> {
        let selector = self.selector()?;
        let range = if self.is_sign("[") {
            format_duration(self.range()?)
        } else {
            "60s".to_owned()
        };
        Err(ExprError {
            at,
            message: format!(
                "a signal is looked at through a window: write `last_over_time({}[{range}])`, or `avg_over_time(…)`",
                selector.signal
            ),
        })
    }
}

fn unknown_function(word: &str) -> String {
    let names = || Function::ALL.iter().map(|(name, _)| *name);
    let all: Vec<_> = names().chain(["absent_over_time"]).collect();
    let with_suffix = format!("{word}_over_time");
    let close = all.iter().find(|name| **name == with_suffix).copied();
    let close = close.or_else(|| nearest(word, all.iter().copied()));
    let hint = close.map_or_else(String::new, |close| format!("did you mean `{close}`? "));
    format!(
        "the function `{word}` is not taken: {hint}taken are {}",
        all.join(", ")
    )
}
