//! CPU and memory for a number of events.

/// What a service or a command used for a number of events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    pub(crate) events: u64,
    /// CPU seconds, of several processes together.
    pub(crate) cpu: f64,
    /// The most resident memory of one process.
    pub(crate) peak_mib: f64,
}

impl Footprint {
    /// CPU seconds for a million events; the same figure is microseconds an event.
    pub(crate) fn per_million(self) -> f64 {
        self.cpu * 1e6 / self.events as f64
    }
}
