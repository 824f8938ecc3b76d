//! Decides which requests share a send to SQS, and when it goes. No clock and no I/O: the caller
//! passes `now`.
//!
//! With nothing in flight, a group goes as soon as as many requests wait as are expected: those
//! that the last send answered, for their clients come back, and those that were waiting or being
//! read by then. For a lone client that is one, so its events wait for nobody. Where fewer come, the group goes
//! after the linger; while requests are still being read, after ten times that.
//!
//! While a send is in flight the others collect, for at most [`PATIENCE`]. A group that would fill
//! one batch call goes at once, as long as fewer than the allowed sends are in flight.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Longest time that events wait for a send in flight to come back.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);

/// How many times the linger is waited while requests are still being read.
const LINGERS_WHILE_READING: u32 = 10;

/// Share of a batch call that a full group is meant to fill: with more, an estimate that is a
/// little wrong would spill into a second call.
const FILL: f64 = 0.92;

/// Bytes of a batch call's packs for each byte of lines, until a send has shown the real share.
const FIRST_RATIO: f64 = 0.3;

/// Bounds of that share: what compresses better still fills no group with unbounded memory.
const RATIOS: (f64, f64) = (0.08, 1.5);

/// Requests that wait to be sent.
pub(crate) struct Gather<T> {
    waiting: VecDeque<Waiting<T>>,
    size: usize,
    full: usize,
    linger: Duration,
    max_in_flight: usize,
    in_flight: usize,
    expected: usize,
    returned: Option<Instant>,
}

struct Waiting<T> {
    item: T,
    size: usize,
    since: Instant,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Next<T> {
    /// Send these, and tell [`Gather::returned`] when it is done.
    Send(Vec<T>),
    /// Look again at that time, or when something happens.
    Wait(Option<Instant>),
}

impl<T> Gather<T> {
    pub(crate) fn new(linger: Duration, max_in_flight: usize) -> Gather<T> {
        let mut gather = Gather {
            waiting: VecDeque::new(),
            size: 0,
            full: 0,
            linger,
            max_in_flight,
            in_flight: 0,
            expected: 1,
            returned: None,
        };
        gather.observe(FIRST_RATIO);
        gather
    }

    /// From now on a group is full with so many events, and sizes are numbers of events.
    pub(crate) fn fill_by_number(&mut self, events: usize) {
        self.full = events;
    }

    /// A request waits; `size` is the bytes of its lines.
    pub(crate) fn add(&mut self, item: T, size: usize, now: Instant) {
        self.size += size;
        self.waiting.push_back(Waiting {
            item,
            size,
            since: now,
        });
    }

    /// A send of `requests` is done, while `reading` others are on their way here.
    pub(crate) fn returned(&mut self, requests: usize, reading: usize, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.expected = (requests + self.waiting.len() + reading).max(1);
        self.returned = Some(now);
    }

    /// A send had `ratio` bytes of packs for each byte of lines: what a full group holds.
    pub(crate) fn observe(&mut self, ratio: f64) {
        let call = (aws::MAX_ENTRIES * contract::MAX_PACK_BYTES).min(aws::MAX_BATCH_BYTES);
        self.full = (call as f64 * FILL / ratio.clamp(RATIOS.0, RATIOS.1)) as usize;
    }

