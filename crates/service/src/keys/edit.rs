//! Makes, lists and takes out keys of a file.
//!
//! The file is replaced as a whole, by a new one beside it that is renamed over it: services that follow it see the one
//! or the other. What people wrote into it, comments too, stays.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, Utc};
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::SecretString;

use super::entry::{NAME, is_name};
use super::file::KeysFile;
use super::scope::Access;
use super::scram::Verifier;
use super::{Limits, digest, follow};

/// How keys begin, for who finds one and wants to know what it is; secret scanners look for such beginnings.
const PREFIX: &str = "hwk_";

/// A key to make. Lists that are empty, and what is absent, bound nothing.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// At least one.
    pub may: Vec<Access>,
    /// Kinds of events that it may send.
    pub write_kinds: Vec<String>,
    /// Patterns of entities whose events it may send.
    pub write_entities: Vec<String>,
    /// How much of it.
    pub limits: Limits,
    /// From when on it is not accepted.
    pub expires: Option<DateTime<Utc>>,
    /// Whether it opens connections of PostgreSQL clients.
    pub postgres: bool,
}

/// Makes a key of 256 random bits, adds its entry to the file, which need not be there yet, and gives the key. It is
/// nowhere else.
///
/// # Errors
///
/// If the file cannot be read or written, or is wrong, or has a key of that name.
pub fn add(path: &Path, new: &NewKey) -> anyhow::Result<SecretString> {
    ensure!(is_name(&new.name), "the name `{}` {NAME}", new.name);
    let edit = Edit::begin(path)?;
    let before = edit.parsed()?;
    let is_there = before.entries.iter().any(|entry| entry.name == new.name);
    ensure!(
        !is_there,
        "`{}` has a key `{}` already",
        path.display(),
        new.name
    );
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes)?;
    let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let mut text = edit.text.clone();
    let mut verifier = None;
    if new.postgres {
        let salt = match before.scram_salt {
            Some(salt) => salt,
            None => {
                let mut salt = [0; 16];
                SysRng.try_fill_bytes(&mut salt)?;
                text = format!("scram_salt = \"{}\"\n\n{text}", STANDARD.encode(salt));
                salt
            }
        };
        verifier = Some(Verifier::new(&key, &salt));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&written(new, &key, verifier.as_ref()));
    let after = KeysFile::parse(&text).context("the new entry is wrong")?;
    let kept = after.entries.split_last().is_some_and(|(last, rest)| {
        rest == before.entries && last.name == new.name && last.digest == digest(key.as_bytes())
    });
    ensure!(
        kept,
        "`{}` cannot be edited by this command: add the entry by hand",
        path.display()
    );
    edit.finish(&text)?;
    Ok(key.into())
}

/// The entry of a key, as it stands in the file.
fn written(new: &NewKey, key: &str, verifier: Option<&Verifier>) -> String {
    let quoted = |texts: &[String]| {
        let texts: Vec<String> = texts
            .iter()
            .map(|text| toml::Value::String(text.clone()).to_string())
            .collect();
        format!("[{}]", texts.join(", "))
    };
    let hash: String = digest(key.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut lines = vec![
        String::new(),
        "[[key]]".to_owned(),
        format!("name = \"{}\"", new.name),
        format!("hash = \"sha256:{hash}\""),
    ];
    let words: Vec<String> = new.may.iter().map(|may| may.word().to_owned()).collect();
    lines.push(format!("may = {}", quoted(&words)));
    for (field, texts) in [
        ("write_kinds", &new.write_kinds),
        ("write_entities", &new.write_entities),
    ] {
        if !texts.is_empty() {
            lines.push(format!("{field} = {}", quoted(texts)));
        }
    }
    let rates = [
        ("requests", new.limits.requests),
        ("events", new.limits.events),
    ];
    for (what, rate) in rates {
        if let Some(rate) = rate {
            lines.push(format!("{what}_per_second = {}", rate.per_second));
            lines.push(format!("{what}_burst = {}", rate.burst));
        }
    }
    if let Some(bytes) = new.limits.bytes_per_day {
        lines.push(format!("bytes_per_day = {bytes}"));
    }
    if let Some(expires) = new.expires {
        let expires = expires.to_rfc3339_opts(SecondsFormat::Secs, true);
        lines.push(format!("expires = {expires}"));
    }
    if let Some(verifier) = verifier {
        lines.push(format!("scram = \"{}\"", verifier.to_text()));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Reads the file.
///
/// # Errors
///
/// If it cannot be read, or is wrong.
pub fn list(path: &Path) -> anyhow::Result<KeysFile> {
    follow::parse(path, &follow::read(path)?)
}

/// Takes a key out of the file.
///
/// # Errors
///
/// If the file cannot be read or written, or is wrong, or has no key of that name.
pub fn revoke(path: &Path, name: &str) -> anyhow::Result<()> {
    ensure!(path.exists(), "there is no file `{}`", path.display());
    let edit = Edit::begin(path)?;
    let before = edit.parsed()?;
    let Some(place) = before.entries.iter().position(|entry| entry.name == name) else {
        let names = before.entries.iter().map(|entry| &*entry.name);
        match crate::nearest::nearest(name, names) {
            Some(near) => bail!(
                "`{}` has no key `{name}`; `{near}` is the nearest",
                path.display()
            ),
            None => bail!("`{}` has no key `{name}`", path.display()),
        }
    };
    let text = without_entry(&edit.text, place);
    let mut rest = before.entries.clone();
    rest.remove(place);
    // Looked at again, because entries can be written in more ways than this command knows.
    let text = text.filter(|text| KeysFile::parse(text).is_ok_and(|after| after.entries == rest));
    let text = text.with_context(|| {
        let path = path.display();
        format!("`{path}` cannot be edited by this command: take the entry out by hand")
    })?;
    edit.finish(&text)
}

/// The text without its entry at `place`, and without the comments right above it; those behind it stay.
fn without_entry(text: &str, place: usize) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let heads: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].trim().starts_with("[[key]]"))
        .collect();
    let is_comment = |line: &&&str| line.trim_start().starts_with('#');
    let head = *heads.get(place)?;
    let next = heads.get(place + 1).copied().unwrap_or(lines.len());
    let above = lines[..head].iter().rev().take_while(is_comment).count();
    let is_empty = |line: &&&str| line.trim().is_empty() || is_comment(line);
    let behind = lines[head..next].iter().rev().take_while(is_empty).count();
    let (begin, end) = (head - above, next - behind);
    Some([&lines[..begin], &lines[end..]].concat().concat())
}

