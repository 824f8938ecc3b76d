//! The rows of those catalogs that have any.

use super::information::{information_columns, information_tables};
use super::relations::Relation;
use super::session::Session;
use super::tables::{ALL, Row, Table};
use super::types::{self, TYPES};
use super::{DATABASE, SCHEMA};

const PG_CATALOG: u32 = 11;
const INFORMATION_SCHEMA: u32 = 13_000;
const PUBLIC: u32 = 2200;
const OWNER: u32 = 10;
const DEFAULT_COLLATION: u32 = 100;

/// The rows of this catalog; none for those that are always empty.
pub(super) fn of(table: &Table, relations: &[Relation], session: &Session) -> Vec<Row> {
    match table.name {
        "pg_class" => classes(relations),
        "pg_attribute" => attributes(relations),
        "pg_type" => pg_types(),
        "pg_namespace" => [
            (PG_CATALOG, "pg_catalog"),
            (INFORMATION_SCHEMA, "information_schema"),
            (PUBLIC, SCHEMA),
        ]
        .into_iter()
        .map(|(oid, name)| {
            vec![
                ("oid", oid.into()),
                ("nspname", name.into()),
                ("nspowner", OWNER.into()),
            ]
        })
        .collect(),
        "pg_database" => vec![vec![
            ("oid", 5_u32.into()),
            ("datname", DATABASE.into()),
            ("datdba", OWNER.into()),
            ("encoding", 6_i64.into()),
            ("datlocprovider", "c".into()),
            ("datallowconn", true.into()),
            ("datconnlimit", (-1_i64).into()),
            ("dattablespace", 1663_u32.into()),
            ("datcollate", "C".into()),
            ("datctype", "C".into()),
        ]],
        "pg_roles" => vec![vec![
            ("oid", OWNER.into()),
            ("rolname", session.user().into()),
            ("rolinherit", true.into()),
            ("rolcanlogin", true.into()),
            ("rolconnlimit", (-1_i64).into()),
        ]],
        "pg_user" => vec![vec![
            ("usename", session.user().into()),
            ("usesysid", OWNER.into()),
        ]],
        "pg_am" => vec![vec![
            ("oid", 2_u32.into()),
            ("amname", "heap".into()),
            ("amtype", "t".into()),
        ]],
        "pg_tablespace" => vec![vec![
            ("oid", 1663_u32.into()),
            ("spcname", "pg_default".into()),
            ("spcowner", OWNER.into()),
        ]],
        "pg_settings" => session
            .settings()
            .into_iter()
            .map(|(name, value)| {
                vec![
                    ("name", name.into()),
                    ("setting", value.clone().into()),
                    ("context", "user".into()),
                    ("vartype", "string".into()),
                    ("source", "default".into()),
                    ("boot_val", value.clone().into()),
                    ("reset_val", value.into()),
                ]
            })
            .collect(),
        "pg_get_keywords" => [
            "analyze",
            "concurrently",
            "freeze",
            "ilike",
            "isnull",
            "limit",
            "notnull",
            "offset",
            "returning",
        ]
        .into_iter()
        .map(|word| {
            vec![
                ("word", word.into()),
                ("catcode", "R".into()),
                ("catdesc", "reserved".into()),
            ]
        })
        .collect(),
        "pg_tables" => relations
            .iter()
            .filter(|relation| !relation.view)
            .map(|relation| {
                vec![
                    ("schemaname", SCHEMA.into()),
                    ("tablename", relation.name.clone().into()),
                    ("tableowner", session.user().into()),
                ]
            })
            .collect(),
        "pg_views" => relations
            .iter()
            .filter(|relation| relation.view)
            .map(|relation| {
                vec![
                    ("schemaname", SCHEMA.into()),
                    ("viewname", relation.name.clone().into()),
                    ("viewowner", session.user().into()),
                ]
            })
            .collect(),
        "schemata" => ["pg_catalog", "information_schema", SCHEMA]
            .into_iter()
            .map(|name| {
                vec![
                    ("catalog_name", DATABASE.into()),
                    ("schema_name", name.into()),
                    ("schema_owner", session.user().into()),
                ]
            })
            .collect(),
        "tables" => information_tables(relations),
        "views" => relations
            .iter()
            .filter(|relation| relation.view)
            .map(|relation| {
                vec![
                    ("table_catalog", DATABASE.into()),
                    ("table_schema", SCHEMA.into()),
                    ("table_name", relation.name.clone().into()),
                    ("is_updatable", "NO".into()),
                ]
            })
            .collect(),
        "columns" => relations.iter().flat_map(information_columns).collect(),
        _ => Vec::new(),
    }
}

