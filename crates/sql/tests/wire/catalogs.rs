//! What clients ask of the catalogs.

use crate::{ask, client};

#[tokio::test]
async fn the_catalogs_name_tables_and_columns() {
    let client = client().await;
    assert_eq!(ask(&client, "select relname, relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace where nspname = 'public'").await,
        ["relname|relkind", "vehicle|r"]);
    assert_eq!(ask(&client, "select column_name, data_type, udt_name from information_schema.columns where table_name = 'vehicle' order by ordinal_position limit 3").await,
        ["column_name|data_type|udt_name", "entity_id|text|text", "event_time|timestamp with time zone|timestamptz", "speed|double precision|float8"]);
    assert_eq!(ask(&client, "select 'vehicle'::regclass::oid = c.oid as same, c.oid::regclass::text from pg_class c where relname = 'vehicle'").await,
        ["same|oid", "t|vehicle"]);
    assert_eq!(
        ask(
            &client,
            "SELECT current_setting('server_version_num')::int/100 as version"
        )
        .await,
        ["version", "1500"]
    );
}

/// Statements that are refused in words, by how they begin.
const REFUSED: &[&str] = &[
    // There are no functions in `pg_proc`, so none has a number.
    "SELECT 'now'::pg_catalog.regproc::pg_catalog.oid",
];

#[tokio::test]
async fn every_captured_statement_is_answered() {
    let client = client().await;
    let oid = ask(
        &client,
        "select oid from pg_class where relname = 'vehicle'",
    )
    .await[1]
        .clone();
    let data = include_str!("../data/client-statements.txt").replace("{oid}", &oid);
    let (mut failed, mut count, mut from, mut values) = (Vec::new(), 0, "", None);
    for line in data.lines() {
        if let Some(client) = line.strip_prefix("# ") {
            from = client;
        } else if let Some(with) = line.strip_prefix("-- with ") {
            values = Some(with);
        } else if !line.starts_with("--") {
            let mut statement = line.to_owned();
            for value in values
                .take()
                .unwrap_or_default()
                .split(", $")
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
            {
                if let Some((number, value)) = value.split_once(" = ") {
                    statement =
                        statement.replace(&format!("${}", number.trim_start_matches('$')), value);
                }
            }
            count += 1;
            if statement.contains("typeinfo_tree") {
                let rows = client.query(line, &[&vec![1009_u32, 25]]).await.unwrap();
                assert_eq!(rows.len(), 2);
                continue;
            }
            if let Err(error) = client.simple_query(&statement).await {
                let refused = REFUSED.iter().any(|start| line.starts_with(start));
                if !refused {
                    failed.push(format!(
                        "{from}: {:.3000}\n    {}",
                        line,
                        error.as_db_error().map_or_else(
                            || error.to_string(),
                            |e| format!("{} {}", e.code().code(), e.message())
                        )
                    ));
                }
                let _ = client.simple_query("rollback").await;
            }
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {count} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[tokio::test]
async fn what_grafana_asks_is_answered() {
    let client = client().await;
    let path = "SELECT CASE WHEN trim(s[i]) = '\"$user\"' THEN user ELSE trim(s[i]) END \
        FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1), \
        array_upper(string_to_array(current_setting('search_path'),','),1)) as i, \
        string_to_array(current_setting('search_path'),',') s";
    let tables = format!(
        "SELECT CASE WHEN quote_ident(table_schema) IN ({path}) THEN quote_ident(table_name) \
         ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS \"table\" \
         FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog') \
         ORDER BY CASE WHEN quote_ident(table_schema) IN ({path}) THEN 0 ELSE 1 END, 1"
    );
    assert_eq!(ask(&client, &tables).await, ["table", "vehicle"]);
    let columns = format!(
        "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns \
         WHERE CASE WHEN array_length(parse_ident('vehicle'),1) = 2 THEN quote_ident(table_schema) = (parse_ident('vehicle'))[1] \
         ELSE quote_ident(table_schema) IN ({path}) END AND \
         CASE WHEN array_length(parse_ident('vehicle'),1) = 2 THEN quote_ident(table_name) = (parse_ident('vehicle'))[2] \
         ELSE quote_ident(table_name) = (parse_ident('vehicle'))[1] END"
    );
    assert_eq!(ask(&client, &columns).await.len(), 6);
    for sql in [
        "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'",
        "SET TIMEZONE TO 'UTC'; select 42",
        "SELECT floor(extract(epoch from event_time)/300)*300 AS \"time\", avg(speed) FROM vehicle WHERE event_time BETWEEN '2026-01-01T00:00:00Z' AND '2026-01-01T23:59:59.999Z' GROUP BY 1 ORDER BY 1 LIMIT 50",
        "SELECT extract(epoch from event_time) as \"time\", speed FROM vehicle WHERE event_time BETWEEN '2026-01-01T00:00:00Z' AND '2026-01-02T00:00:00Z'",
        "SELECT schema_name FROM information_schema.schemata",
        "SELECT column_name, data_type, udt_name, numeric_precision, numeric_scale FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'vehicle'",
        "SELECT DISTINCT entity_id::text FROM vehicle LIMIT 100",
    ] {
        ask(&client, sql).await;
    }
}
