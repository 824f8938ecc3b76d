//! What each table answers equals a recount, wherever the events are.

use std::collections::BTreeMap;

use crate::landing::arrival;
use crate::stage::{LONGEST, Reading, Stage, readings};
use sql::SqlSettings;

async fn check(stage: &Stage, all: &[Reading]) {
    let rpms = || all.iter().map(|reading| f64::from(reading.rpm));
    let (sum, count) = (rpms().sum::<f64>(), all.len());
    let (min, max) = (rpms().fold(f64::MAX, f64::min), rpms().fold(0.0, f64::max));
    let whole = "SELECT count(*), count(engine_rpm), sum(engine_rpm), min(engine_rpm), max(engine_rpm) FROM vehicle";
    let expected = format!("{count},{count},{sum:?},{min:?},{max:?}");
    assert_eq!(stage.ask(whole).await, [expected]);

    let levels = all.iter().filter(|reading| reading.more.is_some()).count();
    let level = "SELECT count(level), count(DISTINCT level) FROM vehicle";
    assert_eq!(stage.ask(level).await, [format!("{levels},{levels}")]);

    let text = "SELECT time_bucket('5 minutes', event_time) AS bucket, entity_id, count(*), max(engine_rpm) FROM vehicle \
                WHERE event_time >= '2025-10-04T13:05:00Z' AND event_time < '2025-10-04T13:15:00Z' GROUP BY 1, 2 ORDER BY 1, 2";
    let mut groups: BTreeMap<(u32, &str), (u32, u32)> = BTreeMap::new();
    for reading in all
        .iter()
        .filter(|reading| (300..900).contains(&reading.second))
    {
        let group = groups
            .entry((reading.second / 300 * 5, &reading.entity))
            .or_default();
        *group = (group.0 + 1, group.1.max(reading.rpm));
    }
    let groups = groups.iter().map(|((minute, entity), (count, max))| {
        format!(
            "2025-10-04T13:{minute:02}:00Z,{entity},{count},{:?}",
            f64::from(*max)
        )
    });
    assert_eq!(stage.ask(text).await, groups.collect::<Vec<_>>());

    // Neither time is the end of an hour, of a row group or of a page, and filters of entities come together.
    let times = "event_time > '2025-10-04T13:02:03Z' AND event_time <= '2025-10-04T13:09:08.5Z'";
    for (filters, entities) in [
        ("", &["veh-0", "veh-1", "veh-2"][..]),
        ("AND entity_id = 'veh-1'", &["veh-1"]),
        (
            "AND entity_id = 'veh-1' AND entity_id LIKE 'veh-%'",
            &["veh-1"],
        ),
        (
            "AND entity_id LIKE 'veh-%' AND entity_id LIKE 'veh-2%'",
            &["veh-2"],
        ),
        ("AND entity_id LIKE 'veh-2%' AND entity_id = 'veh-1'", &[]),
    ] {
        let left = all.iter().filter(|reading| {
            (124..549).contains(&reading.second) && entities.contains(&reading.entity.as_str())
        });
        let rpms: Vec<u32> = left.map(|reading| reading.rpm).collect();
        let sum: u32 = rpms.iter().map(|rpm| rpm % 7).sum();
        let of_vehicle = format!(
            "SELECT count(*), coalesce(sum(engine_rpm::int % 7), 0) FROM vehicle WHERE {times} {filters}"
        );
        let of_points = format!(
            "SELECT count(*), coalesce(sum(value::int % 7), 0) FROM points \
             WHERE kind = 'vehicle' AND signal = 'engine_rpm' AND {times} {filters}"
        );
        let expected = [format!("{},{sum}", rpms.len())];
        assert_eq!(stage.ask(&of_vehicle).await, expected, "{filters}");
        assert_eq!(stage.ask(&of_points).await, expected, "{filters}");
    }

    let one: Vec<&Reading> = all
        .iter()
        .filter(|reading| reading.entity == "veh-1")
        .collect();
    let points = "SELECT count(*), sum(value), count(text) FROM points WHERE kind = 'vehicle' AND entity_id = 'veh-1' AND signal = 'engine_rpm'";
    let sum: f64 = one.iter().map(|reading| f64::from(reading.rpm)).sum();
    assert_eq!(
        stage.ask(points).await,
        [format!("{},{sum:?},0", one.len())]
    );
    let texts = "SELECT count(*), count(text), min(text) FROM points WHERE signal IN ('level')";
    let least = all.iter().filter_map(|reading| reading.more.as_ref());
    let least = least
        .min()
        .unwrap()
        .trim_start_matches("\"level\":")
        .trim_matches('"');
    assert_eq!(
        stage.ask(texts).await,
        [format!("{levels},{levels},{least}")]
    );

    let by_minute = "SELECT count(*), sum(\"count\"), min(min), max(max) FROM kpi_1m WHERE signal = 'engine_rpm'";
    let minutes: BTreeMap<(u32, &str), ()> = all
        .iter()
        .map(|reading| ((reading.second / 60, reading.entity.as_str()), ()))
        .collect();
    let expected = format!("{},{count},{min:?},{max:?}", minutes.len());
    assert_eq!(stage.ask(by_minute).await, [expected]);
    let last = one
        .iter()
        .filter(|reading| reading.second < 300)
        .max_by_key(|reading| reading.second)
        .unwrap();
    let kpi = "SELECT kind, entity_id, signal, start, last FROM kpi_5m WHERE entity_id = 'veh-1' AND signal = 'engine_rpm' \
               AND start = '2025-10-04T13:00:00Z'";
    let expected = format!(
        "vehicle,veh-1,engine_rpm,2025-10-04T13:00:00Z,{:?}",
        f64::from(last.rpm)
    );
    assert_eq!(stage.ask(kpi).await, [expected]);

    let hourly = "SELECT event_hour, unit, messages, \"count\", sum / \"count\" = mean, mean FROM aggregates WHERE entity_id = 'veh-1' AND signal = 'engine_rpm'";
    let mean = sum / one.len() as f64;
    let expected = format!("2025-10-04T13:00:00Z,rpm,{0},{0},true,{mean:?}", one.len());
    assert_eq!(stage.ask(hourly).await, [expected]);
}

