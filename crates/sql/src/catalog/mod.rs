//! What PostgreSQL clients ask a server about itself: the schemas `pg_catalog` and `information_schema`, the functions
//! that go with them, and the rewriting of statements that DataFusion cannot plan as they come.
//!
//! The catalogs are small tables in memory, made for one statement from the tables of its context, and only if the
//! statement names one of them. Most catalogs are always empty here (there are no indexes, constraints, triggers,
//! policies): [`empty`] answers what joins them without a plan.

pub mod build;
pub mod casts;
pub mod empty;
pub mod functions;
pub mod headings;
mod information;
mod relations;
pub mod rewrite;
mod rows;
pub mod session;
pub mod tables;
pub mod types;
mod udf;
pub mod whole;

use std::sync::Arc;

use datafusion::catalog::{MemTable, MemorySchemaProvider, SchemaProvider};
use datafusion::error::Result;
use datafusion::prelude::SessionContext;

pub use session::Session;

/// The name under which the one database is listed.
pub const DATABASE: &str = "headwater";

/// The schema of all tables of the lake.
pub const SCHEMA: &str = "public";

/// What `version()` answers. SQLAlchemy and others read the number after `PostgreSQL`.
pub fn version() -> String {
    format!(
        "PostgreSQL {SERVER_VERSION} (Headwater {})",
        env!("CARGO_PKG_VERSION")
    )
}

/// The version of PostgreSQL whose catalogs these are.
pub const SERVER_VERSION: &str = "15.0";

/// Gives `context` the functions of PostgreSQL clients, as `session` sees them.
pub fn add_functions(context: &SessionContext, session: &Arc<Session>) {
    // Ours is a schema of its own: DataFusion's has other types and fewer columns.
    context
        .state_ref()
        .write()
        .config_mut()
        .options_mut()
        .catalog
        .information_schema = false;
    for function in functions::all(session) {
        context.register_udf(function);
    }
}

/// Gives `context` the schemas `pg_catalog` and `information_schema`, made from the tables of its schema `public`.
///
/// # Errors
///
/// When a table of the context cannot be opened.
pub async fn add_tables(context: &SessionContext, session: &Session) -> Result<()> {
    let lake = relations::relations(context).await?;
    session.name_tables(relations::names(&lake));
    let catalog_name = context
        .state()
        .config_options()
        .catalog
        .default_catalog
        .clone();
    let Some(catalog) = context.catalog(&catalog_name) else {
        return Ok(());
    };
    for schema_name in ["pg_catalog", "information_schema"] {
        let schema = MemorySchemaProvider::new();
        for table in tables::ALL
            .iter()
            .filter(|table| table.schema == schema_name)
        {
            let batch = table.batch(rows::of(table, &lake, session))?;
            let memory = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
            schema.register_table(table.name.to_owned(), Arc::new(memory))?;
        }
        catalog.register_schema(schema_name, Arc::new(schema))?;
    }
    Ok(())
}
