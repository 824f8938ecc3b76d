//! Ten thousand notifications, receivers that fail in every way, and a process that is killed fifty times.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use local_aws::{FaultKind, Faults};
use tokio::time::{Instant, timeout};

use crate::receivers::Manner;
use crate::stage::{Stage, firing, resolved};

const KILLS: u32 = 50;

/// Episodes of each receiver; each is told twice.
const EPISODES: usize = 500;

const CUTS: &str = "cuts";

#[tokio::test(start_paused = true)]
async fn ten_thousand_notifications_arrive_past_fifty_kills_and_receivers_that_fail_in_every_way() {
    let stage = Stage::new().await;
    let begin = Instant::now();
    let manners = [
        ("good", Manner::Good),
        ("fails", Manner::StatusEach(500, 3)),
        ("mostly-fails", Manner::StatusEach(502, 2)),
        ("busy", Manner::BusyEach(20)),
        ("picky", Manner::StatusEach(400, 4)),
        ("hangs", Manner::HangEach(50)),
        (CUTS, Manner::CutEach(50)),
        (
            "away",
            Manner::StatusUntil(503, begin + Duration::from_secs(3600)),
        ),
        (
            "moved",
            Manner::StatusUntil(404, begin + Duration::from_secs(900)),
        ),
        ("fine", Manner::Good),
    ];
    let mut routes = "route:\n  receiver: good\n  group_by: ['...']\n  routes:\n".to_owned();
    let mut receivers = "receivers:\n".to_owned();
    for (host, manner) in manners {
        stage.receivers.behave(host, manner);
        routes += &format!("    - {{ matchers: [alertname={host}], receiver: {host} }}\n");
        receivers +=
            &format!("  - {{ name: {host}, webhook_configs: [{{ url: http://{host}/ }}] }}\n");
    }
    routes += &receivers;
    let each = |make: fn(&str, &str, i64) -> _, at| {
        let all = manners
            .iter()
            .flat_map(|(host, _)| (0..EPISODES).map(move |n| (host, n)));
        all.map(|(host, n)| make(host, &n.to_string(), at))
            .collect::<Vec<_>>()
    };
    let script = [(10, each(firing, 10)), (60, each(resolved, 60))];
    let faults = Faults::seeded(15)
        .rule(FaultKind::CutAfter, "PutObject", 0.02)
        .rule(FaultKind::InternalError, "*", 0.02)
        .slow(
            "*",
            0.5,
            Duration::from_millis(5)..Duration::from_millis(60),
        );
    stage.cloud.set_faults(faults);
    for kill in 0..KILLS {
        // From 11 to 30 s, of which the takeover is ten.
        let lives = Duration::from_millis(11_000 + u64::from(kill) * 7_919 % 19_000);
        let ended = timeout(lives, stage.whole(&routes, &script)).await;
        assert!(ended.is_err(), "all was told before kill {kill}");
    }
    stage.whole(&routes, &script).await;

    let mut told: BTreeMap<(String, String), Vec<(String, String)>> = BTreeMap::new();
    for taken in stage.receivers.taken() {
        let [(n, status)] = taken.alerts().try_into().unwrap();
        told.entry((taken.host, n))
            .or_default()
            .push((status, taken.id));
    }
    assert_eq!(
        told.len(),
        manners.len() * EPISODES,
        "every episode is told"
    );
    let (mut delivered, mut repeats, mut cut) = (0, 0, 0);
    for ((host, n), all) in told {
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(
            distinct.len(),
            2,
            "{host} {n}: one id for firing, one for resolved: {all:?}"
        );
        let mut in_order = all.clone();
        in_order.dedup();
        let statuses: Vec<&str> = in_order.iter().map(|(status, _)| status.as_str()).collect();
        assert_eq!(statuses, ["firing", "resolved"], "{host} {n}");
        delivered += distinct.len();
        *(if host == CUTS { &mut cut } else { &mut repeats }) += all.len() - distinct.len();
    }
    println!(
        "delivered {delivered}, lost 0, repeats {repeats} and {cut} of the receiver that cuts, {} s of simulated time",
        begin.elapsed().as_secs()
    );
    assert_eq!(delivered, 10_000);
    assert!(repeats <= 100, "{repeats} repeats are more than 1 %");
}
