//! Windows over what is held: what comes in, which window ends are due, and what a window is.

use crate::anomaly::{Episodes, Moment};
use crate::settings::{Counts, PANE, Settings};
use crate::stat::Stat;
use crate::store::{Identity, LateChange, Panes, Registry, pack, pack_dimensions, unpack};

/// An event is counted as ahead if its time lies more than this after its arrival.
const CLOCK_AHEAD: i64 = 5_000;
/// The furthest that panes reach ahead of the next window end, whatever arrivals say: a week. It bounds what one line
/// with a wrong time of arrival can cost.
const FURTHEST: i64 = 7 * 86_400_000;
/// Series are looked through for those to be forgotten each minute.
const FORGET_EVERY: i64 = 60_000;

/// An event as windows need it. Each event must be given once: the lake's tail drops repeats.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// Name of its kind.
    pub kind: &'a str,
    /// The vehicle, cell or other thing that it is about.
    pub entity: &'a str,
    /// When it happened.
    pub at: i64,
    /// When ingest received it.
    pub arrived: i64,
    /// Names and values that describe the entity for now, such as the kind's text fields: a series has those of its
    /// latest event.
    pub labels: &'a [(&'a str, &'a str)],
    /// Names and values that tell the event's series from others of the same entity and signal, such as the tags of a
    /// metric: a counter with `code="200"` and one with `code="500"`. Their order means nothing, each name stands once,
    /// and an empty value is none.
    pub dimensions: &'a [(&'a str, &'a str)],
    /// Names and values of its signals that are numbers; a boolean is 0 or 1.
    pub signals: &'a [(&'a str, f64)],
}

/// One signal of one entity, by its [`dimensions`](Observed::dimensions). Names the same series until
/// [`Windows::next_end`] is called, which may forget it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(u32);

/// What is known of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series<'a> {
    /// Name of the kind.
    pub kind: &'a str,
    /// The entity's id.
    pub entity: &'a str,
    /// Name of the signal.
    pub signal: &'a str,
    /// Time of its latest event; it may lie after the watermark.
    pub last_at: i64,
    labels: &'a str,
    dimensions: &'a str,
}

impl<'a> Series<'a> {
    /// Names and values of the [`labels`](Observed::labels) of the latest event, in the order in which it had them.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        unpack(self.labels)
    }

    /// Names and values of the [`dimensions`](Observed::dimensions) of all of its events, by name.
    pub fn dimensions(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        unpack(self.dimensions)
    }
}

/// A pane of a series that has taken in values since [`Windows::take_changed`] was called last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changed {
    /// Start of the pane. Windows of length `r` that have it end from `pane + PANE` to `pane + r`.
    pub pane: i64,
    /// The series that has new values.
    pub series: SeriesId,
    /// The last window end that had been given when it changed; None before the first one. Windows up to this end
    /// are given again, with a revision that is one higher.
    pub given_to: Option<i64>,
}

/// Windows of all series. Times are milliseconds since 1970.
///
/// The caller gives events as they come ([`observe`](Windows::observe)) and moves the watermark
/// ([`advance`](Windows::advance)). [`next_end`](Windows::next_end) then gives the window ends that are due, one after
/// the other, so that each can be evaluated while its panes are held. A reader with a backlog reads it in portions, and
/// moves the watermark after each of them: panes ahead of the watermark are held until it has passed.
///
/// ```
/// use windows::{Observed, PANE, Settings, Windows};
///
/// let mut windows = Windows::new(Settings::default(), 0);
/// for (at, rpm) in [(12_000, 900.0), (31_000, 1100.0)] {
///     windows.observe(&Observed {
///         kind: "vehicle",
///         entity: "veh-1",
///         at,
///         arrived: at + 40,
///         labels: &[("can_id", "0x1F0")],
///         dimensions: &[],
///         signals: &[("engine_rpm", rpm)],
///     });
/// }
/// windows.advance(60_000);
/// while let Some(end) = windows.next_end() {
///     for series in windows.series(Some("vehicle"), "engine_rpm") {
///         let Some(stat) = windows.window(series, end - 60_000, end) else { continue };
///         if end == 60_000 {
///             assert_eq!((stat.count, stat.mean(), stat.last), (2, 1000.0, 1100.0));
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Windows {
    settings: Settings,
    registry: Registry,
    panes: Panes,
    /// The window end that is due next.
    next: i64,
    /// The last window end that was given.
    given_to: Option<i64>,
    watermark: i64,
    /// Events before this time are too late.
    accepted_from: i64,
    changed: Vec<(i64, u32, Option<i64>)>,
    /// Number of times that changes were taken.
    takings: u64,
    episodes: Option<Episodes>,
    counts: Counts,
    packed_labels: String,
    packed_dimensions: String,
}

