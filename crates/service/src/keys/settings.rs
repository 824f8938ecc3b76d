//! Settings about keys, as services have them.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::accepted::Source;
use super::file::KeysFile;

/// Shortest key without a name: fewer characters can be guessed.
const MIN_KEY_LENGTH: usize = 8;

/// Keys with names, beside those without.
#[derive(Debug, Clone, Default, Args)]
pub struct KeysFileSettings {
    /// File of keys with names, scopes and limits (TOML; `headwater keys new` writes it), beside those
    /// without a name. Read again when it changes, and on SIGHUP.
    #[arg(long, env, global = true)]
    pub keys_file: Option<PathBuf>,

    /// The text of such a file, where secrets are put into the environment; read at the start only.
    #[arg(
        long,
        env,
        hide_env_values = true,
        conflicts_with = "keys_file",
        global = true
    )]
    pub keys_text: Option<SecretString>,
}

/// The setting of keys without a name, for messages.
#[derive(Debug, Clone, Copy)]
pub struct Unnamed {
    /// As `API key`.
    pub noun: &'static str,
    /// As `API_KEYS`.
    pub setting: &'static str,
}

/// Keys of senders.
pub const API_KEYS: Unnamed = Unnamed {
    noun: "API key",
    setting: "API_KEYS",
};

/// Keys of readers.
pub const READ_KEYS: Unnamed = Unnamed {
    noun: "read key",
    setting: "READ_KEYS",
};

impl KeysFileSettings {
    /// Where the keys come from: those of a setting, those of the file that another setting names, one a line or
    /// separated by commas, and those with names.
    ///
    /// # Errors
    ///
    /// If the file of keys without a name cannot be read, one of them is too short or fits into no header, or there is
    /// no key at all.
    pub fn source(
        &self,
        what: Unnamed,
        unnamed: &[SecretString],
        unnamed_file: Option<&Path>,
    ) -> anyhow::Result<Source> {
        let mut unnamed = unnamed.to_vec();
        if let Some(path) = unnamed_file {
            let text = std::fs::read_to_string(path).with_context(|| {
                format!("cannot read {}_FILE `{}`", what.setting, path.display())
            })?;
            let keys = text.split([',', '\n']).map(str::trim);
            unnamed.extend(keys.filter(|key| !key.is_empty()).map(SecretString::from));
        }
        let source = Source {
            unnamed,
            file: self.keys_file.clone(),
            text: self.keys_text.clone(),
        };
        what.check(&source.unnamed)?;
        let has_named = source.file.is_some() || source.text.is_some();
        ensure!(
            has_named || !source.unnamed.is_empty(),
            "no {}: {}, or KEYS_FILE to a file that `headwater keys new` has made",
            what.noun,
            what.help()
        );
        Ok(source)
    }

    /// Reads all keys, and says what is wrong with them.
    ///
    /// # Errors
    ///
    /// As for [`source`](KeysFileSettings::source) and [`Keys::load`](super::Keys::load).
    pub fn check(
        &self,
        what: Unnamed,
        unnamed: &[SecretString],
        unnamed_file: Option<&Path>,
    ) -> anyhow::Result<()> {
        let source = self.source(what, unnamed, unnamed_file)?;
        super::Keys::load(&source, chrono::Utc::now).map(drop)
    }

    /// The keys with names, where there are any.
    ///
    /// # Errors
    ///
    /// If they cannot be read.
    pub fn file(&self) -> anyhow::Result<KeysFile> {
        let source = Source {
            file: self.keys_file.clone(),
            text: self.keys_text.clone(),
            ..Source::default()
        };
        source.read_file()
    }
}

impl Unnamed {
    fn help(self) -> String {
        let setting = self.setting;
        format!("set {setting}, for example {setting}=$(openssl rand -hex 16)")
    }

    fn check(self, keys: &[SecretString]) -> anyhow::Result<()> {
        let (noun, help) = (self.noun, self.help());
        for (key, place) in keys.iter().zip(1..) {
            let key = key.expose_secret();
            ensure!(!key.is_empty(), "{noun} {place} is empty: {help}");
            ensure!(
                key.len() >= MIN_KEY_LENGTH,
                "{noun} {place} has {} characters, at least {MIN_KEY_LENGTH} are needed: {help}",
                key.len()
            );
            ensure!(
                key.bytes().all(|byte| byte.is_ascii_graphic()),
                "{noun} {place} holds other than visible ASCII characters, which no header can carry: {help}"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The field `hash` of a key.
    pub(in crate::keys) fn hash_line(key: &str) -> String {
        let digest = crate::keys::digest(key.as_bytes());
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("hash = \"sha256:{hex}\"")
    }

    /// The entry of the key `the key of NAME`, with further fields.
    pub(in crate::keys) fn entry(name: &str, more: &str) -> String {
        let hash = hash_line(&format!("the key of {name}"));
        format!("[[key]]\nname = \"{name}\"\n{hash}\n{more}\n")
    }

    #[test]
    fn keys_without_a_name_come_from_a_setting_and_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, "the-second-key,the-third-key\nthe-fourth-key\n").unwrap();
        let settings = KeysFileSettings::default();
        let source = settings
            .source(API_KEYS, &["the-first-key".into()], Some(&path))
            .unwrap();
        assert_eq!(source.unnamed.len(), 4);
        std::fs::write(&path, "short").unwrap();
        let short = settings.source(READ_KEYS, &[], Some(&path)).unwrap_err();
        assert!(
            short.to_string().contains("read key 1 has 5 characters"),
            "{short}"
        );
        let none = settings.source(READ_KEYS, &[], None).unwrap_err();
        assert!(none.to_string().contains("no read key") && none.to_string().contains("KEYS_FILE"));
    }

    #[test]
    fn a_wrong_file_is_named_with_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        std::fs::write(&path, "[[key]]\nnmae = \"a\"\n").unwrap();
        let settings = KeysFileSettings {
            keys_file: Some(path),
            keys_text: None,
        };
        let complaint = format!("{:#}", settings.check(API_KEYS, &[], None).unwrap_err());
        assert!(
            complaint.contains("keys.toml`: line 2, column 1: no such field: `nmae`; `name` is"),
            "{complaint}"
        );
    }
}
