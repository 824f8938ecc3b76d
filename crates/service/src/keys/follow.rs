//! Takes what changes in the file of keys, as [`follow`](crate::follow) does.

use std::path::Path;

use anyhow::Context;

use super::accepted::Keys;
use super::file::{KeysFile, MOST_BYTES};
use crate::follow::{Followed, follow, outlive_hangups};

const SETTING: &str = "KEYS_FILE";

impl Keys {
    /// Follows the file for ever; without a file it only keeps SIGHUP from ending the process.
    pub async fn follow(&self) {
        if self.has_file() {
            follow(self).await;
        } else {
            outlive_hangups(SETTING).await;
        }
    }

    /// Where there is no file, keeps SIGHUP from ending the process, for ever: who sends it means the keys.
    pub async fn outlive_hangups(&self) {
        if self.has_file() {
            return std::future::pending().await;
        }
        outlive_hangups(SETTING).await;
    }
}

impl Followed for Keys {
    fn name(&self) -> &'static str {
        "keys"
    }

    fn read(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        self.file().into_iter().map(read).collect()
    }

    fn take(&self, contents: &[Vec<u8>]) -> anyhow::Result<()> {
        for (path, bytes) in self.file().into_iter().zip(contents) {
            self.accept(parse(path, bytes)?)?;
        }
        Ok(())
    }
}

/// The bytes of the file.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    crate::follow::read(SETTING, path, MOST_BYTES)
}

/// What the file says.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> anyhow::Result<KeysFile> {
    let cannot = || format!("cannot use {SETTING} `{}`", path.display());
    let text = std::str::from_utf8(bytes).with_context(cannot)?;
    KeysFile::parse(text).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::Utc;
    use tokio::time::sleep;

    use super::super::settings::tests::entry;
    use super::super::{KeyError, Source};
    use super::*;
    use crate::follow::LOOK_EVERY;

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
    fn a_key_that_is_not_accepted_is_told_no_more() {
        assert_eq!(KeyError::Wrong.to_string(), "the key is not accepted");
    }
}