fn classes(relations: &[Relation]) -> Vec<Row> {
    let class = |oid: u32, name: &str, namespace: u32, kind: &str, columns: usize| -> Row {
        vec![
            ("oid", oid.into()),
            ("relname", name.into()),
            ("relnamespace", namespace.into()),
            ("relowner", OWNER.into()),
            ("relam", if kind == "r" { 2_u32 } else { 0 }.into()),
            ("reltuples", (-1_i64).into()),
            ("relpersistence", "p".into()),
            ("relkind", kind.into()),
            ("relnatts", (columns as i64).into()),
            ("relreplident", "n".into()),
            ("relispopulated", true.into()),
        ]
    };
    let of_lake = relations.iter().map(|relation| {
        let kind = if relation.view { "v" } else { "r" };
        class(
            relation.oid,
            &relation.name,
            PUBLIC,
            kind,
            relation.schema.fields().len(),
        )
    });
    let catalogs = ALL.iter().map(|table| {
        let (namespace, kind) = if table.schema == "pg_catalog" {
            (PG_CATALOG, "r")
        } else {
            (INFORMATION_SCHEMA, "v")
        };
        class(
            table.oid,
            table.name,
            namespace,
            kind,
            table.columns().count(),
        )
    });
    of_lake.chain(catalogs).collect()
}

fn attributes(relations: &[Relation]) -> Vec<Row> {
    let attribute = |relation: u32, name: &str, number: usize, kind: u32, not_null: bool| -> Row {
        let (pg, array) =
            types::by_oid(kind).map_or((None, false), |(pg, array)| (Some(pg), array));
        let length = pg.map_or(-1, |pg| if array { -1 } else { i64::from(pg.len) });
        let text = pg.is_some_and(|pg| pg.category == "S");
        vec![
            ("attrelid", relation.into()),
            ("attname", name.into()),
            ("atttypid", kind.into()),
            ("attlen", length.into()),
            ("attnum", (number as i64).into()),
            ("atttypmod", (-1_i64).into()),
            ("attnotnull", not_null.into()),
            ("attidentity", "".into()),
            ("attgenerated", "".into()),
            ("attislocal", true.into()),
            (
                "attcollation",
                if text { DEFAULT_COLLATION } else { 0 }.into(),
            ),
        ]
    };
    let mut rows = Vec::new();
    for relation in relations {
        for (field, number) in relation.schema.fields().iter().zip(1..) {
            let kind = types::of_arrow(field.data_type());
            rows.push(attribute(
                relation.oid,
                field.name(),
                number,
                kind,
                !field.is_nullable(),
            ));
        }
    }
    for table in ALL {
        for ((name, kind), number) in table.columns().zip(1..) {
            rows.push(attribute(
                table.oid,
                name,
                number,
                types::by_name(kind).unwrap_or(25),
                false,
            ));
        }
    }
    rows
}

fn pg_types() -> Vec<Row> {
    let mut rows = Vec::new();
    for pg in TYPES {
        let collation = if pg.category == "S" {
            DEFAULT_COLLATION
        } else {
            0
        };
        let kind = if pg.category == "P" || pg.category == "X" {
            "p"
        } else {
            "b"
        };
        let row =
            |oid: u32, name: String, len: i16, category: &str, element: u32, array: u32| -> Row {
                vec![
                    ("oid", oid.into()),
                    ("typname", name.into()),
                    ("typnamespace", PG_CATALOG.into()),
                    ("typowner", OWNER.into()),
                    ("typlen", i64::from(len).into()),
                    ("typbyval", (len > 0 && len <= 8).into()),
                    ("typtype", kind.into()),
                    ("typcategory", category.into()),
                    ("typisdefined", true.into()),
                    ("typdelim", ",".into()),
                    ("typelem", element.into()),
                    ("typarray", array.into()),
                    (
                        "typinput",
                        if element == 0 {
                            format!("{}in", pg.name)
                        } else {
                            "array_in".to_owned()
                        }
                        .into(),
                    ),
                    ("typtypmod", (-1_i64).into()),
                    ("typcollation", collation.into()),
                ]
            };
        rows.push(row(
            pg.oid,
            pg.name.to_owned(),
            pg.len,
            pg.category,
            0,
            pg.array,
        ));
        if pg.array != 0 {
            rows.push(row(pg.array, format!("_{}", pg.name), -1, "A", pg.oid, 0));
        }
    }
    rows
}
