//! Names of raw objects, kept small: 16 bytes for a part, 8 for an old object of which only a hash is kept.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chrono::{DateTime, Utc};
use contract::raw_arrival_of;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

/// Keys of raw objects, without `raw/`, by their partition `year=…/month=…/day=…/hour=…`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Names {
    partitions: BTreeMap<String, Partition>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Partition {
    /// UUIDs of `part-<uuid>.jsonl`, ascending.
    parts: Vec<u128>,
    /// All other names.
    others: BTreeSet<String>,
}

/// How a partition stands in the checkpoint. Older releases wrote a list of names.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored<'p> {
    Names(Vec<String>),
    Packed {
        /// Base64 of the UUIDs, 16 bytes each.
        parts: String,
        #[serde(default, skip_serializing_if = "is_empty")]
        others: Cow<'p, BTreeSet<String>>,
    },
}

fn is_empty(others: &BTreeSet<String>) -> bool {
    others.is_empty()
}

impl Names {
    /// Adds keys without `raw/`.
    pub fn extend<'k>(&mut self, keys: impl IntoIterator<Item = &'k str>) {
        let mut grown = BTreeSet::new();
        for key in keys {
            let (partition, name) = split(key);
            if !self.partitions.contains_key(partition) {
                self.partitions
                    .insert(partition.to_owned(), Partition::default());
            }
            if let Some(there) = self.partitions.get_mut(partition) {
                there.add(name);
            }
            grown.insert(partition);
        }
        for partition in grown {
            if let Some(there) = self.partitions.get_mut(partition) {
                there.sort();
            }
        }
    }

    /// Whether the key, without `raw/`, is among the names.
    pub fn contains(&self, key: &str) -> bool {
        let (partition, name) = split(key);
        let Some(there) = self.partitions.get(partition) else {
            return false;
        };
        match part_of(name) {
            Some(part) => there.parts.binary_search(&part).is_ok(),
            None => there.others.contains(name),
        }
    }

    /// Latest arrival that a name tells; none if no name tells one.
    pub(crate) fn newest_arrival(&self) -> Option<DateTime<Utc>> {
        let newest = |(partition, there): (&String, &Partition)| {
            let parts = there.parts.iter().rev();
            let mut names = parts
                .map(|part| join(partition, &format!("part-{}.jsonl", Uuid::from_u128(*part))));
            names.find_map(|name| raw_arrival_of(&name))
        };
        self.partitions.iter().filter_map(newest).max()
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        let partitions = self.partitions.values();
        partitions
            .map(|there| there.parts.len() + there.others.len())
            .sum()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keys without `raw/`, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        self.partitions.iter().flat_map(|(partition, there)| {
            let parts = there.parts.iter();
            let parts = parts.map(|part| format!("part-{}.jsonl", Uuid::from_u128(*part)));
            let names = parts.chain(there.others.iter().cloned());
            names.map(move |name| join(partition, &name))
        })
    }

    /// Takes out the names of the partitions before `partition` and gives them as hashes.
    pub fn take_before(&mut self, partition: &str) -> HashedNames {
        let later = self.partitions.split_off(partition);
        let earlier = std::mem::replace(&mut self.partitions, later);
        let earlier = Names {
            partitions: earlier,
        };
        HashedNames::of_hashes(earlier.iter().map(|key| HashedNames::hash(&key)).collect())
    }

    /// Keeps the names for which `keep` holds, told by their keys without `raw/`.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        for (partition, there) in &mut self.partitions {
            there.parts.retain(|part| {
                let name = format!("part-{}.jsonl", Uuid::from_u128(*part));
                keep(&join(partition, &name))
            });
            there.others.retain(|name| keep(&join(partition, name)));
        }
        let is_filled = |there: &Partition| !there.parts.is_empty() || !there.others.is_empty();
        self.partitions.retain(|_, there| is_filled(there));
    }
}

impl Partition {
    fn add(&mut self, name: &str) {
        match part_of(name) {
            Some(part) => self.parts.push(part),
            None => {
                self.others.insert(name.to_owned());
            }
        }
    }

    fn sort(&mut self) {
        self.parts.sort_unstable();
        self.parts.dedup();
    }
}

impl Serialize for Partition {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let parts: Vec<u8> = self.parts.iter().flat_map(|p| p.to_be_bytes()).collect();
        let stored = Stored::Packed {
            parts: BASE64.encode(parts),
            others: Cow::Borrowed(&self.others),
        };
        stored.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Partition {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Partition, D::Error> {
        let mut partition = Partition::default();
        match Stored::deserialize(from)? {
            Stored::Names(names) => names.iter().for_each(|name| partition.add(name)),
            Stored::Packed { parts, others } => {
                let bytes = BASE64.decode(parts).map_err(D::Error::custom)?;
                let (parts, rest) = bytes.as_chunks();
                if !rest.is_empty() {
                    return Err(D::Error::custom("a UUID has 16 bytes"));
                }
                partition.parts = parts.iter().map(|p| u128::from_be_bytes(*p)).collect();
                partition.others = others.into_owned();
            }
        }
        partition.sort();
        Ok(partition)
    }
}

/// Hashes of keys without `raw/`: enough to tell that an object is committed. Two of a million names have the same
/// hash with a probability of 3 in 10^8.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HashedNames {
    /// Ascending.
    hashes: Vec<u64>,
}

