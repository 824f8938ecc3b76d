//! Samples of metrics: their names are signals, in `raw/` and in `curated/` alike.

use query::http::QuerySettings;
use serde_json::{Value, json};

use crate::HOUR;
use crate::stage::Stage;

/// A sample of host `h-<n % 2>` in second `n` of the hour: of `cpu`, of `mem`, or of a name that is its own.
fn sample(n: u32) -> String {
    let name = match n % 3 {
        0 => "cpu".to_owned(),
        1 => "mem".to_owned(),
        _ => format!("own_{n}"),
    };
    json!({
        "event_id": format!("s-{n}"),
        "timestamp": 1_759_579_200_000_i64 + i64::from(n) * 1000,
        "name": name,
        "value": f64::from(n) / 2.0,
        "entity": format!("h-{}", n % 2),
        "tags": {"zone": "b"},
    })
    .to_string()
}

async fn check(stage: &Stage, until: u32) {
    let of_cpu: Vec<u32> = (0..until).filter(|n| n.is_multiple_of(3)).collect();
    let values: Vec<f64> = of_cpu.iter().map(|n| f64::from(*n) / 2.0).collect();
    let answer = stage
        .ask(&format!(
            "/query?name=cpu&{HOUR}&agg=count,sum,min,max,last"
        ))
        .await;
    let expected = json!({
        "count": values.len(), "sum": values.iter().sum::<f64>(), "min": 0.0,
        "max": values.last(), "last": values.last(),
    });
    assert_eq!(answer["points"][0]["values"], expected);
    assert_eq!(answer["points"][0]["kind"], "metric");

    let answer = stage.ask(&format!("/query?name=CPU&{HOUR}&limit=3")).await;
    let point = |n: u32| {
        json!({
            "timestamp": 1_759_579_200_000_i64 + i64::from(n) * 1000, "value": f64::from(n) / 2.0,
            "kind": "metric", "entity_id": format!("h-{}", n % 2),
        })
    };
    assert_eq!(answer["points"], json!([point(0), point(3), point(6)]));

    let path = format!("/query?name=cpu,mem&{HOUR}&step=10m&by=entity&agg=count");
    let answer = stage.ask(&path).await;
    let counted = answer["points"].as_array().unwrap().iter();
    let counted: u64 = counted.map(|point| point["value"].as_u64().unwrap()).sum();
    assert_eq!(counted as usize, (0..until).filter(|n| n % 3 < 2).count());

    let answer = stage
        .ask(&format!("/query?name=cpu&{HOUR}&entity=h-1&agg=count"))
        .await;
    let expected = of_cpu.iter().filter(|n| *n % 2 == 1).count();
    assert_eq!(answer["points"][0]["value"], expected);

    // A contract field and a signal.
    let answer = stage
        .ask(&format!(
            "/query?kind=metric&name=tags,own_2&{HOUR}&agg=count"
        ))
        .await;
    let points = answer["points"].as_array().unwrap();
    let counts: Vec<_> = points
        .iter()
        .map(|point| (&point["name"], &point["value"]))
        .collect();
    assert_eq!(
        counts,
        [
            (&json!("tags"), &json!(until)),
            (&json!("own_2"), &json!(1))
        ]
    );

    let kinds = stage.ask("/v1/kinds").await;
    let metric = kinds["kinds"]
        .as_array()
        .unwrap()
        .iter()
        .find(|kind| kind["name"] == "metric");
    let signals = metric.unwrap()["signals"].as_array().unwrap();
    assert_eq!(signals.len(), 2 + (0..until).filter(|n| n % 3 == 2).count());
    assert_eq!(signals[0]["name"], "cpu");

    let latest = stage.ask("/v1/latest?kind=metric&entity=h-0").await;
    let last = of_cpu.iter().rev().find(|n| n.is_multiple_of(2)).unwrap();
    let signals = &latest["entities"][0]["signals"];
    assert_eq!(signals["cpu"]["value"], f64::from(*last) / 2.0);

    let top = stage
        .ask("/v1/top?kind=metric&signal=cpu&agg=max&window=3h&n=1")
        .await;
    assert_eq!(top["entities"][0]["value"], json!(values.last()), "{top}");
}

#[tokio::test]
async fn the_names_of_metrics_are_asked_for_as_signals_are() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    let all: Vec<String> = (0..3_000).map(sample).collect();
    stage.land("2025-10-04T14:00:00Z", &all[..1_000]).await;
    stage.refresh().await;
    check(&stage, 1_000).await;
    stage.aggregate().await;
    stage.refresh().await;
    check(&stage, 1_000).await;
    stage.land("2025-10-04T14:01:00Z", &all[500..2_000]).await;
    stage.refresh().await;
    check(&stage, 2_000).await;
    stage.land("2025-10-04T14:02:00Z", &all[2_000..]).await;
    stage.aggregate().await;
    stage.restart();
    stage.refresh().await;
    check(&stage, 3_000).await;
}

