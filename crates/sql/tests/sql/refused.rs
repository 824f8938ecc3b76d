//! Statements without an answer, and bounds.

use std::time::Duration;

use bytesize::ByteSize;
use datafusion::execution::memory_pool::MemoryConsumer;
use engine::TurnError;
use engine::kernels::ScanError;
use engine::read::PartError;
use sql::{SessionOptions, SqlError, SqlSettings};

use crate::stage::{LONGEST, Stage, all, lines, readings};

#[tokio::test]
async fn names_that_are_not_known_are_answered_with_the_nearest() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    assert!(matches!(
        stage.refused("SELECT 1").await,
        SqlError::Starting
    ));
    stage.land_readings(&readings(0..10)).await;
    stage.refresh().await;
    for (text, words) in [
        ("SELECT * FROM vehicel", "`vehicle`"),
        ("SELECT * FROM kpi_6m", "`kpi_5m`"),
        ("SELECT engin_rpm FROM vehicle", "`engine_rpm`"),
        ("SELECT \"a;b\" FROM vehicle", "a;b"),
        ("SELECT no_such(1)", "no_such"),
        ("SELECT time_bucket(1)", "time_bucket"),
        (
            "SELECT rate(engine_rpm) FROM vehicle",
            "rate(value, event_time)",
        ),
        (
            "SELECT increase(entity_id, event_time) FROM vehicle",
            "a number first",
        ),
        (
            "SELECT increase(engine_rpm, 5) FROM vehicle",
            "needs a time",
        ),
        (
            "SELECT rate(DISTINCT engine_rpm, event_time) FROM vehicle",
            "DISTINCT",
        ),
        (
            "SELECT count(*) FROM vehicle WHERE event_time > 'soon'",
            "soon",
        ),
    ] {
        let error = stage.refused(text).await;
        assert!(
            matches!(error, SqlError::Invalid { .. }),
            "{text}: {error:?}"
        );
        assert!(error.to_string().contains(words), "{text}: {error}");
    }
    assert_eq!(stage.ask("SELECT count(*) FROM vehicle").await, ["10"]);
}

#[tokio::test]
async fn depth_is_bounded_and_the_place_of_a_fault_is_told() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    stage.refresh().await;
    let explained = format!("{}SELECT 1", "EXPLAIN ".repeat(8000));
    let error = stage.refused(&explained).await;
    assert!(error.to_string().contains("8000 operators"), "{error}");
    let sum = |operators: usize| format!("SELECT {}1", "1+".repeat(operators));
    assert_eq!(stage.ask(&sum(190)).await, ["191"]);
    assert_eq!(stage.refused(&sum(5000)).await.sqlstate(), "54001");
    let error = stage.refused("SELECT 1,\n engin_rpm FROM vehicle").await;
    assert_eq!((error.sqlstate(), error.place()), ("42703", Some((2, 2))));
    let error = stage.refused("SELECT 1 FRM x y").await;
    assert_eq!(error.sqlstate(), "42601");
    assert!(error.place().is_some(), "{error:?}");
}

#[tokio::test]
async fn a_scan_past_its_bound_is_refused_unless_it_is_asked_for() {
    let settings = SqlSettings {
        max_scan_bytes: ByteSize(100),
        ..SqlSettings::default()
    };
    let mut stage = Stage::new(settings).await;
    stage.land_readings(&readings(0..100)).await;
    stage.landing.aggregate().await;
    stage.refresh().await;
    let text = "SELECT count(DISTINCT event_id) FROM vehicle";
    let error = stage.refused(text).await;
    assert!(matches!(error, SqlError::ScanTooLarge(_)), "{error:?}");
    assert!(error.to_string().contains("MAX_SCAN_BYTES"), "{error}");
    for condition in [
        "event_time > now() - INTERVAL '1 hour'",
        "event_time >= '2025-10-05' AND event_time < '2025-10-06'",
        "event_time BETWEEN '2025-10-05T00:00:00Z' AND '2025-10-06T00:00:00Z'",
        "'2025-10-05T00:00:00Z' <= event_time",
    ] {
        let text = format!("SELECT count(DISTINCT event_id) FROM vehicle WHERE {condition}");
        assert_eq!(stage.ask(&text).await, ["0"], "{condition}");
    }
    let options = SessionOptions {
        allow_full_scan: true,
        ..SessionOptions::default()
    };
    let answer = stage.answer_with(text, options).await.unwrap();
    assert_eq!(lines(&all(answer).await.unwrap()), ["100"]);
}

