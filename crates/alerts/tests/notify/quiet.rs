//! Who is kept quiet: by silences, and by alerts that others follow from.

use alerts::journal::{Entry, Silence};
use alerts::matcher::Matcher;

use crate::receivers::Taken;
use crate::stage::{ROUTES, START, Stage, firing, own, resolved, seconds};

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
