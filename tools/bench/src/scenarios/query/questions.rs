//! The questions, in the words of the service and of other engines.

use std::ops::Range;

use chrono::{DateTime, TimeDelta, Utc};
use contract::format_millis;
use serde_json::Value;

use crate::made_lake::{HOURS, SIGNALS, hour};

/// The vehicle of the question about one.
const VEHICLE: &str = "veh-00042";

/// How a question is put to the service.
#[derive(Debug)]
pub(super) enum Request {
    /// `GET` of this path.
    Get(String),
    /// `POST /v1/sql` of this text.
    Sql(String),
}

/// What holds for the ratio to the better of the other engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Answered by the kernels: 0.6 at most.
    Kernels,
    /// Answered from the statistics of whole hours: 0.6 at most, of engines that have the events only.
    Hours,
    /// Other SQL: 2 at most, and 1.3 in the median.
    Other,
}

/// A question.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) request: Request,
    pub(super) kind: Kind,
    /// For DuckDB, whose answer has the same figures.
    pub(super) duckdb: String,
    /// For chDB; none where it is not asked.
    pub(super) chdb: Option<String>,
    /// What the answer of the service is in figures.
    pub(super) figures: fn(&Value) -> Option<Vec<f64>>,
}

fn values(answer: &Value) -> Option<Vec<f64>> {
    let points = answer["points"].as_array()?.iter();
    points.map(|point| point["value"].as_f64()).collect()
}

fn four_values(answer: &Value) -> Option<Vec<f64>> {
    let points = answer["points"].as_array()?.iter();
    let four = ["avg", "min", "max", "count"];
    let values = points.flat_map(|point| four.map(|of| point["values"][of].as_f64()));
    values.collect()
}

fn top_values(answer: &Value) -> Option<Vec<f64>> {
    let entities = answer["entities"].as_array()?.iter();
    entities.map(|entity| entity["value"].as_f64()).collect()
}

/// The numbers of the rows, in order.
fn sql_values(answer: &Value) -> Option<Vec<f64>> {
    let rows = answer["rows"].as_array()?.iter();
    let cells = rows.filter_map(Value::as_array).flatten();
    Some(cells.filter_map(Value::as_f64).collect())
}

/// All of them, about a lake that begins at `start`.
pub(super) fn questions(start: DateTime<Utc>) -> Vec<Question> {
    let end = start + TimeDelta::hours(i64::from(HOURS));
    let (day, noon) = (start..end, hour(start, 12));
    let mut all = by_path(&day, &noon);
    all.extend(by_kernels(&day, &noon));
    all.extend(other(&day, &noon));
    all
}

fn times(range: &Range<DateTime<Utc>>) -> String {
    let (start, end) = (format_millis(range.start), format_millis(range.end));
    format!("start={start}&end={end}")
}

/// The same range as a condition of SQL.
fn within(range: &Range<DateTime<Utc>>) -> String {
    let (start, end) = (format_millis(range.start), format_millis(range.end));
    format!("event_time >= '{start}' AND event_time < '{end}'")
}

/// The hour's partition, which DuckDB does not find by the time.
fn partition(range: &Range<DateTime<Utc>>) -> String {
    let names = [
        ("year", "%Y"),
        ("month", "%m"),
        ("day", "%d"),
        ("hour", "%H"),
    ];
    let columns = names.map(|(name, form)| format!("{name} = '{}'", range.start.format(form)));
    columns.join(" AND ")
}

