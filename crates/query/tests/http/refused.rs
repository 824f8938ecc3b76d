//! Requests without an answer, and a lake with little in it.

use aws::Condition;
use axum::http::{Request, StatusCode};
use query::http::QuerySettings;
use serde_json::json;

use crate::stage::{KEY, Stage};
use crate::{HOUR, readings, texts};

#[tokio::test]
async fn nobody_reads_without_a_key() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    stage.refresh().await;
    let paths = [
        "/query?name=engine_rpm",
        "/v1/kinds",
        "/v1/entities?kind=cell",
        "/v1/latest?kind=cell",
        "/v1/top?kind=cell&signal=cqi",
    ];
    for path in paths {
        let none = stage.send(Request::get(path)).await;
        assert_eq!(
            (none.status, none.code()),
            (StatusCode::UNAUTHORIZED, "missing_api_key"),
            "{path}"
        );
        assert!(none.headers.contains_key("www-authenticate"));
        let wrong = stage
            .send(Request::get(path).header("x-api-key", "no-key-of-ours"))
            .await;
        assert_eq!(wrong.code(), "wrong_api_key");
        let bearer = Request::get(path).header("authorization", format!("Bearer {KEY}"));
        assert_eq!(stage.send(bearer).await.status, StatusCode::OK, "{path}");
        let both = Request::get(path)
            .header("authorization", "Bearer a")
            .header("x-api-key", KEY);
        assert_eq!(stage.send(both).await.code(), "several_api_keys");
    }
    for path in [
        "/",
        "/health",
        "/docs/",
        "/docs/query.json",
        "/openapi.json",
    ] {
        assert_eq!(
            stage.send(Request::get(path)).await.status,
            StatusCode::OK,
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_with_what_could() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    stage
        .land("2025-10-04T13:00:01Z", &texts(&readings(0, 10)))
        .await;
    stage.refresh().await;
    for (path, code, said) in [
        ("/query", "invalid_parameter", "name"),
        (
            "/query?name=engine_rpm&nam=x",
            "invalid_parameter",
            "unknown field `nam`",
        ),
        (
            "/query?name=engine_rpm&name=gear",
            "invalid_parameter",
            "duplicate field `name`",
        ),
        ("/query?name=engin_rpm", "unknown_signal", "`engine_rpm`"),
        (
            "/query?name=engine_rpm,gaer",
            "unknown_signal",
            "no signal `gaer`: the nearest are `gear`",
        ),
        (
            "/query?name=engine_rpm&kind=cell",
            "unknown_signal",
            "no signal `engine_rpm` of kind `cell`",
        ),
        (
            "/query?name=a;DROP%20TABLE%20x&kind=cell",
            "unknown_signal",
            "DROP TABLE",
        ),
        (
            "/query?name=engine_rpm&kind=boat",
            "unknown_kind",
            "the kinds are vehicle, cell",
        ),
        (
            "/query?name=engine_rpm&start=yesterday",
            "invalid_parameter",
            "`start` is `yesterday`",
        ),
        (
            "/query?name=engine_rpm&start=9e99",
            "invalid_parameter",
            "`start` is `9e99`",
        ),
        (
            "/query?name=engine_rpm&start=20&end=10",
            "invalid_parameter",
            "lies after",
        ),
        (
            "/query?name=engine_rpm&step=300",
            "invalid_parameter",
            "`5m`",
        ),
        (
            "/query?name=engine_rpm&agg=median",
            "invalid_parameter",
            "p50",
        ),
        (
            "/query?name=engine_rpm&by=colour",
            "invalid_parameter",
            "`entity`",
        ),
        (
            "/query?name=engine_rpm&limit=0",
            "invalid_parameter",
            "MAX_ROWS",
        ),
        (
            "/query?name=engine_rpm&limit=100001",
            "invalid_parameter",
            "100000",
        ),
        (
            "/query?name=engine_rpm&cursor=1.2.3",
            "invalid_parameter",
            "`next`",
        ),
        (
            "/query?name=engine_rpm&cursor=1.2.gear.vehicle.a",
            "invalid_parameter",
            "`next`",
        ),
        (
            "/query?name=engine_rpm&timeout=soon",
            "invalid_parameter",
            "`30s`",
        ),
        (
            "/v1/top?kind=vehicle&signal=*",
            "invalid_parameter",
            "one signal",
        ),
        (
            "/v1/top?kind=vehicle&signal=gear&n=0",
            "invalid_parameter",
            "`n` is `0`",
        ),
        ("/v1/latest?kind=boat", "unknown_kind", "vehicle, cell"),
        ("/v1/entities?kind=boat", "unknown_kind", "vehicle, cell"),
    ] {
        let answer = stage.get(path).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, code),
            "{path}: {answer:?}"
        );
        assert!(
            answer.message().contains(said),
            "{path}: {}",
            answer.message()
        );
    }
    assert_eq!(stage.get("/quarry").await.code(), "unknown_route");
    let post = stage
        .send(Request::post("/query").header("x-api-key", KEY))
        .await;
    assert_eq!(post.code(), "method_not_allowed");
}