#[tokio::test]
async fn a_name_that_no_sample_has_is_unknown_unless_the_kind_is_named() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    stage.land("2025-10-04T14:00:00Z", &[sample(0)]).await;
    stage.refresh().await;
    for _ in 0..2 {
        let unknown = stage.get(&format!("/query?name=cpy&{HOUR}")).await;
        assert_eq!(unknown.code(), "unknown_signal");
        assert!(unknown.message().contains("`cpu`"), "{unknown:?}");
        let none = stage
            .ask(&format!("/query?kind=metric&name=cpy&{HOUR}"))
            .await;
        assert_eq!(none["points"], Value::Array(Vec::new()));
        stage.aggregate().await;
        stage.refresh().await;
    }
}

#[tokio::test]
async fn more_names_than_a_part_tells_are_found_all_the_same() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    let text = |n: u32| {
        format!(
            r#"{{"event_id":"m-{n}","timestamp":"2025-10-04T12:00:00Z","name":"n_{n}","value":{n}}}"#
        )
    };
    let all: Vec<String> = (0..4_200).map(text).collect();
    stage.land("2025-10-04T14:00:00Z", &all).await;
    stage.aggregate().await;
    stage.refresh().await;
    let answer = stage.ask(&format!("/query?name=n_4100&{HOUR}")).await;
    assert_eq!(answer["points"][0]["value"], 4_100.0);
    let none = stage.ask(&format!("/query?name=n_4300&{HOUR}")).await;
    assert_eq!(none["points"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn counters_grow_by_series_also_over_the_edges_of_buckets() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    // Each 30 s, of 200 by 60, of 500 by 30 until the counter starts again at 0 after an hour and a half.
    let sample = |n: u32| {
        let time = 1_759_579_200_000_i64 + i64::from(n) * 30_000;
        let one = |code: u32, value: u32| {
            json!({
                "event_id": format!("{code}-{n}"), "timestamp": time, "name": "requests", "value": value,
                "entity": "shop", "tags": {"code": code.to_string()},
            })
            .to_string()
        };
        [one(200, n * 60), one(500, n % 180 * 30)]
    };
    let all: Vec<String> = (0..240).flat_map(sample).collect();
    stage.land("2025-10-04T14:00:00Z", &all[..200]).await;
    stage.aggregate().await;
    stage.land("2025-10-04T14:01:00Z", &all[100..]).await;
    stage.refresh().await;
    let whole = "start=2025-10-04T12:00:00Z&end=2025-10-04T14:00:00Z";
    for _ in 0..2 {
        let answer = stage
            .ask(&format!(
                "/query?name=requests&{whole}&agg=increase,rate,count"
            ))
            .await;
        // From the first value to the last: 239 steps, of which one of 500 is the restart.
        let increase = 239.0 * 60.0 + 238.0 * 30.0;
        let expected = json!({"increase": increase, "rate": increase / 7200.0, "count": 480});
        assert_eq!(answer["points"][0]["values"], expected);

        let hourly = format!("/query?name=requests&{whole}&step=1h&by=entity&agg=rate&limit=1");
        let first = stage.ask(&hourly).await;
        let of_first = 119.0 * 90.0 / 3600.0;
        assert_eq!(first["points"][0]["value"], of_first);
        let next = first["next"].as_str().unwrap();
        let second = stage.ask(&format!("{hourly}&cursor={next}")).await;
        let of_second = (120.0 * 60.0 + 119.0 * 30.0) / 3600.0;
        assert_eq!(second["points"][0]["value"], of_second);
        assert_eq!(second["next"], Value::Null);

        let top = "/v1/top?kind=metric&signal=requests&agg=rate&window=1h&end=2025-10-04T13:00:00Z";
        let top = stage.ask(top).await;
        let expected = json!([{"entity_id": "shop", "value": of_first, "count": 240}]);
        assert_eq!(top["entities"], expected);
        let alone = format!("/query?name=requests&{whole}&step=30s&agg=increase&limit=2");
        let alone = stage.ask(&alone).await;
        let values = alone["points"].as_array().unwrap();
        let values: Vec<_> = values.iter().map(|point| &point["value"]).collect();
        // Nothing comes before the first values.
        assert_eq!(values, [&Value::Null, &json!(90.0)]);
        stage.aggregate().await;
        stage.refresh().await;
    }
}

#[tokio::test]
async fn kinds_say_what_senders_told_of_a_metric() {
    let mut stage = Stage::new(QuerySettings::default()).await;
    let info = json!({
        "kind": "metric_info", "name": "requests", "timestamp": "2025-10-04T00:00:00Z",
        "info": {"type": "counter", "unit": "1", "description": "Requests that were answered."},
    });
    let sample = json!({"event_id": "1", "name": "requests_total", "value": 1, "timestamp": "2025-10-04T13:00:00Z"});
    let lines = [info.to_string(), sample.to_string()];
    stage.land("2025-10-04T14:00:00Z", &lines).await;
    stage.refresh().await;
    let kinds = stage.ask("/v1/kinds").await;
    let kinds = kinds["kinds"].as_array().unwrap();
    let metric = kinds.iter().find(|kind| kind["name"] == "metric").unwrap();
    let expected = json!([{
        "name": "requests_total", "declared": false, "unit": "1", "description": "Requests that were answered.",
        "metric_type": "counter",
    }]);
    assert_eq!(metric["signals"], expected);
}
