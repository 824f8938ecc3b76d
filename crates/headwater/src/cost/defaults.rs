//! Defaults of the services' settings that the bill goes by, as the services have them.

use std::sync::LazyLock;

/// Read once, whatever the environment says.
pub(super) static DEFAULTS: LazyLock<Defaults> = LazyLock::new(Defaults::read);

/// Defaults of the consumer and the aggregator.
pub(super) struct Defaults {
    /// BATCH_MAX_MESSAGES.
    pub(super) batch_messages: f64,
    /// BATCH_MAX_WAIT, in seconds.
    pub(super) batch_seconds: f64,
    /// BATCH_MAX_BYTES.
    pub(super) batch_bytes: f64,
    /// RECEIVE_PACE, in seconds.
    pub(super) receive_pace: f64,
    /// SPILL_LIMIT: bytes of raw objects that one commit takes at most.
    pub(super) spill_limit: f64,
}

impl Defaults {
    fn read() -> Defaults {
        let consumer = batch_consumer::Config::default();
        let aggregator = aggregator::Config::default();
        Defaults {
            batch_messages: consumer.batch_max_messages as f64,
            batch_seconds: consumer.batch_max_wait.as_secs_f64(),
            batch_bytes: consumer.batch_max_bytes.as_u64() as f64,
            receive_pace: consumer.receive_pace.as_secs_f64(),
            spill_limit: aggregator.spill_limit.as_u64() as f64,
        }
    }
}
