//! When whom is told what.

use alerts::journal::{Acknowledgement, Entry, Silence, Status, Why};
use alerts::matcher::Matcher;
use alerts::model::State;

use crate::receivers::{Manner, Taken};
use crate::stage::{ROUTES, START, Stage, firing, resolved, routing, seconds, transition};

fn told(taken: &Taken) -> (String, Vec<(String, String)>) {
    (taken.status().to_owned(), taken.alerts())
}

fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(n, status)| ((*n).to_owned(), (*status).to_owned()))
        .collect()
}

fn silence(n: &str, from: i64, until: i64) -> Entry {
    Entry::SilenceSet(Silence {
        id: "the-silence".to_owned(),
        matchers: vec![Matcher::equal("n", n)],
        starts_at: START + from * 1000,
        ends_at: START + until * 1000,
        updated_at: START,
        created_by: "somebody".to_owned(),
        comment: "a test".to_owned(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_group_waits_once_then_tells_news_each_interval_and_the_end_at_once() {
    let stage = Stage::new().await;
    let process = stage.lead(ROUTES).await;
    process
        .evaluate(0, vec![transition("Hot", "1", State::Pending, 0)])
        .await;
    seconds(30).await;
    assert_eq!(
        stage.receivers.asked("one"),
        0,
        "nobody is told of pending alerts"
    );
    process.evaluate(30, vec![firing("Hot", "1", 30)]).await;
    seconds(4).await;
    process.evaluate(34, vec![firing("Hot", "2", 34)]).await;
    assert_eq!(stage.receivers.asked("one"), 0, "group_wait is not over");
    seconds(2).await;
    process
        .evaluate(40, vec![firing("Hot", "3", 40), resolved("Hot", "1", 40)])
        .await;
    seconds(50).await;
    assert_eq!(
        stage.receivers.asked("one"),
        1,
        "group_interval is not over"
    );
    seconds(12).await;
    process
        .evaluate(90, vec![resolved("Hot", "2", 90), resolved("Hot", "3", 90)])
        .await;
    process.until_quiet().await;
    let taken = stage.receivers.taken();
    let firing = |n: &'static str| (n, "firing");
    assert_eq!(
        told(&taken[0]),
        ("firing".to_owned(), own(&[firing("1"), firing("2")]))
    );
    let second = own(&[firing("2"), firing("3"), ("1", "resolved")]);
    assert_eq!(told(&taken[1]), ("firing".to_owned(), second));
    assert_eq!(
        told(&taken[2]),
        (
            "resolved".to_owned(),
            own(&[("2", "resolved"), ("3", "resolved")])
        )
    );
    assert_eq!(taken.len(), 3);
    let reasons: Vec<&str> = taken
        .iter()
        .map(|taken| taken.body["notification_reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        [
            "first notification",
            "new alerts added",
            "all alerts resolved"
        ]
    );
    let wait = taken[2].at - taken[1].at;
    assert!(
        wait.as_secs() < 5,
        "the end of all is told at once: {wait:?}"
    );
    assert!(
        process.journal.state().alerts.is_empty(),
        "what everybody knows is forgotten"
    );
    assert!(process.journal.state().flows.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_episode_that_ends_before_it_is_told_is_told_as_firing_and_then_as_resolved() {
    let stage = Stage::new().await;
    let process = stage.lead(ROUTES).await;
    process.evaluate(0, vec![firing("Hot", "1", 0)]).await;
    process.evaluate(1, vec![resolved("Hot", "1", 1)]).await;
    process.until_quiet().await;
    let told: Vec<_> = stage.receivers.taken().iter().map(told).collect();
    let each = |status: &str| (status.to_owned(), own(&[("1", status)]));
    assert_eq!(told, [each("firing"), each("resolved")]);
}

#[tokio::test(start_paused = true)]
async fn what_goes_on_is_repeated_until_somebody_looks_after_it() {
    let stage = Stage::new().await;
    let process = stage.lead_by(ROUTES, stage.calm_settings()).await;
    process.evaluate(0, vec![firing("Hot", "1", 0)]).await;
    seconds(4 * 3600 + 10).await;
    assert_eq!(stage.receivers.taken().len(), 2);
    assert_eq!(
        stage.receivers.taken()[1].body["notification_reason"],
        "repeat interval elapsed"
    );
    process
        .write(Entry::Acknowledged(Acknowledgement {
            episode: "Hot-1".to_owned(),
            at: START,
            created_by: "me".to_owned(),
            comment: String::new(),
        }))
        .await;
    seconds(9 * 3600).await;
    assert_eq!(stage.receivers.taken().len(), 2, "nobody is told again");
    process
        .evaluate(50_000, vec![resolved("Hot", "1", 50_000)])
        .await;
    process.until_quiet().await;
    assert_eq!(stage.receivers.taken()[2].status(), "resolved");
    assert!(process.journal.state().acknowledgements.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_silence_keeps_news_back_and_never_the_end_of_what_was_told() {
    let stage = Stage::new().await;
    let process = stage.lead_by(ROUTES, stage.calm_settings()).await;
    process.evaluate(0, vec![firing("Hot", "1", 0)]).await;
    seconds(10).await;
    process.write(silence("1", 10, 100_000)).await;
    seconds(5 * 3600).await;
    assert_eq!(stage.receivers.taken().len(), 1, "no repeat");
    process
        .evaluate(18_100, vec![resolved("Hot", "1", 18_100)])
        .await;
    process.until_quiet().await;
    assert_eq!(stage.receivers.taken().len(), 2);
    assert_eq!(stage.receivers.taken()[1].status(), "resolved");
    // An episode within the silence is told to nobody, neither its beginning nor its end.
    process
        .evaluate(18_200, vec![firing("Cold", "1", 18_200)])
        .await;
    seconds(100).await;
    process
        .evaluate(18_300, vec![resolved("Cold", "1", 18_300)])
        .await;
    process.until_quiet().await;
    assert_eq!(stage.receivers.taken().len(), 2);
    // One that outlives the silence is told at its end.
    process
        .evaluate(18_400, vec![firing("Warm", "1", 18_400)])
        .await;
    seconds(50).await;
    let at = process.journal.now();
    process
        .write(Entry::SilenceExpired {
            id: "the-silence".to_owned(),
            at,
        })
        .await;
    process.until(|state| state.opened == 3).await;
    process.until_quiet().await;
    assert_eq!(stage.receivers.taken()[2].alerts(), own(&[("1", "firing")]));
}

#[tokio::test(start_paused = true)]
async fn an_alert_keeps_those_quiet_that_follow_from_it() {
    let routes = format!(
        "{ROUTES}\ninhibit_rules: [{{ source_matchers: [alertname=Down], target_matchers: [alertname=Slow], equal: [n] }}]"
    );
    let stage = Stage::new().await;
    let process = stage.lead(&routes).await;
    process
        .evaluate(
            0,
            vec![
                firing("Down", "1", 0),
                firing("Slow", "1", 0),
                firing("Slow", "2", 0),
            ],
        )
        .await;
    seconds(10).await;
    let slow = |taken: &[Taken]| -> Vec<_> {
        let slow = taken
            .iter()
            .filter(|taken| taken.body["groupLabels"]["alertname"] == "Slow");
        slow.map(Taken::alerts).collect()
    };
    assert_eq!(slow(&stage.receivers.taken()), [own(&[("2", "firing")])]);
    process.evaluate(20, vec![resolved("Down", "1", 20)]).await;
    seconds(70).await;
    let last = slow(&stage.receivers.taken()).pop().unwrap();
    assert_eq!(last, own(&[("1", "firing"), ("2", "firing")]));
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_quiet_until_its_end_is_not_told() {
    let routes = format!(
        "{ROUTES}\ninhibit_rules: [{{ source_matchers: [alertname=Down], target_matchers: [alertname=Slow], equal: [n] }}]"
    );
    let stage = Stage::new().await;
    let process = stage.lead(&routes).await;
    let both = ["Down", "Slow"];
    let begin = both.map(|name| firing(name, "1", 0)).into();
    process.evaluate(0, begin).await;
    seconds(10).await;
    let end = both.map(|name| resolved(name, "1", 20)).into();
    process.evaluate(20, end).await;
    process.until_quiet().await;
    seconds(70).await;
    let of_slow = |taken: &Taken| taken.body["groupLabels"]["alertname"] == "Slow";
    assert!(!stage.receivers.taken().iter().any(of_slow));
}

/// As in Alertmanager: alerts of both sides do not inhibit each other, but those of the target side alone.
#[tokio::test(start_paused = true)]
async fn an_alert_of_both_sides_keeps_those_of_the_target_side_quiet() {
    let routes = format!(
        "{ROUTES}\ninhibit_rules: [{{ source_matchers: ['alertname=~Down|Off'], target_matchers: [severity=page], equal: [n] }}]"
    );
    let stage = Stage::new().await;
    let process = stage.lead(&routes).await;
    let all = ["Down", "Off", "Slow"].map(|name| firing(name, "1", 0));
    process.evaluate(0, all.into()).await;
    seconds(10).await;
    let taken = stage.receivers.taken();
    let mut told: Vec<_> = taken
        .iter()
        .map(|taken| taken.body["groupLabels"]["alertname"].clone())
        .collect();
    told.sort_by_key(ToString::to_string);
    assert_eq!(told, ["Down", "Off"]);
}

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
async fn another_configuration_resolves_where_firing_was_told() {
    let stage = Stage::new().await;
    let process = stage.lead(ROUTES).await;
    process.evaluate(0, vec![firing("Hot", "1", 0)]).await;
    seconds(10).await;
    let other = "
route: { receiver: two, group_by: [severity] }
receivers:
  - { name: one, webhook_configs: [{ url: http://one/ }] }
  - { name: two, webhook_configs: [{ url: http://two/ }] }
";
    process.routing.send_replace(routing(other));
    seconds(10).await;
    process.evaluate(30, vec![resolved("Hot", "1", 30)]).await;
    process.until_quiet().await;
    for host in ["one", "two"] {
        let taken = stage.receivers.taken_by(host);
        let statuses: Vec<&str> = taken.iter().map(Taken::status).collect();
        assert_eq!(statuses, ["firing", "resolved"], "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_alerts_at_once_are_one_record_and_one_bounded_message() {
    let stage = Stage::new().await;
    let process = stage.lead(ROUTES).await;
    let records = process.journal.state().through;
    let all: Vec<_> = (0..10_000)
        .map(|n| firing("Hot", &n.to_string(), 0))
        .collect();
    process.evaluate(0, all).await;
    assert_eq!(process.journal.state().through, records + 1);
    process.until(|state| state.delivered.len() == 1).await;
    let taken = stage.receivers.taken();
    assert_eq!(taken[0].alerts().len(), 1_000);
    assert_eq!(taken[0].body["truncatedAlerts"], 9_000);
    assert!(taken[0].body.to_string().len() < 1_000_000);
    let ends = (0..10_000)
        .map(|n| resolved("Hot", &n.to_string(), 100))
        .collect();
    process.evaluate(100, ends).await;
    process.until_quiet().await;
    assert_eq!(stage.receivers.taken().len(), 2);
    assert!(process.journal.state().alerts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn large_groups_are_kept_within_bounds_once_they_are_told() {
    let stage = Stage::new().await;
    let process = stage.lead_by(ROUTES, stage.calm_settings()).await;
    let all = (0..10_000).map(|n| firing("Hot", &n.to_string(), 0));
    process.evaluate(0, all.collect()).await;
    for minute in 1..=15 {
        seconds(61).await;
        let n = (10_000 + minute).to_string();
        process
            .evaluate(minute * 61, vec![firing("Hot", &n, minute * 61)])
            .await;
    }
    process.until(|state| state.opened == 16).await;
    process.until(|state| state.notifications.is_empty()).await;
    let state = process.journal.state();
    let episodes: usize = state.delivered.iter().map(|n| n.firing.len()).sum();
    assert!(episodes <= 100_000, "{episodes} episodes are kept");
    assert_eq!(state.delivered.len(), 9);
    assert_eq!(state.delivered.back().unwrap().firing.len(), 10_015);
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
