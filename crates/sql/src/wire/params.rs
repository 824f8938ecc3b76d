//! Parameters of prepared statements: which types they have, and their values as literals in the statement.
//!
//! A statement with its parameters is planned anew at each execution, with the values in it, for it reads another
//! snapshot; so a value is a literal like one the client could have written, of the type that the client declared.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, LimitClause, Query, Statement, Value, VisitMut, VisitorMut, visit_expressions,
    visit_expressions_mut,
};

use super::error::PgError;
use super::literals::{array, null, typed};
use super::params_binary::from_binary;
use crate::catalog::casts::array_elements;
use crate::catalog::types;

/// The number of a parameter such as `$2`.
fn number_of(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => name
                .strip_prefix('$')?
                .parse()
                .ok()
                .filter(|number| *number > 0),
            _ => None,
        },
        Expr::Nested(inner) => number_of(inner),
        _ => None,
    }
}

/// The most parameters of a statement: the protocol counts them in 16 bits.
const MOST: usize = 65_535;

/// The type of each parameter of `statement`, 0 where it does not say: those that the client declared, then those of a
/// cast such as `$1::int8`, then what `LIMIT` and `= ANY($1)` ask.
///
/// # Errors
///
/// 42P02 for a number past what the protocol can count.
pub fn declared(statement: &mut Statement, given: &[u32]) -> Result<Vec<u32>, PgError> {
    let mut found: Vec<u32> = given.to_vec();
    let note = |found: &mut Vec<u32>, number: usize, oid: u32| {
        if number > MOST {
            return;
        }
        if found.len() < number {
            found.resize(number, 0);
        }
        if found[number - 1] == 0 {
            found[number - 1] = oid;
        }
    };
    let mut past = false;
    let _ = visit_expressions(&*statement, |expr| {
        match expr {
            Expr::Cast {
                expr, data_type, ..
            } => {
                if let Some(number) = number_of(expr) {
                    note(
                        &mut found,
                        number,
                        types::by_name(&data_type.to_string()).unwrap_or(0),
                    );
                }
            }
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
                if let Some(number) = number_of(right) {
                    note(&mut found, number, 1009);
                }
            }
            other => {
                if let Some(number) = number_of(other) {
                    past |= number > MOST;
                    note(&mut found, number, 0);
                }
            }
        }
        ControlFlow::<()>::Continue(())
    });
    let mut limits = Limits(Vec::new());
    let _ = statement.visit(&mut limits);
    for number in limits.0 {
        note(&mut found, number, 20);
    }
    if past {
        return Err(PgError::new(
            "42P02",
            format!("a statement has at most {MOST} parameters"),
        ));
    }
    Ok(found)
}

struct Limits(Vec<usize>);

impl VisitorMut for Limits {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            self.0.extend(limit.as_ref().and_then(number_of));
            self.0
                .extend(offset.as_ref().and_then(|offset| number_of(&offset.value)));
        }
        ControlFlow::Continue(())
    }
}

/// Puts `values` in the place of `$1`, `$2` and so on.
pub fn substitute(statement: &mut Statement, values: &[Expr]) {
    let _ = visit_expressions_mut(statement, |expr| {
        if let Expr::Value(_) = expr
            && let Some(number) = number_of(expr)
            && let Some(value) = values.get(number - 1)
        {
            *expr = value.clone();
        }
        ControlFlow::<()>::Continue(())
    });
}

/// The value that the client sent for a parameter of type `oid`, as a literal.
///
/// # Errors
///
/// 22P02, 22P03 or 22007 when it is no value of that type.
pub fn literal(oid: u32, binary: bool, value: Option<&[u8]>) -> Result<Expr, PgError> {
    let Some(value) = value else {
        return Ok(null(oid));
    };
    if binary {
        return from_binary(oid, value);
    }
    let value = std::str::from_utf8(value)
        .map_err(|_| PgError::new("22021", "a parameter is not valid UTF-8"))?;
    match types::by_oid(oid) {
        Some((pg, true)) => {
            let items = array_elements(value);
            let items = items.into_iter().map(|item| match item {
                None => Ok(null(pg.oid)),
                Some(item) => typed(pg.oid, &item),
            });
            items.collect::<Result<_, _>>().map(array)
        }
        _ => typed(oid, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_literals_of_the_declared_type() {
        let literal = |oid, binary, value: &[u8]| {
            literal(oid, binary, Some(value)).map(|expr| expr.to_string())
        };
        assert_eq!(literal(20, false, b"7").unwrap(), "7");
        assert_eq!(literal(701, true, &1.0_f64.to_be_bytes()).unwrap(), "1.0");
        assert_eq!(literal(25, false, b"it's").unwrap(), "'it''s'");
        assert_eq!(
            literal(1009, false, b"{a,NULL}").unwrap(),
            "ARRAY['a', CAST(NULL AS TEXT)]"
        );
        assert_eq!(
            literal(1184, true, &0_i64.to_be_bytes()).unwrap(),
            "arrow_cast('2000-01-01T00:00:00.000000Z', 'Timestamp(Microsecond, Some(\"UTC\"))')"
        );
        assert_eq!(literal(1184, false, b"nonsense").unwrap_err().code, "22007");
        assert_eq!(literal(23, true, &[0]).unwrap_err().code, "22P03");
    }
}