#[tokio::test]
async fn a_lake_without_events_answers_with_no_points() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    let starting = stage.get("/query?name=engine_rpm").await;
    assert_eq!(
        (starting.status, starting.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "starting")
    );
    assert_eq!(starting.headers["retry-after"], "1");
    assert_eq!(stage.get("/health").await.body["status"], "starting");
    stage.refresh().await;
    assert_eq!(stage.get("/health").await.body["status"], "healthy");
    let answer = stage
        .get("/query?name=engine_rpm&start=0&end=1790000000&step=1h")
        .await;
    assert_eq!(
        answer.body,
        json!({"name": "engine_rpm", "points": [], "next": null})
    );
    let fresh = answer.headers["x-headwater-fresh-until"].to_str().unwrap();
    assert!(fresh.starts_with("2025-10-04T14:3"), "{fresh}");
    let empty = stage.ask("/query?name=engine_rpm&start=10&end=10").await;
    assert_eq!(empty["points"], json!([]));
    // Of one kind there are events, and of the other there are none.
    stage
        .land("2025-10-04T13:00:01Z", &texts(&readings(0, 10)))
        .await;
    stage.aggregate().await;
    stage.refresh().await;
    let none = stage
        .ask(&format!("/query?name=cqi&{HOUR}&agg=count"))
        .await;
    assert_eq!(none["points"], json!([]));
}

#[tokio::test]
async fn a_part_that_was_replaced_is_read_again_and_a_broken_one_is_named() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    stage
        .land("2025-10-04T13:00:01Z", &texts(&readings(0, 100)))
        .await;
    stage.aggregate().await;
    stage.refresh().await;
    let count = format!("/query?name=engine_rpm&{HOUR}&agg=count");
    assert_eq!(stage.ask(&count).await["points"][0]["value"], 100);
    let parts = stage.lake.list("curated/", None).await.unwrap();
    let key = &parts[0].key;
    let part = stage.lake.get(key).await.unwrap().unwrap().body;
    // The same rows in another file.
    let rows = lake::parts::read(&stage.lake, key).await.unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    let other = writer.into_inner().unwrap();
    let replace = |body: bytes::Bytes| {
        let kind = "application/vnd.apache.parquet";
        stage
            .lake
            .put(key, body, kind, Default::default(), Condition::Always)
    };
    replace(other.into()).await.unwrap();
    // Other columns than before, so that nothing comes from memory.
    let by_entity = format!("{count}&by=entity");
    assert_eq!(
        stage.ask(&by_entity).await["points"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    replace(part).await.unwrap();
    assert_eq!(
        stage.ask(&format!("{count},last")).await["points"][0]["values"]["count"],
        100
    );
    replace(bytes::Bytes::from_static(b"no part at all"))
        .await
        .unwrap();
    stage.restart();
    stage.refresh().await;
    let broken = stage.get(&count).await;
    assert_eq!(
        (broken.status, broken.code()),
        (StatusCode::INTERNAL_SERVER_ERROR, "part_broken")
    );
    assert!(broken.message().contains(key.as_str()), "{broken:?}");
}

#[tokio::test]
async fn more_groups_than_the_bound_are_refused_with_its_name() {
    let settings = QuerySettings {
        max_groups: 5,
        ..QuerySettings::default()
    };
    let mut stage = Stage::new(settings).await;
    stage
        .land("2025-10-04T13:00:01Z", &texts(&readings(0, 100)))
        .await;
    stage.refresh().await;
    let answer = stage
        .get(&format!("/query?name=engine_rpm&{HOUR}&step=1s"))
        .await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::PAYLOAD_TOO_LARGE, "too_many_groups")
    );
    assert!(answer.message().contains("MAX_GROUPS"), "{answer:?}");
    stage
        .ask(&format!("/query?name=engine_rpm&{HOUR}&by=entity"))
        .await;
}

#[tokio::test]
async fn the_document_has_every_route_and_every_schema() {
    let stage = Stage::new(QuerySettings::default()).await;
    let document = stage.ask("/openapi.json").await;
    for path in [
        "/query",
        "/v1/kinds",
        "/v1/entities",
        "/v1/latest",
        "/v1/top",
        "/health",
    ] {
        assert!(
            document["paths"][path]["get"]["description"].is_string()
                || document["paths"][path]["get"]["summary"].is_string(),
            "{path}"
        );
    }
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
}
