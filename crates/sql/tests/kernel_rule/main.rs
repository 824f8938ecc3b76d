//! Aggregations by the kernels equal those of DataFusion's own plans, in values, types and names; and what the kernels
//! cannot answer is left to DataFusion.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../landing/mod.rs"]
mod landing;
mod stage;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use serde_json::json;
use stage::Stage;

/// An event of a vehicle, `second` after 2025-10-04T12:00.
#[derive(Debug, Clone)]
struct Event {
    vehicle: u8,
    second: u32,
    rpm: Option<i32>,
    speed: Option<f64>,
    brake: Option<bool>,
    note: Option<String>,
}

fn event() -> impl Strategy<Value = Event> {
    let values = (
        prop::option::of(0..8000_i32),
        prop::option::of(0.0..250.0_f64),
        prop::option::of(any::<bool>()),
        prop::option::of("[a-c]{1,2}"),
    );
    (0..4_u8, 0..7200_u32, values).prop_map(|(vehicle, second, (rpm, speed, brake, note))| Event {
        vehicle,
        second,
        rpm,
        speed,
        brake,
        note,
    })
}

impl Event {
    fn text(&self) -> String {
        let mut payload = json!({"gear": 1});
        let mut set = |name: &str, value: Option<serde_json::Value>| {
            if let Some(value) = value {
                payload[name] = value;
            }
        };
        set("engine_rpm", self.rpm.map(|rpm| json!(rpm)));
        set("vehicle_speed_kmh", self.speed.map(|speed| json!(speed)));
        set("brake_status", self.brake.map(|brake| json!(brake)));
        set("note", self.note.clone().map(|note| json!(note)));
        let (hour, minute, second) = (
            12 + self.second / 3600,
            self.second / 60 % 60,
            self.second % 60,
        );
        json!({
            "timestamp": format!("2025-10-04T{hour}:{minute:02}:{second:02}.250Z"),
            "vehicle_id": format!("veh-{}", self.vehicle),
            "can_id": "0x1F0",
            "payload": payload,
        })
        .to_string()
    }
}

/// Answered by the kernels.
const BY_KERNELS: [&str; 22] = [
    "SELECT count(*) FROM vehicle",
    "SELECT count(*), count(engine_rpm), avg(engine_rpm), min(engine_rpm), max(engine_rpm), sum(engine_rpm), stddev(engine_rpm) FROM vehicle",
    "SELECT count(note), count(brake_status), count(event_time) FROM vehicle",
    "SELECT entity_id, avg(engine_rpm) AS rpm FROM vehicle GROUP BY entity_id ORDER BY rpm DESC LIMIT 2",
    "SELECT DISTINCT entity_id FROM vehicle",
    "SELECT floor(extract(epoch from event_time)/300)*300 AS time, avg(engine_rpm) FROM vehicle WHERE event_time BETWEEN '2025-10-04T12:10:00Z' AND '2025-10-04T13:20:00Z' GROUP BY time ORDER BY time",
    "SELECT floor(extract(epoch from event_time)/60)*60 AS time, entity_id AS metric, max(vehicle_speed_kmh) AS speed FROM vehicle WHERE event_time >= '2025-10-04T12:10:00.250Z' AND event_time < '2025-10-04T13:20:00.25Z' GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT date_bin(INTERVAL '10 minutes', event_time) AS t, count(*), min(engine_rpm) FROM vehicle GROUP BY t",
    "SELECT date_trunc('hour', event_time) AS t, entity_id, stddev(vehicle_speed_kmh) FROM vehicle GROUP BY t, entity_id",
    "SELECT date_trunc('minute', event_time) AS t, count(engine_rpm) FROM vehicle WHERE entity_id = 'veh-1' GROUP BY t",
    "SELECT entity_id, count(*) FROM vehicle WHERE entity_id LIKE 'veh-%' GROUP BY entity_id",
    "SELECT entity_id, count(*) FROM vehicle WHERE event_time > TIMESTAMP '2025-10-04T12:59:59' AND entity_id LIKE 'x%' GROUP BY entity_id",
    "SELECT count(*), max(engine_rpm), sum(engine_rpm) FROM vehicle WHERE event_time < '2020-01-01T00:00:00Z'",
    "SELECT max(engine_rpm) - min(engine_rpm) AS spread, avg(engine_rpm) * 2 FROM vehicle",
    "SELECT entity_id, avg(engine_rpm) FROM vehicle GROUP BY entity_id HAVING count(*) > 3 AND avg(engine_rpm) > 1000",
    "SELECT v.entity_id, avg(v.engine_rpm) FROM vehicle AS v WHERE v.event_time >= '2025-10-04T12:30:00Z' GROUP BY v.entity_id",
    "WITH e AS (SELECT entity_id AS id, engine_rpm AS rpm FROM vehicle) SELECT id, avg(rpm), max(rpm) FROM e GROUP BY id",
    "SELECT avg(m) FROM (SELECT entity_id, max(engine_rpm) AS m FROM vehicle GROUP BY entity_id) AS x",
    "SELECT percentile_cont(0.9) WITHIN GROUP (ORDER BY engine_rpm) FROM vehicle",
    "SELECT entity_id, median(vehicle_speed_kmh) FROM vehicle GROUP BY entity_id",
    "SELECT a.entity_id, a.n, b.n FROM (SELECT entity_id, count(*) AS n FROM vehicle GROUP BY entity_id) a JOIN (SELECT entity_id, count(engine_rpm) AS n FROM vehicle GROUP BY entity_id) b ON a.entity_id = b.entity_id",
    "SELECT to_char(t, '%H:%M'), n FROM (SELECT date_trunc('hour', event_time) AS t, count(*) AS n FROM vehicle GROUP BY t) AS x",
];

