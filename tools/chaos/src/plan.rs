//! What happens in each round, drawn from the seed before anything runs.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use crate::faults::{ActiveFault, FaultKind};
use crate::instance::{Counts, Instance, Service};

/// Every fourth crash round is a burst; the third is the first one.
const BURST_EVERY: u32 = 4;
const FIRST_BURST: u32 = 3;

/// Share of the other crash rounds in which two processes are killed at once.
const TWO_AT_ONCE: f64 = 0.3;

/// Milliseconds from a kill to the start that follows.
const DOWN_MS: std::ops::Range<u64> = 100..2_500;

/// Milliseconds between starts and kills of a process that is killed several times in a row: hardly
/// long enough to become ready.
const SHORT_LIFE_MS: std::ops::Range<u64> = 50..600;

/// Shares of the requests that an outage may hit.
const SHARES: [f64; 3] = [0.3, 0.7, 1.0];

/// A `kill -9` and the start that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kill {
    pub(crate) who: Instance,
    /// From the start of the round.
    pub(crate) at: Duration,
    /// From the kill to the start.
    pub(crate) down: Duration,
}

/// What is done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Kill(Instance),
    Start(Instance),
}

/// An outage of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outage {
    pub(crate) fault: ActiveFault,
    /// From the start of the round.
    pub(crate) at: Duration,
    pub(crate) lasts: Duration,
}

/// One round.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Round {
    /// Kills in the order of their times; a process is started before it is killed again.
    Crash(Vec<Kill>),
    Outage(Outage),
}

/// Draws `crashes` crash rounds and `outages` outage rounds in mixed order. Each lasts `length`.
pub(crate) fn rounds(
    seed: u64,
    crashes: u32,
    outages: u32,
    counts: Counts,
    length: Duration,
) -> Vec<Round> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut rounds = Vec::new();
    let (mut services, mut bursts) = (Deck::of(&Service::ALL), Deck::of(&Burst::ALL));
    for number in 1..=crashes {
        let service = services.draw(&mut chance);
        let burst = (number % BURST_EVERY == FIRST_BURST).then(|| bursts.draw(&mut chance));
        let kills = crash(&mut chance, service, burst, counts, length);
        rounds.push(Round::Crash(kills));
    }
    let mut faults = Deck::of(&FaultKind::ALL);
    for _ in 0..outages {
        let kind = faults.draw(&mut chance);
        rounds.push(Round::Outage(outage(&mut chance, kind, length)));
    }
    rounds.shuffle(&mut chance);
    rounds
}

/// Draws each of some values once before any is drawn again.
struct Deck<T: 'static> {
    all: &'static [T],
    left: Vec<T>,
}

impl<T: Copy> Deck<T> {
    /// `all` must not be empty.
    fn of(all: &'static [T]) -> Deck<T> {
        Deck {
            all,
            left: Vec::new(),
        }
    }

    fn draw(&mut self, chance: &mut StdRng) -> T {
        if self.left.is_empty() {
            self.left = self.all.to_vec();
            self.left.shuffle(chance);
        }
        self.left.pop().unwrap_or(self.all[0])
    }
}

/// A crash round that is not one or two single kills.
#[derive(Clone, Copy)]
enum Burst {
    /// Everything at once, as when the machine fails.
    Machine,
    /// All processes of one service at once.
    Service,
    /// One process several times, shortly after each start.
    Again,
}

impl Burst {
    const ALL: [Burst; 3] = [Burst::Machine, Burst::Service, Burst::Again];
}

fn crash(
    chance: &mut StdRng,
    service: Service,
    burst: Option<Burst>,
    counts: Counts,
    length: Duration,
) -> Vec<Kill> {
    let at = length.mul_f64(chance.random_range(0.05..0.6));
    let first = one_of(chance, counts.of(service));
    let victims = match burst {
        Some(Burst::Again) => return again(chance, first, at.min(length / 3)),
        Some(Burst::Machine) => counts.all().collect(),
        Some(Burst::Service) => counts.of(service).collect(),
        None if chance.random_bool(TWO_AT_ONCE) => {
            let others = counts.all().filter(|other| Some(*other) != first);
            first.into_iter().chain(one_of(chance, others)).collect()
        }
        None => Vec::from_iter(first),
    };
    let kill = |who| Kill {
        who,
        at,
        down: Duration::from_millis(chance.random_range(DOWN_MS)),
    };
    victims.into_iter().map(kill).collect()
}

