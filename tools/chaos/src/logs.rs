//! The folder of the services' logs and the ledger.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folder of logs.
pub(crate) struct Logs {
    pub(crate) folder: PathBuf,
    /// Whether the user has not named the folder.
    temporary: bool,
}

impl Logs {
    /// Makes the `wanted` folder, or one of this run among the system's temporary files.
    pub(crate) fn prepare(wanted: Option<&Path>, run: &str) -> anyhow::Result<Logs> {
        let logs = Logs {
            folder: match wanted {
                Some(folder) => folder.to_owned(),
                None => std::env::temp_dir().join(format!("headwater-{run}")),
            },
            temporary: wanted.is_none(),
        };
        std::fs::create_dir_all(&logs.folder)
            .with_context(|| format!("cannot make the folder `{}`", logs.folder.display()))?;
        Ok(logs)
    }

    /// Removes a temporary folder; to be called when nothing is wrong.
    pub(crate) fn remove_if_temporary(&self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(event = "logs_stay", folder = %self.folder.display(), %error, "cannot remove the logs");
        }
    }
}