/// Not of a form that the kernels know.
const PLAIN: [&str; 16] = [
    "SELECT count(DISTINCT entity_id) FROM vehicle WHERE engine_rpm > 1000",
    "SELECT avg(engine_rpm) FROM vehicle WHERE engine_rpm > 1000",
    "SELECT avg(engine_rpm) FROM vehicle WHERE entity_id = 'veh-1' OR entity_id = 'veh-2'",
    "SELECT avg(engine_rpm) FROM vehicle WHERE entity_id LIKE '%1'",
    "SELECT avg(engine_rpm) FROM vehicle WHERE entity_id LIKE 'veh_1%'",
    "SELECT avg(engine_rpm) FROM vehicle WHERE entity_id NOT LIKE 'veh-1%'",
    "SELECT avg(engine_rpm) FILTER (WHERE engine_rpm > 100) FROM vehicle",
    "SELECT avg(engine_rpm + 1) FROM vehicle",
    "SELECT max(note) FROM vehicle",
    "SELECT note, count(*) FROM vehicle GROUP BY note",
    "SELECT sum(DISTINCT engine_rpm) FROM vehicle",
    "SELECT date_trunc('week', event_time) AS t, count(*) FROM vehicle GROUP BY t",
    "SELECT date_bin(INTERVAL '1 month', event_time) AS t, count(*) FROM vehicle GROUP BY t",
    "SELECT extract(minute from event_time) AS m, count(*) FROM vehicle GROUP BY m",
    "SELECT floor(extract(epoch from event_time)/0.5)*0.5 AS t, count(*) FROM vehicle GROUP BY t",
    "SELECT count(engine_rpm) FROM (SELECT engine_rpm FROM vehicle LIMIT 3) AS x",
];

/// Rows as texts in order, numbers apart.
type Rows = Vec<(Vec<String>, Vec<Option<f64>>)>;

async fn answer(context: &SessionContext, sql: &str) -> (Vec<(String, DataType)>, Rows) {
    let frame = context
        .sql(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let field = |field: &std::sync::Arc<Field>| (field.name().clone(), field.data_type().clone());
    let fields = frame.schema().fields().iter().map(field).collect();
    let batches = frame
        .collect()
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut rows: Rows = batches.iter().flat_map(rows_of).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.partial_cmp(&b.1).unwrap()));
    (fields, rows)
}

fn rows_of(batch: &RecordBatch) -> Rows {
    let row = |at: usize| {
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        for column in batch.columns() {
            match column.as_primitive_opt::<Float64Type>() {
                Some(column) => numbers.push(column.is_valid(at).then(|| column.value(at))),
                None => texts.push(array_value_to_string(column, at).unwrap()),
            }
        }
        (texts, numbers)
    };
    (0..batch.num_rows()).map(row).collect()
}