fn again(chance: &mut StdRng, who: Option<Instance>, mut at: Duration) -> Vec<Kill> {
    let mut kills = Vec::new();
    for who in who.into_iter().cycle().take(chance.random_range(3..=5)) {
        let down = Duration::from_millis(chance.random_range(SHORT_LIFE_MS));
        kills.push(Kill { who, at, down });
        at += down + Duration::from_millis(chance.random_range(SHORT_LIFE_MS));
    }
    kills
}

fn one_of(chance: &mut StdRng, processes: impl Iterator<Item = Instance>) -> Option<Instance> {
    processes.collect::<Vec<_>>().choose(chance).copied()
}

fn outage(chance: &mut StdRng, kind: FaultKind, length: Duration) -> Outage {
    let share = match kind {
        FaultKind::Down => 1.0,
        _ => *SHARES.choose(chance).unwrap_or(&1.0),
    };
    Outage {
        fault: ActiveFault { kind, share },
        at: length.mul_f64(chance.random_range(0.05..0.25)),
        lasts: length.mul_f64(chance.random_range(0.2..0.6)),
    }
}

/// The round's kills and starts in the order of their times from its start.
pub(crate) fn steps(kills: &[Kill]) -> Vec<(Duration, Step)> {
    let mut steps: Vec<(Duration, Step)> = kills
        .iter()
        .flat_map(|kill| {
            [
                (kill.at, Step::Kill(kill.who)),
                (kill.at + kill.down, Step::Start(kill.who)),
            ]
        })
        .collect();
    steps.sort_by_key(|(at, _)| *at);
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const LENGTH: Duration = Duration::from_secs(12);
    const COUNTS: Counts = Counts {
        consumers: 3,
        aggregators: 2,
    };

    #[test]
    fn the_same_seed_draws_the_same_rounds_and_another_seed_others() {
        let of = |seed| rounds(seed, 50, 20, COUNTS, LENGTH);
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        let crashes = of(7)
            .iter()
            .filter(|round| matches!(round, Round::Crash(_)))
            .count();
        assert_eq!((of(7).len(), crashes), (70, 50));
    }

    #[test]
    fn in_fifty_rounds_every_process_is_killed_alone_with_others_and_in_bursts() {
        for seed in 0..20 {
            let mut killed = BTreeSet::new();
            let mut by_number: BTreeMap<usize, u32> = BTreeMap::new();
            for round in rounds(seed, 50, 0, COUNTS, LENGTH) {
                let Round::Crash(kills) = round else {
                    panic!("no outage was asked for")
                };
                killed.extend(kills.iter().map(|kill| kill.who));
                *by_number.entry(kills.len()).or_default() += 1;
            }
            assert_eq!(killed.len(), COUNTS.all().count(), "seed {seed}");
            assert!(by_number[&1] >= 15 && by_number[&2] >= 3, "{by_number:?}");
            assert!(by_number[&COUNTS.all().count()] >= 3, "{by_number:?}");
        }
    }

    #[test]
    fn three_rounds_are_enough_for_each_service_to_be_killed() {
        for seed in 0..20 {
            let mut killed = BTreeSet::new();
            for round in rounds(seed, 3, 0, COUNTS, LENGTH) {
                let Round::Crash(kills) = round else {
                    panic!("no outage was asked for")
                };
                killed.extend(kills.iter().map(|kill| kill.who.service));
            }
            assert_eq!(killed.len(), 3, "seed {seed}");
        }
    }

    #[test]
    fn a_process_is_started_before_it_is_killed_again() {
        for seed in 0..50 {
            for round in rounds(seed, 20, 0, COUNTS, LENGTH) {
                let Round::Crash(kills) = round else { continue };
                let mut running: BTreeSet<Instance> = COUNTS.all().collect();
                for (at, step) in steps(&kills) {
                    assert!(at < LENGTH, "{kills:?}");
                    match step {
                        Step::Kill(who) => assert!(running.remove(&who), "{kills:?}"),
                        Step::Start(who) => assert!(running.insert(who), "{kills:?}"),
                    }
                }
                assert_eq!(running.len(), COUNTS.all().count());
            }
        }
    }

    #[test]
    fn each_sort_of_fault_comes_before_any_comes_again() {
        for seed in 0..20 {
            let drawn: Vec<Round> = rounds(seed, 0, 10, COUNTS, LENGTH);
            let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
            for round in &drawn {
                let Round::Outage(outage) = round else {
                    panic!("no crash was asked for")
                };
                *kinds.entry(outage.fault.kind.as_str()).or_default() += 1;
                assert!(outage.at + outage.lasts < LENGTH);
            }
            assert_eq!(kinds.len(), FaultKind::ALL.len());
            assert!(kinds.values().all(|times| *times == 2), "{kinds:?}");
        }
    }
}
