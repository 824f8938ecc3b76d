//! Holds the ledger against the lake.
//!
//! A [`Question`] comes in, the objects of the lake are read in the order of their keys, raw before curated, and a
//! [`Verdict`] goes out. The lake is only read.

mod comparison;
mod question;

use aws::{Lake, ObjectInfo};
use bytes::Bytes;
use contract::{CURATED, Kinds, RAW};
use futures::{StreamExt, TryStreamExt, stream};

pub use question::{Places, Question};

use self::comparison::Comparison;
use crate::error::JudgeError;
use crate::ledger::Ledger;
use crate::verdict::Verdict;

/// Objects that are read ahead.
const READ_AHEAD: usize = 8;

/// Reads the lake and says what of the ledger is in it, and what else.
///
/// An event counts as kept in `raw/` if it is there at least once, and in `curated/` if it is there
/// exactly once. Where one id was sent with several contents, `raw/` must hold each that was
/// accepted and `curated/` any one of them: which came first, the order of the answers does not
/// tell. Content is what the sender said, values compared as values; in `curated/` times count to the
/// microsecond.
///
/// # Errors
///
/// [`JudgeError`] if the lake cannot be read.
pub async fn judge(
    lake: &Lake,
    kinds: &Kinds,
    ledger: &Ledger,
    question: &Question<'_>,
) -> Result<Verdict, JudgeError> {
    let list = async |prefix: &str, suffix: &str, wanted: bool| {
        let mut objects = if wanted {
            lake.list(prefix, None).await?
        } else {
            Vec::new()
        };
        objects.retain(|object| object.key.ends_with(suffix) && question.scope.has_object(object));
        Ok::<_, JudgeError>(objects)
    };
    let raw = list(RAW, ".jsonl", question.places != Places::Curated).await?;
    let curated = list(CURATED, ".parquet", question.places != Places::Raw).await?;
    let all = (raw.len() + curated.len()) as u64;
    let mut comparison = Comparison::new(kinds, ledger, question);
    let mut done = 0;
    let mut bodies = bodies(lake, raw);
    while let Some((key, body)) = bodies.try_next().await? {
        comparison.raw_object(key, &body);
        done += 1;
        question.progress.objects(done, all);
    }
    let mut bodies = self::bodies(lake, curated);
    while let Some((key, body)) = bodies.try_next().await? {
        comparison.curated_object(key, body)?;
        done += 1;
        question.progress.objects(done, all);
    }
    Ok(comparison.finish())
}

/// The objects' bytes, read ahead, in order. An object that is gone by now is passed over: what it
/// held is missed where it matters.
fn bodies(
    lake: &Lake,
    objects: Vec<ObjectInfo>,
) -> impl futures::Stream<Item = Result<(String, Bytes), JudgeError>> + Unpin {
    let reads = stream::iter(objects)
        .map(move |object| {
            let lake = lake.clone();
            async move {
                let got = lake.get(&object.key).await?;
                Ok(got.map(|got| (object.key, got.body)))
            }
        })
        .buffered(READ_AHEAD)
        .try_filter_map(|read| std::future::ready(Ok(read)));
    Box::pin(reads)
}
