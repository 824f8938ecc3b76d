//! Decides which requests share a send to SQS, and when it goes. No clock and no I/O: the caller passes `now`.
//!
//! While no send is in flight, a group goes once as many requests wait as are expected: those answered by the last
//! send, whose clients usually come back, and those that waited or were arriving when it returned. For a lone client
//! that is one request, which waits for nobody. If fewer come, the group goes after the linger; while further requests
//! of each key in it are arriving, after ten times the linger.
//!
//! While a send is in flight, requests collect for at most [`PATIENCE`]. A group that would fill one batch call goes
//! at once, as long as fewer sends are in flight than allowed.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Longest time that events wait for a send in flight to return.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);

/// How many times the linger a group waits while requests are arriving.
const LINGERS_WHILE_ARRIVING: u32 = 10;

/// Share of a batch call that a full group is meant to fill: with more, an estimate that is a little wrong would need
/// a second call.
const FILL: f64 = 0.92;

/// Bytes of packs for each byte of lines, until a send has shown the real ratio.
const FIRST_RATIO: f64 = 0.3;

/// Bounds of that ratio: however well events compress, the lines of a group take bounded memory.
const RATIOS: (f64, f64) = (0.08, 1.5);

/// Requests that wait to be sent. A request's size, and `full`, are bytes of lines, or numbers of events after
/// [`Grouping::fill_by_number`].
pub(crate) struct Grouping<T> {
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
    /// Send these, and call [`Grouping::returned`] when that is done.
    Send(Vec<T>),
    /// Ask again at that time, or when something has happened.
    Wait(Option<Instant>),
}

impl<T> Grouping<T> {
    pub(crate) fn new(linger: Duration, max_in_flight: usize) -> Grouping<T> {
        let mut grouping = Grouping {
            waiting: VecDeque::new(),
            size: 0,
            full: 0,
            linger,
            max_in_flight,
            in_flight: 0,
            expected: 1,
            returned: None,
        };
        grouping.observe(FIRST_RATIO);
        grouping
    }

    /// From now on a group is full with `events` events, and sizes are numbers of events.
    pub(crate) fn fill_by_number(&mut self, events: usize) {
        self.full = events;
    }

    /// A request waits.
    pub(crate) fn add(&mut self, item: T, size: usize, now: Instant) {
        self.size += size;
        self.waiting.push_back(Waiting {
            item,
            size,
            since: now,
        });
    }

    /// A send of `requests` is done, while `arriving` others are being read.
    pub(crate) fn returned(&mut self, requests: usize, arriving: usize, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.expected = (requests + self.waiting.len() + arriving).max(1);
        self.returned = Some(now);
    }

    /// A send had `ratio` bytes of packs for each byte of lines: from now on a full group is one whose packs fill a
    /// call.
    pub(crate) fn observe(&mut self, ratio: f64) {
        let call = (aws::MAX_ENTRIES * contract::MAX_PACK_BYTES).min(aws::MAX_BATCH_BYTES);
        self.full = (call as f64 * FILL / ratio.clamp(RATIOS.0, RATIOS.1)) as usize;
    }

