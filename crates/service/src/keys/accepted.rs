//! The keys that a service accepts now.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::Context;
use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use metrics::{counter, gauge};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use super::file::KeysFile;
use super::key::Key;
use super::scope::Access;
use super::scram::Salt;
use super::set::{KeySet, Labels};
use super::strangers::Strangers;
use super::{HEADER, KeyError, digest};

type Now = Box<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// Where the keys of a service come from.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Keys without a name.
    pub unnamed: Vec<SecretString>,
    /// The file of keys with names.
    pub file: Option<std::path::PathBuf>,
    /// The text of such a file, where there is no file.
    pub text: Option<SecretString>,
}

/// The accepted keys. Clones are the same; [`follow`](Keys::follow) takes what changes in the file.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    unnamed: Vec<Arc<Key>>,
    file: Option<std::path::PathBuf>,
    set: RwLock<Arc<KeySet>>,
    labels: Mutex<Labels>,
    strangers: Strangers,
    now: Now,
    changes: watch::Sender<u64>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} without a name)", self.0.unnamed.len())
    }
}

impl Source {
    /// Reads the keys with names.
    pub(super) fn read_file(&self) -> anyhow::Result<KeysFile> {
        if let Some(path) = &self.file {
            let bytes = super::follow::read(path)?;
            return super::follow::parse(path, &bytes);
        }
        let Some(text) = &self.text else {
            return Ok(KeysFile::default());
        };
        KeysFile::parse(text.expose_secret()).context("cannot use KEYS_TEXT")
    }
}

impl Keys {
    /// Accepts these keys, all without a name.
    pub fn new(unnamed: &[SecretString]) -> Keys {
        let source = Source {
            unnamed: unnamed.to_vec(),
            ..Source::default()
        };
        Keys::with(&source, KeySet::default(), Utc::now)
    }

    /// Accepts the keys of `source`; `now` tells the time of day.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is wrong, or has a key that is one of those without a name too; or if there is no
    /// key.
    pub fn load(
        source: &Source,
        now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
    ) -> anyhow::Result<Keys> {
        let keys = Keys::with(source, KeySet::default(), now);
        keys.accept(source.read_file()?)?;
        Ok(keys)
    }

    fn with(
        source: &Source,
        before: KeySet,
        now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
    ) -> Keys {
        let unnamed = source.unnamed.iter();
        let unnamed: Vec<_> = unnamed
            .map(|key| Arc::new(Key::unnamed(key.clone())))
            .collect();
        let mut labels = Labels::default();
        let set = KeySet::new(&unnamed, KeysFile::default(), &before, &mut labels);
        Keys(Arc::new(Inner {
            // Without any key nothing is accepted.
            set: RwLock::new(Arc::new(set.unwrap_or_default())),
            unnamed,
            file: source.file.clone(),
            labels: Mutex::new(labels),
            strangers: Strangers::default(),
            now: Box::new(now),
            changes: watch::Sender::new(0),
        }))
    }

    /// Whether there is a file to follow.
    pub fn has_file(&self) -> bool {
        self.0.file.is_some()
    }

    pub(super) fn file(&self) -> Option<&std::path::Path> {
        self.0.file.as_deref()
    }

    /// Accepts the keys of `file` from now on, beside those without a name. Requests under way go on.
    ///
    /// # Errors
    ///
    /// As for [`load`](Keys::load); then the keys from before stay.
    pub(super) fn accept(&self, file: KeysFile) -> anyhow::Result<()> {
        let mut labels = self.0.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.set();
        let now = Arc::new(KeySet::new(&self.0.unnamed, file, &before, &mut labels)?);
        let named = now.named;
        *self.0.set.write().unwrap_or_else(PoisonError::into_inner) = now.clone();
        before.revoke_all_but(&now);
        drop(labels);
        gauge!("headwater_keys_named").set(named as f64);
        self.0.changes.send_modify(|times| *times += 1);
        Ok(())
    }

