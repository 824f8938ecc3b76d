//! The views of live streams.

use crate::landing::arrival;
use crate::stage::Stage;
use sql::SqlSettings;

fn chat(second: u32, user: &str, message: &str) -> String {
    let (minute, rest) = (second / 60, second % 60);
    format!(
        r#"{{"stream_id":"stream-1","timestamp":"2025-10-04T13:{minute:02}:{rest:02}Z","message_id":"m-{second}","user":"{user}","message":{message}}}"#
    )
}

/// Five messages in one minute, and two in the next.
fn chats() -> Vec<String> {
    vec![
        chat(
            1,
            "ann",
            r#"{"text":"what a clutch play!!!","emotes":"PogChamp PogChamp"}"#,
        ),
        chat(2, "bob", r#"{"text":"worst lag ever","emotes":"Sadge"}"#),
        chat(3, "ann", r#"{"text":"map three next"}"#),
        chat(
            4,
            "cyd",
            r#"{"text":"KEKW","emotes":"KEKW Sadge  PogChamp"}"#,
        ),
        chat(5, "bob", r#"{"bits":100}"#),
        chat(61, "ann", r#"{"text":"gg ez"}"#),
        chat(62, "ann", r#"{"text":"gg ez","bits":50}"#),
    ]
}

async fn check_summary(stage: &Stage) {
    let summary = "SELECT stream_id, minute, messages, unique_chatters, round(avg_sentiment, 4), positive_share, \
                   neutral_share, negative_share, bits, top_emotes FROM chat_summary_minute ORDER BY minute";
    // (0.5067 - 0.7579) / 4, of four messages with a text.
    let first =
        "stream-1,2025-10-04T13:00:00Z,5,3,-0.0628,0.25,0.5,0.25,100.0,PogChamp 3, Sadge 2, KEKW 1";
    let second = "stream-1,2025-10-04T13:01:00Z,2,1,0.5719,1.0,0.0,0.0,50.0,";
    assert_eq!(stage.ask(summary).await, [first, second]);
    let one = "SELECT messages FROM chat_summary_minute WHERE minute >= '2025-10-04T13:01:00Z'";
    assert_eq!(stage.ask(one).await, ["2"]);
    let one = "SELECT messages FROM chat_summary_minute WHERE minute < '2025-10-04T13:01:00Z' AND stream_id = 'stream-1'";
    assert_eq!(stage.ask(one).await, ["5"]);
    let sentiments = "SELECT entity_id, count(sentiment), max(sentiment) FROM chat GROUP BY 1";
    assert_eq!(stage.ask(sentiments).await, ["stream-1,6,0.5719"]);
    let by_minute = "SELECT \"count\", min, max FROM kpi_1m WHERE kind = 'chat' AND signal = 'sentiment' ORDER BY start";
    assert_eq!(
        stage.ask(by_minute).await,
        ["4,-0.7579,0.5067", "2,0.5719,0.5719"]
    );
    let hourly =
        "SELECT \"count\", messages FROM aggregates WHERE kind = 'chat' AND signal = 'sentiment'";
    assert_eq!(stage.ask(hourly).await, ["6,7"]);
}

#[tokio::test]
async fn a_chat_is_summed_up_by_the_minute_without_names_wherever_its_messages_are() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    let all = chats();
    stage.landing.land(None, arrival(), &all[..4]).await;
    stage.landing.aggregate().await;
    // The rest is hot, and so is one message that has come before.
    stage.landing.land(None, arrival(), &all[3..]).await;
    stage.refresh().await;
    check_summary(&stage).await;
    stage.landing.aggregate().await;
    stage.refresh().await;
    check_summary(&stage).await;
    let rows = stage
        .rows("SELECT * FROM chat_summary_minute")
        .await
        .unwrap();
    let text = crate::stage::lines(&rows).join("\n");
    assert!(!text.contains("ann") && !text.contains("bob"), "{text}");
}

#[tokio::test]
async fn a_stream_is_as_its_last_meta_says() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    let meta = |stream: &str, second: u32, title: &str, live: bool| {
        format!(
            r#"{{"stream_id":"{stream}","timestamp":"2025-10-04T13:00:{second:02}Z","title":"{title}","language":"en","status":{{"live":{live}}}}}"#
        )
    };
    let first = [
        meta("s-1", 1, "Speedruns", true),
        meta("s-2", 2, "Talk", true),
    ];
    stage.landing.land(None, arrival(), &first).await;
    stage.landing.aggregate().await;
    let second = [meta("s-1", 30, "Speedruns, part two", false)];
    stage.landing.land(None, arrival(), &second).await;
    stage.refresh().await;
    let streams =
        "SELECT stream_id, title, language, live, updated_at FROM streams ORDER BY stream_id";
    assert_eq!(
        stage.ask(streams).await,
        [
            "s-1,Speedruns, part two,en,false,2025-10-04T13:00:30Z",
            "s-2,Talk,en,true,2025-10-04T13:00:02Z"
        ]
    );
}

#[tokio::test]
async fn viewers_and_payments_have_their_views_beside_the_tables_of_their_kinds() {
    let mut stage = Stage::new(SqlSettings::default()).await;
    let events = [
        r#"{"stream_id":"s-1","timestamp":"2025-10-04T13:00:01Z","audience":{"viewers":120,"chatters":30,"raiders":40}}"#,
        r#"{"stream_id":"s-1","timestamp":"2025-10-04T13:00:02Z","transaction_id":"t-1","type":"gift","currency":"EUR","user":"ann","payment":{"amount":4.99,"quantity":2}}"#,
    ];
    stage
        .landing
        .land(None, arrival(), &events.map(str::to_owned))
        .await;
    stage.refresh().await;
    let viewers =
        "SELECT stream_id, event_time, viewers, raiders, followers FROM viewer_timeseries";
    assert_eq!(
        stage.ask(viewers).await,
        ["s-1,2025-10-04T13:00:01Z,120.0,40.0,"]
    );
    let payments = "SELECT * FROM transactions";
    assert_eq!(
        stage.ask(payments).await,
        ["t-1,s-1,2025-10-04T13:00:02Z,gift,4.99,EUR,2.0"]
    );
    let table = "SELECT \"user\", amount FROM transaction";
    assert_eq!(stage.ask(table).await, ["ann,4.99"]);
}