impl Windows {
    /// Windows whose first end is the one after `evaluated_to`, a multiple of [`PANE`], otherwise rounded down. They
    /// take in events from the longest range before it on, so that the first windows are whole if the caller gives
    /// all of these events before it moves the watermark.
    pub fn new(settings: Settings, evaluated_to: i64) -> Windows {
        let settings = in_whole_panes(settings);
        let registry = Registry::new(settings.clone());
        let evaluated_to = evaluated_to.div_euclid(PANE) * PANE;
        let (_, longest) = registry.ranges();
        let accepted_from = evaluated_to - longest + PANE;
        Windows {
            panes: Panes::new(accepted_from),
            registry,
            next: evaluated_to + PANE,
            given_to: None,
            watermark: i64::MIN,
            accepted_from,
            changed: Vec::new(),
            takings: 0,
            episodes: settings.anomaly_threshold.map(Episodes::new),
            counts: Counts::default(),
            packed_labels: String::new(),
            packed_dimensions: String::new(),
            settings,
        }
    }

    /// Takes an event into its pane. What is left out is counted: [`Counts`].
    pub fn observe(&mut self, event: &Observed<'_>) {
        let samples = event.signals.len() as u64;
        let latest = event.arrived.saturating_add(self.settings.ahead);
        if event.at < self.accepted_from {
            self.counts.too_late += samples;
            return;
        }
        if event.at > latest || event.at - self.next > FURTHEST {
            self.counts.too_far_ahead += samples;
            return;
        }
        if event.at - event.arrived > CLOCK_AHEAD {
            self.counts.clock_ahead += samples;
        }
        let pane = event.at.div_euclid(PANE) * PANE;
        let is_late = self.given_to.is_some_and(|given_to| pane < given_to);
        pack(event.labels, &mut self.packed_labels);
        pack_dimensions(event.dimensions, &mut self.packed_dimensions);
        let (kind, entity, dimensions) = (event.kind, event.entity, &*self.packed_dimensions);
        let mut place = self.registry.place(kind, entity, dimensions);
        for (signal, value) in event.signals {
            if !value.is_finite() {
                self.counts.not_finite += 1;
                continue;
            }
            let identity = Identity {
                kind,
                entity,
                signal,
                dimensions,
            };
            let Some(found) = self.registry.find_or_add(&mut place, identity) else {
                self.counts.no_room += 1;
                continue;
            };
            self.registry
                .touch(found.series, event.at, &self.packed_labels);
            self.panes
                .add(found.series, event.at, *value, found.has_quantiles);
            self.counts.taken += 1;
            self.counts.late += u64::from(is_late);
            if is_late || found.is_watched {
                self.changed.push((pane, found.series, self.given_to));
            }
        }
    }

    /// Moves the watermark forward; an earlier one changes nothing.
    pub fn advance(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(watermark);
    }

    /// The next window end that the watermark has reached, each multiple of [`PANE`] in its turn; None once there is
    /// no further one. Scores the pane before this end for anomalies, lets go of panes that are no longer needed, and
    /// now and then forgets series.
    pub fn next_end(&mut self) -> Option<i64> {
        let end = self.next;
        if end > self.watermark {
            return None;
        }
        self.next += PANE;
        self.given_to = Some(end);
        self.accepted_from = self.accepted_from.max(end - self.settings.lateness);
        self.score(end - PANE);
        self.expire(end);
        if end % FORGET_EVERY == 0 {
            self.forget(end);
        }
        Some(end)
    }

    /// The last window end that was given; None before the first one.
    pub fn given_to(&self) -> Option<i64> {
        self.given_to
    }

    /// Statistics of the values of a series from `start` on, before `end`; both are rounded down to whole panes. None
    /// if there is no value. `end` may lie after the window ends that were given: the window is then still open.
    pub fn window(&self, series: SeriesId, start: i64, end: i64) -> Option<Stat> {
        self.panes.stat(series.0, start, end)
    }

    /// The quantile `q` (0 to 1) of the values of the window, interpolated between the two nearest ranks. Values of
    /// panes with more than 128 of them are known to 0.4 %. None if there is no value, or if the signal does not stand
    /// in [`Settings::quantiles`].
    pub fn quantile(&self, series: SeriesId, start: i64, end: i64, q: f64) -> Option<f64> {
        self.panes.quantile(series.0, start, end, q)
    }

    /// How often a window that had been given was given again because of late events: as many times as
    /// [`take_changed`](Windows::take_changed) told of changes in it.
    pub fn revision(&self, series: SeriesId, start: i64, end: i64) -> u32 {
        self.panes.revision(series.0, start, end)
    }

