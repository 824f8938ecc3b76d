//! Up to which event time the events are taken to be here.

/// How far the watermark stays behind arrival. Times are milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct WatermarkSettings {
    /// How much later than its own time an event usually arrives; 10 s by default.
    pub delay: i64,
    /// How long an event is on its way from ingest to the reader at most, as long as there is no backlog: twice the
    /// consumer's `BATCH_MAX_WAIT` and 2 s, so 6 s by default.
    pub way: i64,
    /// How far apart the arrivals of events lie that come in one object; 2 s by default. Events that were received
    /// this long before the newest one are taken to be here.
    pub spread: i64,
}

impl Default for WatermarkSettings {
    fn default() -> WatermarkSettings {
        WatermarkSettings {
            delay: 10_000,
            way: 6_000,
            spread: 2_000,
        }
    }
}

/// What the reader of events knows after a poll. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intake {
    /// The newest `ingest_received_at` of the events taken in so far; None before the first one. While there is more to
    /// read, the time before which all that was received is taken in.
    pub newest_arrival: Option<i64>,
    /// Whether events wait that have not been taken in: the tail has not reached the end of `raw/`, or the queue has
    /// messages.
    pub backlog: bool,
    /// When the poll began, by the reader's clock.
    pub now: i64,
}

/// The event time up to which events are taken to be here: *A* - `delay`, where *A* is the time before which all
/// events that ingest has received are taken in.
///
/// *A* stands on the clock of ingest, not on those of devices: one fast clock moves nothing. While events come, *A* is
/// the newest arrival less `spread`. Where all is quiet and nothing waits, it is `now` less `way`. While there is a
/// backlog it does not follow `now`, so that windows do not close over events that wait. An arrival that lies ahead of
/// `now` counts as `now`. The watermark never goes back.
///
/// No number is wrong for good if *A* was too early: an event that comes after the watermark is late, and changes its
/// windows within the lateness.
#[derive(Debug, Clone)]
pub struct Watermark {
    settings: WatermarkSettings,
    current: Option<i64>,
}

impl Watermark {
    /// A watermark that stands nowhere before the first arrival or quiet poll.
    pub fn new(settings: WatermarkSettings) -> Watermark {
        Watermark {
            settings,
            current: None,
        }
    }

    /// Takes in what a poll has told, and gives the watermark. None as long as nothing arrived
    /// and there is a backlog.
    pub fn observe(&mut self, intake: Intake) -> Option<i64> {
        let Intake {
            newest_arrival,
            backlog,
            now,
        } = intake;
        let by_arrival =
            newest_arrival.map(|newest| newest.min(now).saturating_sub(self.settings.spread));
        let by_quiet = (!backlog).then(|| now.saturating_sub(self.settings.way));
        let arrived = by_arrival.max(by_quiet);
        let watermark = arrived.map(|arrived| arrived.saturating_sub(self.settings.delay));
        self.current = self.current.max(watermark);
        self.current
    }

    /// The watermark as it stands.
    pub fn current(&self) -> Option<i64> {
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watermark() -> Watermark {
        Watermark::new(WatermarkSettings::default())
    }

    fn intake(newest_arrival: i64, backlog: bool, now: i64) -> Intake {
        Intake {
            newest_arrival: Some(newest_arrival),
            backlog,
            now,
        }
    }

    #[test]
    fn while_there_is_a_backlog_it_follows_arrivals_alone() {
        let mut watermark = watermark();
        assert_eq!(
            watermark.observe(intake(100_000, true, 500_000)),
            Some(88_000)
        );
        assert_eq!(
            watermark.observe(intake(100_000, true, 900_000)),
            Some(88_000)
        );
        assert_eq!(
            watermark.observe(intake(200_000, true, 900_000)),
            Some(188_000)
        );
    }

    #[test]
    fn while_all_is_quiet_it_follows_now() {
        let mut watermark = watermark();
        assert_eq!(
            watermark.observe(intake(100_000, false, 500_000)),
            Some(484_000)
        );
        let nothing = Intake {
            newest_arrival: None,
            backlog: true,
            now: 1,
        };
        assert_eq!(
            Watermark::new(WatermarkSettings::default()).observe(nothing),
            None
        );
    }

    #[test]
    fn it_never_goes_back_and_an_arrival_in_the_future_counts_as_now() {
        let mut watermark = watermark();
        assert_eq!(
            watermark.observe(intake(9_000_000, true, 500_000)),
            Some(488_000)
        );
        assert_eq!(
            watermark.observe(intake(100_000, false, 400_000)),
            Some(488_000)
        );
    }
}
