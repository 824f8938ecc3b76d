//! The rows of `information_schema`.

use super::relations::Relation;
use super::tables::{ALL, Row};
use super::{DATABASE, SCHEMA, types};

pub(super) fn information_tables(relations: &[Relation]) -> Vec<Row> {
    let row = |schema: &str, name: &str, kind: &str| -> Row {
        vec![
            ("table_catalog", DATABASE.into()),
            ("table_schema", schema.into()),
            ("table_name", name.into()),
            ("table_type", kind.into()),
            ("is_insertable_into", "NO".into()),
            ("is_typed", "NO".into()),
        ]
    };
    let of_lake = relations.iter().map(|relation| {
        row(
            SCHEMA,
            &relation.name,
            if relation.view { "VIEW" } else { "BASE TABLE" },
        )
    });
    let catalogs = ALL.iter().map(|table| {
        row(
            table.schema,
            table.name,
            if table.schema == "pg_catalog" {
                "BASE TABLE"
            } else {
                "VIEW"
            },
        )
    });
    of_lake.chain(catalogs).collect()
}

pub(super) fn information_columns(relation: &Relation) -> Vec<Row> {
    let column = |(field, number): (&arrow::datatypes::FieldRef, i64)| -> Row {
        let oid = types::of_arrow(field.data_type());
        let found = types::by_oid(oid);
        let (name, udt) = match found {
            Some((pg, true)) => ("ARRAY".to_owned(), format!("_{}", pg.name)),
            Some((pg, false)) => (pg.sql.to_owned(), pg.name.to_owned()),
            None => ("text".to_owned(), "text".to_owned()),
        };
        let mut row: Row = vec![
            ("table_catalog", DATABASE.into()),
            ("table_schema", SCHEMA.into()),
            ("table_name", relation.name.clone().into()),
            ("column_name", field.name().clone().into()),
            ("ordinal_position", number.into()),
            (
                "is_nullable",
                if field.is_nullable() { "YES" } else { "NO" }.into(),
            ),
            ("data_type", name.into()),
            ("udt_catalog", DATABASE.into()),
            ("udt_schema", "pg_catalog".into()),
            ("udt_name", udt.into()),
            ("is_identity", "NO".into()),
            ("is_generated", "NEVER".into()),
            ("is_updatable", "NO".into()),
        ];
        let precision: Option<i64> = match oid {
            21 => Some(16),
            23 => Some(32),
            20 => Some(64),
            700 => Some(24),
            701 => Some(53),
            _ => None,
        };
        if let Some(bits) = precision {
            row.push(("numeric_precision", bits.into()));
            row.push(("numeric_precision_radix", 2_i64.into()));
        }
        row
    };
    relation
        .schema
        .fields()
        .iter()
        .zip(1..)
        .map(column)
        .collect()
}
