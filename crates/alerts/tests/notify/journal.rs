//! The log: its records, its snapshot, its one writer.

use std::time::Duration;

use alerts::journal::{Acknowledgement, Entry, JournalError, Role, Silence, State as JournalState};
use alerts::matcher::Matcher;
use alerts::model::State;
use aws::Condition;
use local_aws::{FaultKind, Faults};

use crate::receivers::Manner;
use crate::stage::{BUCKET, ROUTES, START, Stage, firing, resolved, seconds, transition};

const LOG: &str = "_alerts/log/";
const SNAPSHOT: &str = "_alerts/snapshot.json";

async fn put(stage: &Stage, key: &str, body: &'static str) {
    let lake = stage.aws.lake(BUCKET);
    let body = body.into();
    lake.put(key, body, "", Default::default(), Condition::Always)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_restart_finds_the_state_of_before_with_and_without_a_snapshot() {
    let stage = Stage::new().await;
    let mut settings = stage.settings();
    settings.snapshot_every = 7;
    let process = stage.start(ROUTES, settings).await.unwrap();
    process.journal.until_leader().await.unwrap();
    for n in 0..20 {
        process
            .evaluate(n * 10, vec![firing(&format!("Hot{n}"), "1", n * 10)])
            .await;
        process
            .evaluate(
                n * 10 + 1,
                vec![resolved(&format!("Hot{n}"), "1", n * 10 + 1)],
            )
            .await;
        seconds(3).await;
        let known = process.journal.state().clone();
        let stored = stage.stored().await;
        assert_eq!(stored, known);
    }
    assert!(stage.keys(SNAPSHOT).len() == 1);
    process.stop().await;
    let stored = stage.stored().await;
    assert_eq!(stored.leader, None, "another may lead at once");
    assert_eq!(stored.evaluated_to, Some(crate::stage::START + 191_000));
}

#[tokio::test(start_paused = true)]
async fn old_records_go_behind_a_snapshot_and_the_rest_is_read() {
    let stage = Stage::new().await;
    let mut settings = stage.calm_settings();
    settings.heartbeat = Duration::from_secs(60);
    let process = stage.lead_by(ROUTES, settings).await;
    process.evaluate(0, vec![firing("Hot", "1", 0)]).await;
    // 5,760 records that say nothing, of which those of the last hour and the last thousand are kept.
    seconds(4 * 86_400).await;
    let keys = stage.keys(LOG);
    assert!(
        (1_000..1_700).contains(&keys.len()),
        "{} records are kept",
        keys.len()
    );
    let stored = stage.stored().await;
    assert_eq!(stored, *process.journal.state());
    assert_eq!(stored.alerts.len(), 1);
    process.kill().await;
    let lake = stage.aws.lake(BUCKET);
    lake.delete(&[SNAPSHOT.to_owned()]).await.unwrap();
    let told = stage.start(ROUTES, stage.settings()).await.err().unwrap();
    assert!(told.to_string().contains("no snapshot counts it"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn records_of_a_whole_day_are_deleted_a_thousand_at_a_time() {
    let stage = Stage::new().await;
    let process = stage.lead_by(ROUTES, stage.calm_settings()).await;
    for n in 0..2_500 {
        process.evaluate(n, Vec::new()).await;
    }
    let first = stage.keys(LOG)[2].clone();
    let mut before = 0;
    while stage.keys(LOG).contains(&first) {
        // At most one snapshot lies between two looks.
        seconds(6 * 3600).await;
        let now = stage.keys(LOG).len();
        assert!(now + 1_000 >= before, "{before} records, then {now}");
        before = now;
        let days = (process.journal.now() - crate::stage::START) / 86_400_000;
        assert!(days < 40, "records stay for {days} days");
    }
}

#[tokio::test(start_paused = true)]
async fn infinite_values_are_kept_and_a_lost_answer_costs_no_lead() {
    let stage = Stage::new().await;
    let process = stage.lead(ROUTES).await;
    let faults = Faults::seeded(11).rule(FaultKind::CutAfter, "PutObject", 0.5);
    stage.cloud.set_faults(faults);
    let values = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.1 + 0.2];
    for (n, value) in (0..).zip(values.repeat(4)) {
        let mut hot = firing("Hot", &n.to_string(), n);
        hot.value = Some(value);
        process.evaluate(n, vec![hot]).await;
    }
    stage.cloud.set_faults(Faults::none());
    let stored = stage.stored().await;
    for (n, value) in (0..).zip(values.repeat(4)) {
        let read = stored.alerts[&format!("Hot-{n}")].last.value.unwrap();
        assert_eq!(read.to_string(), value.to_string());
    }
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_whose_answers_are_lost_is_a_stop() {
    let stage = Stage::new().await;
    for seed in 0..8 {
        let process = stage.lead(ROUTES).await;
        process.evaluate(seed, Vec::new()).await;
        let faults = Faults::seeded(seed.unsigned_abs());
        stage
            .cloud
            .set_faults(faults.rule(FaultKind::CutAfter, "PutObject", 0.7));
        process.stop().await;
        stage.cloud.set_faults(Faults::none());
        assert_eq!(stage.stored().await.leader, None);
    }
}

/// What a restart must not change: all but who writes, and how far the log has come.
fn lasting(state: &JournalState) -> JournalState {
    JournalState {
        through: 0,
        leader: None,
        days: Default::default(),
        ..state.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_while_pending_firing_kept_silenced_acknowledged_and_stuck_changes_nothing() {
    let routes = "
route: { receiver: one, group_by: ['...'], routes: [{ matchers: [alertname=Stuck], receiver: bad }] }
receivers: [{ name: one, webhook_configs: [{ url: http://one/ }] }, { name: bad, webhook_configs: [{ url: http://bad/ }] }]
";
    for is_kill in [false, true] {
        let stage = Stage::new().await;
        stage.receivers.behave("bad", Manner::StatusEach(410, 1));
        let mut process = stage.lead(routes).await;
        let silence = Silence {
            id: "quiet".to_owned(),
            matchers: vec![Matcher::equal("alertname", "Silenced")],
            starts_at: START,
            ends_at: START + 3_600_000,
            updated_at: START,
            created_by: "me".to_owned(),
            comment: String::new(),
        };
        process.write(Entry::SilenceSet(silence)).await;
        let all = ["Firing", "Kept", "Silenced", "Acknowledged", "Stuck"];
        let mut all = all.map(|name| firing(name, "1", 0)).to_vec();
        all.push(transition("Pending", "1", State::Pending, 0));
        process.evaluate(0, all).await;
        process
            .evaluate(10, vec![transition("Kept", "1", State::Keeping, 10)])
            .await;
        let acknowledgement = Acknowledgement {
            episode: "Acknowledged-1".to_owned(),
            at: START,
            created_by: "me".to_owned(),
            comment: String::new(),
        };
        process.write(Entry::Acknowledged(acknowledgement)).await;
        seconds(20).await;
        let before = lasting(&process.journal.state());
        let told = stage.receivers.taken().len();
        assert_eq!((told, before.notifications.len()), (3, 1));
        for _ in 0..3 {
            if is_kill {
                process.kill().await;
            } else {
                process.stop().await;
            }
            process = stage.lead(routes).await;
            seconds(120).await;
            assert_eq!(lasting(&process.journal.state()), before);
            assert_eq!(stage.receivers.taken().len(), told, "nobody is told again");
        }
        stage.receivers.behave("bad", Manner::Good);
        let (sequence, stuck) = before.notifications.first_key_value().unwrap();
        let notifications = vec![*sequence];
        let at = process.journal.now();
        process.write(Entry::Retried { notifications, at }).await;
        process.until(|state| state.notifications.is_empty()).await;
        let taken = stage.receivers.taken_by("bad");
        assert_eq!(taken[0].id, stuck.id);
        let expired = Entry::SilenceExpired {
            id: "quiet".to_owned(),
            at: process.journal.now(),
        };
        process.write(expired).await;
        process.until(|state| state.opened == 5).await;
        process.until(|state| state.notifications.is_empty()).await;
        let last = stage.receivers.taken().pop().unwrap();
        assert_eq!(last.body["groupLabels"]["alertname"], "Silenced");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_read_is_named_and_never_begun_anew() {
    let stage = Stage::new().await;
    let process = stage.lead(ROUTES).await;
    for n in 0..5 {
        process
            .evaluate(n, vec![firing("Hot", &n.to_string(), n)])
            .await;
    }
    process.kill().await;
    let keys = stage.keys(LOG);
    let third = keys[2].clone();
    let content = stage.cloud.object(BUCKET, &third).unwrap();
    let open = async || {
        stage
            .start(ROUTES, stage.settings())
            .await
            .err()
            .map(|error| error.to_string())
    };
    put(&stage, &third, "{").await;
    let told = open().await.unwrap();
    assert!(
        told.contains(&third) && told.contains("cannot read"),
        "{told}"
    );
    stage
        .aws
        .lake(BUCKET)
        .delete(std::slice::from_ref(&third))
        .await
        .unwrap();
    let told = open().await.unwrap();
    assert!(told.contains(&third) && told.contains("missing"), "{told}");
    let other = stage.cloud.object(BUCKET, &keys[0]).unwrap();
    let lake = stage.aws.lake(BUCKET);
    lake.put(&third, other, "", Default::default(), Condition::Always)
        .await
        .unwrap();
    let told = open().await.unwrap();
    assert!(told.contains("says that it is record 1"), "{told}");
    lake.put(&third, content, "", Default::default(), Condition::Always)
        .await
        .unwrap();
    put(&stage, SNAPSHOT, "[]").await;
    let told = open().await.unwrap();
    assert!(told.contains(SNAPSHOT), "{told}");
    lake.delete(&[SNAPSHOT.to_owned()]).await.unwrap();
    assert_eq!(open().await, None);
}

#[tokio::test(start_paused = true)]
async fn lost_answers_lose_and_repeat_nothing() {
    let stage = Stage::new().await;
    let process = stage.lead(ROUTES).await;
    let faults = Faults::seeded(7)
        .rule(FaultKind::CutAfter, "PutObject", 0.3)
        .rule(FaultKind::CutBefore, "PutObject", 0.2)
        .rule(FaultKind::InternalError, "GetObject", 0.2)
        .rule(FaultKind::Conflict, "PutObject", 0.2);
    stage.cloud.set_faults(faults);
    for n in 0..40 {
        process
            .evaluate(n, vec![firing(&format!("Hot{n}"), "1", n)])
            .await;
    }
    process.until(|state| state.delivered.len() == 40).await;
    stage.cloud.set_faults(Faults::none());
    assert_eq!(stage.receivers.taken().len(), 40);
    assert_eq!(stage.stored().await, *process.journal.state());
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_process_takes_over_when_the_first_is_silent_and_the_first_says_so() {
    let stage = Stage::new().await;
    let first = stage.lead(ROUTES).await;
    first.evaluate(0, vec![firing("Hot", "1", 0)]).await;
    let second = stage.start(ROUTES, stage.settings()).await.unwrap();
    seconds(120).await;
    assert_eq!(second.journal.role(), Role::StandBy, "the first one lives");
    assert!(second.journal.append(0, Vec::new()).await.is_err());
    assert_eq!(
        second.journal.state().alerts.len(),
        1,
        "it follows what the first one writes"
    );
    first
        .evaluate(
            120,
            vec![resolved("Hot", "1", 120), firing("Cold", "1", 120)],
        )
        .await;
    first.freeze(true);
    let began = tokio::time::Instant::now();
    second.journal.until_leader().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(15));
    second.until(|state| state.delivered.len() == 3).await;
    seconds(60).await;
    first.freeze(false);
    let error = first.ended().await.unwrap_err();
    assert!(matches!(error, JournalError::LostLead(_)), "{error}");
    assert_eq!(
        stage.receivers.taken().len(),
        3,
        "the first one told nobody after it woke"
    );
    assert_eq!(stage.stored().await, *second.journal.state());
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_ends_well_is_followed_at_once() {
    let stage = Stage::new().await;
    let first = stage.lead(ROUTES).await;
    let second = stage.start(ROUTES, stage.settings()).await.unwrap();
    first.stop().await;
    let began = tokio::time::Instant::now();
    second.journal.until_leader().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test(start_paused = true)]
async fn who_wakes_after_days_cannot_use_a_number_that_was_deleted() {
    let stage = Stage::new().await;
    let first = stage.lead_by(ROUTES, stage.calm_settings()).await;
    first.freeze(true);
    let second = stage.start(ROUTES, stage.calm_settings()).await.unwrap();
    second.journal.until_leader().await.unwrap();
    seconds(40 * 86_400).await;
    assert!(
        !stage.keys(LOG).contains(&format!("{LOG}0000000002.json")),
        "the number is free"
    );
    first.freeze(false);
    let error = first.ended().await.unwrap_err();
    assert!(matches!(error, JournalError::LostLead(_)), "{error}");
    let (stored, state) = (stage.stored().await, second.journal.state().clone());
    assert_eq!(
        (stored.through, stored.leader),
        (state.through, state.leader)
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_leader_asks_little_of_s3() {
    let stage = Stage::new().await;
    let _process = stage.lead(ROUTES).await;
    let count = || stage.cloud.requests().values().sum::<u64>();
    let before = count();
    seconds(600).await;
    let each_second = (count() - before) as f64 / 600.0;
    assert!(each_second < 0.4, "{each_second} requests a second");
}

#[tokio::test(start_paused = true)]
async fn under_load_there_are_few_puts_a_second() {
    let stage = Stage::new().await;
    let process = stage.lead(ROUTES).await;
    let puts = || stage.cloud.requests()["PutObject"];
    let (before, began) = (puts(), tokio::time::Instant::now());
    let write = async |n: i64| {
        process
            .evaluate(n, vec![firing(&format!("Hot{n}"), "1", n)])
            .await
    };
    for tens in 0..20 {
        futures::future::join_all((0..10).map(|n| write(tens * 10 + n))).await;
    }
    let each_second = (puts() - before) as f64 / began.elapsed().as_secs_f64();
    assert!(each_second <= 6.0, "{each_second} puts a second");
}
