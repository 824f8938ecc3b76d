//! Takes what changes in the file of keys: looked at each second, and at once on SIGHUP.
//!
//! Looked at is what the file holds, not when it was written: a mounted secret is replaced by another target of its
//! symbolic link, and a clock may go back. What is found changed is taken once it was found the same twice, so that a
//! file that is just being written is not taken for one in which keys are missing. A file that is wrong, or is gone,
//! changes nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use metrics::{counter, gauge};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use super::accepted::Keys;
use super::digest;
use super::file::{Digest, KeysFile, MOST_BYTES};

/// Time between two looks. A key that is taken out is refused two looks later at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What the file held at a look: its digest, or why it could not be read.
type Seen = Result<Digest, String>;

/// Decides when a change is taken.
#[derive(Debug)]
pub(super) struct Looks {
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

impl Keys {
    /// Follows the file for ever; without a file it only keeps SIGHUP from ending the process.
    pub async fn follow(&self) {
        let mut looks = Looks {
            // What was read at the start may be another by now: whatever is found first is settled by being taken.
            settled: None,
            before: None,
        };
        let mut hangups = signal(SignalKind::hangup())
            .inspect_err(
                |error| warn!(event = "no_sighup", %error, "SIGHUP cannot be listened for"),
            )
            .ok();
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let has_file = self.has_file();
        loop {
            let hangup = async {
                let came = match &mut hangups {
                    Some(hangups) => hangups.recv().await,
                    None => None,
                };
                if came.is_none() {
                    std::future::pending::<()>().await;
                }
            };
            let at_once = tokio::select! {
                () = hangup => true,
                _ = ticks.tick(), if has_file => false,
            };
            let Some(path) = self.file() else {
                if at_once {
                    info!(
                        event = "keys_not_reloaded",
                        "SIGHUP: there is no KEYS_FILE to read again"
                    );
                }
                continue;
            };
            self.look(path, &mut looks, at_once).await;
        }
    }

    /// Where there is no file, keeps SIGHUP from ending the process, for ever: who sends it means the keys.
    pub async fn outlive_hangups(&self) {
        if self.has_file() {
            return std::future::pending().await;
        }
        self.follow().await;
    }

    async fn look(&self, path: &Path, looks: &mut Looks, at_once: bool) {
        let path: Arc<Path> = path.into();
        let read = tokio::task::spawn_blocking({
            let path = path.clone();
            move || read(&path).map_err(|error| format!("{error:#}"))
        });
        let Ok(found) = read.await else {
            // The runtime ends.
            return;
        };
        let seen = match &found {
            Ok(bytes) => Ok(digest(bytes)),
            Err(reason) => Err(reason.clone()),
        };
        let is_first = looks.settled.is_none();
        if !looks.is_due(&seen, at_once) {
            return;
        }
        let taken = found.map_err(anyhow::Error::msg).and_then(|bytes| {
            let file = parse(&path, &bytes)?;
            self.take(file)
        });
        let outcome = match taken {
            Ok(()) => {
                gauge!("headwater_keys_file_refused").set(0.0);
                if !is_first || at_once {
                    info!(event = "keys_reloaded", file = %path.display(), "the keys were read again");
                }
                "taken"
            }
            Err(reason) => {
                gauge!("headwater_keys_file_refused").set(1.0);
                error!(
                    event = "keys_refused",
                    reason = format!("{reason:#}"),
                    "the keys from before stay: {reason:#}"
                );
                "refused"
            }
        };
        counter!("headwater_keys_reloads_total", "outcome" => outcome).increment(1);
    }
}

/// The bytes of the file.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read KEYS_FILE `{}`", path.display());
    // Asked first: reading a pipe would wait for a writer.
    let metadata = std::fs::metadata(path).with_context(cannot)?;
    ensure!(
        metadata.is_file(),
        "KEYS_FILE `{}` is not a file",
        path.display()
    );
    ensure!(
        metadata.len() <= MOST_BYTES as u64,
        "KEYS_FILE `{}` has more than {MOST_BYTES} bytes",
        path.display()
    );
    std::fs::read(path).with_context(cannot)
}

