//! The headings of columns, as PostgreSQL names them: `count`, `avg`, `?column?`.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, Query, SelectItem, SetExpr, Statement, TrimWhereField,
};

/// The heading of each item of the statement's outermost SELECT; none where an item is a wildcard, which stands for
/// columns with names of their own.
pub fn of_statement(statement: &Statement) -> Vec<Option<String>> {
    match statement {
        Statement::Query(query) => of_query(query),
        _ => Vec::new(),
    }
}

fn of_query(query: &Query) -> Vec<Option<String>> {
    of_body(&query.body)
}

fn of_body(body: &SetExpr) -> Vec<Option<String>> {
    match body {
        SetExpr::Select(select) => select.projection.iter().map(of_item).collect(),
        SetExpr::Query(query) => of_query(query),
        SetExpr::SetOperation { left, .. } => of_body(left),
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.len());
            (1..=width)
                .map(|number| Some(format!("column{number}")))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The heading of one item; none for a wildcard.
pub fn of_item(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(of_expr(expr)),
        SelectItem::ExprWithAlias { alias, .. } => {
            Some(fold(&alias.value, alias.quote_style.is_some()))
        }
        _ => None,
    }
}

/// The heading of an expression without an alias (`FigureColname` in PostgreSQL's `parse_target.c`).
pub fn of_expr(expr: &Expr) -> String {
    figure(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

fn fold(name: &str, quoted: bool) -> String {
    if quoted {
        name.to_owned()
    } else {
        name.to_ascii_lowercase()
    }
}

/// The name, and whether it is of a column or a function, which goes before the name of a type or of `CASE`.
fn figure(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match expr {
        Expr::Identifier(name) => Some((fold(&name.value, name.quote_style.is_some()), true)),
        Expr::CompoundIdentifier(parts) => parts
            .last()
            .map(|name| (fold(&name.value, name.quote_style.is_some()), true)),
        Expr::CompoundFieldAccess { root, .. } => figure(root),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Function(function) => Some((of_function(function), true)),
        Expr::Cast {
            expr, data_type, ..
        } => match figure(expr) {
            Some((name, true)) => Some((name, true)),
            _ => Some((of_type(data_type), false)),
        },
        Expr::TypedString(typed) => Some((of_type(&typed.data_type), false)),
        Expr::Interval(_) => Some(("interval".to_owned(), false)),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        Expr::Subquery(query) => match of_query(query).into_iter().next().flatten() {
            Some(name) if name != "?column?" => Some((name, true)),
            _ => None,
        },
        Expr::Exists { .. } => strong("exists"),
        Expr::Array(_) => strong("array"),
        Expr::Tuple(_) => strong("row"),
        Expr::Extract { .. } => strong("extract"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Position { .. } => strong("position"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::Trim { trim_where, .. } => strong(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        _ => None,
    }
}

fn of_function(function: &Function) -> String {
    let name = function.name.0.last().and_then(|part| part.as_ident());
    name.map_or_else(
        || function.name.to_string(),
        |name| fold(&name.value, name.quote_style.is_some()),
    )
}

fn of_type(data_type: &DataType) -> String {
    let text = data_type.to_string().to_ascii_lowercase();
    let text = text.strip_prefix("pg_catalog.").unwrap_or(&text);
    let text = text
        .split('(')
        .next()
        .unwrap_or(text)
        .trim_end_matches("[]")
        .trim();
    match text {
        "timestamp with time zone" => "timestamptz",
        "decimal" => "numeric",
        "int" => "int4",
        "float" => "float8",
        other => super::types::TYPES
            .iter()
            .find(|pg| pg.sql == other)
            .map_or(other, |pg| pg.name),
    }
    .to_owned()
}
