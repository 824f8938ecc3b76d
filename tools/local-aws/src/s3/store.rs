//! All buckets and objects, behind one lock.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;

use super::conditions;
use super::error::S3Error;
use super::folder::{BucketRecord, Folder};
use super::object::{Data, Meta, Object};
use super::uploads::{self, Upload};
use crate::http_bodies::ResponseBody;
use crate::wall_clock::Moment;

#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) record: BucketRecord,
    pub(crate) objects: BTreeMap<String, Arc<Object>>,
    pub(crate) uploads: BTreeMap<String, Upload>,
}

/// The buckets, in memory or in a folder.
#[derive(Debug)]
pub(crate) struct Store {
    buckets: Mutex<BTreeMap<String, Bucket>>,
    pub(crate) folder: Option<Folder>,
}

pub(crate) type Buckets<'a> = MutexGuard<'a, BTreeMap<String, Bucket>>;

pub(crate) fn bucket<'a>(buckets: &'a Buckets<'_>, name: &str) -> Result<&'a Bucket, S3Error> {
    buckets.get(name).ok_or_else(S3Error::no_such_bucket)
}

pub(crate) fn bucket_mut<'a>(
    buckets: &'a mut Buckets<'_>,
    name: &str,
) -> Result<&'a mut Bucket, S3Error> {
    buckets.get_mut(name).ok_or_else(S3Error::no_such_bucket)
}

impl Bucket {
    pub(crate) fn object(&self, key: &str) -> Result<&Arc<Object>, S3Error> {
        self.objects.get(key).ok_or_else(S3Error::no_such_key)
    }
}

impl Store {
    pub(crate) fn in_memory() -> Self {
        Self {
            buckets: Mutex::default(),
            folder: None,
        }
    }

    pub(crate) fn open(folder: Folder) -> io::Result<Self> {
        let mut buckets = BTreeMap::new();
        for (name, record) in folder.buckets()? {
            let objects = folder.objects(&name)?.into_iter();
            let bucket = Bucket {
                record,
                objects: objects
                    .map(|(key, object)| (key, Arc::new(object)))
                    .collect(),
                uploads: uploads::load(&folder, &name)?,
            };
            buckets.insert(name, bucket);
        }
        folder.clear_temporary()?;
        Ok(Self {
            buckets: Mutex::new(buckets),
            folder: Some(folder),
        })
    }

    pub(crate) fn lock(&self) -> Buckets<'_> {
        // The index is changed last, so a panic leaves it whole.
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a bucket; false if it exists already.
    pub(crate) fn create_bucket(
        &self,
        name: &str,
        region: &str,
        now: Moment,
    ) -> Result<bool, S3Error> {
        let mut buckets = self.lock();
        if buckets.contains_key(name) {
            return Ok(false);
        }
        let record = BucketRecord {
            created: now,
            region: region.to_owned(),
        };
        if let Some(folder) = &self.folder {
            folder.create_bucket(name, &record)?;
        }
        let bucket = Bucket {
            record,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
        };
        buckets.insert(name.to_owned(), bucket);
        Ok(true)
    }

    pub(crate) fn delete_bucket(&self, name: &str) -> Result<(), S3Error> {
        let mut buckets = self.lock();
        if !bucket(&buckets, name)?.objects.is_empty() {
            return Err(S3Error::bucket_not_empty());
        }
        if let Some(folder) = &self.folder {
            folder.delete_bucket(name)?;
        }
        buckets.remove(name);
        Ok(())
    }

    /// Puts an object in place if the conditions hold. The caller holds the lock, so that it can change
    /// more in the same step.
    pub(crate) fn put(
        &self,
        bucket: &mut Bucket,
        (bucket_name, key): (&str, &str),
        meta: Meta,
        data: Data,
        conditions: &HeaderMap,
    ) -> Result<(), S3Error> {
        let present = bucket.objects.get(key);
        conditions::check_write(conditions, present.map(|object| &object.meta))?;
        let data = match &self.folder {
            None => data,
            Some(folder) => {
                let present = present.map(|object| &**object);
                folder.put(bucket_name, key, &meta, data, present)?
            }
        };
        bucket
            .objects
            .insert(key.to_owned(), Arc::new(Object { meta, data }));
        Ok(())
    }

    /// Deletes an object if the conditions hold; a missing object is no error.
    pub(crate) fn delete(
        &self,
        buckets: &mut Buckets<'_>,
        (bucket_name, key): (&str, &str),
        conditions: &HeaderMap,
    ) -> Result<(), S3Error> {
        let bucket = bucket_mut(buckets, bucket_name)?;
        let present = bucket.objects.get(key);
        conditions::check_write(conditions, present.map(|object| &object.meta))?;
        if let (Some(folder), Some(object)) = (&self.folder, present) {
            folder.delete(bucket_name, key, object)?;
        }
        bucket.objects.remove(key);
        Ok(())
    }

    /// An object and its bytes as they are now: a file is opened under the lock, so that a later
    /// replacement does not show.
    pub(crate) fn read(
        &self,
        bucket_name: &str,
        key: &str,
        stretch: impl FnOnce(&Meta) -> Result<(u64, u64), S3Error>,
    ) -> Result<(Meta, ResponseBody), S3Error> {
        let buckets = self.lock();
        let object = bucket(&buckets, bucket_name)?.object(key)?;
        let (start, length) = stretch(&object.meta)?;
        let body = object.data.body(start, length)?;
        Ok((object.meta.clone(), body))
    }
}
