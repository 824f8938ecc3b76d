//! When whom is told what.

use alerts::journal::{Acknowledgement, Entry};
use alerts::model::State;

use crate::receivers::Taken;
use crate::stage::{ROUTES, START, Stage, firing, own, resolved, routing, seconds, transition};

fn told(taken: &Taken) -> (String, Vec<(String, String)>) {
    (taken.status().to_owned(), taken.alerts())
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
