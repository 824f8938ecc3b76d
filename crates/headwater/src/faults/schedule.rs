//! Which fault befalls which service, and when.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::process::{Control, Fault};

/// Time between two faults, in milliseconds.
const BETWEEN: std::ops::Range<u64> = 2_000..5_000;

/// How long a service is away or stands still, in milliseconds.
const LENGTH: std::ops::Range<u64> = 300..2_500;

/// Faults of the services of a pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Faults {
    services: Vec<Control>,
}

impl Faults {
    /// Faults of these services, at least one.
    pub(crate) fn of(services: Vec<Control>) -> Faults {
        Faults { services }
    }

    /// One fault after the other until `end`, drawn from the seed; `tell` is told of each. Returns their number when
    /// the last one is over.
    pub(crate) async fn play(
        &self,
        seed: u64,
        end: &CancellationToken,
        tell: impl Fn(&str),
    ) -> u32 {
        let begin = Instant::now();
        let mut random = StdRng::seed_from_u64(seed);
        let mut played = 0;
        loop {
            let pause = Duration::from_millis(random.random_range(BETWEEN));
            if end.run_until_cancelled(sleep(pause)).await.is_none() {
                return played;
            }
            let service = &self.services[random.random_range(0..self.services.len())];
            let time = Duration::from_millis(random.random_range(LENGTH));
            let (fault, words) = if random.random_bool(0.6) {
                (Fault::Kill(time), "killed, back after")
            } else {
                (Fault::Freeze(time), "frozen for")
            };
            tell(&format!(
                "{:>6.1} s  {:<15} {words} {:.1} s",
                begin.elapsed().as_secs_f64(),
                service.name,
                time.as_secs_f64()
            ));
            service.befall(fault).await;
            sleep(time).await;
            played += 1;
        }
    }
}
