//! The table under clients that read, do not read, leave and come back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::advance;

use super::history::KEPT;
use super::message::Sent;
use super::since::Since;
use super::table::{Bounds, ClientId, Observed, Table};
use super::topic::Topic;

const BOUNDS: Bounds = Bounds {
    clients: 3,
    topics: 5,
    all_topics: 8,
    outbox: 4096,
    history: 1 << 20,
};

fn table(bounds: Bounds) -> Table {
    Table::new("boot".into(), bounds)
}

fn series(entity: &str) -> Topic {
    let topic = json!({"topic": "series", "kind": "vehicle", "entity": entity, "signal": "rpm"});
    Topic::parse(&topic).unwrap()
}

fn enter(table: &mut Table) -> ClientId {
    let client = table.enter(0, Arc::new(Notify::new())).unwrap();
    assert_eq!(topics(&table.drain(client)), ["hello"]);
    client
}

fn observe(table: &mut Table, entity: &str, time: i64, value: f64) {
    let id = table.series("vehicle", "rpm", entity).unwrap();
    let observed = Observed {
        time: time * 1000,
        value: json!(value),
    };
    table.observe(id, 0, &observed);
}

fn parsed(sent: &[Sent]) -> Vec<Value> {
    sent.iter()
        .map(|sent| serde_json::from_str(&sent.text).unwrap())
        .collect()
}

fn topics(sent: &[Sent]) -> Vec<String> {
    parsed(sent)
        .iter()
        .map(|sent| sent["topic"].as_str().unwrap().to_owned())
        .collect()
}

fn values(sent: &[Sent]) -> Vec<(String, f64, bool)> {
    let values = parsed(sent).into_iter().map(|sent| {
        let entity = sent["entity"].as_str().unwrap_or_default().to_owned();
        let value = sent["value"].as_f64().unwrap_or_default();
        (entity, value, sent["snapshot"] == true)
    });
    values.collect()
}