/// What the file says.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> anyhow::Result<KeysFile> {
    let cannot = || format!("cannot use KEYS_FILE `{}`", path.display());
    let text = std::str::from_utf8(bytes).with_context(cannot)?;
    KeysFile::parse(text).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use tokio::time::sleep;

    use super::super::settings::tests::entry;
    use super::super::{KeyError, Source};
    use super::*;

    struct Stage {
        folder: tempfile::TempDir,
        keys: Keys,
    }

    impl Stage {
        fn new(text: &str) -> Stage {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("keys.toml");
            std::fs::write(&path, text).unwrap();
            let source = Source {
                file: Some(path),
                ..Source::default()
            };
            let keys = Keys::load(&source, Utc::now).unwrap();
            tokio::spawn({
                let keys = keys.clone();
                async move { keys.follow().await }
            });
            Stage { folder, keys }
        }

        fn write(&self, text: &str) {
            std::fs::write(self.folder.path().join("keys.toml"), text).unwrap();
        }

        fn has(&self, name: &str) -> bool {
            self.keys.find(&format!("the key of {name}")).is_some()
        }
    }

    const READ: &str = "may = [\"read\"]";

    #[tokio::test(start_paused = true)]
    async fn a_change_is_taken_within_five_seconds_and_a_broken_file_never() {
        let (a, b) = (entry("a", READ), entry("b", READ));
        let stage = Stage::new(&a);
        sleep(LOOK_EVERY * 3).await;
        stage.write(&format!("{a}{b}"));
        sleep(Duration::from_secs(4)).await;
        assert!(stage.has("a") && stage.has("b"));
        for broken in [
            "[[key]]\nname =",
            // No key at all.
            "",
            "\u{0}",
        ] {
            stage.write(broken);
            sleep(Duration::from_secs(5)).await;
            assert!(stage.has("a") && stage.has("b"), "{broken:?}");
        }
        std::fs::remove_file(stage.folder.path().join("keys.toml")).unwrap();
        sleep(Duration::from_secs(5)).await;
        assert!(stage.has("a") && stage.has("b"));
        stage.write(&b);
        sleep(Duration::from_secs(4)).await;
        assert!(!stage.has("a") && stage.has("b"));
    }

    #[tokio::test(start_paused = true)]
    async fn another_target_of_a_link_is_a_change() {
        let stage = Stage::new(&entry("a", READ));
        let path = |name: &str| stage.folder.path().join(name);
        // As Kubernetes replaces a mounted secret: a link to a folder, renamed over the one from before.
        for (folder, name) in [("first", "a"), ("second", "b")] {
            std::fs::create_dir(path(folder)).unwrap();
            std::fs::write(path(folder).join("keys.toml"), entry(name, READ)).unwrap();
        }
        std::os::unix::fs::symlink(path("first"), path("..data")).unwrap();
        std::fs::remove_file(path("keys.toml")).unwrap();
        std::os::unix::fs::symlink("..data/keys.toml", path("keys.toml")).unwrap();
        sleep(LOOK_EVERY * 3).await;
        std::os::unix::fs::symlink(path("second"), path("..next")).unwrap();
        std::fs::rename(path("..next"), path("..data")).unwrap();
        sleep(Duration::from_secs(4)).await;
        assert!(!stage.has("a") && stage.has("b"));
    }

    #[test]
    fn a_file_that_is_just_being_written_is_not_taken() {
        let mut looks = Looks {
            settled: None,
            before: None,
        };
        let seen = |text: &str| Ok(digest(text.as_bytes()));
        let mut due = |text: &str, at_once| looks.is_due(&seen(text), at_once);
        assert!(!due("whole", false) && due("whole", false) && !due("whole", false));
        assert!(!due("", false) && !due("wh", false) && !due("other", false));
        assert!(due("other", false));
        assert!(!due("", false) && !due("other", false) && !due("", false));
        assert!(due("asked for", true) && due("asked for", true));
    }

    #[test]
    fn a_key_that_is_not_accepted_is_told_no_more() {
        assert_eq!(KeyError::Wrong.to_string(), "the key is not accepted");
    }
}
