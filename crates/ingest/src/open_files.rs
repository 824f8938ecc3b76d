//! The limit of open files: each connection is one.

use tracing::warn;

use crate::http::door::DOOR_PLACES;

/// Files beside clients' connections with a seat: listeners, log, runtime, connections to SQS, clients that are
/// answered that there is no seat, and a few to spare.
const OTHER_FILES: u32 = 64 + DOOR_PLACES as u32;

/// How many of the `wanted` connections the process may have open, at least one. Raises the soft limit of open files
/// to the hard one: the usual 1,024 are for programs that use `select`.
pub(crate) fn connections(wanted: u32) -> u32 {
    let limit = match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => u32::try_from(limit).unwrap_or(u32::MAX),
        Err(error) => {
            warn!(event = "open_files_unknown", %error, "cannot ask for the limit of open files");
            return wanted;
        }
    };
    let possible = limit.saturating_sub(OTHER_FILES).clamp(1, wanted);
    if possible < wanted {
        warn!(
            event = "few_open_files",
            connections = possible,
            "the limit of open files allows {possible} connections, fewer than MAX_CONNECTIONS ({wanted}): \
             raise the hard limit (ulimit -Hn)"
        );
    }
    possible
}
