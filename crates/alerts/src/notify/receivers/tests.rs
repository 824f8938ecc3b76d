//! What each receiver is sent, held against its documentation.

use http::Response;
use serde_json::{Value, json};

use super::*;
use crate::journal::{Alert, Notification, State, Status, Why};
use crate::model::{self, Labels, Reason, Transition};
use crate::notify::transport::Smtp;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn millis(time: &str) -> i64 {
    time.parse::<chrono::DateTime<chrono::Utc>>()
        .unwrap()
        .timestamp_millis()
}

fn alert(episode: &str, entity: &str, to: model::State) -> Alert {
    let name = ("alertname", "CellOverloaded");
    let all = [
        name,
        ("entity_id", entity),
        ("kind", "cell"),
        ("severity", "page"),
        ("signal", "dl_prb_util_pct"),
    ];
    Alert {
        last: Transition {
            episode: episode.to_owned(),
            rule: "cells/CellOverloaded".to_owned(),
            labels: labels(&all),
            dimensions: Labels::new(),
            annotations: labels(&[("summary", &format!("{entity} at 91 % for two minutes"))]),
            to,
            reason: Reason::Condition,
            at: millis("2026-11-26T09:50:00Z"),
            active_at: millis("2026-11-26T09:38:10Z"),
            fired_at: Some(millis("2026-11-26T09:40:10Z")),
            value: Some(91.0),
            fired_before: Vec::new(),
        },
        seen_at: Some(millis("2026-11-26T09:40:12Z")),
    }
}

fn message_of(firing: &[&str], resolved: &[&str], most: usize) -> Message {
    let mut state = State::default();
    for (episodes, to) in [
        (firing, model::State::Firing),
        (resolved, model::State::Resolved),
    ] {
        for episode in episodes {
            state
                .alerts
                .insert((*episode).to_owned(), alert(episode, episode, to));
        }
    }
    let owned = |episodes: &[&str]| {
        episodes
            .iter()
            .map(|episode| (*episode).to_owned())
            .collect()
    };
    let notification = Notification {
        sequence: 7,
        id: "the-id".to_owned(),
        thread: "the-first-id".to_owned(),
        channel: "ops/webhook/0".to_owned(),
        receiver: "ops".to_owned(),
        group_key: r#"{}:{alertname="CellOverloaded"}"#.to_owned(),
        group_labels: labels(&[("alertname", "CellOverloaded")]),
        why: Why::First,
        opened_at: millis("2026-11-26T09:40:17Z"),
        tried_since: 0,
        firing: owned(firing),
        resolved: owned(resolved),
        status: Status::Open,
        attempts: Vec::new(),
        attempts_left_out: 0,
    };
    Message::new(&notification, &state, "http://127.0.0.1:3000", most)
}

fn channel(kind: ChannelKind) -> Channel {
    Channel {
        name: "ops/x/0".to_owned(),
        kind,
        send_resolved: true,
        max_alerts: MOST_ALERTS,
    }
}

fn sent(kind: ChannelKind, message: &Message) -> (Request<Bytes>, Value) {
    let Ok(Outgoing::Http(request)) = channel(kind).outgoing(message) else {
        panic!("no request");
    };
    let body = serde_json::from_slice(request.body()).unwrap();
    (*request, body)
}