    /// From now on no group waits for further requests.
    pub(crate) fn hurry(&mut self) {
        self.linger = Duration::ZERO;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What to do at `now`; `more_arrive` says whether further requests of each key that waits are being read.
    pub(crate) fn next(&mut self, more_arrive: bool, now: Instant) -> Next<T> {
        let Some(first) = self.waiting.front().map(|waiting| waiting.since) else {
            return Next::Wait(None);
        };
        if self.in_flight >= self.max_in_flight {
            return Next::Wait(None);
        }
        let at = self.due(first, more_arrive);
        if self.size >= self.full || at <= now {
            return Next::Send(self.take());
        }
        Next::Wait(Some(at))
    }

    /// When a group that is not full goes; `first` is when its first request came.
    fn due(&self, first: Instant, more_arrive: bool) -> Instant {
        if self.linger.is_zero() {
            return first;
        }
        if self.in_flight > 0 {
            return first + PATIENCE;
        }
        // Clients of the last send that have not come back within PATIENCE are not expected any more.
        let Some(returned) = self
            .returned
            .filter(|returned| first < *returned + PATIENCE)
        else {
            return first;
        };
        if self.waiting.len() >= self.expected {
            return first;
        }
        let lingers = if more_arrive {
            LINGERS_WHILE_ARRIVING
        } else {
            1
        };
        first.max(returned) + self.linger * lingers
    }

    /// Takes the requests that have waited longest, up to a full group.
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

    fn new_grouping() -> (Grouping<u32>, Instant) {
        (Grouping::new(LINGER, 4), Instant::now())
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_request_goes_at_once_every_time() {
        let (mut grouping, mut now) = new_grouping();
        for id in 0..5 {
            grouping.add(id, 200, now);
            assert_eq!(grouping.next(false, now), Next::Send(vec![id]));
            now += ms(5);
            grouping.returned(1, 0, now);
            now += ms(1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_collect_while_a_send_is_in_flight_and_their_clients_come_back_to_one_group() {
        let (mut grouping, start) = new_grouping();
        grouping.add(0, 200, start);
        assert_eq!(grouping.next(false, start), Next::Send(vec![0]));
        for id in 1..16 {
            grouping.add(id, 200, start + ms(1));
            assert_eq!(
                grouping.next(false, start + ms(1)),
                Next::Wait(Some(start + ms(1) + PATIENCE))
            );
        }
        grouping.returned(1, 0, start + ms(20));
        // Sixteen are expected: the fifteen that wait, and the one that was answered.
        assert_eq!(
            grouping.next(false, start + ms(20)),
            Next::Wait(Some(start + ms(30)))
        );
        grouping.add(0, 200, start + ms(22));
        assert!(
            matches!(grouping.next(false, start + ms(22)), Next::Send(group) if group.len() == 16)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn requests_still_arriving_when_a_send_is_done_are_waited_for() {
        let (mut grouping, start) = new_grouping();
        grouping.add(0, 200, start);
        assert!(matches!(grouping.next(true, start), Next::Send(_)));
        grouping.add(1, 200, start + ms(1));
        grouping.returned(1, 14, start + ms(5));
        assert_eq!(
            grouping.next(true, start + ms(5)),
            Next::Wait(Some(start + ms(105)))
        );
        (2..16).for_each(|id| grouping.add(id, 200, start + ms(30)));
        grouping.add(0, 200, start + ms(30));
        assert!(
            matches!(grouping.next(false, start + ms(30)), Next::Send(group) if group.len() == 16)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn clients_of_two_groups_come_to_share_one() {
        let (mut grouping, start) = new_grouping();
        (0..8).for_each(|id| grouping.add(id, 200, start));
        assert!(matches!(grouping.next(false, start), Next::Send(group) if group.len() == 8));
        (8..16).for_each(|id| grouping.add(id, 200, start));
        grouping.returned(8, 0, start + ms(5));
        assert!(matches!(grouping.next(false, start + ms(5)), Next::Wait(_)));
        (0..8).for_each(|id| grouping.add(id, 200, start + ms(9)));
        assert!(
            matches!(grouping.next(false, start + ms(9)), Next::Send(group) if group.len() == 16)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_expected_client_is_waited_for_one_linger_and_ten_while_requests_arrive() {
        let (mut grouping, start) = new_grouping();
        (0..4).for_each(|id| grouping.add(id, 200, start));
        assert!(matches!(grouping.next(false, start), Next::Send(_)));
        grouping.returned(4, 0, start + ms(5));
        grouping.add(9, 200, start + ms(7));
        assert_eq!(
            grouping.next(false, start + ms(7)),
            Next::Wait(Some(start + ms(17)))
        );
        assert_eq!(
            grouping.next(true, start + ms(7)),
            Next::Wait(Some(start + ms(107)))
        );
        assert_eq!(grouping.next(false, start + ms(17)), Next::Send(vec![9]));
        grouping.returned(1, 0, start + ms(20));
        grouping.add(10, 200, start + ms(21));
        assert_eq!(grouping.next(true, start + ms(21)), Next::Send(vec![10]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_event_after_a_pause_waits_for_no_earlier_client() {
        let (mut grouping, start) = new_grouping();
        (0..4).for_each(|id| grouping.add(id, 200, start));
        assert!(matches!(grouping.next(false, start), Next::Send(_)));
        grouping.returned(4, 0, start + ms(5));
        let later = start + ms(5) + PATIENCE;
        grouping.add(9, 200, later);
        assert_eq!(grouping.next(false, later), Next::Send(vec![9]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_group_goes_beside_those_in_flight_up_to_the_limit() {
        let (mut grouping, now) = new_grouping();
        for id in 0..4 {
            grouping.add(id, 3 * MB, now);
            assert_eq!(grouping.next(false, now), Next::Send(vec![id]));
        }
        grouping.add(4, 3 * MB, now);
        grouping.add(5, 3 * MB, now);
        assert_eq!(grouping.next(false, now), Next::Wait(None));
        grouping.returned(1, 0, now);
        // The first alone: with the second it would take two calls.
        assert_eq!(grouping.next(false, now), Next::Send(vec![4]));
        assert_eq!(grouping.next(false, now), Next::Wait(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_is_not_full_waits_for_a_send_in_flight_but_not_for_ever() {
        let (mut grouping, start) = new_grouping();
        grouping.add(0, 200, start);
        assert!(matches!(grouping.next(false, start), Next::Send(_)));
        grouping.add(1, 200, start + ms(1));
        assert_eq!(
            grouping.next(false, start + ms(250)),
            Next::Wait(Some(start + ms(251)))
        );
        assert_eq!(grouping.next(false, start + ms(251)), Next::Send(vec![1]));
    }

    #[tokio::test(start_paused = true)]
    async fn lines_that_compress_better_make_larger_groups() {
        let (mut grouping, now) = new_grouping();
        grouping.observe(0.2);
        grouping.add(0, 200, now);
        assert!(matches!(grouping.next(false, now), Next::Send(_)));
        grouping.add(1, 2_900_000, now);
        assert!(matches!(grouping.next(false, now), Next::Wait(Some(_))));
        grouping.add(2, 200_000, now);
        assert_eq!(grouping.next(false, now), Next::Send(vec![1]));
    }

    #[tokio::test(start_paused = true)]
    async fn filled_by_number_ten_events_go_at_once() {
        let (mut grouping, now) = new_grouping();
        grouping.fill_by_number(10);
        grouping.add(0, 1, now);
        assert!(matches!(grouping.next(false, now), Next::Send(_)));
        (1..10).for_each(|id| grouping.add(id, 1, now));
        assert!(matches!(grouping.next(false, now), Next::Wait(Some(_))));
        (10..14).for_each(|id| grouping.add(id, 1, now));
        assert_eq!(grouping.next(false, now), Next::Send((1..11).collect()));
        assert!(matches!(grouping.next(false, now), Next::Wait(Some(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn after_hurry_a_group_goes_at_once() {
        let (mut grouping, now) = new_grouping();
        (0..3).for_each(|id| grouping.add(id, 200, now));
        assert!(matches!(grouping.next(false, now), Next::Send(_)));
        grouping.add(3, 200, now);
        grouping.hurry();
        assert_eq!(grouping.next(true, now), Next::Send(vec![3]));
        assert!(grouping.is_empty());
    }
}
