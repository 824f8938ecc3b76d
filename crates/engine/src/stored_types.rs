//! The undeclared signals that kinds have, as the lake stores them, kept for a moment.

use std::sync::Arc;
use std::time::Duration;

use aws::Lake;
use contract::Kinds;
use lake::ReadError;
use lake::rows::SignalTypes;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How old the stored types may be.
const FRESH: Duration = Duration::from_secs(10);

/// The types of each kind, and when they were read.
type Read = (Instant, Arc<Vec<SignalTypes>>);

/// Names and types of undeclared signals, as the lake stores them. All queries share it, so that most of them need no
/// request for it.
#[derive(Debug)]
pub struct StoredTypes {
    lake: Lake,
    read: Mutex<Option<Read>>,
}

impl StoredTypes {
    pub(crate) fn new(lake: Lake) -> StoredTypes {
        StoredTypes {
            lake,
            read: Mutex::new(None),
        }
    }

    /// The types of each kind in the order of [`Kinds::iter`], at most 10 s old; older while S3 does not answer.
    ///
    /// # Errors
    ///
    /// If they cannot be read and have never been.
    pub async fn get(&self, kinds: &Kinds) -> Result<Arc<Vec<SignalTypes>>, ReadError> {
        let mut read = self.read.lock().await;
        if let Some((at, types)) = read.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(types.clone());
        }
        match (lake::schema::signal_types(&self.lake, kinds).await, &*read) {
            (Ok(types), _) => {
                let types = Arc::new(types);
                *read = Some((Instant::now(), types.clone()));
                Ok(types)
            }
            // What is in memory may still be answered from.
            (Err(error), Some((_, types))) if is_transient(&error) => Ok(types.clone()),
            (Err(error), _) => Err(error),
        }
    }
}

fn is_transient(error: &ReadError) -> bool {
    matches!(error, ReadError::Call(call) if call.is_transient())
}
