//! A seeded plan of faults. Each request draws its fate from the plan.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What can go wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// Answers 500 without any effect.
    InternalError,
    /// Answers 503 without any effect.
    ServiceUnavailable,
    /// Answers S3's 503 `SlowDown` or SQS's `RequestThrottled` without any effect.
    Throttled,
    /// Answers S3's 409 `ConditionalRequestConflict` to a conditional write without any effect; other
    /// requests pass.
    Conflict,
    /// Cuts the connection before any effect.
    CutBefore,
    /// Cuts the connection after the effect: the answer is lost.
    CutAfter,
    /// Waits before the effect.
    Slow,
    /// Fails one entry of a batch call, its neighbours succeed.
    EntryFailure,
    /// Delivers a message that is in flight to another receiver.
    DuplicateDelivery,
}

impl FaultKind {
    /// The name in [`LocalAws::faults_fired`](crate::LocalAws::faults_fired), such as `cut_after`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InternalError => "internal_error",
            Self::ServiceUnavailable => "service_unavailable",
            Self::Throttled => "throttled",
            Self::Conflict => "conflict",
            Self::CutBefore => "cut_before",
            Self::CutAfter => "cut_after",
            Self::Slow => "slow",
            Self::EntryFailure => "entry_failure",
            Self::DuplicateDelivery => "duplicate_delivery",
        }
    }
}

#[derive(Debug, Clone)]
struct Rule {
    kind: FaultKind,
    /// `*` stands for every operation.
    operation: String,
    probability: f64,
    delay: Range<Duration>,
}

/// A plan of faults by operation and probability. The same seed gives each operation the same sequence of
/// faults, however operations interleave: the fate of the third `PutObject` depends on the seed alone.
///
/// Operations have their API names (`SendMessageBatch`, `PutObject`); `*` stands for all. Of the rules
/// that fire for one request, the first given wins; a delay comes on top.
///
/// ```
/// use std::time::Duration;
/// use local_aws::{FaultKind, Faults, LocalAws};
///
/// let faults = Faults::seeded(7)
///     .rule(FaultKind::CutAfter, "PutObject", 0.1)
///     .rule(FaultKind::DuplicateDelivery, "ReceiveMessage", 0.05)
///     .slow("*", 0.2, Duration::from_millis(5)..Duration::from_millis(50));
/// let cloud = LocalAws::builder().faults(faults).build()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Faults {
    seed: u64,
    rules: Vec<Rule>,
}

impl Faults {
    /// A plan without rules: nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A plan that draws from this seed; add rules to it.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            rules: Vec::new(),
        }
    }

    /// Lets this share (0 to 1) of an operation's requests meet the fault `kind`;
    /// [`FaultKind::EntryFailure`] takes this share of entries instead.
    #[must_use]
    pub fn rule(mut self, kind: FaultKind, operation: &str, probability: f64) -> Self {
        self.rules.push(Rule {
            kind,
            operation: operation.to_owned(),
            probability: probability.clamp(0.0, 1.0),
            delay: Duration::ZERO..Duration::ZERO,
        });
        self
    }

    /// Delays this share of an operation's requests by a time from `range`.
    #[must_use]
    pub fn slow(mut self, operation: &str, probability: f64, range: Range<Duration>) -> Self {
        self = self.rule(FaultKind::Slow, operation, probability);
        if let Some(rule) = self.rules.last_mut() {
            rule.delay = range;
        }
        self
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }
}

/// The faults that one request meets.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Fate {
    pub(crate) delay: Option<Duration>,
    pub(crate) fault: Option<FaultKind>,
    pub(crate) duplicate: bool,
}

/// The plan in use, its random generators, and the faults so far.
#[derive(Debug, Default)]
pub(crate) struct FaultState {
    plan: Faults,
    rngs: BTreeMap<String, StdRng>,
    next: BTreeMap<String, (FaultKind, u64)>,
    fired: BTreeMap<String, u64>,
}

impl FaultState {
    pub(crate) fn new(plan: Faults) -> Self {
        Self {
            plan,
            ..Self::default()
        }
    }

    /// Replaces the plan; the counts stay.
    pub(crate) fn replace(&mut self, plan: Faults) {
        self.plan = plan;
        self.rngs.clear();
        self.next.clear();
    }

    pub(crate) fn fail_next(&mut self, operation: &str, count: u64, kind: FaultKind) {
        self.next.insert(operation.to_owned(), (kind, count));
    }

    pub(crate) fn fired(&self) -> BTreeMap<String, u64> {
        self.fired.clone()
    }

    pub(crate) fn count(&mut self, kind: FaultKind, operation: &str) {
        let key = format!("{}:{operation}", kind.name());
        *self.fired.entry(key).or_default() += 1;
    }

