//! `alerts notify-test`: tells a receiver of an alert that is none.

use std::io::Write;

use anyhow::bail;

use crate::notify::{self, Routing, Transport};

/// Sends a firing and then a resolved test alert to each channel of the receiver, past routes, silences and the log,
/// and writes each answer to `out`. `now` is in milliseconds since 1970. Gives whether all were taken.
///
/// # Errors
///
/// If there is no such receiver, or `out` cannot be written.
pub async fn notify_test(
    routing: &Routing,
    receiver: &str,
    transport: &dyn Transport,
    now: i64,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let Some(tested) = notify::notify_test(routing, receiver, transport, now).await else {
        let names: Vec<&str> = routing.receiver_names().collect();
        bail!("no receiver `{receiver}`: there are {}", names.join(", "));
    };
    for test in &tested {
        let took = if test.is_delivered {
            "was told"
        } else {
            "was NOT told"
        };
        let (channel, status) = (&test.channel, test.status);
        writeln!(
            out,
            "{channel} {took} of a {status} alert in {} ms: {}",
            test.took_ms, test.answer
        )?;
    }
    Ok(tested.iter().all(|test| test.is_delivered))
}
