//! What the routes share, and which keys and prefixes they take.

use std::sync::Arc;

use aws::{Lake, ObjectInfo};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// Objects that are looked into at a time: each takes up to some 50 MiB, while Parquet is decoded.
const MOST_LOOKS: usize = 4;

/// Downloads at a time: each takes some 8 MiB.
const MOST_DOWNLOADS: usize = 8;

/// Longest key (S3 user guide, "Naming Amazon S3 objects", read 2026-11-26).
const MOST_KEY: usize = 1024;

/// A lake to look through.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) lake: Lake,
    looks: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
}

impl Reading {
    pub(super) fn new(lake: Lake) -> Reading {
        Reading {
            lake,
            looks: Arc::new(Semaphore::new(MOST_LOOKS)),
            downloads: Arc::new(Semaphore::new(MOST_DOWNLOADS)),
        }
    }

    /// # Errors
    ///
    /// If too many objects are looked into.
    pub(super) fn look(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let look = self.looks.clone().try_acquire_owned();
        look.map_err(|_| Refusal::TooManyReads(MOST_LOOKS))
    }

    /// # Errors
    ///
    /// If too many objects are downloaded.
    pub(super) fn download(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let download = self.downloads.clone().try_acquire_owned();
        download.map_err(|_| Refusal::TooManyReads(MOST_DOWNLOADS))
    }

    /// The object of a key, as a listing has it.
    ///
    /// # Errors
    ///
    /// If there is none, or the lake cannot be listed.
    pub(super) async fn find(&self, key: &str) -> Result<ObjectInfo, Refusal> {
        check("key", key)?;
        // Of the keys that begin with it, it is the first.
        let (objects, _) = self.lake.list_some(key, None, 1).await?;
        let found = objects.into_iter().find(|object| object.key == key);
        found.ok_or_else(|| Refusal::NoObject(key.to_owned()))
    }
}

/// Checks a key, or the beginning of one. Keys are names and no paths: `..` in them leads nowhere, and no key of the
/// lake has it.
pub(super) fn check(name: &str, key: &str) -> Result<(), Refusal> {
    let is_odd = key.chars().any(char::is_control) || key.split('/').any(|part| part == "..");
    if key.len() > MOST_KEY || is_odd || key.starts_with('/') || (name == "key" && key.is_empty()) {
        return Err(Refusal::InvalidParameter(format!(
            "`{name}` is no {name} of the lake: it has at most {MOST_KEY} bytes, and no control character, no `..` and no `/` at its start"
        )));
    }
    Ok(())
}