    /// Draws the fate of one request. Every rule draws, even if an earlier one fired, so that the
    /// sequence does not depend on earlier draws.
    pub(crate) fn draw(&mut self, operation: &str, conditional_write: bool) -> Fate {
        let mut fate = Fate::default();
        if let Some((kind, count)) = self.next.get_mut(operation)
            && *count > 0
            && *kind != FaultKind::EntryFailure
        {
            *count -= 1;
            match *kind {
                FaultKind::DuplicateDelivery => fate.duplicate = true,
                kind => fate.fault = Some(kind),
            }
        }
        if self.plan.rules.is_empty() {
            return self.counted(operation, fate);
        }
        let rng = generator(&mut self.rngs, self.plan.seed, operation);
        for rule in &self.plan.rules {
            let applies = rule.operation == "*" || rule.operation == operation;
            if !applies || rule.kind == FaultKind::EntryFailure {
                continue;
            }
            let fires = rng.random_bool(rule.probability);
            match rule.kind {
                FaultKind::Slow => {
                    let share: f64 = rng.random_range(0.0..1.0);
                    let span = rule.delay.end.saturating_sub(rule.delay.start);
                    if fires {
                        fate.delay = Some(rule.delay.start + span.mul_f64(share));
                    }
                }
                FaultKind::DuplicateDelivery => {
                    fate.duplicate |= fires && operation == "ReceiveMessage";
                }
                FaultKind::Conflict if !conditional_write => {}
                kind if fires && fate.fault.is_none() => fate.fault = Some(kind),
                _ => {}
            }
        }
        self.counted(operation, fate)
    }

    /// Counts the faults, except a duplicate delivery: that is counted where there is a message to
    /// deliver again.
    fn counted(&mut self, operation: &str, fate: Fate) -> Fate {
        if fate.delay.is_some() {
            self.count(FaultKind::Slow, operation);
        }
        if let Some(kind) = fate.fault {
            self.count(kind, operation);
        }
        fate
    }

    /// Draws whether one entry of a batch fails.
    pub(crate) fn entry_fails(&mut self, operation: &str) -> bool {
        let mut fails = false;
        if let Some((FaultKind::EntryFailure, count)) = self.next.get_mut(operation)
            && *count > 0
        {
            *count -= 1;
            fails = true;
        }
        let applies = |rule: &&Rule| {
            rule.kind == FaultKind::EntryFailure
                && (rule.operation == "*" || rule.operation == operation)
        };
        if let Some(rule) = self.plan.rules.iter().find(applies) {
            let key = format!("{operation}.entries");
            let rng = generator(&mut self.rngs, self.plan.seed, &key);
            fails |= rng.random_bool(rule.probability);
        }
        if fails {
            self.count(FaultKind::EntryFailure, operation);
        }
        fails
    }

    /// Draws an index below `len`: the message to deliver twice.
    pub(crate) fn pick(&mut self, len: usize) -> usize {
        generator(&mut self.rngs, self.plan.seed, "pick").random_range(0..len.max(1))
    }
}

/// The generator of one operation, seeded from the plan's seed and its name.
fn generator<'a>(rngs: &'a mut BTreeMap<String, StdRng>, seed: u64, name: &str) -> &'a mut StdRng {
    rngs.entry(name.to_owned()).or_insert_with(|| {
        // FNV-1a: any fixed mixing will do, the standard hasher promises none.
        let mixed = name
            .bytes()
            .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        StdRng::seed_from_u64(mixed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(state: &mut FaultState, operation: &str, n: usize) -> Vec<Option<FaultKind>> {
        (0..n).map(|_| state.draw(operation, false).fault).collect()
    }

    #[test]
    fn the_same_seed_gives_an_operation_the_same_sequence_however_others_interleave() {
        let plan = || {
            Faults::seeded(3)
                .rule(FaultKind::CutAfter, "PutObject", 0.3)
                .rule(FaultKind::Throttled, "*", 0.2)
        };
        let mut alone = FaultState::new(plan());
        let mut mixed = FaultState::new(plan());
        sequence(&mut mixed, "GetObject", 17);
        let first = sequence(&mut alone, "PutObject", 200);
        assert_eq!(first, sequence(&mut mixed, "PutObject", 200));
        assert!(first.contains(&Some(FaultKind::CutAfter)));
        assert!(first.contains(&Some(FaultKind::Throttled)));
        let mut other = FaultState::new(Faults { seed: 4, ..plan() });
        assert_ne!(first, sequence(&mut other, "PutObject", 200));
    }

    #[test]
    fn what_fires_is_counted_by_kind_and_operation() {
        let mut state = FaultState::new(Faults::none());
        state.fail_next("PutObject", 2, FaultKind::CutBefore);
        sequence(&mut state, "PutObject", 5);
        assert_eq!(
            state.fired(),
            BTreeMap::from([("cut_before:PutObject".to_owned(), 2)])
        );
    }

    #[test]
    fn a_conflict_befalls_conditional_writes_only() {
        let mut state = FaultState::new(Faults::seeded(1).rule(FaultKind::Conflict, "*", 1.0));
        assert_eq!(state.draw("PutObject", false).fault, None);
        assert_eq!(
            state.draw("PutObject", true).fault,
            Some(FaultKind::Conflict)
        );
    }
}
