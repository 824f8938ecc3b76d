//! Many runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;

use crate::attack::Attack;
use crate::run::{Outcome, run};
use crate::trace::Keep;
use crate::world::lock;

/// The most failures that are told in words.
const TOLD: usize = 10;

/// What came of many runs.
#[derive(Debug, Default)]
pub struct Campaign {
    /// How many runs there were.
    pub seeds: u64,
    /// Seeds whose runs broke a law, and how.
    pub failed: Vec<(u64, Vec<String>)>,
    /// How often each attack took place, and in how many runs.
    pub fired: BTreeMap<Attack, (u64, u64)>,
    /// Events that were accepted.
    pub accepted: u64,
    /// Requests to the cloud.
    pub requests: u64,
    /// Simulated time.
    pub simulated: Duration,
}

impl Campaign {
    /// Runs `seeds` seeds from `from` on, `threads` at a time.
    ///
    /// # Errors
    ///
    /// If a run cannot be set up.
    pub fn of(
        from: u64,
        seeds: u64,
        threads: usize,
        bar: &ProgressBar,
    ) -> anyhow::Result<Campaign> {
        let next = AtomicU64::new(from);
        let campaign = Mutex::new(Campaign::default());
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            let seed = next.fetch_add(1, Ordering::Relaxed);
                            if seed - from >= seeds {
                                return anyhow::Ok(());
                            }
                            let outcome = run(seed, Keep::Hash)?;
                            if let Some(failure) = outcome.failures.first() {
                                bar.println(format!("seed {seed}: {failure}"));
                            }
                            lock(&campaign).add(outcome);
                            bar.inc(1);
                        }
                    })
                })
                .collect();
            for worker in workers {
                match worker.join() {
                    Ok(result) => result?,
                    Err(_) => anyhow::bail!("a thread of the simulation panicked"),
                }
            }
            anyhow::Ok(())
        })?;
        let mut campaign = campaign.into_inner().unwrap_or_default();
        campaign.failed.sort();
        Ok(campaign)
    }

    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.accepted += outcome.accepted;
        self.requests += outcome.requests;
        self.simulated += outcome.simulated;
        for (attack, times) in outcome.fired {
            let (all, runs) = self.fired.entry(attack).or_default();
            *all += times;
            *runs += 1;
        }
        if !outcome.failures.is_empty() {
            self.failed.push((outcome.seed, outcome.failures));
        }
    }

    /// The attacks that never took place.
    pub fn missing(&self) -> Vec<Attack> {
        let mut all = Attack::all();
        all.retain(|attack| !self.fired.contains_key(attack));
        all
    }

    /// The table of attacks.
    pub fn attacks(&self) -> String {
        let mut table = format!("{:<48} {:>12} {:>10}\n", "attack", "times", "in runs");
        for attack in Attack::all() {
            let (times, runs) = self.fired.get(&attack).copied().unwrap_or_default();
            table.push_str(&format!(
                "{:<48} {times:>12} {runs:>10}\n",
                attack.to_string()
            ));
        }
        table
    }
}

impl fmt::Display for Campaign {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (seed, failures) in self.failed.iter().take(TOLD) {
            writeln!(out, "seed {seed} (simtest --seed {seed} replays it):")?;
            for failure in failures {
                writeln!(out, "  {}", failure.replace('\n', "\n  "))?;
            }
        }
        if self.failed.len() > TOLD {
            let seeds: Vec<String> = self.failed[TOLD..]
                .iter()
                .map(|(seed, _)| seed.to_string())
                .collect();
            writeln!(out, "also seeds {}", seeds.join(", "))?;
        }
        let missing: Vec<String> = self.missing().iter().map(Attack::to_string).collect();
        if !missing.is_empty() {
            writeln!(out, "attacks that never took place: {}", missing.join(", "))?;
        }
        writeln!(
            out,
            "{} events accepted, {} requests, {} simulated",
            self.accepted,
            self.requests,
            humantime::format_duration(Duration::from_secs(self.simulated.as_secs()))
        )?;
        write!(out, "seeds {}, failures {}", self.seeds, self.failed.len())
    }
}
