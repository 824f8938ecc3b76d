//! From a statement to its plan and columns.

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{Expr, Statement, Value};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::Source;
use super::encode::Column;
use super::error::{PgError, of_sql};
use super::literals::null;
use super::params::substitute;
use super::rows::Rows;
use crate::SqlError;
use crate::catalog::{self, Session, headings, rewrite, types};
use crate::large_stack::on_large_stack;

/// Runs `statement` with `values` for its parameters; for `idle` see [`Rows::run`].
///
/// # Errors
///
/// Those of planning, and of the first steps of running.
pub(super) fn run(
    source: Arc<dyn Source>,
    session: Arc<Session>,
    statement: Statement,
    values: Vec<Expr>,
    sql: Arc<str>,
    idle: Duration,
) -> BoxFuture<'static, Result<Rows, PgError>> {
    async move {
        let headings = headings::of_statement(&statement);
        let mut statement = statement;
        let reads = rewrite::rewrite(&mut statement);
        substitute(&mut statement, &values);
        let turn = if reads.tables {
            Some(source.turn().await?)
        } else {
            None
        };
        on_large_stack(Box::pin(async move {
            let context = source.context(zone_of(&session)).await?;
            let plan = logical(&context, &session, statement, reads.catalogs, &sql).await?;
            let columns = columns_of(&plan, &headings);
            let failed = |error| of_sql(SqlError::of_plan(error, &context), &sql);
            let frame = context.execute_logical_plan(plan).await.map_err(failed)?;
            let stream = frame.execute_stream().await.map_err(failed)?;
            Ok(Rows::run(
                stream,
                columns,
                Arc::clone(&sql),
                Box::new(turn),
                idle,
            ))
        }))
        .await
    }
    .boxed()
}

/// OIDs of the parameters, and the columns.
type Described = (Vec<u32>, Arc<[Column]>);

/// What a prepared statement says of itself: the types of its parameters, all known, and its columns.
///
/// # Errors
///
/// Those of planning.
pub(super) fn describe(
    source: Arc<dyn Source>,
    session: Arc<Session>,
    statement: Statement,
    parameters: Vec<u32>,
    sql: Arc<str>,
) -> BoxFuture<'static, Result<Described, PgError>> {
    on_large_stack(described(source, session, statement, parameters, sql).boxed()).boxed()
}

async fn described(
    source: Arc<dyn Source>,
    session: Arc<Session>,
    statement: Statement,
    mut parameters: Vec<u32>,
    sql: Arc<str>,
) -> Result<Described, PgError> {
    let headings = headings::of_statement(&statement);
    let mut rewritten = statement;
    let reads = rewrite::rewrite(&mut rewritten);
    if parameters.contains(&0) {
        let context = source.context(zone_of(&session)).await?;
        let values: Vec<Expr> = parameters
            .iter()
            .zip(1..)
            .map(|(oid, number)| {
                if *oid == 0 {
                    Expr::value(Value::Placeholder(format!("${number}")))
                } else {
                    null(*oid)
                }
            })
            .collect();
        let mut open = rewritten.clone();
        substitute(&mut open, &values);
        // Where the plan does not say either, a parameter is text, as a literal would be.
        let found = match logical(&context, &session, open, reads.catalogs, &sql).await {
            Ok(plan) => plan.get_parameter_types().unwrap_or_default(),
            Err(_) => Default::default(),
        };
        for (oid, number) in parameters.iter_mut().zip(1..) {
            if *oid == 0 {
                let inferred = found.get(&format!("${number}")).and_then(Option::as_ref);
                *oid = inferred.map_or(25, types::of_arrow);
            }
        }
    }
    let nulls: Vec<Expr> = parameters.iter().map(|oid| null(*oid)).collect();
    substitute(&mut rewritten, &nulls);
    let context = source.context(zone_of(&session)).await?;
    let plan = logical(&context, &session, rewritten, reads.catalogs, &sql).await?;
    Ok((parameters, columns_of(&plan, &headings)))
}

/// The session's zone, unless it is UTC.
fn zone_of(session: &Session) -> Option<String> {
    session
        .setting("timezone")
        .filter(|zone| !zone.eq_ignore_ascii_case("utc"))
}

async fn logical(
    context: &SessionContext,
    session: &Arc<Session>,
    statement: Statement,
    catalogs: bool,
    sql: &str,
) -> Result<LogicalPlan, PgError> {
    let failed = |error| of_sql(SqlError::of_plan(error, context), sql);
    catalog::add_functions(context, session);
    if catalogs {
        catalog::add_tables(context, session)
            .await
            .map_err(failed)?;
    }
    let statement = DfStatement::Statement(Box::new(statement));
    let plan = context
        .state()
        .statement_to_plan(statement)
        .await
        .map_err(failed)?;
    // A second lock behind `command::of`: nothing but reading gets past here.
    let reading = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    reading.verify_plan(&plan).map_err(|error| PgError {
        code: "25006",
        ..failed(error)
    })?;
    Ok(plan)
}

/// The columns of an answer: their headings as PostgreSQL has them, where the statement names each.
fn columns_of(plan: &LogicalPlan, headings: &[Option<String>]) -> Arc<[Column]> {
    let fields = plan.schema().fields();
    let explained = matches!(plan, LogicalPlan::Explain(_) | LogicalPlan::Analyze(_));
    let leading = headings
        .iter()
        .take_while(|heading| heading.is_some())
        .count();
    let trailing = headings
        .iter()
        .rev()
        .take_while(|heading| heading.is_some())
        .count();
    let name = |index: usize| {
        if explained || headings.is_empty() {
            return None;
        }
        if index < leading {
            return headings.get(index).cloned().flatten();
        }
        let from_end = fields.len() - 1 - index;
        if from_end < trailing {
            headings
                .get(headings.len() - 1 - from_end)
                .cloned()
                .flatten()
        } else {
            None
        }
    };
    fields
        .iter()
        .enumerate()
        .map(|(index, field)| Column {
            name: name(index).unwrap_or_else(|| field.name().clone()),
            oid: types::of_arrow(field.data_type()),
        })
        .collect()
}