#[tokio::test]
async fn memory_is_bounded_and_others_are_unharmed() {
    let settings = SqlSettings {
        memory_limit: ByteSize::mib(1),
        ..SqlSettings::default()
    };
    let mut stage = Stage::new(settings).await;
    stage.refresh().await;
    for greedy in [
        "SELECT a.value, count(*) FROM generate_series(1, 10000000) AS a GROUP BY a.value",
        "SELECT value FROM generate_series(1, 10000000) ORDER BY value % 1000",
    ] {
        let error = stage.refused(greedy).await;
        assert!(matches!(error, SqlError::Memory), "{greedy}: {error:?}");
    }
    assert_eq!(stage.ask("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn kept_columns_have_the_memory_that_statements_leave() {
    let limit = ByteSize::mib(16);
    let settings = SqlSettings {
        memory_limit: limit,
        ..SqlSettings::default()
    };
    let mut stage = Stage::new(settings).await;
    stage.land_readings(&readings(0..100)).await;
    stage.landing.aggregate().await;
    stage.refresh().await;
    let gets = async |stage: &Stage| {
        let text = "SELECT count(DISTINCT event_id) FROM vehicle";
        assert_eq!(stage.ask(text).await, ["100"]);
        stage.landing.aws.meter().usage()["s3:GetObject"].requests
    };
    gets(&stage).await;
    let first = gets(&stage).await;
    assert_eq!(gets(&stage).await, first);
    // A statement has all but what the next ones need; their answers come from S3 then.
    let options = SessionOptions::default();
    let (context, _) = stage.database.context(&options).await.unwrap();
    let pool = context.task_ctx().memory_pool().clone();
    let taken = MemoryConsumer::new("a large sort").register(&pool);
    let most = limit.as_u64() as usize;
    taken.try_grow(most).unwrap();
    taken.shrink(most - 1024);
    assert_eq!(gets(&stage).await, first + 1);
    taken.free();
    gets(&stage).await;
    let again = gets(&stage).await;
    assert_eq!(gets(&stage).await, again);
}

#[tokio::test]
async fn a_join_that_finds_nothing_ends_when_its_time_is_over() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    stage.refresh().await;
    for condition in [
        "(a.value * b.value) % 7 = 8",
        "a.value % 2 = b.value % 2 AND a.value + b.value < 0",
    ] {
        let text = format!(
            "SELECT count(*) FROM generate_series(1, 1000000) AS a JOIN generate_series(1, 1000000) AS b ON {condition}"
        );
        let error = stage.refused(&text).await;
        assert!(
            matches!(&error, SqlError::Turn(TurnError::TimedOut(limit)) if *limit == LONGEST),
            "{condition}: {error:?}"
        );
    }
}

/// A statement that runs for years.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 10000000) AS a, generate_series(1, 10000000) AS b \
                       WHERE (a.value * b.value) % 7 = 3";

#[tokio::test]
async fn a_statement_ends_when_its_time_is_over_and_when_its_client_leaves() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    stage.refresh().await;
    let options = SessionOptions::default();
    let ask = |limit| stage.database.run(ENDLESS, &[], &options, limit);
    let error = ask(Duration::from_millis(100)).await.unwrap_err();
    assert!(
        matches!(error, SqlError::Turn(TurnError::TimedOut(_))),
        "{error:?}"
    );
    // More than run at a time and wait together.
    for _ in 0..6 {
        let left = tokio::time::timeout(Duration::from_millis(50), ask(Duration::from_secs(600)));
        left.await.unwrap_err();
    }
    assert_eq!(stage.ask("SELECT 1").await, ["1"]);
}

#[tokio::test]
async fn a_broken_part_is_named_and_one_that_was_replaced_is_read_again() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    stage.land_readings(&readings(0..50)).await;
    stage.landing.aggregate().await;
    stage.refresh().await;
    let part = stage.only_part().await;
    let put = |bytes: bytes::Bytes| {
        let kind = "application/vnd.apache.parquet";
        let always = aws::Condition::Always;
        stage
            .landing
            .lake
            .put(&part.key, bytes, kind, Default::default(), always)
    };
    put("no Parquet".into()).await.unwrap();
    // A question that the kernels do not answer.
    let text = "SELECT count(DISTINCT event_id) FROM vehicle";
    let error = stage.refused(text).await;
    let SqlError::Scan(ScanError::Part(PartError::Broken { key, .. })) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*key, part.key);
    assert_eq!(stage.ask("SELECT count(*) FROM cell").await, ["0"]);
    let mut other = Stage::new(SqlSettings::default()).await;
    other.land_readings(&readings(0..40)).await;
    other.landing.aggregate().await;
    other.refresh().await;
    let of_other = other.landing.lake.get(&other.only_part().await.key).await;
    put(of_other.unwrap().unwrap().body).await.unwrap();
    assert_eq!(stage.ask(text).await, ["40"]);
}