#[tokio::test]
async fn answers_equal_a_recount_before_and_after_aggregation_and_in_between() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    let (first, second) = (readings(0..700), readings(650..1300));
    stage.land_readings(&first).await;
    stage.refresh().await;
    check(&stage, &first).await;
    stage.landing.aggregate().await;
    check(&stage, &first).await;
    stage.refresh().await;
    check(&stage, &first).await;
    // Some of the second lot are the same events as in the first.
    stage.land_readings(&second).await;
    stage.refresh().await;
    let all = readings(0..1300);
    check(&stage, &all).await;
    stage.landing.aggregate().await;
    stage.refresh().await;
    check(&stage, &all).await;
}

#[tokio::test]
async fn a_join_keeps_the_smaller_side_in_memory_whichever_is_named_first() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    stage.land_readings(&readings(0..1300)).await;
    stage.refresh().await;
    let most = "(SELECT entity_id, max(engine_rpm) AS most FROM vehicle GROUP BY 1) AS m";
    let on = "v.entity_id = m.entity_id AND v.engine_rpm = m.most";
    let mut counts = Vec::new();
    for tables in [
        format!("vehicle AS v JOIN {most}"),
        format!("{most} JOIN vehicle AS v"),
    ] {
        let text = format!("SELECT count(*) FROM {tables} ON {on}");
        let plan = stage.ask(&format!("EXPLAIN {text}")).await.join("\n");
        let place = |name: &str| plan.rfind(name).unwrap_or_else(|| panic!("{name}: {plan}"));
        // The first of the two is kept.
        assert!(place("KernelExec") < place("StreamingTableExec"), "{plan}");
        counts.push(stage.ask(&text).await);
    }
    assert_eq!(counts[0], counts[1]);
}

#[tokio::test]
async fn an_empty_lake_and_a_kind_without_events_have_tables_without_rows() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    stage.refresh().await;
    for table in [
        "vehicle",
        "cell",
        "points",
        "kpi_1m",
        "kpi_5m",
        "aggregates",
        "moments",
        "alerts",
        "pm_events",
        "pm_kpi_5m",
        "busiest_cells",
        "chat",
        "transaction",
        "streams",
        "chat_summary_minute",
        "viewer_timeseries",
        "transactions",
    ] {
        let text = format!("SELECT count(*) FROM {table}");
        assert_eq!(stage.ask(&text).await, ["0"], "{table}");
        let text = format!("SELECT * FROM {table}");
        assert!(stage.ask(&text).await.is_empty(), "{table}");
    }
}