/// A file that is being replaced; only one at a time can be.
struct Edit {
    /// The file itself, where `path` is a symbolic link to it.
    target: PathBuf,
    beside: PathBuf,
    new: File,
    text: String,
    is_done: bool,
}

impl Edit {
    fn begin(path: &Path) -> anyhow::Result<Edit> {
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut name = target
            .file_name()
            .context("KEYS_FILE names no file")?
            .to_owned();
        name.push(".new");
        let beside = target.with_file_name(name);
        let new = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .with_context(|| {
                let beside = beside.display();
                format!("cannot make `{beside}`: if it is there, another command edits the keys, or was ended: delete it")
            })?;
        let mut edit = Edit {
            target,
            beside,
            new,
            text: String::new(),
            is_done: false,
        };
        if edit.target.exists() {
            let bytes = follow::read(&edit.target)?;
            edit.text = String::from_utf8(bytes).context("the file is no text")?;
            let mode = fs::metadata(&edit.target)?.permissions().mode();
            edit.new.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        Ok(edit)
    }

    fn parsed(&self) -> anyhow::Result<KeysFile> {
        follow::parse(&self.target, self.text.as_bytes())
    }

    fn finish(mut self, text: &str) -> anyhow::Result<()> {
        let written = self
            .new
            .write_all(text.as_bytes())
            .and_then(|()| self.new.sync_all())
            .and_then(|()| fs::rename(&self.beside, &self.target));
        written.with_context(|| format!("cannot replace `{}`", self.target.display()))?;
        self.is_done = true;
        // The folder, so that the name is the new file's also after a power cut; some file systems cannot.
        if let Some(folder) = self.target.parent() {
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }
}

impl Drop for Edit {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use secrecy::ExposeSecret;

    use super::super::{Keys, Rate, Source};
    use super::*;

    fn new(name: &str) -> NewKey {
        NewKey {
            name: name.to_owned(),
            may: vec![Access::Write, Access::Read],
            write_entities: vec!["veh-\"*".to_owned()],
            limits: Limits {
                requests: Some(Rate {
                    per_second: 0.5,
                    burst: 7.0,
                }),
                ..Limits::default()
            },
            expires: Some("2099-01-01T00:00:00Z".parse().unwrap()),
            postgres: true,
            ..NewKey::default()
        }
    }

    #[test]
    fn a_key_is_made_listed_used_and_taken_out_and_comments_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let key = add(&path, &new("a")).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(key.expose_secret()));
        fs::write(&path, format!("{text}\n# Of the tests.\n")).unwrap();
        add(&path, &new("b")).unwrap();
        let file = list(&path).unwrap();
        let [a, b] = &file.entries[..] else {
            panic!("{file:?}");
        };
        assert_eq!((&*a.name, &*b.name), ("a", "b"));
        assert_eq!(a.limits, new("a").limits);
        assert_eq!(a.expires, new("a").expires);
        assert!(a.scope.allows_entity("veh-\"7") && !a.scope.allows_entity("veh-7"));
        let salt = file.scram_salt.unwrap();
        assert_eq!(a.scram, Some(Verifier::new(key.expose_secret(), &salt)));
        let source = Source {
            file: Some(path.clone()),
            ..Source::default()
        };
        let keys = Keys::load(&source, Utc::now).unwrap();
        assert_eq!(keys.find(key.expose_secret()).unwrap().name(), "a");
        let error = add(&path, &new("a")).unwrap_err().to_string();
        assert!(error.contains("already"), "{error}");
        let error = revoke(&path, "c").unwrap_err().to_string();
        assert!(error.contains("no key `c`"), "{error}");
        revoke(&path, "a").unwrap();
        let names: Vec<String> = list(&path)
            .unwrap()
            .entries
            .into_iter()
            .map(|entry| entry.name)
            .collect();
        assert_eq!(names, ["b"]);
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .contains("# Of the tests.")
        );
        revoke(&path, "b").unwrap();
        assert_eq!(list(&path).unwrap().entries, []);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no other file is left"
        );
    }

    #[test]
    fn what_this_cannot_edit_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        let hash = super::super::settings::tests::hash_line("the key");
        let inline = format!("key = [{{ name = \"a\", {hash}, may = [\"read\"] }}]\n");
        fs::write(&path, &inline).unwrap();
        assert!(
            revoke(&path, "a")
                .unwrap_err()
                .to_string()
                .contains("by hand")
        );
        assert!(add(&path, &new("b")).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), inline);
        fs::write(&path, "[[key]]\nname =").unwrap();
        assert!(add(&path, &new("b")).is_err());
        fs::write(&path, "").unwrap();
        assert!(add(&path, &new("B")).is_err());
        // A link stays a link.
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut expired = new("b");
        expired.expires = Some(Utc::now() - TimeDelta::days(1));
        add(&link, &expired).unwrap();
        assert!(link.is_symlink() && list(&path).unwrap().entries.len() == 1);
    }
}