    /// The series of a signal, of one kind or of all, whether they have values now or had some in the last
    /// [`Settings::forget_after`]. Their order means nothing, and may be another one in another run.
    pub fn series<'a>(
        &'a self,
        kind: Option<&str>,
        signal: &'a str,
    ) -> impl Iterator<Item = SeriesId> + 'a {
        self.registry.of_signal(kind, signal).map(SeriesId)
    }

    /// The series of a signal of one entity with these [`dimensions`](Observed::dimensions), and no others.
    pub fn find(
        &self,
        kind: &str,
        entity: &str,
        dimensions: &[(&str, &str)],
        signal: &str,
    ) -> Option<SeriesId> {
        let mut packed = String::new();
        pack_dimensions(dimensions, &mut packed);
        let identity = Identity {
            kind,
            entity,
            signal,
            dimensions: &packed,
        };
        self.registry.of_identity(identity).map(SeriesId)
    }

    /// Names and labels of a series; None of one that was forgotten.
    pub fn describe(&self, series: SeriesId) -> Option<Series<'_>> {
        let identity = self.registry.identity(series.0)?;
        let (labels, last_at) = self.registry.latest(series.0);
        Some(Series {
            kind: identity.kind,
            entity: identity.entity,
            signal: identity.signal,
            last_at,
            labels,
            dimensions: identity.dimensions,
        })
    }

    /// What has changed since it was called last: late changes of all series, and every change of the signals in
    /// [`Settings::watched`]; sorted by pane, each once for each window end that had been given meanwhile. To be called
    /// after each poll: what is not taken is kept, 24 bytes for each sample.
    pub fn take_changed(&mut self) -> Vec<Changed> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        self.takings += 1;
        for (pane, series, given_to) in &changed {
            if let Some(given_to) = given_to.filter(|given_to| pane < given_to) {
                let change = LateChange {
                    taking: self.takings,
                    given_to,
                };
                self.panes.note_late(*series, *pane, change);
            }
        }
        let told = |(pane, series, given_to)| Changed {
            pane,
            series: SeriesId(series),
            given_to,
        };
        changed.into_iter().map(told).collect()
    }

    /// Sets the value that is usual for a series at two times, such as the means of this hour of the week and the next
    /// one at their middles; None if history has none. Between the times it is interpolated, beyond them that of the
    /// nearer one holds. Anomalies are then scored by the distance from it.
    pub fn expect(&mut self, series: SeriesId, usual: Option<[(i64, f64); 2]>) {
        if let Some(episodes) = &mut self.episodes {
            episodes.expect(series.0, usual);
        }
    }

    /// The anomalies that have begun or ended since it was called last, sorted by their start, kind, entity, signal
    /// and labels. Each is given when it begins, and again with the same id when it is over.
    pub fn take_moments(&mut self) -> Vec<Moment> {
        self.episodes
            .as_mut()
            .map(Episodes::take_told)
            .unwrap_or_default()
    }

    /// Number of series that are held.
    pub fn series_count(&self) -> usize {
        self.registry.len()
    }

    /// What the windows have met since they were made.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Scores a pane that is over. What comes late is not scored again.
    fn score(&mut self, pane: i64) {
        let Some(episodes) = &mut self.episodes else {
            return;
        };
        let registry = &self.registry;
        for (series, mean) in self.panes.means(pane) {
            episodes.take(series, pane, mean, || registry.identity(series));
        }
        episodes.end_pane(pane);
    }

    /// A late event within the lateness changes windows that begin up to a range before it.
    fn expire(&mut self, end: i64) {
        let (shortest, longest) = self.registry.ranges();
        let held_from = |range: i64| end - self.settings.lateness - range + PANE;
        let registry = &self.registry;
        let by_page = |page| held_from(registry.range_of_page(page));
        self.panes
            .expire(held_from(longest), by_page, held_from(shortest) - PANE);
    }

    fn forget(&mut self, end: i64) {
        let forgotten = self
            .registry
            .forget_before(end - self.settings.forget_after);
        self.counts.forgotten += forgotten.len() as u64;
        if let Some(episodes) = &mut self.episodes {
            forgotten.iter().for_each(|series| episodes.forget(*series));
        }
        if !forgotten.is_empty() {
            // Their numbers may be given to other series.
            let registry = &self.registry;
            self.changed
                .retain(|(_, series, _)| registry.identity(*series).is_some());
        }
    }
}

fn in_whole_panes(mut settings: Settings) -> Settings {
    let whole =
        |time: i64| time.div_euclid(PANE) * PANE + if time.rem_euclid(PANE) > 0 { PANE } else { 0 };
    settings.range = whole(settings.range).max(PANE);
    settings
        .ranges
        .values_mut()
        .for_each(|range| *range = whole(*range).max(PANE));
    // Panes are let go of when a window end is given, and the windows that end there are evaluated after that.
    settings.lateness = whole(settings.lateness.max(PANE));
    let longest = settings
        .ranges
        .values()
        .fold(settings.range, |longest, range| longest.max(*range));
    settings.forget_after = settings.forget_after.max(settings.lateness + longest);
    settings
}
