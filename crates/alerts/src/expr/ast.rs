//! What a condition says.

use std::fmt;

// A derived signal compares as a condition does; here a comparison has two sides.
pub use contract::Comparison as Compare;
use regex::Regex;

use crate::expr::duration::format_duration;
use crate::model::Labels;

/// A condition over the windows that end at one time. It holds, or does not, for each set of labels that has data.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A value is compared with a number.
    Compare(Comparison),
    /// There is no value of the selector within the range, in milliseconds. Its labels are those that the selector
    /// demands by `=`.
    Absent(Selector, i64),
    /// `and`: both hold for the same labels. The value is the left one's.
    Both(Box<Condition>, Box<Condition>),
    /// `or`: the left one holds, or else the right one.
    Either(Box<Condition>, Box<Condition>),
    /// `unless`: the left one holds, and the right one does not for the same labels.
    Unless(Box<Condition>, Box<Condition>),
}

/// `operand compare threshold`.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What is compared.
    pub operand: Operand,
    /// How it is compared.
    pub compare: Compare,
    /// The number on the right.
    pub threshold: f64,
}

/// What is compared with a number.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A value for each series.
    Series(OverTime),
    /// The values of the series with equal labels `by`, put together. Without `by`, of all series.
    Group {
        /// How the values are put together.
        group: GroupBy,
        /// The labels that remain, sorted.
        by: Vec<String>,
        /// The values of the series.
        of: OverTime,
    },
}

impl Operand {
    /// The function over the windows of series.
    pub fn over_time(&self) -> &OverTime {
        match self {
            Operand::Series(of) | Operand::Group { of, .. } => of,
        }
    }
}

/// A function over one window of each series.
#[derive(Debug, Clone, PartialEq)]
pub struct OverTime {
    /// The function.
    pub function: Function,
    /// Which series.
    pub selector: Selector,
    /// Length of the window in milliseconds: a multiple of [`STEP_MS`](crate::expr::STEP_MS), at most
    /// [`LONGEST_RANGE_MS`](crate::expr::LONGEST_RANGE_MS).
    pub range: i64,
}

/// Functions over the values of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// `avg_over_time`
    Avg,
    /// `min_over_time`
    Min,
    /// `max_over_time`
    Max,
    /// `sum_over_time`
    Sum,
    /// `count_over_time`
    Count,
    /// `last_over_time`
    Last,
    /// `stddev_over_time`: of the population, as in Prometheus.
    Stddev,
    /// `quantile_over_time`, with a quantile from 0 to 1.
    Quantile(f64),
    /// `changes`: how often a value differs from the one before it.
    Changes,
    /// `increase`: how much a counter grew, without Prometheus' extrapolation to the window's edges.
    Increase,
    /// `rate`: the increase per second, by the whole range.
    Rate,
}

impl Function {
    /// The functions by their names in PromQL; the quantile is a placeholder.
    pub(crate) const ALL: [(&'static str, Function); 11] = [
        ("avg_over_time", Function::Avg),
        ("min_over_time", Function::Min),
        ("max_over_time", Function::Max),
        ("sum_over_time", Function::Sum),
        ("count_over_time", Function::Count),
        ("last_over_time", Function::Last),
        ("stddev_over_time", Function::Stddev),
        ("quantile_over_time", Function::Quantile(0.5)),
        ("changes", Function::Changes),
        ("increase", Function::Increase),
        ("rate", Function::Rate),
    ];
}

/// How values of several series are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `count`
    Count,
}

/// `signal{label="text", …}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// The signal's name.
    pub signal: String,
    /// What the labels of a series must be; all of it.
    pub matchers: Vec<Matcher>,
}

impl Selector {
    /// Whether a series of the signal is meant, whose labels `value` tells: an empty text for one that is absent.
    pub fn matches<'l>(&self, value: impl Fn(&str) -> &'l str) -> bool {
        let mut matchers = self.matchers.iter();
        matchers.all(|matcher| matcher.test.accepts(value(&matcher.label)))
    }

    /// The labels that are demanded by `=`.
    pub fn demanded(&self) -> Labels {
        let matchers = self.matchers.iter();
        let demanded = matchers.filter_map(|matcher| match &matcher.test {
            Test::Equal(value) if !value.is_empty() => Some((matcher.label.clone(), value.clone())),
            _ => None,
        });
        demanded.collect()
    }

    /// The kind that is demanded by `kind="…"`.
    pub fn kind(&self) -> Option<&str> {
        self.matchers
            .iter()
            .find_map(|matcher| match &matcher.test {
                Test::Equal(value) if matcher.label == "kind" => Some(value.as_str()),
                _ => None,
            })
    }
}

