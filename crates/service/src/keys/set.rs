//! The keys that are accepted at one time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anyhow::ensure;

use super::file::{Digest, KeysFile};
use super::key::Key;
use super::scram::Salt;

/// Most names that metrics tell apart in the life of a process; those past it are `other`.
const MOST_LABELS: usize = 200;

/// The accepted keys by their digests. A look-up by the digest of what was sent tells nothing of other keys by its
/// time: where a digest stands in the table depends on random numbers of this process.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    by_digest: HashMap<Digest, Arc<Key>>,
    pub(super) named: usize,
    pub(super) salt: Option<Salt>,
}

/// The labels that metrics have had so far.
#[derive(Debug, Default)]
pub(super) struct Labels(HashSet<Arc<str>>);

impl Labels {
    fn of(&mut self, name: &str) -> Arc<str> {
        if let Some(label) = self.0.get(name) {
            return label.clone();
        }
        if self.0.len() >= MOST_LABELS {
            return super::OTHER.into();
        }
        let label: Arc<str> = name.into();
        self.0.insert(label.clone());
        label
    }
}

impl KeySet {
    /// The set of the unnamed keys and those of the file. Keys that `before` has too are the same, and those that have
    /// changed keep what they have used.
    ///
    /// # Errors
    ///
    /// If a key stands in both, or there is none.
    pub(super) fn new(
        unnamed: &[Arc<Key>],
        file: KeysFile,
        before: &KeySet,
        labels: &mut Labels,
    ) -> anyhow::Result<KeySet> {
        let of_name: HashMap<&str, &Arc<Key>> = before
            .by_digest
            .values()
            .filter(|key| key.is_named())
            .map(|key| (key.name(), key))
            .collect();
        let mut set = KeySet {
            by_digest: unnamed
                .iter()
                .map(|key| (key.entry.digest, key.clone()))
                .collect(),
            named: file.entries.len(),
            salt: file.scram_salt,
        };
        for entry in file.entries {
            let old = of_name.get(&*entry.name);
            let key = match old {
                Some(old) if old.entry == entry && before.salt == set.salt => Arc::clone(old),
                old => {
                    let usage = old.map(|old| old.usage().clone()).unwrap_or_default();
                    let label = labels.of(&entry.name);
                    Arc::new(Key::named(entry, label, usage))
                }
            };
            let same = set.by_digest.insert(key.entry.digest, key.clone());
            ensure!(
                same.is_none(),
                "the key `{}` is also one of those without a name: it would have two scopes; take it out of one of the \
                 two places",
                key.name()
            );
        }
        ensure!(
            !set.by_digest.is_empty(),
            "no key at all: nobody could come in"
        );
        Ok(set)
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<&Arc<Key>> {
        self.by_digest.get(digest)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.by_digest.values()
    }

    /// Says to those who use keys for long that these are gone, unless `now` has the same.
    pub(super) fn revoke_all_but(&self, now: &KeySet) {
        for (digest, key) in &self.by_digest {
            if !now.get(digest).is_some_and(|other| Arc::ptr_eq(other, key)) {
                key.revoked().cancel();
            }
        }
    }
}