#[tokio::test]
async fn the_views_have_the_figures_of_cells() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    let now = chrono::Utc::now();
    let events = (0..20).map(|n| {
        // The view looks at the last hour by the machine's clock.
        let time = contract::format_millis(now - chrono::TimeDelta::seconds(n));
        format!(
            r#"{{"schema_version":1,"event_id":"00000000-0000-4000-8000-0000000000{n:02}","event_time":"{time}","source":"pmgen","entity_type":"cell","entity_id":"CELL-{}","metrics":{{"dl_prb_util_pct":{n},"drop_rate_pct":1.5}}}}"#,
            n % 2
        )
    });
    let events: Vec<String> = events.collect();
    stage.landing.land(Some("cell"), now, &events).await;
    stage.refresh().await;
    let busiest = "SELECT entity_id, dl_prb_util_pct, reports FROM busiest_cells LIMIT 10";
    assert_eq!(
        stage.ask(busiest).await,
        ["CELL-1,10.0,10", "CELL-0,9.0,10"]
    );
    let events = "SELECT source, metrics FROM pm_events WHERE entity_id = 'CELL-1' ORDER BY event_time DESC LIMIT 1";
    let expected = r#"pmgen,{"dl_prb_util_pct":1.0,"drop_rate_pct":1.5}"#;
    assert_eq!(stage.ask(events).await, [expected]);
    let kpi = "SELECT sum(reports), max(max_drop_rate_pct) FROM pm_kpi_5m";
    assert_eq!(stage.ask(kpi).await, ["20,1.5"]);
}

