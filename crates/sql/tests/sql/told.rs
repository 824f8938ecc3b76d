//! The tables `moments` and `alerts`, of what the service `alerts` wrote.

use aws::Condition;
use bytesize::ByteSize;
use lake::key::{ALERTS, MOMENTS, told_key};
use sql::{SqlError, SqlSettings};

use crate::landing::arrival;
use crate::stage::Stage;

async fn tell(stage: &Stage, prefix: &str, hash: u128, lines: &str) {
    let key = told_key(prefix, arrival(), hash);
    let (body, kind) = (lines.to_owned().into(), "application/x-ndjson");
    let put = stage
        .landing
        .lake
        .put(&key, body, kind, Default::default(), Condition::Always);
    put.await.unwrap();
}

fn moment(id: &str, started_at: u64, end: Option<u64>) -> String {
    let (end, revision) = match end {
        Some(end) => (format!(r#""ended_at":{end},"#), 1),
        None => (String::new(), 0),
    };
    format!(
        r#"{{"moment_id":"{id}","kind":"vehicle","entity_id":"veh-1","signal":"engine_rpm","started_at":{started_at},"peaked_at":{started_at},{end}"value":6100.0,"expected":2000.5,"stddev":100.0,"score":41.0,"threshold":3.0,"method":"recent","revision":{revision}}}"#
    )
}

fn change(episode: &str, to: &str, at: u64) -> String {
    format!(
        r#"{{"episode":"{episode}","rule":"hosts/HighCpu","labels":{{"alertname":"HighCpu","entity_id":"host-1","kind":"metric","severity":"page","zone":"b"}},"annotations":{{"summary":"it's hot"}},"to":"{to}","reason":"condition","at":{at},"active_at":1759586400000,"fired_at":1759586460000,"value":85.5}}"#
    )
}

#[tokio::test]
async fn a_moment_is_one_row_as_it_was_told_last() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    stage.refresh().await;
    let (first, second) = (1_759_586_400_000, 1_759_500_000_000);
    let lines = [
        moment("a", first, None),
        moment("b", second, Some(second + 9000)),
    ];
    tell(&stage, MOMENTS, 1, &lines.join("\n")).await;
    tell(
        &stage,
        MOMENTS,
        2,
        &moment("a", first, Some(first + 30_000)),
    )
    .await;
    // What is told again after a crash.
    tell(&stage, MOMENTS, 3, &moment("a", first, None)).await;
    let text = "SELECT moment_id, score, ended_at - started_at, revision FROM moments ORDER BY started_at DESC";
    assert_eq!(stage.ask(text).await, ["a,41.0,PT30S,1", "b,41.0,PT9S,1"]);
    let labelled = moment("c", first, None)
        .replace(r#""started_at""#, r#""labels":{"code":"500"},"started_at""#);
    tell(&stage, MOMENTS, 4, &labelled).await;
    let text = "SELECT moment_id, labels FROM moments WHERE labels IS NOT NULL";
    assert_eq!(stage.ask(text).await, [r#"c,{"code":"500"}"#]);
    let since = "SELECT moment_id FROM moments WHERE moment_id < 'c' AND started_at >= '2025-10-04T14:00:00Z'";
    assert_eq!(stage.ask(since).await, ["a"]);
}

#[tokio::test]
async fn a_change_of_an_alert_is_one_row_however_often_it_was_told() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    stage.refresh().await;
    let at = 1_759_586_460_000;
    tell(&stage, ALERTS, 1, &change("e1", "firing", at)).await;
    let again = [
        change("e1", "firing", at),
        change("e1", "resolved", at + 60_000),
    ];
    tell(&stage, ALERTS, 2, &again.join("\n")).await;
    let text = "SELECT alertname, severity, entity_id, state, at, value FROM alerts ORDER BY at";
    assert_eq!(
        stage.ask(text).await,
        [
            "HighCpu,page,host-1,firing,2025-10-04T14:01:00Z,85.5",
            "HighCpu,page,host-1,resolved,2025-10-04T14:02:00Z,85.5"
        ]
    );
    let labels = "SELECT labels, annotations FROM alerts WHERE state = 'resolved'";
    assert_eq!(
        stage.ask(labels).await,
        [
            r#"{"alertname":"HighCpu","entity_id":"host-1","kind":"metric","severity":"page","zone":"b"},{"summary":"it's hot"}"#
        ]
    );
}

#[tokio::test]
async fn what_is_no_line_of_json_is_named_and_bytes_are_bounded() {
    let settings = SqlSettings {
        max_scan_bytes: ByteSize::b(100),
        ..SqlSettings::default()
    };
    let mut stage = Stage::new(settings).await;
    stage.refresh().await;
    tell(&stage, ALERTS, 1, "no json").await;
    let error = stage.refused("SELECT * FROM alerts").await.to_string();
    assert!(
        error.contains("alerts/year=2025/month=10/day=04/hour=14/") && error.contains("no JSON"),
        "{error}"
    );
    tell(&stage, MOMENTS, 1, &moment("a", 1_759_586_400_000, None)).await;
    let error: SqlError = stage.refused("SELECT * FROM moments").await;
    assert!(error.to_string().contains("MAX_SCAN_BYTES"), "{error}");
}