fn by_path(day: &Range<DateTime<Utc>>, noon: &Range<DateTime<Utc>>) -> Vec<Question> {
    let all = SIGNALS.join(",");
    let (of_day, of_noon, end) = (times(day), times(noon), format_millis(day.end));
    let signals = format!("/query?kind=vehicle&name={all}&agg=avg,min,max,count&{of_day}");
    let top = format!("/v1/top?kind=vehicle&signal=engine_rpm&window={HOURS}h&n=10&end={end}");
    let question = |name, kind, path: String, figures, sql: (String, Option<String>)| Question {
        name,
        request: Request::Get(path),
        kind,
        duckdb: sql.0,
        chdb: sql.1,
        figures,
    };
    let four = || {
        let sql = format!("SELECT {} FROM vehicle", four_of_each());
        (sql.clone(), Some(sql))
    };
    let ten = || {
        let sql = "SELECT avg(engine_rpm) FROM vehicle GROUP BY entity_id \
                   ORDER BY avg(engine_rpm) DESC, entity_id LIMIT 10";
        (sql.to_owned(), Some(sql.to_owned()))
    };
    let buckets = |bucket: &str| {
        format!("SELECT avg(engine_rpm) FROM vehicle GROUP BY {bucket} ORDER BY {bucket}")
    };
    let of_vehicle = format!(
        "SELECT engine_rpm FROM vehicle WHERE {} AND entity_id = '{VEHICLE}' AND {} ORDER BY event_time",
        partition(noon),
        within(noon)
    );
    vec![
        question(
            "signals",
            Kind::Kernels,
            format!("{signals}&exact=true"),
            four_values,
            four(),
        ),
        question("signals-hours", Kind::Hours, signals, four_values, four()),
        question(
            "buckets",
            Kind::Kernels,
            format!("/query?kind=vehicle&name=engine_rpm&step=5m&{of_day}"),
            values,
            (
                buckets("time_bucket(INTERVAL '5 minutes', event_time)"),
                Some(buckets("toStartOfInterval(event_time, INTERVAL 5 MINUTE)")),
            ),
        ),
        question(
            "top",
            Kind::Kernels,
            format!("{top}&exact=true"),
            top_values,
            ten(),
        ),
        question("top-hours", Kind::Hours, top, top_values, ten()),
        question(
            "vehicle",
            Kind::Kernels,
            format!("/query?kind=vehicle&name=engine_rpm&entity={VEHICLE}&{of_noon}"),
            values,
            (of_vehicle, None),
        ),
    ]
}

fn four_of_each() -> String {
    let four = |name: &&str| format!("avg({name}), min({name}), max({name}), count({name})");
    SIGNALS.iter().map(four).collect::<Vec<_>>().join(", ")
}

fn sql(name: &'static str, kind: Kind, ours: String, duckdb: String) -> Question {
    Question {
        name,
        request: Request::Sql(ours),
        kind,
        duckdb,
        chdb: None,
        figures: sql_values,
    }
}

/// SQL that the kernels answer.
fn by_kernels(day: &Range<DateTime<Utc>>, noon: &Range<DateTime<Utc>>) -> Vec<Question> {
    let (of_day, of_noon) = (within(day), within(noon));
    let same = |name, text: String| {
        let mut question = sql(name, Kind::Kernels, text.clone(), text.clone());
        question.chdb = Some(text);
        question
    };
    // As the macros $__timeGroupAlias and $__timeFilter of Grafana's PostgreSQL data source write it.
    let (from, until) = (
        format_millis(day.start),
        format_millis(day.end - TimeDelta::milliseconds(1)),
    );
    let grafana = format!(
        "SELECT floor(extract(epoch from event_time)/300)*300 AS \"time\", avg(engine_rpm) AS rpm FROM vehicle \
         WHERE event_time BETWEEN '{from}' AND '{until}' GROUP BY 1 ORDER BY 1"
    );
    let mut buckets = sql("sql-buckets", Kind::Kernels, grafana.clone(), grafana);
    buckets.chdb = Some(format!(
        "SELECT toUnixTimestamp(toStartOfInterval(event_time, INTERVAL 300 SECOND)) AS t, avg(engine_rpm) \
         FROM vehicle WHERE {of_day} GROUP BY t ORDER BY t"
    ));
    let of_vehicle = format!("WHERE entity_id = '{VEHICLE}' AND {of_noon} ORDER BY event_time");
    vec![
        same(
            "sql-signals",
            format!("SELECT {} FROM vehicle WHERE {of_day}", four_of_each()),
        ),
        buckets,
        same(
            "sql-entities",
            format!(
                "SELECT entity_id, avg(engine_rpm), count(engine_rpm) FROM vehicle WHERE {of_day} \
                 GROUP BY entity_id ORDER BY entity_id"
            ),
        ),
        same(
            "sql-top",
            format!(
                "SELECT entity_id, avg(engine_rpm) AS rpm FROM vehicle WHERE {of_day} \
                 GROUP BY entity_id ORDER BY rpm DESC, entity_id LIMIT 10"
            ),
        ),
        sql(
            "sql-vehicle",
            Kind::Kernels,
            format!("SELECT event_time, engine_rpm FROM vehicle {of_vehicle}"),
            format!(
                "SELECT event_time, engine_rpm FROM vehicle WHERE {} AND {}",
                partition(noon),
                of_vehicle.trim_start_matches("WHERE ")
            ),
        ),
    ]
}

