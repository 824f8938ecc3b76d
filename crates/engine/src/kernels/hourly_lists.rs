//! The objects of `aggregates/`, listed a day at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws::{CallError, Lake, ObjectInfo};
use contract::{AGGREGATES, Hour, aggregate_key};
use tokio::time::Instant;

use crate::snapshot::Part;

/// How long a list is used: a rebuild replaces objects without a commit.
const LIST_AGAIN: Duration = Duration::from_secs(300);

/// Most days that are kept, some 30 KB each; past it all are forgotten.
const MAX_KEPT: usize = 400;

/// Lists of days; queries share them.
#[derive(Debug)]
pub(crate) struct HourlyLists {
    lake: Lake,
    days: Mutex<HashMap<String, Arc<Day>>>,
}

#[derive(Debug)]
struct Day {
    /// The last commit that was known to be done when the listing began.
    as_of: u64,
    at: Instant,
    /// The objects by key.
    objects: HashMap<String, Part>,
}

impl HourlyLists {
    pub(crate) fn new(lake: Lake) -> HourlyLists {
        HourlyLists {
            lake,
            days: Mutex::default(),
        }
    }

    /// The object with the statistics of the hour, as it was when `touched` was done, the last commit with a part of
    /// the hour, or later; none if there is no such object. `commit` is known to be done. Takes a request for each
    /// day that is not kept.
    ///
    /// # Errors
    ///
    /// If the lake cannot be listed.
    pub(crate) async fn object(
        &self,
        kind: &str,
        hour: Hour,
        touched: u64,
        commit: u64,
    ) -> Result<Option<Part>, CallError> {
        let key = aggregate_key(hour, kind, "parquet");
        let name = day_of(hour);
        let kept = self.days().get(&name).cloned();
        let is_current = |day: &Arc<Day>| day.as_of >= touched && day.at.elapsed() < LIST_AGAIN;
        let day = match kept.filter(is_current) {
            Some(day) => day,
            None => self.list(name, commit).await?,
        };
        Ok(day.objects.get(&key).cloned())
    }

    /// Lets the day of the hour be listed again: an object of it was replaced.
    pub(crate) fn forget(&self, hour: Hour) {
        self.days().remove(&day_of(hour));
    }

    async fn list(&self, name: String, as_of: u64) -> Result<Arc<Day>, CallError> {
        let at = Instant::now();
        let objects = self.lake.list(&name, None).await?.into_iter();
        let parquet = objects.filter(|object| object.key.ends_with(".parquet"));
        let day = Arc::new(Day {
            as_of,
            at,
            objects: parquet.map(part).collect(),
        });
        let mut days = self.days();
        if days.len() >= MAX_KEPT {
            days.clear();
        }
        days.insert(name, day.clone());
        Ok(day)
    }

    fn days(&self) -> MutexGuard<'_, HashMap<String, Arc<Day>>> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prefix of the objects of the hour's day.
fn day_of(hour: Hour) -> String {
    let hour = hour.to_string();
    let day = hour.rsplit_once('/').map_or(hour.as_str(), |(day, _)| day);
    format!("{AGGREGATES}{day}/")
}

fn part(object: ObjectInfo) -> (String, Part) {
    let part = Part {
        key: object.key.clone(),
        etag: object.etag,
        size: object.size,
    };
    (object.key, part)
}