    fn set(&self) -> Arc<KeySet> {
        self.0
            .set
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Changes each time that the keys do.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The time of day, as expiry sees it.
    pub fn now(&self) -> DateTime<Utc> {
        (self.0.now)()
    }

    /// The keys of now, and the salt of their verifiers.
    pub fn all(&self) -> (Vec<Arc<Key>>, Option<Salt>) {
        let set = self.set();
        (set.keys().cloned().collect(), set.salt)
    }

    /// The one key that the request carries, in [`HEADER`] or in `Authorization: Bearer`.
    ///
    /// # Errors
    ///
    /// [`KeyError::Missing`], [`Several`](KeyError::Several) or [`Wrong`](KeyError::Wrong). Another scheme of
    /// `Authorization` carries no key.
    pub fn check(&self, headers: &HeaderMap) -> Result<Arc<Key>, KeyError> {
        let sent = headers.get_all(HEADER).iter().map(|key| key.as_bytes());
        self.check_one(sent.chain(authorized(headers, b"bearer ")))
    }

    /// As [`check`](Keys::check), and takes a key in the two other ways that senders of metrics have:
    /// `Authorization: Token`, and the password of `Authorization: Basic`, whoever the user is.
    ///
    /// # Errors
    ///
    /// As for [`check`](Keys::check).
    pub fn check_of_sender(&self, headers: &HeaderMap) -> Result<Arc<Key>, KeyError> {
        let sent = headers.get_all(HEADER).iter().map(|key| key.as_bytes());
        let passwords: Vec<Vec<u8>> = authorized(headers, b"basic ")
            .map(|pair| {
                let pair = BASE64.decode(pair).unwrap_or_default();
                let colon = pair.iter().position(|byte| *byte == b':');
                colon.map_or_else(Vec::new, |colon| pair[colon + 1..].to_vec())
            })
            .collect();
        let schemes = authorized(headers, b"bearer ").chain(authorized(headers, b"token "));
        let passwords = passwords.iter().map(Vec::as_slice);
        self.check_one(sent.chain(schemes).chain(passwords))
    }

    /// The key with this text, if it is accepted.
    pub fn find(&self, key: &str) -> Option<Arc<Key>> {
        self.check_one(std::iter::once(key.as_bytes())).ok()
    }

    fn check_one<'k>(
        &self,
        mut sent: impl Iterator<Item = &'k [u8]>,
    ) -> Result<Arc<Key>, KeyError> {
        let digest = match (sent.next(), sent.next()) {
            (None, _) => return Err(KeyError::Missing),
            (Some(_), Some(_)) => return Err(KeyError::Several),
            (Some(key), None) => digest(key),
        };
        let key = self.set().get(&digest).cloned().ok_or(KeyError::Wrong)?;
        if self.has_expired(&key) {
            return Err(KeyError::Wrong);
        }
        Ok(key)
    }

    /// Whether the key's time is over, which is counted under its name.
    pub fn has_expired(&self, key: &Key) -> bool {
        let Some(expires) = key.expires().filter(|expires| *expires <= self.now()) else {
            return false;
        };
        counter!("headwater_key_refusals_total", "key" => key.label().to_owned(), "code" => "expired")
            .increment(1);
        tracing::debug!(event = "key_refused", key = key.name(), code = "expired", %expires, "the key has expired");
        true
    }

    /// Lets a request in that asks for `access`: with the key that another service of this process vouches for, as the
    /// console does, or else with the one that it carries. Counts it.
    ///
    /// # Errors
    ///
    /// [`KeyError`]: a request without an accepted key is told so a little later.
    pub async fn admit(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
        access: Access,
    ) -> Result<Arc<Key>, KeyError> {
        let key = match extensions.get::<Arc<Key>>() {
            Some(key) => key.clone(),
            None => match self.check(headers) {
                Ok(key) => key,
                Err(error) => {
                    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
                    let address = peer.map(|ConnectInfo(address)| address.ip());
                    self.refuse(&error, address, headers).await;
                    return Err(error);
                }
            },
        };
        key.check_access(access)?;
        key.begin(self.now())?;
        Ok(key)
    }

    /// Counts and logs a request without an accepted key, and returns when it is to be answered.
    pub async fn refuse(&self, error: &KeyError, address: Option<IpAddr>, headers: &HeaderMap) {
        let forwarded = headers.get("x-forwarded-for");
        let forwarded = forwarded.and_then(|value| value.to_str().ok());
        self.0.strangers.refused(error, address, forwarded).await;
    }
}

/// What stands behind a scheme of `Authorization`, given in lower case with its space.
fn authorized<'h>(headers: &'h HeaderMap, scheme: &'static [u8]) -> impl Iterator<Item = &'h [u8]> {
    let values = headers.get_all(header::AUTHORIZATION).iter();
    values.filter_map(move |value| {
        let (named, key) = value.as_bytes().split_at_checked(scheme.len())?;
        named.eq_ignore_ascii_case(scheme).then(|| key.trim_ascii())
    })
}

#[cfg(test)]
mod tests;
