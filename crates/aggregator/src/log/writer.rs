//! Writes the objects of the log: see [`lake::log`].

use aws::{Condition, Lake, PutOutcome};
use chrono::{DateTime, Utc};
use lake::key::{CHECKPOINT, done_key, intent_key};
use lake::log::{Done, Intent, Log, Summary, read_intent};
use uuid::Uuid;

use crate::commit::Written;
use crate::log::discover::Found;
use crate::put::put;

/// Writes the next intent. None if another process has that commit: the log must be read again.
pub(crate) async fn begin(
    lake: &Lake,
    log: &Log,
    writer: Uuid,
    objects: &[Found],
    now: DateTime<Utc>,
) -> anyhow::Result<Option<Intent>> {
    let intent = Intent {
        commit: log.done + 1,
        writer,
        started_at: now,
        bytes: objects.iter().map(|object| object.size).sum(),
        inputs: objects.iter().map(|object| object.key.clone()).collect(),
    };
    let (key, body) = (intent_key(intent.commit), serde_json::to_vec(&intent)?);
    let outcome = put(lake, &key, body, None, Condition::IfAbsent).await?;
    if outcome == PutOutcome::ConditionFailed {
        // The intent may be ours, if the answer to an earlier attempt was lost.
        let stored = read_intent(lake, intent.commit).await?;
        return Ok(stored.filter(|stored| *stored == intent));
    }
    Ok(Some(intent))
}

/// Marks the commit as done, in the lake and in `log`. If the mark exists, the first run to finish has written it.
pub(crate) async fn finish(
    lake: &Lake,
    log: &mut Log,
    intent: &Intent,
    summary: &Summary,
    written: &Written,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let put_off = written.put_off.iter().flatten();
    let put_off = put_off.map(|object| (object.key.clone(), object.size));
    let done = Done {
        commit: intent.commit,
        finished_at: now,
        summary: summary.clone(),
        // One without inputs says that any part may have changed.
        hours: (!intent.inputs.is_empty()).then(|| written.hours.clone()),
        put_off: put_off.collect(),
    };
    let (key, body) = (done_key(intent.commit), serde_json::to_vec(&done)?);
    put(lake, &key, body, None, Condition::IfAbsent).await?;
    log.advance(intent);
    Ok(())
}

/// Writes the checkpoint, unless nothing is new. If another process was first, its checkpoint is as good.
pub(crate) async fn save(lake: &Lake, log: &Log) -> anyhow::Result<()> {
    if !log.is_ahead() {
        return Ok(());
    }
    let etag = log.checkpoint_etag.clone();
    let condition = etag.map_or(Condition::IfAbsent, Condition::IfMatch);
    let body = serde_json::to_vec(&log.to_checkpoint())?;
    put(lake, CHECKPOINT, body, None, condition).await?;
    Ok(())
}
