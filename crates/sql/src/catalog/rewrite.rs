//! Turns a statement as PostgreSQL clients write it into one that DataFusion plans, with the same meaning.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr,
    Statement, Subscript, TableAlias, TableAliasColumnDef, TableFactor, Value, VisitMut,
    VisitorMut, visit_relations,
};

use super::build::{call, cast, number, text};
use super::casts::{array_literal, replace_cast};
use super::{DATABASE, empty, headings, tables, whole};

/// What a statement names in FROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads {
    /// A catalog, so that [`super::add_tables`] is needed.
    pub catalogs: bool,
    /// A table or view of the lake, or a function.
    pub tables: bool,
}

/// Rewrites `statement` in place; `$1` and the like stay.
pub fn rewrite(statement: &mut Statement) -> Reads {
    if let Some(replacement) = whole::replacement(statement) {
        *statement = replacement;
    }
    let _ = statement.visit(&mut Relations);
    empty::fold(statement);
    let _ = statement.visit(&mut Expressions);
    let _ = statement.visit(&mut Duplicates);
    let mut reads = Reads::default();
    let _ = visit_relations(statement, |name| {
        match parts(name).as_slice() {
            [schema, _] if schema == "pg_catalog" || schema == "information_schema" => {
                reads.catalogs = true
            }
            _ => reads.tables = true,
        }
        ControlFlow::<()>::Continue(())
    });
    reads
}

fn parts(name: &ObjectName) -> Vec<String> {
    let ident = |ident: &Ident| {
        if ident.quote_style.is_some() {
            ident.value.clone()
        } else {
            ident.value.to_ascii_lowercase()
        }
    };
    name.0
        .iter()
        .filter_map(|part| part.as_ident())
        .map(ident)
        .collect()
}

fn object(parts: &[&str]) -> ObjectName {
    ObjectName(
        parts
            .iter()
            .map(|part| ObjectNamePart::Identifier(Ident::with_quote('"', *part)))
            .collect(),
    )
}

/// Names of relations: catalogs get their schema, the database's name goes.
struct Relations;

