//! Ten thousand alerts at once.

use crate::stage::{ROUTES, Stage, firing, resolved, seconds};

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