impl HashedNames {
    /// The hash of a key without `raw/`.
    pub fn hash(key: &str) -> u64 {
        xxh3_64(key.as_bytes())
    }

    /// The names of these hashes, in any order.
    pub fn of_hashes(hashes: Vec<u64>) -> HashedNames {
        let mut names = HashedNames { hashes };
        names.sort();
        names
    }

    fn sort(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
    }

    /// Adds the names of `other`.
    pub fn merge(&mut self, other: HashedNames) {
        self.hashes.extend(other.hashes);
        self.sort();
    }

    /// Whether the key, without `raw/`, is among the names.
    pub fn contains(&self, key: &str) -> bool {
        self.hashes.binary_search(&HashedNames::hash(key)).is_ok()
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Keeps the names that `seen` holds too.
    pub fn retain(&mut self, seen: &HashedNames) {
        self.hashes
            .retain(|hash| seen.hashes.binary_search(hash).is_ok());
    }

    /// As little-endian bytes, 8 for each name.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|h| h.to_le_bytes()).collect()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; none if it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<HashedNames> {
        let (hashes, rest) = bytes.as_chunks();
        let hashes: Vec<u64> = hashes.iter().map(|h| u64::from_le_bytes(*h)).collect();
        (rest.is_empty() && hashes.is_sorted()).then_some(HashedNames { hashes })
    }
}

fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('/').unwrap_or(("", key))
}

fn join(partition: &str, name: &str) -> String {
    if partition.is_empty() {
        name.to_owned()
    } else {
        format!("{partition}/{name}")
    }
}

/// The UUID of a name that is exactly `part-<uuid>.jsonl` as the consumer writes it: in lower case, with hyphens.
fn part_of(name: &str) -> Option<u128> {
    let text = name.strip_prefix("part-")?.strip_suffix(".jsonl")?;
    let uuid = Uuid::try_parse(text).ok()?;
    let mut buffer = Uuid::encode_buffer();
    (uuid.hyphenated().encode_lower(&mut buffer) == text).then(|| uuid.as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 5] = [
        "year=2026/month=11/day=20/hour=12/part-018f0c6e-0000-8000-8000-000000000001.jsonl",
        "year=2026/month=11/day=20/hour=12/part-018F0C6E-0000-8000-8000-000000000002.jsonl",
        "year=2026/month=11/day=20/hour=13/part-018f0c6e-0000-8000-8000-000000000001.jsonl",
        "year=2026/month=11/day=20/hour=13/by-hand.jsonl",
        "loose.jsonl",
    ];

    fn names() -> Names {
        let mut names = Names::default();
        names.extend(KEYS);
        names
    }

    #[test]
    fn names_of_any_form_are_found_again_after_they_were_stored() {
        let stored = serde_json::to_string(&names()).unwrap();
        let read: Names = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, names());
        assert!(KEYS.iter().all(|key| read.contains(key)), "{stored}");
        let lower = KEYS[1].to_ascii_lowercase();
        assert!(!read.contains(&lower), "S3 tells upper case from lower");
        assert_eq!(read.len(), KEYS.len());
        let mut keys: Vec<_> = read.iter().collect();
        keys.sort();
        let mut expected = KEYS.map(str::to_owned);
        expected.sort();
        assert_eq!(keys, expected);
    }

    #[test]
    fn the_lists_of_older_releases_are_read() {
        let text = format!(r#"{{"a=1":["by-hand.jsonl","{}"]}}"#, &KEYS[0][34..]);
        let read: Names = serde_json::from_str(&text).unwrap();
        assert!(read.contains("a=1/by-hand.jsonl"));
        assert!(read.contains(&format!("a=1/{}", &KEYS[0][34..])));
    }

    #[test]
    fn old_partitions_become_hashes() {
        let mut names = names();
        let mut old = names.take_before("year=2026/month=11/day=20/hour=13");
        assert_eq!((names.len(), old.len()), (2, 3));
        assert!(old.contains(KEYS[0]) && old.contains("loose.jsonl") && names.contains(KEYS[3]));
        old.merge(HashedNames::of_hashes(vec![HashedNames::hash(KEYS[2])]));
        let read = HashedNames::from_bytes(&old.to_bytes()).unwrap();
        assert!(read.contains(KEYS[2]) && !read.contains(KEYS[3]));
        old.retain(&HashedNames::of_hashes(vec![HashedNames::hash(KEYS[0])]));
        assert_eq!(old.len(), 1);
        assert_eq!(HashedNames::from_bytes(b"123"), None);
    }

    #[test]
    fn names_can_be_taken_out() {
        let mut names = names();
        names.retain(|key| key.ends_with("by-hand.jsonl") || key == KEYS[0]);
        assert_eq!(names.len(), 2);
    }
}