async fn plan(context: &SessionContext, sql: &str) -> String {
    let frame = context.sql(&format!("EXPLAIN {sql}")).await.unwrap();
    let batches = frame.collect().await.unwrap();
    let texts = batches.iter().flat_map(|batch| {
        let texts = batch.column(1).as_string::<i32>();
        texts
            .iter()
            .flatten()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    texts.collect::<Vec<_>>().join("\n")
}

async fn check(context: &SessionContext, plain: &SessionContext, sql: &str) {
    let (by_kernels, expected) = (answer(context, sql).await, answer(plain, sql).await);
    assert_eq!(by_kernels.0, expected.0, "{sql}");
    assert_eq!(by_kernels.1.len(), expected.1.len(), "{sql}");
    for (one, two) in by_kernels.1.iter().zip(&expected.1) {
        assert_eq!(one.0, two.0, "{sql}");
        // DataFusion rounds the way between the two ranks of a percentile to a millionth of it.
        let rounded = if sql.contains("percentile_cont") {
            0.01
        } else {
            0.0
        };
        for (one, two) in one.1.iter().zip(&two.1) {
            let close = match (one, two) {
                (Some(one), Some(two)) => (one - two).abs() <= rounded + 1e-9 * two.abs().max(1.0),
                (one, two) => one == two,
            };
            assert!(close, "{sql}: {one:?} {two:?}");
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

fn texts(events: &[Event]) -> Vec<String> {
    events.iter().map(Event::text).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn the_kernels_answer_as_datafusion_does(
        parts in prop::collection::vec(event(), 1..120),
        hot in prop::collection::vec(event(), 0..60),
        takes_filters in any::<bool>(),
    ) {
        block_on(async {
            let mut stage = Stage::new().await;
            stage.land(&texts(&parts)).await;
            stage.commit().await;
            // A column may be in no part, and in no hot row.
            let mut all = texts(&hot);
            all.push(r#"{"timestamp":"2025-10-04T12:00:00Z","vehicle_id":"veh-0","can_id":"0x1F0","payload":{"engine_rpm":1,"vehicle_speed_kmh":2,"brake_status":true,"note":"n"}}"#.to_owned());
            stage.land(&all).await;
            let (context, plain) = stage.contexts(takes_filters).await;
            for sql in BY_KERNELS.iter().chain(&PLAIN) {
                check(&context, &plain, sql).await;
            }
        });
    }
}

#[test]
fn plans_show_which_of_the_two_answers() {
    block_on(async {
        let mut stage = Stage::new().await;
        let event = Event {
            vehicle: 1,
            second: 7,
            rpm: Some(800),
            speed: Some(1.5),
            brake: Some(true),
            note: Some("a".to_owned()),
        };
        stage.land(&texts(&[event])).await;
        for takes_filters in [true, false] {
            let (context, plain) = stage.contexts(takes_filters).await;
            for sql in BY_KERNELS {
                let with_rule = plan(&context, sql).await;
                assert!(
                    with_rule.contains("KernelExec: kind=vehicle"),
                    "{sql}: {with_rule}"
                );
                assert!(!with_rule.contains("DataSourceExec"), "{sql}: {with_rule}");
                assert!(!plan(&plain, sql).await.contains("KernelExec"));
            }
            for sql in PLAIN {
                let with_rule = plan(&context, sql).await;
                assert!(!with_rule.contains("KernelExec"), "{sql}: {with_rule}");
            }
        }
    });
}

#[test]
fn approximate_percentiles_are_near_the_values_of_their_ranks() {
    block_on(async {
        let mut stage = Stage::new().await;
        let event = |n: u32| Event {
            vehicle: 0,
            second: n,
            rpm: Some((n * 7919 % 5000) as i32),
            speed: None,
            brake: None,
            note: None,
        };
        let events: Vec<Event> = (0..3000).map(event).collect();
        stage.land(&texts(&events)).await;
        let (context, _) = stage.contexts(true).await;
        let sql =
            "SELECT approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY engine_rpm) FROM vehicle";
        assert!(plan(&context, sql).await.contains("KernelExec"));
        let found = answer(&context, sql).await.1[0].1[0].unwrap();
        let mut values: Vec<f64> = events
            .iter()
            .map(|event| f64::from(event.rpm.unwrap()))
            .collect();
        values.sort_by(f64::total_cmp);
        let exact = contract::percentile(&values, 0.95).unwrap();
        assert!((found - exact).abs() <= 0.01 * exact, "{found} for {exact}");
    });
}
