//! Answers from `aggregates/` equal those from events, whatever happens to the lake in between.

use serde_json::{Value, json};

use crate::stage::Stage;
use crate::{readings, texts};
use query::http::QuerySettings;

const QUESTIONS: [&str; 6] = [
    "/query?name=engine_rpm,level,brake_status&start=2025-10-04T12:00:00Z&end=2025-10-04T13:00:00Z&agg=count,min,max,avg,sum,stddev",
    "/query?name=engine_rpm&start=2025-10-04T11:59:00Z&end=2025-10-04T14:00:00Z&step=1h&by=entity&agg=count,min,max,avg",
    "/query?name=engine_rpm&start=2025-10-04T00:00:00Z&end=2025-10-05T00:00:00Z&step=1d&agg=p50,p95,p99,count",
    "/query?name=engine_rpm&start=2025-10-04T12:10:00Z&end=2025-10-04T13:00:00Z&agg=count,max",
    "/query?name=*&start=2025-10-04T12:00:00Z&end=2025-10-04T13:00:00Z&agg=count",
    "/v1/top?kind=vehicle&signal=engine_rpm&agg=sum&window=3h&end=2025-10-04T14:00:00Z",
];

/// Asks the questions of events alone, and as they are.
async fn check(stage: &Stage) {
    for question in QUESTIONS {
        let (fast, exact) = (
            stage.ask(question).await,
            stage.ask(&format!("{question}&exact=true")).await,
        );
        same(question, &fast, &exact);
    }
}

/// Whether numbers are near to each other, and all else is the same; only the fast answer may be approximate.
fn same(question: &str, fast: &Value, exact: &Value) {
    match (fast, exact) {
        (Value::Object(fast), Value::Object(exact)) => {
            let names = |object: &serde_json::Map<String, Value>| {
                let names = object.keys().filter(|name| *name != "approximate");
                names.cloned().collect::<Vec<_>>()
            };
            assert_eq!(names(fast), names(exact), "{question}");
            assert!(!exact.contains_key("approximate"));
            for (name, value) in fast.iter().filter(|(name, _)| *name != "approximate") {
                if ["p50", "p95", "p99"].contains(&name.as_str()) {
                    let (fast, exact) = (value.as_f64().unwrap(), exact[name].as_f64().unwrap());
                    // The two values next to the rank are each told to within 0.4 %.
                    assert!((fast - exact).abs() <= 0.01 * exact, "{fast} for {exact}");
                } else {
                    same(question, value, &exact[name]);
                }
            }
        }
        (Value::Array(fast), Value::Array(exact)) => {
            assert_eq!(fast.len(), exact.len(), "{question}: {fast:?} {exact:?}");
            let pairs = fast.iter().zip(exact);
            pairs.for_each(|(fast, exact)| same(question, fast, exact));
        }
        (Value::Number(fast), Value::Number(exact)) => {
            let (fast, exact) = (fast.as_f64().unwrap(), exact.as_f64().unwrap());
            let close = (fast - exact).abs() <= 1e-9 * exact.abs().max(1.0);
            assert!(close, "{question}: {fast} for {exact}");
        }
        (fast, exact) => assert_eq!(fast, exact, "{question}"),
    }
}

/// Makes the hour's aggregates tell too many values, to see whether they are read.
async fn spoil(stage: &Stage) {
    let hour = contract::Hour::of("2025-10-04T12:00:00Z".parse().unwrap());
    let key = contract::aggregate_key(hour, "vehicle", "parquet");
    let object = stage.lake.get(&key).await.unwrap().unwrap();
    let commit = lake::aggregates::counted_through(&object.metadata);
    let mut aggregates = lake::aggregates::from_parquet(object.body).unwrap();
    for entity in &mut aggregates.entities {
        entity
            .signals
            .iter_mut()
            .for_each(|(_, stats)| stats.count += 1000);
    }
    let kinds = contract::Kinds::builtin();
    let kind = kinds.get("vehicle").unwrap();
    let file = lake::aggregates::AggregateFile::of(&aggregates, kind, hour);
    let put = stage.lake.put(
        &key,
        file.to_parquet(commit).unwrap(),
        "application/vnd.apache.parquet",
        object.metadata,
        aws::Condition::Always,
    );
    put.await.unwrap();
}

#[tokio::test]
async fn answers_from_aggregates_equal_those_from_events() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    let all = readings(0, 3600);
    stage
        .land("2025-10-04T13:00:01Z", &texts(&all[..2000]))
        .await;
    stage.refresh().await;
    check(&stage).await;
    stage.aggregate().await;
    check(&stage).await;
    stage.refresh().await;
    check(&stage).await;
    // Late events of the hour, hot and then committed.
    stage
        .land("2025-10-04T13:30:01Z", &texts(&all[1900..3000]))
        .await;
    stage.refresh().await;
    check(&stage).await;
    stage.aggregate().await;
    // The snapshot is older than the aggregates.
    check(&stage).await;
    stage.refresh().await;
    check(&stage).await;
    stage
        .land("2025-10-04T14:00:01Z", &texts(&all[3000..]))
        .await;
    stage.refresh().await;
    check(&stage).await;
    let hour = contract::Hour::of("2025-10-04T12:00:00Z".parse().unwrap());
    stage.rebuild(hour, hour.next()).await;
    check(&stage).await;
    stage.refresh().await;
    check(&stage).await;
    // That they were read at all, and not with `exact`.
    spoil(&stage).await;
    stage.restart();
    stage.refresh().await;
    let whole = QUESTIONS[3].replace("12:10", "12:00");
    let count = async |exact: &str| {
        let path = format!("{whole}{exact}");
        stage.ask(&path).await["points"][0]["values"]["count"].clone()
    };
    assert_eq!(count("&exact=true").await, json!(3600));
    assert_eq!(count("").await, json!(6600));
}

#[tokio::test]
async fn exact_is_true_or_false() {
    let stage = Stage::new(QuerySettings::default()).await;
    let answer = stage.get("/query?name=engine_rpm&exact=yes").await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (400, "invalid_parameter")
    );
}
