//! Statements that are replaced as a whole, because DataFusion plans no part of them: the last resort, and this is the
//! list of all of them.

use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Name of the first common table expression by which the statement is known, and what is asked instead.
const REPLACED: &[(&str, &str)] = &[
    // asyncpg, before it decodes an array: it walks through the type, its elements and fields, by recursion. Here a
    // type is a scalar or an array of scalars, all of which asyncpg knows, so that no walk is needed.
    (
        "typeinfo_tree",
        "SELECT t.oid, n.nspname AS ns, t.typname AS name, t.typtype AS kind, NULL::oid AS basetype, \
         t.typelem AS elemtype, e.typdelim AS elemdelim, NULL::oid AS range_subtype, NULL::oid[] AS attrtypoids, \
         NULL::text[] AS attrnames, 0::int4 AS depth, NULL::text AS basetype_name, \
         pg_catalog.format_type(t.typelem, NULL) AS elemtype_name, NULL::text AS range_subtype_name \
         FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem WHERE t.oid = ANY($1::oid[])",
    ),
];

/// The statement that is asked instead of this one, if it is on the list.
pub fn replacement(statement: &Statement) -> Option<Statement> {
    let Statement::Query(query) = statement else {
        return None;
    };
    let first = &query.with.as_ref()?.cte_tables.first()?.alias.name.value;
    let (_, sql) = REPLACED.iter().find(|(name, _)| name == first)?;
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?;
    statements.pop()
}