    /// From now on nothing waits for company.
    pub(crate) fn hurry(&mut self) {
        self.linger = Duration::ZERO;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What to do at `now`, while `reading` requests are on their way here.
    pub(crate) fn next(&mut self, reading: usize, now: Instant) -> Next<T> {
        let Some(first) = self.waiting.front().map(|waiting| waiting.since) else {
            return Next::Wait(None);
        };
        if self.in_flight >= self.max_in_flight {
            return Next::Wait(None);
        }
        let at = self.due(first, reading);
        if self.size >= self.full || at <= now {
            return Next::Send(self.take());
        }
        Next::Wait(Some(at))
    }

    /// When a group goes that is not full.
    fn due(&self, first: Instant, reading: usize) -> Instant {
        if self.linger.is_zero() {
            return first;
        }
        if self.in_flight > 0 {
            return first + PATIENCE;
        }
        // Who has not come back by now will not.
        let Some(returned) = self
            .returned
            .filter(|returned| first < *returned + PATIENCE)
        else {
            return first;
        };
        if self.waiting.len() >= self.expected {
            return first;
        }
        let since = first.max(returned);
        match reading {
            0 => since + self.linger,
            _ => since + self.linger * LINGERS_WHILE_READING,
        }
    }

    /// The longest waiting, up to a full group.
    fn take(&mut self) -> Vec<T> {
        let (mut count, mut size) = (0, 0);
        for waiting in &self.waiting {
            if count > 0 && size + waiting.size > self.full {
                break;
            }
            count += 1;
            size += waiting.size;
        }
        self.size -= size;
        self.in_flight += 1;
        self.waiting
            .drain(..count)
            .map(|waiting| waiting.item)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINGER: Duration = Duration::from_millis(10);
    const MB: usize = 1_000_000;

    fn gather() -> (Gather<u32>, Instant) {
        (Gather::new(LINGER, 4), Instant::now())
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_request_goes_at_once_every_time() {
        let (mut gather, mut now) = gather();
        for id in 0..5 {
            gather.add(id, 200, now);
            assert_eq!(gather.next(0, now), Next::Send(vec![id]));
            now += ms(5);
            gather.returned(1, 0, now);
            now += ms(1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_collect_while_a_send_is_in_flight_and_their_clients_come_back_to_one_group() {
        let (mut gather, start) = gather();
        gather.add(0, 200, start);
        assert_eq!(gather.next(0, start), Next::Send(vec![0]));
        for id in 1..16 {
            gather.add(id, 200, start + ms(1));
            assert_eq!(
                gather.next(0, start + ms(1)),
                Next::Wait(Some(start + ms(1) + PATIENCE))
            );
        }
        gather.returned(1, 0, start + ms(20));
        // Sixteen are expected: the fifteen that wait, and the one that was answered.
        assert_eq!(
            gather.next(0, start + ms(20)),
            Next::Wait(Some(start + ms(30)))
        );
        gather.add(0, 200, start + ms(22));
        assert!(matches!(gather.next(0, start + ms(22)), Next::Send(group) if group.len() == 16));
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_still_read_when_a_send_is_done_are_waited_for() {
        let (mut gather, start) = gather();
        gather.add(0, 200, start);
        assert!(matches!(gather.next(15, start), Next::Send(_)));
        gather.add(1, 200, start + ms(1));
        gather.returned(1, 14, start + ms(5));
        assert_eq!(
            gather.next(14, start + ms(5)),
            Next::Wait(Some(start + ms(105)))
        );
        (2..16).for_each(|id| gather.add(id, 200, start + ms(30)));
        gather.add(0, 200, start + ms(30));
        assert!(matches!(gather.next(0, start + ms(30)), Next::Send(group) if group.len() == 16));
    }

    #[tokio::test(start_paused = true)]
    async fn two_cohorts_merge_into_one() {
        let (mut gather, start) = gather();
        (0..8).for_each(|id| gather.add(id, 200, start));
        assert!(matches!(gather.next(0, start), Next::Send(group) if group.len() == 8));
        (8..16).for_each(|id| gather.add(id, 200, start));
        gather.returned(8, 0, start + ms(5));
        assert!(matches!(gather.next(0, start + ms(5)), Next::Wait(_)));
        (0..8).for_each(|id| gather.add(id, 200, start + ms(9)));
        assert!(matches!(gather.next(0, start + ms(9)), Next::Send(group) if group.len() == 16));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_come_back_is_waited_for_a_linger_and_longer_while_requests_are_read() {
        let (mut gather, start) = gather();
        (0..4).for_each(|id| gather.add(id, 200, start));
        assert!(matches!(gather.next(0, start), Next::Send(_)));
        gather.returned(4, 0, start + ms(5));
        gather.add(9, 200, start + ms(7));
        assert_eq!(
            gather.next(0, start + ms(7)),
            Next::Wait(Some(start + ms(17)))
        );
        assert_eq!(
            gather.next(1, start + ms(7)),
            Next::Wait(Some(start + ms(107)))
        );
        assert_eq!(gather.next(0, start + ms(17)), Next::Send(vec![9]));
        gather.returned(1, 0, start + ms(20));
        gather.add(10, 200, start + ms(21));
        assert_eq!(gather.next(1, start + ms(21)), Next::Send(vec![10]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_event_after_a_pause_waits_for_none_of_those_before_it() {
        let (mut gather, start) = gather();
        (0..4).for_each(|id| gather.add(id, 200, start));
        assert!(matches!(gather.next(0, start), Next::Send(_)));
        gather.returned(4, 0, start + ms(5));
        let later = start + ms(5) + PATIENCE;
        gather.add(9, 200, later);
        assert_eq!(gather.next(0, later), Next::Send(vec![9]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_group_goes_beside_those_in_flight_up_to_the_limit() {
        let (mut gather, now) = gather();
        for id in 0..4 {
            gather.add(id, 3 * MB, now);
            assert_eq!(gather.next(0, now), Next::Send(vec![id]));
        }
        gather.add(4, 3 * MB, now);
        gather.add(5, 3 * MB, now);
        assert_eq!(gather.next(0, now), Next::Wait(None));
        gather.returned(1, 0, now);
        // The first alone: with the second it would take two calls.
        assert_eq!(gather.next(0, now), Next::Send(vec![4]));
        assert_eq!(gather.next(0, now), Next::Wait(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_is_not_full_waits_for_a_send_in_flight_but_not_for_ever() {
        let (mut gather, start) = gather();
        gather.add(0, 200, start);
        assert!(matches!(gather.next(0, start), Next::Send(_)));
        gather.add(1, 200, start + ms(1));
        assert_eq!(
            gather.next(0, start + ms(250)),
            Next::Wait(Some(start + ms(251)))
        );
        assert_eq!(gather.next(0, start + ms(251)), Next::Send(vec![1]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_compresses_better_makes_larger_groups() {
        let (mut gather, now) = gather();
        gather.observe(0.2);
        gather.add(0, 200, now);
        assert!(matches!(gather.next(0, now), Next::Send(_)));
        gather.add(1, 2_900_000, now);
        assert!(matches!(gather.next(0, now), Next::Wait(Some(_))));
        gather.add(2, 200_000, now);
        assert_eq!(gather.next(0, now), Next::Send(vec![1]));
    }

    #[tokio::test(start_paused = true)]
    async fn filled_by_number_ten_events_go_at_once() {
        let (mut gather, now) = gather();
        gather.fill_by_number(10);
        gather.add(0, 1, now);
        assert!(matches!(gather.next(0, now), Next::Send(_)));
        (1..10).for_each(|id| gather.add(id, 1, now));
        assert!(matches!(gather.next(0, now), Next::Wait(Some(_))));
        (10..14).for_each(|id| gather.add(id, 1, now));
        assert_eq!(gather.next(0, now), Next::Send((1..11).collect()));
        assert!(matches!(gather.next(0, now), Next::Wait(Some(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_hurry_nothing_waits() {
        let (mut gather, now) = gather();
        (0..3).for_each(|id| gather.add(id, 200, now));
        assert!(matches!(gather.next(0, now), Next::Send(_)));
        gather.add(3, 200, now);
        gather.hurry();
        assert_eq!(gather.next(7, now), Next::Send(vec![3]));
        assert!(gather.is_empty());
    }
}