impl VisitorMut for Relations {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table {
            name, alias, args, ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let lower = parts(name);
        let mut names: Vec<&str> = lower.iter().map(String::as_str).collect();
        if names.len() == 3 && names.first() == Some(&DATABASE) {
            names.remove(0);
            *name = object(&names);
        }
        if args.is_none() {
            if let [single] = names.as_slice()
                && single.starts_with("pg_")
                && tables::find(None, single).is_some()
            {
                *name = object(&["pg_catalog", single]);
            }
            return ControlFlow::Continue(());
        }
        if let ["pg_catalog", function] = names.as_slice() {
            *name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(*function))]);
        }
        match names.last() {
            Some(&"pg_get_keywords") => {
                *args = None;
                *name = object(&["pg_catalog", "pg_get_keywords"]);
            }
            // The column of a function in FROM has the alias for its name.
            Some(&"generate_series") => {
                let alias = alias.get_or_insert_with(|| TableAlias {
                    explicit: true,
                    name: Ident::new("generate_series"),
                    columns: Vec::new(),
                    at: None,
                });
                if alias.columns.is_empty() {
                    let column = TableAliasColumnDef {
                        name: alias.name.clone(),
                        data_type: None,
                    };
                    alias.columns.push(column);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

struct Expressions;

impl VisitorMut for Expressions {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // Before their parts are: whole patterns.
        if let Expr::InSubquery {
            expr: name,
            subquery,
            negated,
        } = expr
            && is_search_path(subquery)
        {
            let found = call(
                "array_has",
                vec![
                    call("current_schemas", vec![boolean(false)]),
                    (**name).clone(),
                ],
            );
            *expr = if *negated {
                Expr::Nested(Box::new(not(found)))
            } else {
                found
            };
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(replacement) = replace(expr) {
            *expr = replacement;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_value(
        &mut self,
        value: &mut datafusion::sql::sqlparser::ast::ValueWithSpan,
    ) -> ControlFlow<()> {
        match &value.value {
            Value::EscapedStringLiteral(text) => {
                value.value = Value::SingleQuotedString(text.clone())
            }
            Value::DollarQuotedString(text) => {
                value.value = Value::SingleQuotedString(text.value.clone())
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn boolean(value: bool) -> Expr {
    Expr::value(Value::Boolean(value))
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp {
        op: datafusion::sql::sqlparser::ast::UnaryOperator::Not,
        expr: Box::new(expr),
    }
}

/// Grafana's query for the schemas of the search path, which unnests `current_setting('search_path')`.
fn is_search_path(query: &Query) -> bool {
    let text = query.to_string().to_ascii_lowercase();
    text.contains("current_setting('search_path')") && text.contains("generate_series(")
}

fn replace(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::Function(function) => replace_function(function),
        Expr::BinaryOp { op, .. } => {
            if let BinaryOperator::PGCustomBinaryOperator(names) = op
                && let Some(known) = names.last().and_then(|name| operator(name))
            {
                *op = known;
            }
            None
        }
        Expr::Collate { expr, .. } => {
            Some(std::mem::replace(&mut **expr, Expr::value(Value::Null)))
        }
        Expr::Cast {
            expr, data_type, ..
        } => replace_cast(expr, data_type),
        Expr::AtTimeZone {
            timestamp,
            time_zone,
        } => Some(call(
            "pg_at_time_zone",
            vec![(**timestamp).clone(), (**time_zone).clone()],
        )),
        Expr::Like {
            negated,
            expr,
            pattern,
            escape_char: Some(escape),
            ..
        } => {
            let Value::SingleQuotedString(escape) = &escape.value else {
                return None;
            };
            if escape == "\\" {
                return None;
            }
            let arguments = vec![(**expr).clone(), (**pattern).clone(), text(escape)];
            Some(Expr::BinaryOp {
                left: Box::new(call("pg_like_escape", arguments)),
                op: BinaryOperator::Eq,
                right: Box::new(text(if *negated { "false" } else { "true" })),
            })
        }
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
            let inner = match &**right {
                Expr::Nested(inner) => &**inner,
                other => other,
            };
            if let Expr::Value(value) = inner
                && let Value::SingleQuotedString(literal) = &value.value
            {
                **right = array_literal(literal, &DataType::Text);
            }
            None
        }
        Expr::Subquery(query) => {
            to_single_row(query);
            None
        }
        Expr::Identifier(name) if name.quote_style.is_none() => {
            match name.value.to_ascii_lowercase().as_str() {
                "current_schema" => Some(call("current_schema", Vec::new())),
                "current_role" => Some(call("current_role", Vec::new())),
                _ => None,
            }
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            // DataFusion takes numbers of 64 bits for subscripts only.
            for access in access_chain {
                if let AccessExpr::Subscript(Subscript::Index { index }) = access
                    && !matches!(index, Expr::Value(_))
                {
                    *index = cast(index.clone(), DataType::BigInt(None));
                }
            }
            if let Expr::Nested(inner) = &**root
                && matches!(**inner, Expr::Function(_))
            {
                **root = (**inner).clone();
            }
            None
        }
        _ => None,
    }
}

fn operator(name: &str) -> Option<BinaryOperator> {
    Some(match name {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        ">" => BinaryOperator::Gt,
        "<=" => BinaryOperator::LtEq,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "*" => BinaryOperator::Multiply,
        "/" => BinaryOperator::Divide,
        "||" => BinaryOperator::StringConcat,
        _ => return None,
    })
}

fn replace_function(function: &mut Function) -> Option<Expr> {
    let names = parts(&function.name);
    if let [schema, name] = names.as_slice()
        && (schema == "pg_catalog" || schema == "information_schema")
    {
        function.name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))]);
    }
    let name = names.last()?.as_str();
    match (name, &mut function.args) {
        ("array", FunctionArguments::Subquery(query)) => Some(collect(query)),
        (
            "current_user" | "session_user" | "user" | "current_catalog" | "current_role"
            | "current_schema",
            args,
        ) if *args == FunctionArguments::None => Some(call(name, Vec::new())),
        // A constant, so that `generate_series` in FROM has literal bounds.
        ("array_upper" | "array_length", FunctionArguments::List(list)) => {
            match list.args.first() {
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner))))
                    if parts(&inner.name)
                        .last()
                        .is_some_and(|name| name == "current_schemas") =>
                {
                    let implicit = inner.args.to_string().to_ascii_lowercase().contains("true");
                    Some(number(if implicit { 2 } else { 1 }))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// `ARRAY(SELECT x …)` as `(SELECT array_agg(x) …)`.
fn collect(query: &Query) -> Expr {
    let mut query = query.clone();
    query.order_by = None;
    if let SetExpr::Select(select) = &mut *query.body
        && let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
            select.projection.as_slice()
    {
        select.projection = vec![SelectItem::UnnamedExpr(call(
            "array_agg",
            vec![item.clone()],
        ))];
    }
    Expr::Subquery(Box::new(query))
}

/// A correlated subquery over a catalog, which has one row by its meaning, as the least of these rows: DataFusion wants
/// an aggregate there.
fn to_single_row(query: &mut Query) {
    if query.limit_clause.is_some() || query.with.is_some() {
        return;
    }
    let catalog = visit_relations(&*query, |name| {
        if parts(name)
            .first()
            .is_some_and(|schema| schema == "pg_catalog")
        {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    if catalog.is_continue() {
        return;
    }
    if let SetExpr::Select(select) = &mut *query.body
        && select.selection.is_some()
        && let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
            select.projection.as_slice()
        && !matches!(item, Expr::Function(_))
    {
        query.order_by = None;
        select.projection = vec![SelectItem::UnnamedExpr(call("min", vec![item.clone()]))];
    }
}

/// Equal items of one SELECT get names: DataFusion wants each only once. The client sees the headings of
/// [`headings`] all the same.
struct Duplicates;

impl VisitorMut for Duplicates {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut seen = HashSet::new();
        for (item, number) in select.projection.iter_mut().zip(1..) {
            match item {
                SelectItem::UnnamedExpr(expr) if !seen.insert(expr.to_string()) => {
                    let name = format!("{}_{number}", headings::of_expr(expr));
                    *item = SelectItem::ExprWithAlias {
                        expr: expr.clone(),
                        alias: Ident::with_quote('"', name),
                    };
                }
                SelectItem::ExprWithAlias { alias, .. } if !seen.insert(alias.value.clone()) => {
                    *alias = Ident::with_quote('"', format!("{}_{number}", alias.value));
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}
