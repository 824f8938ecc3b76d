//! Many runs, on several threads, and their results together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;

use crate::attack::Attack;
use crate::run::{RunResult, run_of};
use crate::subject::Subject;
use crate::trace::Keep;
use crate::world::lock;

/// Number of failed seeds whose failures are printed in words.
const TOLD: usize = 10;

/// Results of many runs.
#[derive(Debug, Default)]
pub struct Campaign {
    /// What is attacked.
    pub subject: Subject,
    /// Number of runs.
    pub seeds: u64,
    /// Seeds whose runs broke a law, with their failures.
    pub failed: Vec<(u64, Vec<String>)>,
    /// How often each attack took place, and in how many of the runs.
    pub fired: BTreeMap<Attack, (u64, u64)>,
    /// Number of accepted events.
    pub accepted: u64,
    /// Number of requests to the emulated AWS.
    pub requests: u64,
    /// Sum of the runs' simulated time.
    pub simulated: Duration,
}

impl Campaign {
    /// Runs `seeds` seeds from `from` on, `threads` at a time.
    ///
    /// # Errors
    ///
    /// If a run cannot be set up.
    pub fn of(
        subject: Subject,
        from: u64,
        seeds: u64,
        threads: usize,
        bar: &ProgressBar,
    ) -> anyhow::Result<Campaign> {
        let next = AtomicU64::new(from);
        let campaign = Mutex::new(Campaign {
            subject,
            ..Campaign::default()
        });
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            let seed = next.fetch_add(1, Ordering::Relaxed);
                            if seed - from >= seeds {
                                return anyhow::Ok(());
                            }
                            let result = run_of(subject, seed, Keep::Hash)?;
                            if let Some(failure) = result.failures.first() {
                                bar.println(format!("seed {seed}: {failure}"));
                            }
                            lock(&campaign).add(result);
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

    fn add(&mut self, result: RunResult) {
        self.seeds += 1;
        self.accepted += result.accepted;
        self.requests += result.requests;
        self.simulated += result.simulated;
        for (attack, times) in result.fired {
            let (all, runs) = self.fired.entry(attack).or_default();
            *all += times;
            *runs += 1;
        }
        if !result.failures.is_empty() {
            self.failed.push((result.seed, result.failures));
        }
    }

    /// The attacks that never took place.
    pub fn missing(&self) -> Vec<Attack> {
        let mut all = self.subject.attacks();
        all.retain(|attack| !self.fired.contains_key(attack));
        all
    }

    /// The table of attacks.
    pub fn attacks(&self) -> String {
        let mut table = format!("{:<48} {:>12} {:>10}\n", "attack", "times", "in runs");
        for attack in self.subject.attacks() {
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
            let subject = match self.subject {
                Subject::Pipeline => "",
                Subject::Alerts => "--subject alerts ",
            };
            writeln!(
                out,
                "seed {seed} (simtest {subject}--seed {seed} replays it):"
            )?;
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
