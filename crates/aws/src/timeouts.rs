//! How long a call may take.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;

/// Longest time of one attempt at a call: a long poll lasts up to 20 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// Slowest upload that is waited for. One that stands still ends sooner: the SDK ends an attempt whose body nobody
/// takes for some 20 s.
const MIN_BYTES_PER_SECOND: usize = 1024 * 1024;

/// The timeouts of a call. What comes back is not bounded by them: the answer to a GET is there once its head is.
pub(crate) fn timeouts() -> TimeoutConfig {
    of_attempt(ATTEMPT_TIMEOUT)
}

/// The timeouts of a call that sends a body of so many bytes, where it may take longer than [`timeouts`] say.
pub(crate) fn longer_timeouts(body_bytes: usize) -> Option<TimeoutConfig> {
    let attempt = Duration::from_secs(body_bytes.div_ceil(MIN_BYTES_PER_SECOND) as u64);
    (attempt > ATTEMPT_TIMEOUT).then(|| of_attempt(attempt))
}

fn of_attempt(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(attempt)
        .build()
}
