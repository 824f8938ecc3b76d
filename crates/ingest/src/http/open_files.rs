//! The limit of open files: each connection is one.

use tracing::warn;

/// Files beside clients' connections: listener, log, runtime, connections to SQS, and a few to spare.
const OTHERS: u64 = 64;

/// How many of the `wanted` connections the process may have open. Raises its limit of open files
/// as far as it may itself: the usual 1,024 are for programs that use `select`.
pub(crate) fn connections(wanted: u32) -> usize {
    let wanted = u64::from(wanted);
    let possible = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => limit.saturating_sub(OTHERS).clamp(1, wanted),
        Err(error) => {
            warn!(event = "open_files_unknown", %error, "cannot ask for the limit of open files");
            wanted
        }
    };
    if possible < wanted {
        warn!(
            event = "few_open_files",
            connections = possible,
            "the limit of open files allows {possible} connections, fewer than MAX_CONNECTIONS ({wanted}): \
             raise the hard limit (ulimit -Hn)"
        );
    }
    usize::try_from(possible).unwrap_or(usize::MAX)
}