/// SQL that DataFusion answers.
fn other(day: &Range<DateTime<Utc>>, noon: &Range<DateTime<Utc>>) -> Vec<Question> {
    let (of_day, of_noon) = (within(day), within(noon));
    let most = format!(
        "SELECT entity_id, max(engine_rpm) AS most FROM vehicle WHERE {of_day} GROUP BY entity_id"
    );
    let steps = format!(
        "SELECT engine_rpm - lag(engine_rpm) OVER (PARTITION BY entity_id ORDER BY event_time) AS step \
         FROM vehicle WHERE {of_noon}"
    );
    let matching =
        |condition: &str| format!("SELECT count(*) FROM vehicle WHERE {of_day} AND {condition}");
    let same = |name, text: String| sql(name, Kind::Other, text.clone(), text);
    vec![
        same(
            "sql-join",
            format!(
                "SELECT count(*) FROM vehicle AS v JOIN ({most}) AS m \
                 ON v.entity_id = m.entity_id AND v.engine_rpm = m.most WHERE {of_day}"
            ),
        ),
        same(
            "sql-window",
            format!("SELECT count(step), max(step) FROM ({steps}) AS steps"),
        ),
        same(
            "sql-distinct",
            format!(
                "SELECT count(DISTINCT gear), count(DISTINCT entity_id) FROM vehicle WHERE {of_day}"
            ),
        ),
        sql(
            "sql-regex",
            Kind::Other,
            matching("entity_id ~ '^veh-0+[1-5]'"),
            matching("regexp_matches(entity_id, '^veh-0+[1-5]')"),
        ),
        same(
            "sql-subquery",
            matching(&format!(
                "engine_rpm > (SELECT avg(engine_rpm) FROM vehicle WHERE {of_day})"
            )),
        ),
        same(
            "sql-case",
            format!(
                "SELECT count(CASE WHEN vehicle_speed_kmh > 100 THEN 1 END), \
                 avg(CASE WHEN gear > 3 THEN engine_rpm ELSE 0 END) FROM vehicle WHERE {of_day}"
            ),
        ),
        same(
            "sql-percentile",
            format!(
                "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY vehicle_speed_kmh * 2) \
                 FROM vehicle WHERE {of_day}"
            ),
        ),
        same(
            "sql-having",
            format!(
                "SELECT entity_id, sum(engine_rpm * 2) FROM vehicle WHERE {of_day} \
                 GROUP BY entity_id HAVING max(vehicle_speed_kmh + 0) > 112.5 ORDER BY entity_id"
            ),
        ),
        same(
            "sql-order",
            format!(
                "SELECT entity_id, engine_rpm FROM vehicle WHERE {of_day} \
                 ORDER BY engine_rpm DESC, entity_id, event_time LIMIT 20"
            ),
        ),
        same(
            "sql-union",
            format!(
                "SELECT count(*) FROM (\
                 SELECT entity_id FROM vehicle WHERE {of_day} AND engine_rpm > 4000 \
                 UNION SELECT entity_id FROM vehicle WHERE {of_day} AND coolant_temp_c > 89) AS either"
            ),
        ),
    ]
}
