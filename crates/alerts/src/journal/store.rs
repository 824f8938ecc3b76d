//! Reads and writes the objects of the log.

use aws::{Condition, Lake, PutOutcome};
use futures::{StreamExt, TryStreamExt, stream};
use lake::key::{ALERT_LOG, ALERT_SNAPSHOT, alert_record_key, alert_record_of};

use super::error::JournalError;
use super::record::Record;
use super::state::State;

/// Records that are fetched at a time.
const READ_AT_ONCE: usize = 16;

const JSON: &str = "application/json";

/// The state as the lake has it.
pub(crate) struct Stored {
    pub(crate) state: State,
    /// ETag of the snapshot that was read; none before the first one.
    pub(crate) snapshot: Option<String>,
    /// The last record that it counts; 0 without one.
    pub(crate) snapshot_through: u64,
}

/// How a record was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is in the log.
    Ours,
    /// Another process has its number.
    Taken,
}

/// Reads the snapshot and the records after it.
pub(crate) async fn read(lake: &Lake) -> Result<Stored, JournalError> {
    let mut stored = Stored {
        state: State::default(),
        snapshot: None,
        snapshot_through: 0,
    };
    if let Some((state, etag)) = read_snapshot(lake).await? {
        stored.snapshot_through = state.through;
        stored.state = state;
        stored.snapshot = Some(etag);
    }
    read_on(lake, &mut stored).await?;
    Ok(stored)
}

/// Reads the records after those that are known.
///
/// # Errors
///
/// [`JournalError::Missing`] also where records were deleted behind a newer snapshot: [`read`] finds them there.
pub(crate) async fn read_on(lake: &Lake, stored: &mut Stored) -> Result<(), JournalError> {
    let after = alert_record_key(stored.state.through);
    let listed = lake.list(ALERT_LOG, Some(&after)).await?;
    let keys = listed.into_iter().map(|object| object.key);
    let numbers: Vec<u64> = keys.filter_map(|key| alert_record_of(&key)).collect();
    let fetched: Vec<_> = numbers
        .into_iter()
        .map(|number| fetch(lake, number))
        .collect();
    let mut records = stream::iter(fetched).buffered(READ_AT_ONCE);
    while let Some(record) = records.try_next().await? {
        let expected = stored.state.through + 1;
        if record.number != expected {
            return Err(JournalError::Missing(alert_record_key(expected)));
        }
        stored.state.apply(record);
    }
    Ok(())
}

async fn fetch(lake: &Lake, number: u64) -> Result<Record, JournalError> {
    let key = alert_record_key(number);
    let Some(object) = lake.get(&key).await? else {
        return Err(JournalError::Missing(key));
    };
    let record: Record =
        serde_json::from_slice(&object.body).map_err(|source| unreadable(&key, source))?;
    if record.number != number {
        let number = record.number;
        return Err(JournalError::Misnamed { key, number });
    }
    Ok(record)
}

/// Writes a record, once. A transient error leaves open whether it is written: the same record may be written again.
pub(crate) async fn write(lake: &Lake, record: &Record) -> Result<Written, JournalError> {
    let key = alert_record_key(record.number);
    let body = serde_json::to_vec(record).map_err(JournalError::Encode)?;
    let put = lake.put(
        &key,
        body.into(),
        JSON,
        Default::default(),
        Condition::IfAbsent,
    );
    if let PutOutcome::Written(_) = put.await? {
        return Ok(Written::Ours);
    }
    // The record may be ours, if the answer to an earlier attempt was lost.
    let stored = fetch(lake, record.number).await?;
    Ok(if stored.writer == record.writer {
        Written::Ours
    } else {
        Written::Taken
    })
}

/// Writes the snapshot in place of the one that is known, and gives its ETag; none if another one is there.
pub(crate) async fn write_snapshot(
    lake: &Lake,
    body: Vec<u8>,
    known: Option<String>,
) -> Result<Option<String>, JournalError> {
    let condition = known.map_or(Condition::IfAbsent, Condition::IfMatch);
    let put = lake.put(
        ALERT_SNAPSHOT,
        body.into(),
        JSON,
        Default::default(),
        condition,
    );
    Ok(match put.await? {
        PutOutcome::Written(etag) => Some(etag),
        PutOutcome::ConditionFailed => None,
    })
}

/// The snapshot and its ETag; none where there is none.
pub(crate) async fn read_snapshot(lake: &Lake) -> Result<Option<(State, String)>, JournalError> {
    let Some(object) = lake.get(ALERT_SNAPSHOT).await? else {
        return Ok(None);
    };
    let state = serde_json::from_slice(&object.body)
        .map_err(|source| unreadable(ALERT_SNAPSHOT, source))?;
    Ok(Some((state, object.etag)))
}

/// Deletes records, which a snapshot counts.
pub(crate) async fn delete(
    lake: &Lake,
    numbers: impl Iterator<Item = u64>,
) -> Result<(), JournalError> {
    let keys: Vec<String> = numbers.map(alert_record_key).collect();
    Ok(lake.delete(&keys).await?)
}

/// The ETag of the snapshot; none where there is none.
pub(crate) async fn snapshot_etag(lake: &Lake) -> Result<Option<String>, JournalError> {
    Ok(lake.head(ALERT_SNAPSHOT).await?.map(|head| head.etag))
}

fn unreadable(key: &str, source: serde_json::Error) -> JournalError {
    JournalError::Unreadable {
        key: key.to_owned(),
        source,
    }
}