fn since(table: &Table, seq: u64) -> Since {
    Since::parse(&super::since::id(table.boot(), seq)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_gets_the_newest_value_of_each_series_once() {
    let mut table = table(BOUNDS);
    let (slow, quick) = (enter(&mut table), enter(&mut table));
    for client in [slow, quick] {
        table.subscribe(client, vec![series("a"), series("b")], None, 0);
    }
    let mut seen = 0;
    for round in 0..1000 {
        observe(&mut table, "a", round, round as f64);
        observe(&mut table, "b", round, -round as f64);
        seen += table.drain(quick).len();
    }
    assert_eq!(seen, 2000);
    let sent = table.drain(slow);
    assert_eq!(
        values(&sent),
        [("a".into(), 999.0, true), ("b".into(), -999.0, true)]
    );
    assert!(sent[0].seq < sent[1].seq && table.drain(slow).is_empty());
    observe(&mut table, "a", 2000, 5.0);
    assert_eq!(values(&table.drain(slow)), [("a".into(), 5.0, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_late_value_does_not_replace_a_newer_one() {
    let mut table = table(BOUNDS);
    let client = enter(&mut table);
    table.subscribe(client, vec![series("a")], None, 0);
    observe(&mut table, "a", 100, 1.0);
    observe(&mut table, "a", 50, 2.0);
    assert_eq!(values(&table.drain(client)), [("a".into(), 1.0, true)]);
    observe(&mut table, "a", 99, 3.0);
    assert!(table.drain(client).is_empty());
    // Whoever comes now is sent the value that is shown.
    let second = enter(&mut table);
    table.subscribe(second, vec![series("a")], None, 0);
    assert_eq!(values(&table.drain(second)), [("a".into(), 1.0, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_is_sent_what_it_missed() {
    let mut table = table(BOUNDS);
    let client = enter(&mut table);
    table.subscribe(client, vec![series("a"), series("b")], None, 0);
    observe(&mut table, "a", 1, 1.0);
    observe(&mut table, "b", 1, 9.0);
    let last = table.drain(client).last().unwrap().seq;
    table.leave(client);
    observe(&mut table, "a", 2, 2.0);
    observe(&mut table, "a", 3, 3.0);
    advance(Duration::from_secs(30)).await;
    table.expire();
    let client = enter(&mut table);
    let comes_back = since(&table, last);
    table.subscribe(client, vec![series("a"), series("b")], Some(&comes_back), 0);
    let sent = table.drain(client);
    assert_eq!(
        values(&sent),
        [("a".into(), 2.0, false), ("a".into(), 3.0, false)]
    );
    // From here on it goes on as for anybody.
    observe(&mut table, "b", 2, 8.0);
    assert_eq!(values(&table.drain(client)), [("b".into(), 8.0, false)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_for_a_client_is_told_as_a_gap_and_the_newest_follows() {
    // A minute later, past the bytes of the history, of another start, or of a topic that was not followed then.
    for case in ["time", "bytes", "boot", "topic"] {
        let history = if case == "bytes" { 1000 } else { 1 << 20 };
        let mut table = table(Bounds { history, ..BOUNDS });
        let (client, other) = (enter(&mut table), enter(&mut table));
        table.subscribe(client, vec![series("a")], None, 0);
        table.subscribe(other, vec![series("a")], None, 0);
        observe(&mut table, "a", 1, 1.0);
        let last = table.drain(client).last().unwrap().seq;
        table.leave(client);
        for round in 2..10 {
            observe(&mut table, "a", round, round as f64);
        }
        let mut wanted = vec![series("a")];
        let mut comes_back = since(&table, last);
        match case {
            "time" => advance(KEPT + Duration::from_secs(1)).await,
            "boot" => comes_back = Since::parse("other-1").unwrap(),
            "topic" => wanted.push(series("b")),
            _ => {}
        }
        table.expire();
        let client = enter(&mut table);
        table.subscribe(client, wanted, Some(&comes_back), 0);
        let sent = table.drain(client);
        assert_eq!(topics(&sent), ["gap", "series"], "{case}");
        let gap = &parsed(&sent)[0];
        assert_eq!(
            (gap["from"].as_u64(), gap["to"].as_u64()),
            (Some(2), Some(9)),
            "{case}"
        );
        assert_eq!(values(&sent[1..]), [("a".into(), 9.0, true)], "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_of_the_future_is_of_another_start() {
    let mut table = table(BOUNDS);
    let client = enter(&mut table);
    table.subscribe(client, vec![series("a")], Since::parse("500").as_ref(), 0);
    assert_eq!(topics(&table.drain(client)), ["gap"]);
}

#[tokio::test(start_paused = true)]
async fn topics_are_forgotten_a_minute_after_the_last_client() {
    let mut table = table(BOUNDS);
    let client = enter(&mut table);
    table.subscribe(client, vec![series("a"), Topic::Health], None, 0);
    table.unsubscribe(client, &[Topic::Health]);
    assert!(!table.is_asked(&Topic::Health));
    table.leave(client);
    assert!(table.is_followed() && table.clients() == 0);
    advance(KEPT).await;
    table.expire();
    assert!(!table.is_followed() && table.signals().is_empty());
    assert_eq!(table.series("vehicle", "rpm", "a"), None);
}

#[tokio::test(start_paused = true)]
async fn past_the_bounds_clients_are_told_so() {
    let mut table = table(BOUNDS);
    let client = enter(&mut table);
    let six: Vec<Topic> = (0..6).map(|n| series(&n.to_string())).collect();
    table.subscribe(client, six.clone(), None, 0);
    let told = parsed(&table.drain(client));
    assert_eq!(
        (told.len(), told[0]["code"].as_str()),
        (1, Some("too_many_topics"))
    );
    assert_eq!(told[0]["of"]["entity"], "5");
    assert!(
        told[0]["message"]
            .as_str()
            .unwrap()
            .contains("LIVE_MAX_TOPICS")
    );
    let second = enter(&mut table);
    let four: Vec<Topic> = (10..14).map(|n| series(&n.to_string())).collect();
    table.subscribe(second, four, None, 0);
    let told = parsed(&table.drain(second));
    assert!(
        told[0]["message"]
            .as_str()
            .unwrap()
            .contains("LIVE_MAX_ALL_TOPICS"),
        "{told:?}"
    );
    enter(&mut table);
    assert!(table.enter(0, Arc::new(Notify::new())).is_none());
    // Errors that nobody reads do not pile up.
    for _ in 0..1000 {
        table.subscribe(client, six.clone(), None, 0);
    }
    let bytes: usize = table.drain(client).iter().map(|sent| sent.text.len()).sum();
    assert!(bytes <= BOUNDS.outbox, "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn a_state_is_published_when_it_changes_and_a_failure_once() {
    let mut table = table(BOUNDS);
    let client = enter(&mut table);
    table.subscribe(client, vec![Topic::Alerts], None, 0);
    for _ in 0..3 {
        table.publish(&Topic::Alerts, 0, json!([]));
    }
    assert_eq!(topics(&table.drain(client)), ["alerts"]);
    for _ in 0..3 {
        table.publish(&Topic::Alerts, 0, json!([]));
        table.tell_failure(&Topic::Moments, 0, "none", "asked by nobody");
    }
    assert!(table.drain(client).is_empty());
    for _ in 0..3 {
        table.tell_failure(&Topic::Alerts, 0, "alerts_away", "no answer");
    }
    let told = parsed(&table.drain(client));
    assert_eq!(
        (told.len(), told[0]["code"].as_str()),
        (1, Some("alerts_away"))
    );
    // Whoever asks now is told as well, with what was known before.
    let second = enter(&mut table);
    table.subscribe(second, vec![Topic::Alerts], None, 0);
    assert_eq!(topics(&table.drain(second)), ["error", "alerts"]);
}
