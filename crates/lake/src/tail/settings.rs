//! What bounds a tail, and what it counts.

use chrono::TimeDelta;

/// How far back a tail looks, and what it holds at most.
#[derive(Debug, Clone, Copy)]
pub struct TailSettings {
    /// How far before the newest name each poll lists. Parts that land at most this long after the time in their
    /// names come with the next poll; 5 minutes by default.
    pub overlap: TimeDelta,
    /// How far back from the sweep before it (from the making of the tail for the first one) a sweep lists, rounded
    /// down to the hour; 2 hours by default. So a part that lands at most this long after the time in its name is
    /// given, also if the tail was behind or could not list meanwhile. A part that lands later, such as a dead letter
    /// that is replayed the next day, may never be given: who needs these parts too reads the lake.
    pub sweep: TimeDelta,
    /// Time between two sweeps, 1 minute by default. There is no sweep while the tail is behind.
    pub sweep_every: TimeDelta,
    /// How long ids of events are remembered, counted back from the newest name; 2 hours by default.
    pub remember: TimeDelta,
    /// Most keys of objects that are remembered: 200,000 by default, some 120 bytes each. Past it the oldest key is
    /// forgotten, and the tail no longer looks for parts that sort before that key, so that none is given twice
    /// ([`TailCounts::forgotten_keys`]).
    pub max_keys: usize,
    /// Most ids that are remembered: 4,000,000 by default, some 45 bytes each. Past it the ids that came first are
    /// forgotten: an event that comes again after that is given again ([`TailCounts::forgotten_ids`]).
    pub max_ids: usize,
    /// Bytes of objects after which a poll ends and leaves the rest to the next one; 64 MiB by default. One object is
    /// taken at least.
    pub max_bytes: u64,
    /// Bytes of the largest object that is read; 128 MiB by default. Each is read whole into memory. A larger one is
    /// passed over with a warning ([`TailCounts::too_large`]): the consumer's BATCH_MAX_BYTES should be lower.
    pub max_object_bytes: u64,
    /// Objects after which a poll ends, 1,000 by default.
    pub max_objects: usize,
    /// Objects that are fetched at a time, 8 by default.
    pub in_flight: usize,
}

impl Default for TailSettings {
    fn default() -> TailSettings {
        TailSettings {
            overlap: TimeDelta::minutes(5),
            sweep: TimeDelta::hours(2),
            sweep_every: TimeDelta::minutes(1),
            remember: TimeDelta::hours(2),
            max_keys: 200_000,
            max_ids: 4_000_000,
            max_bytes: 64 << 20,
            max_object_bytes: 128 << 20,
            max_objects: 1_000,
            in_flight: 8,
        }
    }
}

/// What a tail has met since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TailCounts {
    /// Objects given.
    pub objects: u64,
    /// Events given.
    pub events: u64,
    /// Events left out because they had come before with the same content.
    pub duplicates: u64,
    /// Events left out because another event of the same kind, hour and id had come before; the first one stays.
    pub conflicts: u64,
    /// Lines that are no event of a declared kind.
    pub refused: u64,
    /// Objects that were deleted between the listing and the read.
    pub vanished: u64,
    /// Objects passed over because they are larger than [`TailSettings::max_object_bytes`].
    pub too_large: u64,
    /// Keys forgotten because of [`TailSettings::max_keys`].
    pub forgotten_keys: u64,
    /// Ids forgotten because of [`TailSettings::max_ids`].
    pub forgotten_ids: u64,
}