#[tokio::test]
async fn the_views_of_a_folder_are_tables_and_bad_ones_are_named_at_the_start() {
    let folder = std::env::temp_dir().join(format!("views-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("fast.sql", "SELECT * FROM vehicle WHERE engine_rpm > 3000");
    write("of_none.sql", "SELECT * FROM no_such_table");
    write("notes.txt", "no view");
    let settings = SqlSettings {
        views: Some(folder.clone()),
        ..SqlSettings::default()
    };
    let mut stage = Stage::new(settings.clone()).await;
    let all = readings(0..20);
    stage.land_readings(&all).await;
    stage.refresh().await;
    let fast = all.iter().filter(|reading| reading.rpm > 3000).count();
    assert_eq!(
        stage.ask("SELECT count(*) FROM fast").await,
        [fast.to_string()]
    );
    for (name, text) in [
        ("bad.sql", "SELEC 1"),
        ("writes.sql", "DROP TABLE vehicle"),
        ("Bad-name.sql", "SELECT 1"),
    ] {
        write(name, text);
        let engine = stage.database.engine().clone();
        let error = sql::Database::new(engine, &settings, LONGEST).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

async fn check_samples(stage: &Stage, until: u32) {
    let of = |name: u32| (0..until).filter(move |n| n % 3 == name).map(f64::from);
    let (count, sum) = (of(0).count(), of(0).sum::<f64>());
    let rows = "SELECT count(*), count(DISTINCT name), count(tags) FROM metric";
    assert_eq!(stage.ask(rows).await, [format!("{until},3,{until}")]);
    let points = "SELECT count(*), sum(value), count(text) FROM points WHERE kind = 'metric' AND signal = 'cpu'";
    assert_eq!(stage.ask(points).await, [format!("{count},{sum:?},0")]);
    let by_name = "SELECT signal, count(*) FROM points WHERE kind = 'metric' GROUP BY 1 ORDER BY 1";
    let counts = [(0, "cpu"), (1, "mem"), (2, "up")];
    let counts = counts.map(|(at, name)| format!("{name},{}", of(at).count()));
    assert_eq!(stage.ask(by_name).await, counts);
    for (table, time) in [
        ("kpi_1m", "start"),
        ("kpi_5m", "start"),
        ("aggregates", "event_hour"),
    ] {
        let rows = format!(
            "SELECT signal, sum(\"count\"), min(min), max(max), min({time}) FROM {table} WHERE kind = 'metric' GROUP BY 1 ORDER BY 1"
        );
        let expected: Vec<String> = [(0, "cpu"), (1, "mem"), (2, "up")]
            .map(|(at, name)| {
                let (least, most) = (of(at).fold(f64::MAX, f64::min), of(at).fold(0.0, f64::max));
                format!(
                    "{name},{},{least:?},{most:?},2025-10-04T13:00:00Z",
                    of(at).count()
                )
            })
            .to_vec();
        assert_eq!(stage.ask(&rows).await, expected, "{table}");
    }
    let hourly = "SELECT signal, messages FROM aggregates WHERE kind = 'metric' AND signal IN ('mem', 'none')";
    assert_eq!(stage.ask(hourly).await, [format!("mem,{until}")]);
}

#[tokio::test]
async fn the_names_of_metrics_are_signals_of_the_long_tables() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    let sample = |n: u32| {
        let (name, time) = (
            ["cpu", "mem", "up"][n as usize % 3],
            1_759_582_800_000 + u64::from(n) * 1000,
        );
        format!(
            r#"{{"event_id":"{n}","name":"{name}","value":{n},"timestamp":{time},"tags":{{"zone":"b"}}}}"#
        )
    };
    let all: Vec<String> = (0..900).map(sample).collect();
    stage.landing.land(None, arrival(), &all[..400]).await;
    stage.refresh().await;
    check_samples(&stage, 400).await;
    stage.landing.aggregate().await;
    stage.landing.land(None, arrival(), &all[300..]).await;
    stage.refresh().await;
    check_samples(&stage, 900).await;
}

#[tokio::test]
async fn counters_grow_by_their_labels_and_start_again_at_zero() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    // Of 200 by 2 a second, of 500 by 1, which starts again at 0 after the 60th second.
    let sample = |n: u64| {
        let time = 1_759_582_800_000 + n * 1000;
        let second = |code: u32, value: u64| {
            format!(
                r#"{{"event_id":"{code}-{n}","name":"requests","value":{value},"timestamp":{time},"entity":"shop","tags":{{"code":"{code}"}}}}"#
            )
        };
        [second(200, 2 * n), second(500, n % 60)]
    };
    let all: Vec<String> = (0..120).flat_map(sample).collect();
    let by_code = "SELECT tags, increase(value, event_time), rate(value, event_time) FROM metric \
                   WHERE name = 'requests' GROUP BY 1 ORDER BY 1";
    let expected = [
        r#"{"code":"200"},238.0,2.0"#.to_owned(),
        format!(r#"{{"code":"500"}},118.0,{:?}"#, 118.0 / 119.0),
    ];
    let by_minute = "SELECT time_bucket('1 minute', event_time), increase(value, event_time) FROM metric \
                     WHERE tags LIKE '%500%' GROUP BY 1 ORDER BY 1";
    let none = "SELECT increase(value, event_time), rate(value, event_time) FROM metric WHERE name = 'none'";
    stage.landing.land(None, arrival(), &all[..100]).await;
    stage.landing.aggregate().await;
    // Rows of parts and of raw/ are not in the order of time.
    stage.landing.land(None, arrival(), &all[160..]).await;
    stage.landing.land(None, arrival(), &all[50..180]).await;
    stage.refresh().await;
    for _ in 0..2 {
        assert_eq!(stage.ask(by_code).await, expected);
        let minutes = [
            "2025-10-04T13:00:00Z,59.0".to_owned(),
            "2025-10-04T13:01:00Z,59.0".to_owned(),
        ];
        assert_eq!(stage.ask(by_minute).await, minutes);
        assert_eq!(stage.ask(none).await, [","]);
        stage.landing.aggregate().await;
        stage.refresh().await;
    }
}

#[tokio::test]
async fn units_of_metrics_are_those_that_senders_told_last() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    let told = |day: &str, name: &str, unit: &str| {
        format!(
            r#"{{"kind":"metric_info","name":"{name}","timestamp":"{day}T00:00:00Z","info":{{"type":"gauge","unit":"{unit}"}}}}"#
        )
    };
    let sample = |name: &str| {
        format!(
            r#"{{"event_id":"{name}","name":"{name}","value":1,"timestamp":"2025-10-04T13:00:00Z"}}"#
        )
    };
    let lines = [
        told("2025-10-03", "latency", "s"),
        told("2025-10-04", "latency", "ms"),
        told("2025-10-04", "load", "1"),
        sample("latency_sum"),
        sample("latency_count"),
        sample("load"),
        sample("free"),
    ];
    stage.landing.land(None, arrival(), &lines).await;
    stage.refresh().await;
    let units = "SELECT signal, unit FROM aggregates WHERE kind = 'metric' ORDER BY 1";
    for _ in 0..2 {
        let expected = ["free,", "latency_count,", "latency_sum,ms", "load,1"];
        assert_eq!(stage.ask(units).await, expected);
        let one = "SELECT unit FROM aggregates WHERE kind = 'metric' AND signal = 'load'";
        assert_eq!(stage.ask(one).await, ["1"]);
        stage.landing.aggregate().await;
        stage.refresh().await;
    }
}
