//! Receivers in trouble: they harm no other, and are made up to once they are back.

use alerts::journal::{Entry, Status, Why};

use crate::receivers::{Manner, Taken};
use crate::stage::{ROUTES, Stage, firing, resolved, seconds};

#[tokio::test(start_paused = true)]
async fn one_receivers_trouble_harms_no_other_and_its_notification_gets_stuck_after_a_day() {
    let routes = "
route: { receiver: both, group_by: [alertname] }
receivers: [{ name: both, webhook_configs: [{ url: http://good/ }, { url: http://bad/ }] }]
";
    let stage = Stage::new().await;
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(40 * 3600);
    stage
        .receivers
        .behave("bad", Manner::StatusUntil(401, until));
    let process = stage.lead_by(routes, stage.calm_settings()).await;
    process.evaluate(0, vec![firing("Hot", "1", 0)]).await;
    seconds(20).await;
    process.evaluate(20, vec![resolved("Hot", "1", 20)]).await;
    seconds(10).await;
    let statuses = |host: &str| -> Vec<String> {
        let taken = stage.receivers.taken_by(host);
        taken
            .iter()
            .map(|taken| taken.status().to_owned())
            .collect()
    };
    assert_eq!(statuses("good"), ["firing", "resolved"]);
    process
        .until(|state| {
            state
                .notifications
                .values()
                .any(|n| n.status == Status::Stuck)
        })
        .await;
    let first = process
        .journal
        .state()
        .notifications
        .values()
        .next()
        .cloned()
        .unwrap();
    assert_eq!(first.why, Why::First);
    // The first attempt and the last 99 are shown.
    assert_eq!(first.attempts.len(), 100);
    let attempts = first.attempts_left_out + 100;
    assert!(
        (280..600).contains(&attempts),
        "{attempts} attempts in a day"
    );
    assert_eq!(first.attempts[0].answer, "401 told");
    let tried_for = first.attempts[99].at - first.attempts[0].at;
    assert!(tried_for >= 24 * 3_600_000, "{tried_for} ms");
    // The next of the group is tried for a day of its own, and taken when the receiver is mended.
    process
        .until(|state| {
            state
                .delivered
                .iter()
                .any(|n| n.channel == "both/webhook/1")
        })
        .await;
    assert_eq!(statuses("bad"), ["resolved"]);
    let at = process.journal.now();
    process
        .write(Entry::Retried {
            notifications: vec![first.sequence],
            at,
        })
        .await;
    process.until_quiet().await;
    let bad = stage.receivers.taken_by("bad");
    assert_eq!(
        (bad[1].status(), bad[1].id.as_str()),
        ("firing", first.id.as_str())
    );
    assert!(process.journal.state().alerts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_hour_away_is_made_up_for_in_order_and_with_few_attempts() {
    let stage = Stage::new().await;
    let back = tokio::time::Instant::now() + std::time::Duration::from_secs(3600);
    stage
        .receivers
        .behave("one", Manner::StatusUntil(503, back));
    let process = stage.lead_by(ROUTES, stage.calm_settings()).await;
    for n in 0..50 {
        process
            .evaluate(n, vec![firing(&format!("Hot{n}"), "1", n)])
            .await;
    }
    seconds(1800).await;
    process
        .evaluate(1900, vec![resolved("Hot0", "1", 1900)])
        .await;
    seconds(1770).await;
    let asked = stage.receivers.asked("one");
    assert!(asked < 40, "{asked} requests to a receiver that is away");
    process.until_quiet().await;
    let taken = stage.receivers.taken();
    assert_eq!(taken.len(), 51);
    let first: Vec<&str> = taken
        .iter()
        .filter(|taken| taken.body["groupLabels"]["alertname"] == "Hot0")
        .map(Taken::status)
        .collect();
    assert_eq!(first, ["firing", "resolved"]);
    let late = taken.iter().map(|taken| taken.at).max().unwrap() - back;
    assert!(
        late.as_secs() < 320,
        "all is told {late:?} after the receiver is back"
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_what_was_never_tried_goes_before_what_was_refused() {
    let stage = Stage::new().await;
    stage.receivers.behave("one", Manner::Dislikes("Bad"));
    let process = stage.lead(ROUTES).await;
    let bad = (0..300).map(|n| firing(&format!("Bad{n}"), "1", 0));
    process.evaluate(0, bad.collect()).await;
    seconds(100).await;
    process.kill().await;
    let process = stage.lead(ROUTES).await;
    let began = tokio::time::Instant::now();
    process.evaluate(120, vec![firing("Good", "1", 120)]).await;
    process.until(|state| state.delivered.len() == 1).await;
    // Five of them are `group_wait`.
    assert!(began.elapsed().as_secs() < 8, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_for_a_second_each_time_is_asked_less_and_less() {
    let stage = Stage::new().await;
    let back = tokio::time::Instant::now() + std::time::Duration::from_secs(3600);
    stage.receivers.behave("one", Manner::BusyUntil(back));
    let process = stage.lead_by(ROUTES, stage.calm_settings()).await;
    process.evaluate(0, vec![firing("Hot", "1", 0)]).await;
    process.until(|state| state.delivered.len() == 1).await;
    let asked = stage.receivers.asked("one");
    assert!(asked < 40, "{asked} requests within an hour");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_delays_no_other() {
    let routes = "
route: { receiver: both, group_by: [alertname] }
receivers: [{ name: both, webhook_configs: [{ url: http://good/ }, { url: http://hangs/ }] }]
";
    let stage = Stage::new().await;
    stage.receivers.behave("hangs", Manner::HangEach(1));
    let process = stage.lead(routes).await;
    let all = (0..200).map(|n| firing(&format!("Hot{n}"), "1", 0));
    process.evaluate(0, all.collect()).await;
    process.until(|state| state.delivered.len() == 200).await;
    let taken = stage.receivers.taken_by("good");
    let took = taken[199].at - taken[0].at;
    assert!(took.as_secs() < 26, "200 messages in {took:?}");
}