#[test]
fn a_webhook_gets_version_4_of_alertmanager_byte_by_byte() {
    let kind = ChannelKind::Webhook {
        url: "http://hook/x".into(),
        authorization: Some("Bearer secret".into()),
    };
    let (request, _) = sent(kind, &message_of(&["CELL-000123"], &[], MOST_ALERTS));
    let fingerprint =
        crate::notify::fingerprint(&alert("", "CELL-000123", model::State::Firing).last.labels);
    let expected = [
        r#"{"receiver":"ops","status":"firing","alerts":[{"status":"firing","#,
        r#""labels":{"alertname":"CellOverloaded","entity_id":"CELL-000123","kind":"cell","severity":"page","#,
        r#""signal":"dl_prb_util_pct"},"annotations":{"summary":"CELL-000123 at 91 % for two minutes"},"#,
        r#""startsAt":"2026-11-26T09:40:10Z","endsAt":"0001-01-01T00:00:00Z","#,
        r#""generatorURL":"http://127.0.0.1:3000/alerts?rule=CellOverloaded","fingerprint":"FINGERPRINT"}],"#,
        r#""notification_reason":"first notification","groupLabels":{"alertname":"CellOverloaded"},"#,
        r#""commonLabels":{"alertname":"CellOverloaded","entity_id":"CELL-000123","kind":"cell","severity":"page","#,
        r#""signal":"dl_prb_util_pct"},"commonAnnotations":{"summary":"CELL-000123 at 91 % for two minutes"},"#,
        r#""routeLabels":{},"externalURL":"http://127.0.0.1:3000","version":"4","#,
        r#""groupKey":"{}:{alertname=\"CellOverloaded\"}","truncatedAlerts":0}"#,
    ];
    let expected = expected.concat().replace("FINGERPRINT", &fingerprint);
    assert_eq!(String::from_utf8_lossy(request.body()), expected);
    assert_eq!(request.headers()["idempotency-key"], "the-id");
    assert_eq!(request.headers()["authorization"], "Bearer secret");
    assert_eq!(request.headers()["content-type"], "application/json");
}

#[test]
fn a_message_has_what_its_alerts_have_in_common_and_says_what_it_leaves_out() {
    let message = message_of(&["CELL-1", "CELL-2"], &["CELL-3"], 2);
    assert_eq!(
        (
            message.alerts.len(),
            message.truncated_alerts,
            message.status
        ),
        (2, 1, "firing")
    );
    assert!(!message.common_labels.contains_key("entity_id"));
    assert!(message.common_annotations.is_empty());
    assert_eq!(
        message.title(),
        "[FIRING:2] CellOverloaded (cell page dl_prb_util_pct)"
    );
    let message = message_of(&[], &["CELL-3"], 2);
    assert_eq!(message.status, "resolved");
    assert_eq!(message.alerts[0].ends_at, "2026-11-26T09:50:00Z");
    assert_eq!(
        message.title(),
        "[RESOLVED] CellOverloaded (CELL-3 cell page dl_prb_util_pct)"
    );
}

#[test]
fn pagerduty_is_triggered_and_resolved_by_one_key() {
    let kind = || ChannelKind::PagerDuty {
        url: "http://pd/v2/enqueue".to_owned(),
        routing_key: "R".into(),
        severity: None,
    };
    let (_, trigger) = sent(kind(), &message_of(&["CELL-1"], &[], MOST_ALERTS));
    assert_eq!(trigger["event_action"], "trigger");
    assert_eq!(trigger["routing_key"], "R");
    assert_eq!(
        trigger["payload"]["severity"], "critical",
        "`page` is none of PagerDuty's"
    );
    assert_eq!(trigger["payload"]["source"], "CELL-1");
    assert_eq!(trigger["payload"]["timestamp"], "2026-11-26T09:40:17Z");
    assert_eq!(trigger["payload"]["custom_details"]["value"], 91.0);
    assert_eq!(trigger["dedup_key"].as_str().unwrap().len(), 64);
    let (_, resolve) = sent(kind(), &message_of(&[], &["CELL-1"], MOST_ALERTS));
    let expected =
        json!({"routing_key": "R", "event_action": "resolve", "dedup_key": trigger["dedup_key"]});
    assert_eq!(resolve, expected);
}

#[test]
fn slack_gets_an_attachment_that_calls_nobody() {
    let kind = ChannelKind::Slack {
        url: "http://slack/x".into(),
        channel: None,
    };
    let (_, body) = sent(kind, &message_of(&["<!channel>"], &[], MOST_ALERTS));
    let attachment = &body["attachments"][0];
    assert_eq!(attachment["color"], "danger");
    assert_eq!(
        attachment["text"],
        "&lt;!channel&gt; at 91 % for two minutes\n_the-id_"
    );
    assert_eq!(attachment["fields"][0]["value"], "91");
    assert!(!body.to_string().contains("<!channel>"));
}

