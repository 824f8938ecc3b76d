//! Decides which open notifications are sent when: no I/O, and the caller passes the time.
//!
//! Each channel is on its own. While it works, a few notifications of different groups are sent at a time; after a
//! failure that is the channel's, one at a time, with growing waits, the one that was tried longest ago first. A
//! message that a channel does not take waits by itself, so that it holds up no others.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::receivers::{Verdict, VerdictKind};
use crate::journal::{Notification, State, Status};

/// Shortest and longest wait between two attempts.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Longest `Retry-After` that is heeded.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// Notifications that are sent at a time on a channel that works. Each one that is sent when the process is killed is
/// sent again, so there are few.
const AT_ONCE: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct Schedule {
    channels: HashMap<String, Lane>,
    tries: HashMap<u64, Tries>,
}

/// How a channel does.
#[derive(Debug, Default)]
struct Lane {
    /// In a row.
    failures: u32,
    /// Nothing is sent before.
    until: Option<Instant>,
    in_flight: usize,
}

/// How often a notification was tried by this process.
#[derive(Debug, Default, Clone, Copy)]
struct Tries {
    in_flight: bool,
    /// Failures that are the message's own.
    failures: u32,
    next: Option<Instant>,
}

/// What is sent now, and when to look again if nothing changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// [`Notification::sequence`] of each.
    pub(crate) now: Vec<u64>,
    pub(crate) next: Option<Instant>,
}

impl Schedule {
    /// Chooses what is sent now; each must be told of by [`ended`](Schedule::ended).
    pub(crate) fn due(&mut self, state: &State, now: Instant) -> Due {
        self.tries.retain(|sequence, tries| {
            tries.in_flight || state.notifications.contains_key(sequence)
        });
        let mut waiting: BTreeMap<&str, Vec<&Notification>> = BTreeMap::new();
        for notification in state.notifications.values() {
            let flow = state.flow(&notification.channel, &notification.group_key);
            // The oldest of its group, so that a group is told in order.
            let is_first = flow.and_then(|flow| flow.open.first()) == Some(&notification.sequence);
            let is_idle = !self
                .tries
                .get(&notification.sequence)
                .is_some_and(|tries| tries.in_flight);
            if notification.status == Status::Open && is_first && is_idle {
                waiting
                    .entry(&notification.channel)
                    .or_default()
                    .push(notification);
            }
        }
        let mut due = Due::default();
        for (channel, notifications) in waiting {
            self.due_on(channel, notifications, now, &mut due);
        }
        due
    }

    fn due_on(
        &mut self,
        channel: &str,
        mut notifications: Vec<&Notification>,
        now: Instant,
        due: &mut Due,
    ) {
        let lane = self.channels.entry(channel.to_owned()).or_default();
        let most = if lane.failures > 0 { 1 } else { AT_ONCE };
        if lane.in_flight >= most {
            return;
        }
        // By the log, so that after a restart too what was never tried goes before what was refused.
        let last = |notification: &Notification| notification.attempts.last().map(|tried| tried.at);
        notifications.sort_by_key(|notification| (last(notification), notification.sequence));
        for notification in notifications {
            let sequence = notification.sequence;
            let own = self.tries.get(&sequence).and_then(|tries| tries.next);
            let at = own.max(lane.until).filter(|at| *at > now);
            if let Some(at) = at {
                due.next = Some(due.next.map_or(at, |next| next.min(at)));
            } else if lane.in_flight < most {
                lane.in_flight += 1;
                due.now.push(sequence);
                self.tries.entry(sequence).or_default().in_flight = true;
            } else {
                break;
            }
        }
    }

    /// An attempt has ended.
    pub(crate) fn ended(&mut self, notification: &Notification, verdict: &Verdict, now: Instant) {
        let lane = self
            .channels
            .entry(notification.channel.clone())
            .or_default();
        lane.in_flight = lane.in_flight.saturating_sub(1);
        let tries = self.tries.entry(notification.sequence).or_default();
        tries.in_flight = false;
        let asked = verdict.retry_after.map(|asked| asked.min(LONGEST_ASKED));
        // Where the channel works for others, the failure may be the message's: it must not come first for ever.
        let is_own = match verdict.kind {
            VerdictKind::MessageFails => true,
            VerdictKind::ChannelFails => lane.failures == 0,
            VerdictKind::Delivered | VerdictKind::Refused => false,
        };
        if is_own {
            tries.failures += 1;
            tries.next = Some(now + wait(tries.failures, notification));
        }
        match verdict.kind {
            VerdictKind::ChannelFails => {
                lane.failures += 1;
                let wait = wait(lane.failures, notification);
                // The longer of the two: a receiver that asks for a second each time would be asked all day.
                lane.until = Some(now + asked.map_or(wait, |asked| asked.max(wait)));
            }
            VerdictKind::Delivered => (lane.failures, lane.until) = (0, None),
            // It answered, so it works.
            VerdictKind::MessageFails | VerdictKind::Refused => {
                (lane.failures, lane.until) = (0, asked.map(|asked| now + asked));
            }
        }
    }
}

/// The wait after a number of failures in a row: it doubles, less up to half by an amount that follows from the
/// notification's id, so that many do not come at once and a test can be repeated.
fn wait(failures: u32, notification: &Notification) -> Duration {
    let longest = WAITS
        .0
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(WAITS.1);
    let seed = notification.id.bytes().fold(failures, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let share = f64::from(seed % 1000) / 2000.0;
    longest.mul_f64(1.0 - share).max(WAITS.0)
}
