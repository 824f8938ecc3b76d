//! Which ids stand in a part: asked once for each new object and hour, so what was read of a part is kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::Array;
use aws::{ByteRange, Lake, Object};
use bytes::Bytes;
use lake::ReadError;
use lake::parts::{self, DIGEST_ROWS, IdHashes, Meeting};
use lake::rows::id_hash;

use crate::snapshot::compute::compute;
use crate::snapshot::hour_data::Part;

/// Bytes of ends and hashes that are kept; what was used longest ago goes first.
const MAX_KEPT: usize = 64 << 20;

/// Parts up to this size are read whole: a smaller one has no digest of its ids.
const WHOLE_BYTES: u64 = 16 * DIGEST_ROWS as u64;

/// A digest takes about a sixth of its part; what stands behind it fits here.
const FOOTER_BYTES: u64 = 128 * 1024;

/// The [`id_hash`]es of a part, ascending. Of a million new ids, one is taken for one of a million others with a
/// probability of 5 in 10^8.
#[derive(Debug, Clone)]
pub(super) struct PartHashes(Arc<[u64]>);

impl PartHashes {
    pub(super) fn has(&self, hash: u64) -> bool {
        self.0.binary_search(&hash).is_ok()
    }
}

/// What was read of parts.
#[derive(Debug)]
pub(super) struct PartIds {
    lake: Lake,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By key and ETag.
    parts: HashMap<(String, String), (u64, OfPart)>,
    /// Key and ETag by the time of the last use.
    order: BTreeMap<u64, (String, String)>,
    time: u64,
    bytes: usize,
}

#[derive(Debug, Clone)]
enum OfPart {
    /// The last bytes of the file, which hold the digest.
    End(Bytes),
    Hashes(PartHashes),
}

impl PartIds {
    pub(super) fn new(lake: Lake) -> PartIds {
        PartIds {
            lake,
            kept: Mutex::default(),
        }
    }

    /// The hashes of the part's ids if one of `ids` may be among them; none if it holds none of them.
    ///
    /// # Errors
    ///
    /// [`ReadError::Missing`] if the part is gone or replaced since it was listed.
    pub(super) async fn meet(
        &self,
        part: &Part,
        ids: &IdHashes,
    ) -> Result<Option<PartHashes>, ReadError> {
        let place = (part.key.clone(), part.etag.clone());
        let kept = self.kept().get(&place);
        let end = match kept {
            Some(OfPart::Hashes(hashes)) => return Ok(Some(hashes)),
            Some(OfPart::End(end)) => Some(end),
            None => None,
        };
        if part.size > WHOLE_BYTES && !self.may_meet(part, end, ids).await? {
            return Ok(None);
        }
        let file = same(part, self.lake.get(&part.key).await?)?.body;
        let hashes = compute(|| {
            let ids = parts::ids(file)?;
            let ids = (0..ids.len()).map(|row| id_hash(ids.value(row)));
            let mut hashes: Vec<u64> = ids.collect();
            hashes.sort_unstable();
            Ok(hashes)
        });
        let hashes = PartHashes(hashes.map_err(|error| unreadable(part, error))?.into());
        self.kept().put(place, OfPart::Hashes(hashes.clone()));
        Ok(Some(hashes))
    }

    /// Whether the digest says that the part may hold one of the ids; `end` is what is kept of the file.
    async fn may_meet(
        &self,
        part: &Part,
        mut end: Option<Bytes>,
        ids: &IdHashes,
    ) -> Result<bool, ReadError> {
        let mut length = part.size / 5 + FOOTER_BYTES;
        while length < part.size || end.is_some() {
            let bytes = match end.take() {
                Some(bytes) => bytes,
                None => {
                    let last = ByteRange::Last(length);
                    same(part, self.lake.get_some(&part.key, last).await?)?.body
                }
            };
            let meeting = compute(|| parts::meeting(ids, &bytes, part.size));
            match meeting.map_err(|error| unreadable(part, error))? {
                Meeting::Needs(more) => {
                    length = more;
                    continue;
                }
                Meeting::Possible => return Ok(true),
                Meeting::None => {
                    let place = (part.key.clone(), part.etag.clone());
                    self.kept().put(place, OfPart::End(bytes));
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn get(&mut self, place: &(String, String)) -> Option<OfPart> {
        let (used, of_part) = self.parts.get_mut(place)?;
        self.time += 1;
        let place = self.order.remove(used);
        *used = self.time;
        self.order.extend(place.map(|place| (self.time, place)));
        Some(of_part.clone())
    }

    fn put(&mut self, place: (String, String), of_part: OfPart) {
        self.time += 1;
        self.bytes += of_part.bytes();
        let before = self.parts.insert(place.clone(), (self.time, of_part));
        if let Some((used, before)) = before {
            self.order.remove(&used);
            self.bytes -= before.bytes();
        }
        self.order.insert(self.time, place);
        while self.bytes > MAX_KEPT
            && self.order.len() > 1
            && let Some((_, place)) = self.order.pop_first()
        {
            let gone = self.parts.remove(&place);
            self.bytes -= gone.map_or(0, |(_, gone)| gone.bytes());
        }
    }
}

impl OfPart {
    fn bytes(&self) -> usize {
        match self {
            OfPart::End(end) => end.len(),
            OfPart::Hashes(PartHashes(hashes)) => size_of_val(&**hashes),
        }
    }
}

/// The object, if it is the part that was listed.
fn same(part: &Part, object: Option<Object>) -> Result<Object, ReadError> {
    let object = object.filter(|object| object.etag == part.etag);
    object.ok_or_else(|| ReadError::Missing(format!("`{}` was replaced or deleted", part.key)))
}

fn unreadable(part: &Part, error: parquet::errors::ParquetError) -> ReadError {
    ReadError::Content(format!("`{}`", part.key), error.into())
}