#[test]
fn an_alertmanager_is_told_until_when_to_believe() {
    let kind = ChannelKind::Alertmanager {
        url: "http://am/".to_owned(),
        ends_after: 3_600_000,
    };
    let (request, body) = sent(kind, &message_of(&["CELL-1"], &["CELL-2"], MOST_ALERTS));
    assert_eq!(request.uri(), "http://am/api/v2/alerts");
    assert_eq!(body[0]["endsAt"], "2026-11-26T10:40:17Z");
    assert_eq!(body[1]["endsAt"], "2026-11-26T09:50:00Z");
    assert_eq!(body[0]["startsAt"], "2026-11-26T09:40:10Z");
}

#[test]
fn the_console_line_names_condition_and_value() {
    let mut message = message_of(&["cpu"], &[], MOST_ALERTS);
    message.alerts[0].labels = labels(&[("alertname", "cpu_usage")]);
    message.alerts[0].annotations = labels(&[("condition", "avg(60s) > 80.0")]);
    message.alerts[0].value = Some(85.0);
    let Ok(Outgoing::Lines(lines)) = channel(ChannelKind::Console).outgoing(&message) else {
        panic!("no lines");
    };
    assert_eq!(lines, ["[ALERT] cpu_usage avg(60s) > 80.0 (current: 85.0)"]);
}

#[test]
fn a_repeat_of_a_mail_is_the_same_mail_in_the_same_conversation() {
    let smtp = Smtp {
        host: "mail".to_owned(),
        port: 25,
        hello: None,
        user: None,
        require_tls: false,
    };
    let email = Email {
        smtp,
        from: "Headwater <alerts@example.com>".parse().unwrap(),
        to: "a@example.com, b@example.com".parse().unwrap(),
    };
    let message = message_of(&["<b>\nBcc: x@example.com"], &[], MOST_ALERTS);
    let mail = String::from_utf8(email.message(&message).unwrap().formatted()).unwrap();
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Message-ID: <the-id@example.com>"), "{head}");
    assert!(
        head.contains("In-Reply-To: <the-first-id@example.com>"),
        "{head}"
    );
    assert!(
        head.contains("Date: Thu, 26 Nov 2026 09:40:17 +0000"),
        "{head}"
    );
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    assert!(body.contains("&lt;b&gt;"), "{body}");
}

#[test]
fn answers_are_judged_by_who_is_at_fault() {
    let answer = |status: u16, text: &'static str, slack: bool| {
        let mut response = Response::new(Bytes::from_static(text.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
            .headers_mut()
            .insert("retry-after", http::HeaderValue::from_static("7"));
        judge_http(Ok(response), slack)
    };
    for (status, kind) in [
        (200, VerdictKind::Delivered),
        (202, VerdictKind::Delivered),
        (302, VerdictKind::ChannelFails),
        (400, VerdictKind::MessageFails),
        (401, VerdictKind::ChannelFails),
        (404, VerdictKind::ChannelFails),
        (410, VerdictKind::Refused),
        (413, VerdictKind::MessageFails),
        (429, VerdictKind::ChannelFails),
        (503, VerdictKind::ChannelFails),
    ] {
        assert_eq!(answer(status, "", false).kind, kind, "{status}");
    }
    assert_eq!(
        answer(429, "slow down", false).retry_after,
        Some(Duration::from_secs(7))
    );
    assert_eq!(answer(429, "slow down", false).answer, "429 slow down");
    assert_eq!(answer(200, "ok", true).kind, VerdictKind::Delivered);
    assert_eq!(answer(200, "<html>", true).kind, VerdictKind::ChannelFails);
}

#[test]
fn an_answer_is_kept_as_one_short_line_that_steers_no_terminal() {
    let answer = format!("<html>\n\u{1b}[31mbad {}", "x".repeat(1_000));
    let response = Response::builder().status(500).body(answer.into());
    let kept = judge_http(Ok(response.unwrap()), false).answer;
    assert!(kept.starts_with(r"500 <html> \u{1b}[31mbad xxx"), "{kept}");
    assert_eq!(kept.chars().count(), 300);
    let failed = judge_http(Err("no\nroute".to_owned()), false);
    assert_eq!(failed.answer, "no route");
}
