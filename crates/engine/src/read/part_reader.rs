//! Fetches footers and column chunks, and keeps them.

use std::ops::Range;
use std::sync::Arc;

use aws::{ByteRange, CallError, Lake};
use bytes::Bytes;
use futures::future::try_join_all;
use parquet::DecodeResult;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataPushDecoder};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::read::bounded_cache::BoundedCache;
use crate::read::footer::Footer;
use crate::read::part_error::PartError;
use crate::read::sparse_file::SparseFile;
use crate::snapshot::Part;

/// Bytes at the end of a part that are fetched first: they hold the footer and the page index of all but large parts.
const TAIL_BYTES: u64 = 64 * 1024;

/// A part of at most so many bytes is fetched whole: a second request would cost more than its bytes.
const SMALL_PART_BYTES: u64 = 128 * 1024;

/// Two ranges this near to each other are fetched by one request, with what lies between them.
const GAP_BYTES: u64 = 64 * 1024;

/// Bytes of chunks that may be on their way or wait to be decoded, for all queries together.
const UNDECODED_BYTES: u64 = 32 * 1024 * 1024;

/// What a [`PartReader`] may hold in memory.
#[derive(Debug, Clone, Copy)]
pub struct ReadSettings {
    /// Bytes of column chunks, as they are in the files (`CACHE_LIMIT`).
    pub chunk_bytes: usize,
    /// Bytes of footers and page indexes.
    pub footer_bytes: usize,
}

