//! Selects that have no rows because a catalog that they join has none at any moment.
//!
//! Clients ask about indexes, keys, policies and the like in statements that DataFusion cannot plan, or only at some
//! cost. None of these exist here, so the answer is known from the statement: an inner join with an empty table is
//! empty.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, CastKind, DataType, Expr, FunctionArguments, GroupByExpr, Ident, JoinOperator, Query,
    Select, SelectItem, SetExpr, SetOperator, Statement, TableFactor, TableWithJoins, Value, Visit,
    VisitMut, Visitor, VisitorMut,
};

use super::{headings, tables};

/// Replaces what has no rows: a whole SELECT by one of NULLs `WHERE false`, a subquery in an expression by NULL, an
/// empty array or false. Names of relations must be qualified.
pub fn fold(statement: &mut Statement) {
    let _ = statement.visit(&mut Folder);
}

struct Folder;

impl VisitorMut for Folder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if is_empty_body(&query.body) && query.with.is_none() {
            query.order_by = None;
        }
        fold_body(&mut query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let replacement = match expr {
            Expr::Subquery(query) if is_empty_query(query) => Some(Expr::value(Value::Null)),
            Expr::Exists { subquery, negated } if is_empty_query(subquery) => {
                Some(Expr::value(Value::Boolean(*negated)))
            }
            Expr::InSubquery {
                subquery, negated, ..
            } if is_empty_query(subquery) => Some(Expr::value(Value::Boolean(*negated))),
            Expr::Function(function) => match &function.args {
                FunctionArguments::Subquery(query) if is_empty_query(query) => {
                    Some(Expr::Array(Array {
                        elem: Vec::new(),
                        named: true,
                    }))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(replacement) = replacement {
            *expr = replacement;
        }
        ControlFlow::Continue(())
    }
}

fn is_empty_query(query: &Query) -> bool {
    query.with.is_none() && is_empty_body(&query.body)
}

fn is_empty_body(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => is_empty_select(select),
        SetExpr::Query(query) => is_empty_query(query),
        SetExpr::SetOperation {
            op, left, right, ..
        } => match op {
            SetOperator::Union => is_empty_body(left) && is_empty_body(right),
            SetOperator::Intersect => is_empty_body(left) || is_empty_body(right),
            SetOperator::Except | SetOperator::Minus => is_empty_body(left),
        },
        _ => false,
    }
}

fn is_empty_select(select: &Select) -> bool {
    if !select.from.iter().any(is_empty_join) {
        return false;
    }
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(keys, _) => !keys.is_empty(),
        GroupByExpr::All(_) => true,
    };
    // An aggregate without groups gives one row, also over nothing.
    grouped || !has_aggregate(select)
}

const AGGREGATES: &[&str] = &[
    "count",
    "min",
    "max",
    "sum",
    "avg",
    "array_agg",
    "string_agg",
    "bool_and",
    "bool_or",
    "every",
    "json_agg",
];

/// Looks for aggregates outside subqueries, which are of the subquery.
struct Aggregates {
    depth: u32,
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(function) = expr
            && let Some(name) = function.name.0.last().and_then(|part| part.as_ident())
            && AGGREGATES.contains(&name.value.to_ascii_lowercase().as_str())
        {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

fn has_aggregate(select: &Select) -> bool {
    select.having.is_some()
        || select
            .projection
            .visit(&mut Aggregates { depth: 0 })
            .is_break()
}

fn is_empty_join(from: &TableWithJoins) -> bool {
    let mut empty = is_empty_factor(&from.relation);
    for join in &from.joins {
        let right = is_empty_factor(&join.relation);
        match join.join_operator {
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => {
                empty |= right
            }
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => empty = right,
            JoinOperator::FullOuter(_) => empty &= right,
            _ => {}
        }
    }
    empty
}

fn is_empty_factor(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table {
            name, args: None, ..
        } => {
            let parts: Vec<String> = name
                .0
                .iter()
                .filter_map(|part| part.as_ident())
                .map(|name| name.value.to_ascii_lowercase())
                .collect();
            match parts.as_slice() {
                [schema, table] => {
                    tables::find(Some(schema), table).is_some_and(|table| !table.filled)
                }
                _ => false,
            }
        }
        TableFactor::Derived { subquery, .. } => is_empty_query(subquery),
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => is_empty_join(table_with_joins),
        _ => false,
    }
}

fn fold_body(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) if is_empty_select(select) => to_nulls(select),
        SetExpr::SetOperation { left, right, .. } => {
            fold_body(left);
            fold_body(right);
        }
        _ => {}
    }
}

/// The same headings, NULLs as text, no rows. A select with a wildcard stays as it is: it can be planned.
fn to_nulls(select: &mut Select) {
    let Some(names) = select
        .projection
        .iter()
        .map(headings::of_item)
        .collect::<Option<Vec<String>>>()
    else {
        return;
    };
    select.projection = names
        .into_iter()
        .map(|name| SelectItem::ExprWithAlias {
            expr: Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(Expr::value(Value::Null)),
                data_type: DataType::Text,
                array: false,
                format: None,
            },
            alias: Ident::with_quote('"', name),
        })
        .collect();
    select.from.clear();
    select.distinct = None;
    select.having = None;
    select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    select.selection = Some(Expr::value(Value::Boolean(false)));
}
