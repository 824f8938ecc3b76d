//! `/v1/sql`: rows equal a recount, in each form, and statements without an answer are told why.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use query::http::QuerySettings;
use serde_json::{Value, json};

use crate::stage::{Answer, KEY, Stage};
use crate::{readings, texts};

async fn post(stage: &Stage, sql: &str) -> Answer {
    post_as(stage, "application/json", sql).await
}

async fn post_as(stage: &Stage, accept: &str, sql: &str) -> Answer {
    let request = Request::post("/v1/sql")
        .header("x-api-key", KEY)
        .header("accept", accept);
    stage
        .send_whole(request.body(Body::from(sql.to_owned())).unwrap())
        .await
}

async fn rows(stage: &Stage, sql: &str) -> Value {
    let answer = post(stage, sql).await;
    assert_eq!(answer.status, StatusCode::OK, "{sql}: {answer:?}");
    answer.body["rows"].clone()
}

#[tokio::test]
async fn rows_equal_a_recount_before_a_commit_and_after_it() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    let all = readings(0, 40);
    stage.land("2025-10-04T14:00:00Z", &texts(&all[..25])).await;
    stage.refresh().await;
    stage.aggregate().await;
    stage.land("2025-10-04T14:10:00Z", &texts(&all[20..])).await;
    stage.refresh().await;
    for _ in 0..2 {
        assert_eq!(
            rows(&stage, "SELECT count(*) FROM vehicle").await,
            json!([[40]])
        );
        let sum: u32 = all.iter().map(|reading| reading.rpm).sum();
        let max = all.iter().map(|reading| reading.rpm).max().unwrap();
        let text = "SELECT sum(engine_rpm), max(engine_rpm), count(DISTINCT event_id) FROM vehicle \
                    WHERE event_time >= '2025-10-04T12:00:00Z' AND event_time < '2025-10-04T13:00:00Z'";
        let whole = json!([[f64::from(sum), f64::from(max), 40]]);
        assert_eq!(rows(&stage, text).await, whole);
        let of_one = all
            .iter()
            .filter(|reading| reading.entity == "veh-1")
            .count();
        let text = "SELECT entity_id, count(*) FROM vehicle WHERE entity_id = 'veh-1' GROUP BY 1";
        assert_eq!(rows(&stage, text).await, json!([["veh-1", of_one]]));
        let nobody = "SELECT event_id FROM vehicle WHERE event_time < '2025-10-04T12:00:00Z'";
        assert_eq!(rows(&stage, nobody).await, json!([]));
        let text = "SELECT count, min, max, last FROM kpi_5m \
                    WHERE signal = 'engine_rpm' AND entity_id = 'veh-0' ORDER BY start";
        let of_one: Vec<f64> = all
            .iter()
            .filter(|reading| reading.entity == "veh-0")
            .map(|reading| f64::from(reading.rpm))
            .collect();
        let least = of_one.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = of_one.iter().copied().fold(0.0, f64::max);
        let kpi = json!([[of_one.len(), least, greatest, of_one.last()]]);
        assert_eq!(rows(&stage, text).await, kpi);
        let text =
            "SELECT count, sum FROM aggregates WHERE signal = 'engine_rpm' AND entity_id = 'veh-0'";
        let hourly = json!([[of_one.len(), of_one.iter().sum::<f64>()]]);
        assert_eq!(rows(&stage, text).await, hourly);
        let booleans = "SELECT count(*) FROM points WHERE signal = 'brake_status' AND value = 1";
        assert_eq!(rows(&stage, booleans).await, json!([[5]]));
        stage.aggregate().await;
        stage.refresh().await;
    }
}

#[tokio::test]
async fn an_answer_comes_in_the_form_that_is_asked_for() {
    let mut stage = Stage::new(QuerySettings {
        max_rows: 3,
        ..QuerySettings::default()
    })
    .await;
    stage
        .land("2025-10-04T14:00:00Z", &texts(&readings(0, 5)))
        .await;
    stage.refresh().await;
    let text = "SELECT entity_id, engine_rpm, \"level\", event_time FROM vehicle ORDER BY event_time LIMIT 2";
    let answer = post(&stage, text).await;
    assert_eq!(
        answer.body,
        json!({
            "columns": [
                {"name": "entity_id", "type": "text"}, {"name": "engine_rpm", "type": "double precision"},
                {"name": "level", "type": "double precision"}, {"name": "event_time", "type": "timestamp with time zone"},
            ],
            "rows": [
                ["veh-0", 700.0, null, "2025-10-04T12:00:00.250Z"],
                ["veh-1", 3619.0, 1.0, "2025-10-04T12:00:01.250Z"],
            ],
            "truncated": false,
        })
    );
    assert!(answer.headers.contains_key("x-headwater-fresh-until"));
    let csv = post_as(&stage, "text/csv", text).await;
    let lines = "entity_id,engine_rpm,level,event_time\nveh-0,700.0,,2025-10-04T12:00:00.250Z\n\
                 veh-1,3619.0,1.0,2025-10-04T12:00:01.250Z\n";
    assert_eq!(csv.body, json!(lines));
    let lines = post_as(
        &stage,
        "application/x-ndjson",
        "SELECT 1 AS one, NULL AS none",
    )
    .await;
    assert_eq!(lines.body, json!({"one": 1, "none": null}));
    let arrow = post_as(&stage, "application/vnd.apache.arrow.stream", text).await;
    assert_eq!(arrow.status, StatusCode::OK);
    let cut = post(&stage, "SELECT engine_rpm FROM vehicle").await;
    assert_eq!(
        (
            cut.body["rows"].as_array().unwrap().len(),
            &cut.body["truncated"]
        ),
        (3, &json!(true))
    );
    // A form that cannot say so does not end as if that were all.
    for form in [
        "text/csv",
        "application/x-ndjson",
        "application/vnd.apache.arrow.stream",
    ] {
        let cut = post_as(&stage, form, "SELECT engine_rpm FROM vehicle").await;
        assert_eq!(cut.status, StatusCode::PAYLOAD_TOO_LARGE, "{form}");
        assert_eq!(cut.code(), "too_many_rows", "{form}");
        let whole = post_as(&stage, form, "SELECT engine_rpm FROM vehicle LIMIT 3").await;
        assert_eq!(whole.status, StatusCode::OK, "{form}");
    }
    assert_eq!(
        post_as(&stage, "image/png", text).await.status,
        StatusCode::BAD_REQUEST
    );
    let by_get = stage
        .ask("/v1/sql?q=SELECT%20count(*)%20FROM%20vehicle")
        .await;
    assert_eq!(by_get["rows"], json!([[5]]));
    let body = json!({"sql": "SELECT count(*) FROM vehicle WHERE entity_id = $1 AND engine_rpm > $2", "params": ["veh-1", 10]});
    let request = Request::post("/v1/sql")
        .header("x-api-key", KEY)
        .header("content-type", "application/json");
    let answer = stage
        .send_whole(request.body(Body::from(body.to_string())).unwrap())
        .await;
    assert_eq!(answer.body["rows"], json!([[2]]), "{answer:?}");
}

