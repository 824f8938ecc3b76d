//! Keys beside those of `contract`: the log of commits, the types of columns, the lines set aside.

use contract::{CURATED, Hour};

/// Prefix of the log of commits.
pub const COMMITS: &str = "_commits/";
/// Prefix of the types of undeclared signals, an object for each kind.
pub const SCHEMA: &str = "_schema/";
/// Prefix of lines that could not become rows, each with its reason.
pub const ASIDE: &str = "_aside/";
/// Key of the object that sums up the log, so that a reader need not read all of it.
pub const CHECKPOINT: &str = "_commits/checkpoint.json";

/// Key of a commit's intent; ten digits, so that keys sort in the order of commits.
pub fn intent_key(commit: u64) -> String {
    format!("{COMMITS}{commit:010}.json")
}

/// Key of the mark that a commit is done.
pub fn done_key(commit: u64) -> String {
    format!("{COMMITS}{commit:010}.done.json")
}

/// Key of the types of a kind's undeclared signals.
pub fn schema_key(kind: &str) -> String {
    format!("{SCHEMA}{kind}.json")
}

/// Key of the lines that a commit set aside; `hash` is of these lines, so that other lines get another object.
pub fn aside_key(commit: u64, hash: u32) -> String {
    format!("{ASIDE}{commit:010}-{hash:08x}.jsonl")
}

/// Kind and event hour of a key under `curated/`; none for another key.
pub fn curated_hour_of(key: &str) -> Option<(&str, Hour)> {
    let rest = key.strip_prefix(CURATED)?.strip_prefix("kind=")?;
    let (kind, rest) = rest.split_once('/')?;
    Some((kind, Hour::parse(rest)?))
}
