//! Hashes of event ids.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use foldhash::quality::RandomState;
use xxhash_rust::xxh3::xxh3_64;

/// Hash of an event id, the same throughout this process. The key is random in each process: senders choose ids, and
/// must not be able to choose which of them collide.
pub fn id_hash(id: &str) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::default);
    KEY.hash_one(id)
}

/// Hash of an event id, the same in all processes and releases: xxh3.
pub fn stable_hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}
