//! The part of PromQL that conditions of rules are written in. A text comes in and a [`Condition`] goes out, or an
//! [`ExprError`] that says where the text leaves our part, and what would be taken there.

mod ast;
mod call;
mod duration;
mod error;
mod lexer;
mod parser;
mod selector;

pub use ast::{
    Compare, Comparison, Condition, Function, GroupBy, Matcher, Operand, OverTime, Selector, Test,
};
pub use duration::{format_duration, parse_duration};
pub use error::{ExprError, LONGEST_RANGE_MS, STEP_MS};
pub use parser::{parse, parse_series};

#[cfg(test)]
mod tests;
