//! Settings of the kills of `alerts`.

use anyhow::ensure;
use clap::Args;

use super::receivers::CHANNELS;

/// How often `alerts` is killed, and what it has to tell meanwhile.
#[derive(Debug, Clone, Args)]
pub struct AlertsConfig {
    /// How often `alerts` is killed with `kill -9`.
    #[arg(long, default_value_t = 50)]
    pub kills: u32,
    /// Messages to ten receivers, a multiple of 20: half tell that an alert fires, half that it no longer does.
    #[arg(long, default_value_t = 10_000)]
    pub notifications: usize,
}

impl AlertsConfig {
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            (1..=1_000).contains(&self.kills),
            "KILLS ({}) must be 1 to 1000",
            self.kills
        );
        let each = 2 * CHANNELS.len();
        ensure!(
            (each..=20_000).contains(&self.notifications)
                && self.notifications.is_multiple_of(each),
            "NOTIFICATIONS ({}) must be a multiple of {each}, at most 20000",
            self.notifications
        );
        Ok(())
    }

    /// Alerts of each receiver.
    pub(crate) fn episodes(&self) -> usize {
        self.notifications / (2 * CHANNELS.len())
    }
}