#[tokio::test]
async fn a_statement_without_an_answer_is_told_why() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    stage
        .land("2025-10-04T14:00:00Z", &texts(&readings(0, 5)))
        .await;
    stage.refresh().await;
    for (text, code, said) in [
        ("SELEC 1", "invalid_sql", "SELEC"),
        ("SELECT * FROM vehicles", "invalid_sql", "`vehicle`"),
        (
            "SELECT engine_rpn FROM vehicle",
            "invalid_sql",
            "`engine_rpm`",
        ),
        ("SELECT 1; SELECT 2", "invalid_sql", "2 statements"),
        ("", "invalid_sql", "no statement"),
        ("SELECT 'a'::int", "invalid_sql", "Cannot cast"),
        ("SELECT 1/0", "invalid_sql", "Divide by zero"),
        ("DROP TABLE vehicle", "read_only", "DROP TABLE"),
        ("INSERT INTO vehicle VALUES (1)", "read_only", "INSERT INTO"),
        ("COPY vehicle TO '/tmp/x.csv'", "read_only", "COPY"),
        (
            "SET datafusion.execution.batch_size = 1",
            "read_only",
            "SET",
        ),
        (
            "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
            "read_only",
            "CREATE EXTERNAL",
        ),
        ("SELECT * FROM '/etc/passwd'", "invalid_sql", "no table"),
        ("EXPLAIN DELETE FROM vehicle", "read_only", "DELETE FROM"),
    ] {
        let answer = post(&stage, text).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{text}: {answer:?}");
        assert_eq!(answer.code(), code, "{text}: {answer:?}");
        assert!(answer.message().contains(said), "{text}: {answer:?}");
    }
    let broken = post(&stage, "SELECT 1\nFROM vehicle WHERE )").await;
    assert_eq!(
        (
            &broken.body["error"]["line"],
            &broken.body["error"]["column"]
        ),
        (&json!(2), &json!(20)),
        "{broken:?}"
    );
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert_eq!(post(&stage, &deep).await.status, StatusCode::BAD_REQUEST);
    let long = format!("SELECT {}1", "1+".repeat(20_000));
    let answer = post(&stage, &long).await;
    assert!(answer.message().contains("20000 operators"), "{answer:?}");
    let longest = format!("SELECT {}1", "1+".repeat(200));
    assert_eq!(rows(&stage, &longest).await, json!([[201]]));
    let request = Request::post("/v1/sql?")
        .body(Body::from("SELECT 1"))
        .unwrap();
    assert_eq!(
        stage.send_whole(request).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_query_is_bounded_in_time_and_memory() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    stage
        .land("2025-10-04T14:00:00Z", &texts(&readings(0, 3_000)))
        .await;
    stage.refresh().await;
    let for_ever = "SELECT count(*) FROM generate_series(1, 1000000000000) AS t(n)";
    let body = json!({"sql": for_ever, "timeout": "200ms"}).to_string();
    let request = Request::post("/v1/sql")
        .header("x-api-key", KEY)
        .header("content-type", "application/json");
    let answer = stage
        .send_whole(request.body(Body::from(body)).unwrap())
        .await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::REQUEST_TIMEOUT, "timeout")
    );
    let large = "SELECT array_agg(a.event_id || b.event_id) FROM vehicle a, vehicle b";
    let answer = post(&stage, large).await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::PAYLOAD_TOO_LARGE, "too_much_memory"),
        "{answer:?}"
    );
    assert!(answer.message().contains("MEMORY_LIMIT"));
    assert_eq!(
        rows(&stage, "SELECT count(*) FROM vehicle").await,
        json!([[3000]])
    );
}
