//! How fast windows take events, and how much memory they need: `load [--entities N] [--minutes N] [--seconds N]`.
//!
//! A million entities send an event with four signals every ten seconds of event time. Each minute of event time
//! prints a line. `--minutes` is event time; `--seconds` goes on until so much real time has passed.

use std::time::{Duration, Instant};

use windows::{Observed, PANE, Settings, Windows};

const SIGNALS: [&str; 4] = [
    "dl_prb_util_pct",
    "ul_prb_util_pct",
    "rrc_users",
    "dl_throughput_mbps",
];

/// A value of `/proc/self/status` in kB, or 0 where there is none.
fn memory_kb(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.unwrap_or(0)
}

fn argument(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments
        .nth(1)
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

/// A number that varies with `seed`, from 0 up to 1 (SplitMix64).
fn varied(seed: u64) -> f64 {
    let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[allow(
    clippy::disallowed_methods,
    reason = "it measures real time, and has no runtime"
)]
fn now() -> Instant {
    Instant::now()
}

fn main() {
    let entities = argument("--entities", 1_000_000);
    let (minutes, seconds) = (argument("--minutes", 20), argument("--seconds", 0));
    let names: Vec<String> = (0..entities)
        .map(|number| format!("CELL-{number:07}"))
        .collect();
    let settings = Settings {
        max_series: entities as usize * SIGNALS.len(),
        ..Settings::default()
    };
    let mut windows = Windows::new(settings, 0);
    let (started, mut events, mut evaluated) = (now(), 0_u64, 0.0);
    let (mut spent, mut moments) = (Duration::ZERO, 0);
    for round in 0.. {
        let (minute, is_whole) = (round / 6, round % 6 == 0);
        if is_whole && minute > 0 {
            println!(
                "minute {minute}: {:.0} events/s, {} series, resident {} MiB, peak {} MiB",
                events as f64 / spent.as_secs_f64(),
                windows.series_count(),
                memory_kb("VmRSS:") >> 10,
                memory_kb("VmHWM:") >> 10,
            );
        }
        if is_whole && minute >= minutes && started.elapsed().as_secs() >= seconds {
            break;
        }
        let begun = now();
        for (number, entity) in (0..).zip(&names) {
            // Ten seconds apart, but for 50 ms: now and then two values of a series fall into one pane.
            let jitter = (varied(number << 24 | round) * 100.0) as i64;
            let at = round as i64 * PANE + (number * PANE as u64 / entities) as i64 + jitter;
            let value = |signal: u64| 50.0 + 10.0 * varied((number * 4 + signal) << 24 | round);
            let signals = [0, 1, 2, 3].map(|signal| (SIGNALS[signal as usize], value(signal)));
            windows.observe(&Observed {
                kind: "cell",
                entity,
                at,
                arrived: at + 200,
                labels: &[("area", "north")],
                dimensions: &[],
                signals: &signals,
            });
        }
        events += entities;
        windows.advance(round as i64 * PANE - 2 * PANE);
        while windows.next_end().is_some() {}
        windows.take_changed();
        moments += windows.take_moments().len();
        spent += begun.elapsed();
        // One rule over one signal, as it is evaluated at each window end.
        if let Some(end) = windows.given_to() {
            let begun = now();
            let all = windows.series(Some("cell"), SIGNALS[0]);
            let means =
                all.filter_map(|series| Some(windows.window(series, end - 60_000, end)?.mean()));
            let over = means.filter(|mean| *mean > 59.0).count();
            evaluated = begun.elapsed().as_secs_f64();
            assert!(over < entities as usize, "values are spread from 50 to 60");
        }
    }
    println!("{:?}", windows.counts());
    println!(
        "{moments} moments begun or ended; a rule over {entities} series takes {:.0} ms",
        evaluated * 1e3
    );
}
