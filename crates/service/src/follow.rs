//! Takes what changes in files: looked at each second, and at once on SIGHUP.
//!
//! Looked at is what the files hold, not when they were written: a mounted secret is replaced by another target of its
//! symbolic link, and a clock may go back. What is found changed is taken once it was found the same twice, so that a
//! file that is just being written is not taken for one of which the end is missing. Files that are wrong, or are gone,
//! change nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use metrics::{counter, gauge};
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

/// Time between two looks. What is changed is taken two looks later at most.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the files held at a look: their digest, or why they could not be read.
type Seen = Result<[u8; 32], String>;

/// Files that a service follows. Clones stand for the same.
pub(crate) trait Followed: Clone + Send + 'static {
    /// As `keys`: a part of the names of events, of `headwater_keys_reloads_total` (`outcome`) and of
    /// `headwater_keys_file_refused`, which is 1 while a change is refused.
    fn name(&self) -> &'static str;

    /// What each of the files holds. May block.
    fn read(&self) -> anyhow::Result<Vec<Vec<u8>>>;

    /// Uses that from now on.
    ///
    /// # Errors
    ///
    /// Says what is wrong; then what was used before stays.
    fn take(&self, contents: &[Vec<u8>]) -> anyhow::Result<()>;
}

/// Decides when a change is taken.
#[derive(Debug, Default)]
struct Looks {
    /// What was taken or refused last.
    settled: Option<Seen>,
    /// What was found at the look before, if that was another.
    before: Option<Seen>,
}

impl Looks {
    /// Whether what is found now is to be taken.
    fn is_due(&mut self, now: &Seen, at_once: bool) -> bool {
        if !at_once && self.settled.as_ref() == Some(now) {
            self.before = None;
            return false;
        }
        if !at_once && self.before.as_ref() != Some(now) {
            self.before = Some(now.clone());
            return false;
        }
        self.before = None;
        self.settled = Some(now.clone());
        true
    }
}

/// Follows the files for ever.
pub(crate) async fn follow(files: &impl Followed) {
    // What was read at the start may be another by now: whatever is found first is settled by being taken.
    let mut looks = Looks::default();
    let mut hangups = hangups();
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let at_once = tokio::select! {
            () = next(&mut hangups) => true,
            _ = ticks.tick() => false,
        };
        look(files, &mut looks, at_once).await;
    }
}

/// Where nothing is followed, keeps SIGHUP from ending the process, for ever, and says each time that there is no
/// `setting` to read again.
pub(crate) async fn outlive_hangups(setting: &str) {
    let mut hangups = hangups();
    loop {
        next(&mut hangups).await;
        info!(
            event = "nothing_reloaded",
            "SIGHUP: there is no {setting} to read again"
        );
    }
}

fn hangups() -> Option<Signal> {
    signal(SignalKind::hangup())
        .inspect_err(|error| warn!(event = "no_sighup", %error, "SIGHUP cannot be listened for"))
        .ok()
}

async fn next(hangups: &mut Option<Signal>) {
    let came = match hangups {
        Some(hangups) => hangups.recv().await,
        None => None,
    };
    if came.is_none() {
        std::future::pending::<()>().await;
    }
}

async fn look<F: Followed>(files: &F, looks: &mut Looks, at_once: bool) {
    let read = tokio::task::spawn_blocking({
        let files = files.clone();
        move || files.read().map_err(|error| format!("{error:#}"))
    });
    let Ok(found) = read.await else {
        // The runtime ends.
        return;
    };
    let seen = found.as_deref().map(digest).map_err(Clone::clone);
    let is_first = looks.settled.is_none();
    if !looks.is_due(&seen, at_once) {
        return;
    }
    let name = files.name();
    let taken = found.map_err(anyhow::Error::msg);
    let taken = taken.and_then(|contents| files.take(&contents));
    let outcome = match &taken {
        Ok(()) => {
            if !is_first || at_once {
                info!(event = %format!("{name}_reloaded"), "the files of `{name}` were read again");
            }
            "taken"
        }
        Err(reason) => {
            error!(
                event = %format!("{name}_refused"),
                reason = format!("{reason:#}"),
                "what was read before stays: {reason:#}"
            );
            "refused"
        }
    };
    gauge!(format!("headwater_{name}_file_refused")).set(f64::from(u8::from(taken.is_err())));
    counter!(format!("headwater_{name}_reloads_total"), "outcome" => outcome).increment(1);
}

fn digest(contents: &[Vec<u8>]) -> [u8; 32] {
    let mut whole = Sha256::new();
    for content in contents {
        // Of each, so that where one ends is part of what is compared.
        whole.update(Sha256::digest(content));
    }
    whole.finalize().into()
}

/// The bytes of the file that a setting names.
///
/// # Errors
///
/// If it is none, cannot be read, or has more than `most` bytes; names the setting.
pub(crate) fn read(setting: &str, path: &Path, most: usize) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read {setting} `{}`", path.display());
    // Asked first: reading a pipe would wait for a writer.
    let metadata = std::fs::metadata(path).with_context(cannot)?;
    ensure!(
        metadata.is_file(),
        "{setting} `{}` is not a file",
        path.display()
    );
    ensure!(
        metadata.len() <= most as u64,
        "{setting} `{}` has more than {most} bytes",
        path.display()
    );
    std::fs::read(path).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_just_being_written_is_not_taken() {
        let mut looks = Looks::default();
        let seen = |text: &str| Ok(digest(&[text.as_bytes().to_vec()]));
        let mut due = |text: &str, at_once| looks.is_due(&seen(text), at_once);
        assert!(!due("whole", false) && due("whole", false) && !due("whole", false));
        assert!(!due("", false) && !due("wh", false) && !due("other", false));
        assert!(due("other", false));
        assert!(!due("", false) && !due("other", false) && !due("", false));
        assert!(due("asked for", true) && due("asked for", true));
    }
}
