//! The tables and views of the lake as the catalogs see them.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;

use super::SCHEMA;
use super::tables::ALL;

/// A table or view of the lake.
#[derive(Debug)]
pub(super) struct Relation {
    pub(super) name: String,
    pub(super) oid: u32,
    pub(super) view: bool,
    pub(super) schema: SchemaRef,
}

/// The number of the table of this name: the same in every process, so that a client may keep it.
pub(super) fn oid_of(name: &str) -> u32 {
    if let Some(table) = ALL.iter().find(|table| table.name == name) {
        return table.oid;
    }
    // FNV-1a. PostgreSQL's own objects end at 16383.
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    16_384 + hash % 1_000_000_000
}

/// The tables and views of the context's schema `public`, by name.
///
/// # Errors
///
/// When one of them cannot be opened.
pub(super) async fn relations(context: &SessionContext) -> Result<Vec<Relation>> {
    let catalog = context
        .state()
        .config_options()
        .catalog
        .default_catalog
        .clone();
    let Some(schema) = context
        .catalog(&catalog)
        .and_then(|catalog| catalog.schema(SCHEMA))
    else {
        return Ok(Vec::new());
    };
    let mut names = schema.table_names();
    names.sort_unstable();
    let mut relations = Vec::new();
    for name in names {
        if let Some(table) = schema.table(&name).await? {
            relations.push(Relation {
                oid: oid_of(&name),
                view: table.table_type() == TableType::View,
                schema: table.schema(),
                name,
            });
        }
    }
    Ok(relations)
}

/// The names of all relations, catalogs among them, by number.
pub(super) fn names(relations: &[Relation]) -> BTreeMap<u32, String> {
    let catalogs = ALL.iter().map(|table| (table.oid, table.name.to_owned()));
    relations
        .iter()
        .map(|relation| (relation.oid, relation.name.clone()))
        .chain(catalogs)
        .collect()
}