/// A demand on one label.
#[derive(Debug, Clone, PartialEq)]
pub struct Matcher {
    /// The label's name.
    pub label: String,
    /// What its value must be.
    pub test: Test,
}

/// What the value of a label must be.
#[derive(Debug, Clone)]
pub enum Test {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`: the whole value, not a part of it.
    Like(Regex),
    /// `!~`
    NotLike(Regex),
}

impl Test {
    /// Whether it names the one value that passes.
    fn demands(&self) -> bool {
        matches!(self, Test::Equal(value) if !value.is_empty())
    }

    /// Whether `value` passes.
    pub fn accepts(&self, value: &str) -> bool {
        match self {
            Test::Equal(text) => value == text,
            Test::NotEqual(text) => value != text,
            Test::Like(regex) => regex.is_match(value),
            Test::NotLike(regex) => !regex.is_match(value),
        }
    }
}

impl PartialEq for Test {
    fn eq(&self, other: &Test) -> bool {
        match (self, other) {
            (Test::Equal(one), Test::Equal(two)) | (Test::NotEqual(one), Test::NotEqual(two)) => {
                one == two
            }
            (Test::Like(one), Test::Like(two)) | (Test::NotLike(one), Test::NotLike(two)) => {
                one.as_str() == two.as_str()
            }
            _ => false,
        }
    }
}

impl Condition {
    /// The functions over windows that the condition uses; `absent_over_time` counts as a count.
    pub fn each_over_time(&self, visit: &mut impl FnMut(&Selector, i64)) {
        match self {
            Condition::Compare(comparison) => {
                let of = comparison.operand.over_time();
                visit(&of.selector, of.range);
            }
            Condition::Absent(selector, range) => visit(selector, *range),
            Condition::Both(left, right)
            | Condition::Either(left, right)
            | Condition::Unless(left, right) => {
                left.each_over_time(visit);
                right.each_over_time(visit);
            }
        }
    }

    /// The labels by which the condition tells one alert from another, sorted; beside them the dimensions of its series
    /// where it [is by series](Condition::is_by_series). Other labels are texts of the latest event, which come and go.
    pub fn key_names(&self) -> Vec<&str> {
        match self {
            Condition::Compare(comparison) => match &comparison.operand {
                Operand::Series(_) => vec!["entity_id", "kind"],
                Operand::Group { by, .. } => by.iter().map(String::as_str).collect(),
            },
            Condition::Absent(selector, _) => {
                let matchers = selector.matchers.iter();
                let demanded = matchers.filter(|matcher| matcher.test.demands());
                let mut names: Vec<_> = demanded.map(|matcher| &*matcher.label).collect();
                names.sort_unstable();
                names.dedup();
                names
            }
            Condition::Both(left, _) | Condition::Either(left, _) | Condition::Unless(left, _) => {
                left.key_names()
            }
        }
    }

    /// Whether a side of it has a value for each series, so that their dimensions tell alerts apart too.
    pub fn is_by_series(&self) -> bool {
        match self {
            Condition::Compare(comparison) => matches!(comparison.operand, Operand::Series(_)),
            Condition::Absent(..) => false,
            Condition::Both(left, right)
            | Condition::Either(left, right)
            | Condition::Unless(left, right) => left.is_by_series() || right.is_by_series(),
        }
    }

    /// The longest range of its functions, in milliseconds.
    pub fn longest_range(&self) -> i64 {
        let mut longest = 0;
        self.each_over_time(&mut |_, range| longest = longest.max(range));
        longest
    }

    /// The comparison that, once it holds for a window of a series, holds whatever more comes into that window: a
    /// maximum or a count above a number, or a minimum below one.
    pub fn cannot_be_undone(&self) -> Option<(&OverTime, Compare, f64)> {
        let Condition::Compare(comparison) = self else {
            return None;
        };
        let Operand::Series(of) = &comparison.operand else {
            return None;
        };
        let compare = comparison.compare;
        let grows = matches!(compare, Compare::Above | Compare::AtLeast);
        let falls = matches!(compare, Compare::Below | Compare::AtMost);
        let certain = match of.function {
            Function::Max | Function::Count => grows,
            Function::Min => falls,
            _ => false,
        };
        certain.then_some((of, compare, comparison.threshold))
    }
}

impl fmt::Display for OverTime {
    /// As in the line of the console: `cpu_usage avg(60s)`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.function {
            Function::Quantile(quantile) => {
                write!(out, "{} p{}", self.selector.signal, quantile * 100.0)?;
                return write!(out, "({})", format_duration(self.range));
            }
            function => Function::ALL.iter().find(|(_, known)| *known == function),
        };
        let name = name.map_or("", |(name, _)| name.trim_end_matches("_over_time"));
        let (signal, range) = (&self.selector.signal, format_duration(self.range));
        write!(out, "{signal} {name}({range})")
    }
}