impl Default for ReadSettings {
    fn default() -> ReadSettings {
        ReadSettings {
            chunk_bytes: 256 * 1024 * 1024,
            footer_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Reads parts by column; threads and queries share it.
pub struct PartReader {
    lake: Lake,
    footers: BoundedCache<PartId, Arc<Footer>>,
    /// By part and first byte: column chunks, and small parts whole.
    chunks: BoundedCache<(PartId, u64), Bytes>,
    /// Permits are KiB of [`UNDECODED_BYTES`].
    undecoded: Arc<Semaphore>,
}

/// Key and ETag: an object that is replaced is another one.
type PartId = (Arc<str>, Arc<str>);

/// Makes a footer of what a file says of itself.
type MakeFooter = fn(Arc<ParquetMetaData>) -> parquet::errors::Result<Footer>;

/// Chunks of a part, in memory and ready to be decoded.
pub(crate) struct Chunks {
    pub(crate) file: SparseFile,
    /// The share of memory that the chunks take until they are dropped.
    _share: OwnedSemaphorePermit,
}

impl PartReader {
    /// Reads parts of this lake.
    pub fn new(lake: Lake, settings: ReadSettings) -> PartReader {
        PartReader {
            lake,
            footers: BoundedCache::new("footers", settings.footer_bytes),
            chunks: BoundedCache::new("chunks", settings.chunk_bytes),
            undecoded: Arc::new(Semaphore::new(kib(UNDECODED_BYTES) as usize)),
        }
    }

    /// The lake whose parts are read.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Leaves at most so many bytes to the chunks that are kept, also where they may have more; those used longest ago
    /// go at once.
    pub(crate) fn leave(&self, bytes: usize) {
        self.chunks.leave(bytes);
    }

    /// The part's footer.
    pub(crate) async fn footer(&self, part: &Part) -> Result<Arc<Footer>, PartError> {
        self.footer_by(part, Footer::new).await
    }

    /// The footer of an object of hourly aggregates.
    pub(crate) async fn aggregates_footer(&self, object: &Part) -> Result<Arc<Footer>, PartError> {
        self.footer_by(object, Footer::of_aggregates).await
    }

    async fn footer_by(&self, part: &Part, make: MakeFooter) -> Result<Arc<Footer>, PartError> {
        let id = id(part);
        if let Some(footer) = self.footers.get(&id) {
            return Ok(footer);
        }
        let footer = Arc::new(self.fetch_footer(part, &id, make).await?);
        self.footers.put(id, footer.clone(), footer.bytes());
        Ok(footer)
    }

    async fn fetch_footer(
        &self,
        part: &Part,
        id: &PartId,
        make: MakeFooter,
    ) -> Result<Footer, PartError> {
        let broken = |error| PartError::broken(part, error);
        let mut decoder = ParquetMetaDataPushDecoder::try_new(part.size).map_err(broken)?;
        let first = if part.size <= SMALL_PART_BYTES {
            0
        } else {
            part.size.saturating_sub(TAIL_BYTES)
        };
        let tail = self.fetch(part, first..part.size).await?;
        if first == 0 {
            self.chunks.put((id.clone(), 0), tail.clone(), tail.len());
        }
        decoder.push_range(first..part.size, tail).map_err(broken)?;
        loop {
            match decoder.try_decode().map_err(broken)? {
                DecodeResult::Data(metadata) => {
                    return make(Arc::new(metadata)).map_err(broken);
                }
                DecodeResult::NeedsData(ranges) => {
                    let bytes = ranges.iter().map(|range| self.fetch(part, range.clone()));
                    let bytes = try_join_all(bytes).await?;
                    decoder.push_ranges(ranges, bytes).map_err(broken)?;
                }
                DecodeResult::Finished => {
                    return Err(PartError::broken(part, "its footer has no end"));
                }
            }
        }
    }

    /// The chunks of these columns of a row group: from memory, and the rest in as few requests as their places allow,
    /// all at once.
    pub(crate) async fn chunks(
        &self,
        part: &Part,
        footer: &Footer,
        group: usize,
        columns: &[usize],
    ) -> Result<Chunks, PartError> {
        let broken = |error| PartError::broken(part, error);
        let places = columns.iter().map(|column| footer.chunk(group, *column));
        let places: Vec<_> = places.collect::<Result<_, _>>().map_err(broken)?;
        let bytes = places
            .iter()
            .map(|range| range.end - range.start)
            .sum::<u64>();
        let share = kib(bytes).clamp(1, kib(UNDECODED_BYTES));
        let share = self
            .undecoded
            .clone()
            .acquire_many_owned(share as u32)
            .await;
        let share = share.map_err(|closed| PartError::broken(part, closed))?;
        let id = id(part);
        let mut pieces = Vec::with_capacity(places.len());
        if part.size <= SMALL_PART_BYTES {
            let key = (id, 0);
            let kept = self.chunks.get(&key);
            let whole = if let Some(whole) = kept {
                whole
            } else {
                let whole = self.fetch(part, 0..part.size).await?;
                self.chunks.put(key, whole.clone(), whole.len());
                whole
            };
            pieces.push((0, whole));
        } else {
            let mut missing = Vec::new();
            for place in places {
                match self.chunks.get(&(id.clone(), place.start)) {
                    Some(chunk) => pieces.push((place.start, chunk)),
                    None => missing.push(place),
                }
            }
            let fetches = coalesced(missing).into_iter();
            let fetches = fetches.map(|(range, places)| async move {
                let bytes = self.fetch(part, range.clone()).await?;
                let cut = |place: Range<u64>| {
                    let at = (place.start - range.start) as usize;
                    let end = (place.end - range.start) as usize;
                    (place.start, bytes.slice(at..end))
                };
                Ok::<Vec<_>, PartError>(places.into_iter().map(cut).collect())
            });
            for (start, chunk) in try_join_all(fetches).await?.into_iter().flatten() {
                // A copy: a slice would keep all that was fetched with it.
                let own = Bytes::copy_from_slice(&chunk);
                self.chunks.put((id.clone(), start), own, chunk.len());
                pieces.push((start, chunk));
            }
        }
        Ok(Chunks {
            file: SparseFile::new(part.size, pieces),
            _share: share,
        })
    }

    /// These bytes of the part.
    async fn fetch(&self, part: &Part, range: Range<u64>) -> Result<Bytes, PartError> {
        let length = range.end.saturating_sub(range.start);
        if length == 0 || range.end > part.size {
            let place = format!("bytes {} to {} are not in the file", range.start, range.end);
            return Err(PartError::broken(part, place));
        }
        let start = range.start;
        let got = self
            .lake
            .get_some(&part.key, ByteRange::From { start, length })
            .await;
        match got {
            Ok(Some(object)) if object.etag == part.etag => {
                if object.body.len() as u64 == length {
                    Ok(object.body)
                } else {
                    Err(PartError::broken(
                        part,
                        "S3 gave fewer bytes than the part has",
                    ))
                }
            }
            Ok(_) => Err(PartError::Gone(part.clone())),
            Err(error) => Err(self.why(part, error).await),
        }
    }

    /// What a refused call means: an object that took the part's key may lack the bytes that were asked for.
    async fn why(&self, part: &Part, error: CallError) -> PartError {
        if matches!(error, CallError::Permanent { .. })
            && let Ok(head) = self.lake.head(&part.key).await
            && head.is_none_or(|head| head.etag != part.etag)
        {
            return PartError::Gone(part.clone());
        }
        PartError::call(part, error)
    }
}

fn id(part: &Part) -> PartId {
    (part.key.as_str().into(), part.etag.as_str().into())
}

fn kib(bytes: u64) -> u64 {
    bytes.div_ceil(1024)
}

/// Joins ranges that lie near each other; each comes with those that it is made of.
pub(super) fn coalesced(mut ranges: Vec<Range<u64>>) -> Vec<(Range<u64>, Vec<Range<u64>>)> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<(Range<u64>, Vec<Range<u64>>)> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some((all, of)) if range.start <= all.end + GAP_BYTES => {
                all.end = all.end.max(range.end);
                of.push(range);
            }
            _ => joined.push((range.clone(), vec![range])),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_ranges_are_fetched_by_one_request() {
        let far = 100 + GAP_BYTES + 1;
        let joined = coalesced(vec![far..far + 10, 0..50, 60..100, far + 20..far + 30]);
        let (near, others) = (
            vec![0..50, 60..100],
            vec![far..far + 10, far + 20..far + 30],
        );
        assert_eq!(joined, [(0..100, near), (far..far + 30, others)]);
        assert!(coalesced(Vec::new()).is_empty());
    }
}
