//! Objects as files: a folder that can be browsed, and resumed after a kill.
//!
//! ```text
//! <folder>/<bucket>/<key>                         an object's bytes
//! <folder>/.local-aws/s3/<bucket>/bucket.json     the bucket
//! <folder>/.local-aws/s3/<bucket>/meta/<h>.json   key, metadata and place of an object
//! <folder>/.local-aws/s3/<bucket>/side/<h>        bytes of objects whose key is no file name
//! <folder>/.local-aws/s3/<bucket>/uploads/<id>/   a multipart upload that is not complete
//! <folder>/.local-aws/tmp/                        files being written; emptied at the start
//! ```
//!
//! `<h>` is the SHA-256 of the key. A write is committed by the rename of its metadata, which names the
//! temporary file with the bytes; the start finishes the move of those bytes if a kill prevented it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::object::{Data, Meta, Object};
use crate::hex::hex;
use crate::wall_clock::Moment;

/// The hidden folder with all but the objects' bytes.
pub(crate) const HIDDEN: &str = ".local-aws";

#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BucketRecord {
    pub(crate) created: Moment,
    pub(crate) region: String,
}

/// An object's metadata file.
#[derive(Serialize, Deserialize)]
struct Record {
    key: String,
    meta: Meta,
    /// Whether the bytes are under `side` rather than at the key's own path.
    aside: bool,
    /// The temporary file that becomes the object.
    staged: Option<String>,
}

impl Folder {
    /// Opens or creates a folder.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let folder = Self {
            root: root.to_owned(),
        };
        fs::create_dir_all(folder.tmp())?;
        fs::create_dir_all(folder.hidden())?;
        Ok(folder)
    }

    fn tmp(&self) -> PathBuf {
        self.root.join(HIDDEN).join("tmp")
    }

    fn hidden(&self) -> PathBuf {
        self.root.join(HIDDEN).join("s3")
    }

    fn bucket(&self, bucket: &str) -> PathBuf {
        self.hidden().join(bucket)
    }

    fn meta(&self, bucket: &str, key: &str) -> PathBuf {
        self.bucket(bucket)
            .join("meta")
            .join(format!("{}.json", hash(key)))
    }

    fn place(&self, bucket: &str, key: &str, aside: bool) -> PathBuf {
        if aside {
            self.bucket(bucket).join("side").join(hash(key))
        } else {
            self.root.join(bucket).join(key)
        }
    }

    /// The folder of a multipart upload.
    pub(crate) fn upload(&self, bucket: &str, id: &str) -> PathBuf {
        self.bucket(bucket).join("uploads").join(id)
    }

    pub(crate) fn temporary(&self) -> io::Result<(File, Data)> {
        let path = self.tmp().join(uuid::Uuid::new_v4().to_string());
        let file = File::create(&path)?;
        Ok((file, Data::File { path, kept: false }))
    }

    /// Writes a file of JSON as a whole or not at all.
    pub(crate) fn write_json<T: Serialize>(&self, path: &Path, value: &T) -> io::Result<()> {
        let (_, data) = self.temporary()?;
        let Data::File {
            path: temporary, ..
        } = &data
        else {
            return Ok(());
        };
        fs::write(temporary, serde_json::to_vec(value)?)?;
        fs::rename(temporary, path)?;
        data.keep();
        Ok(())
    }

    pub(crate) fn create_bucket(&self, bucket: &str, record: &BucketRecord) -> io::Result<()> {
        for part in ["meta", "side", "uploads"] {
            fs::create_dir_all(self.bucket(bucket).join(part))?;
        }
        fs::create_dir_all(self.root.join(bucket))?;
        self.write_json(&self.bucket(bucket).join("bucket.json"), record)
    }

    /// Removes an empty bucket. Files in it that are not ours stay.
    pub(crate) fn delete_bucket(&self, bucket: &str) -> io::Result<()> {
        fs::remove_dir_all(self.bucket(bucket))?;
        match fs::remove_dir(self.root.join(bucket)) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
            _ => Ok(()),
        }
    }

    /// Moves a temporary file to the place of the object `key`; `present` is the object that it replaces.
    pub(crate) fn put(
        &self,
        bucket: &str,
        key: &str,
        meta: &Meta,
        data: Data,
        present: Option<&Object>,
    ) -> io::Result<Data> {
        let aside = !self.make_room(bucket, key);
        let target = self.place(bucket, key, aside);
        let Data::File { path: staged, .. } = &data else {
            return Ok(data);
        };
        let record = Record {
            key: key.to_owned(),
            meta: meta.clone(),
            aside,
            staged: staged
                .file_name()
                .and_then(|name| Some(name.to_str()?.to_owned())),
        };
        self.write_json(&self.meta(bucket, key), &record)?;
        fs::rename(staged, &target)?;
        data.keep();
        if let Some(Object {
            data: Data::File { path, .. },
            ..
        }) = present
            && *path != target
        {
            remove_if_there(path)?;
        }
        Ok(Data::File {
            path: target,
            kept: true,
        })
    }

    /// Removes an object's files, and the folders that are empty then.
    pub(crate) fn delete(&self, bucket: &str, key: &str, object: &Object) -> io::Result<()> {
        remove_if_there(&self.meta(bucket, key))?;
        let Data::File { path, .. } = &object.data else {
            return Ok(());
        };
        remove_if_there(path)?;
        let top = self.root.join(bucket);
        let parents = path.ancestors().skip(1);
        for parent in parents.take_while(|parent| parent.starts_with(&top) && **parent != *top) {
            if fs::remove_dir(parent).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Whether the key can be a file of its own name; makes the folders for it. It cannot if a segment is
    /// empty, `.`, `..` or longer than 255 bytes, or if another key has a file or a folder in its place.
    fn make_room(&self, bucket: &str, key: &str) -> bool {
        let ordinary = |segment: &str| {
            !matches!(segment, "" | "." | "..")
                && segment.len() <= 255
                && !segment.contains(['\\', '\0'])
        };
        if !key.split('/').all(ordinary) {
            return false;
        }
        let path = self.place(bucket, key, false);
        let has_folder = path
            .parent()
            .is_some_and(|parent| fs::create_dir_all(parent).is_ok());
        has_folder && !path.is_dir()
    }

    pub(crate) fn buckets(&self) -> io::Result<Vec<(String, BucketRecord)>> {
        let mut buckets = Vec::new();
        for entry in fs::read_dir(self.hidden())? {
            let entry = entry?;
            // A bucket without its record: its request was never answered.
            let Some(record) = read_json(&entry.path().join("bucket.json"))? else {
                continue;
            };
            if let Some(name) = entry.file_name().to_str() {
                buckets.push((name.to_owned(), record));
            }
        }
        Ok(buckets)
    }

    /// All objects of a bucket. A move that a kill interrupted is finished; an object whose file was
    /// removed by hand is gone.
    pub(crate) fn objects(&self, bucket: &str) -> io::Result<Vec<(String, Object)>> {
        let mut objects = Vec::new();
        for entry in fs::read_dir(self.bucket(bucket).join("meta"))? {
            let entry = entry?.path();
            let Some(record) = read_json::<Record>(&entry)? else {
                continue;
            };
            let path = self.place(bucket, &record.key, record.aside);
            let staged = record.staged.map(|name| self.tmp().join(name));
            if let Some(staged) = staged.filter(|staged| staged.exists()) {
                fs::rename(staged, &path)?;
            }
            if !path.is_file() {
                fs::remove_file(entry)?;
                continue;
            }
            let data = Data::File { path, kept: true };
            let meta = record.meta;
            objects.push((record.key, Object { meta, data }));
        }
        Ok(objects)
    }

    /// The folders of a bucket's uploads, by their ids.
    pub(crate) fn uploads(&self, bucket: &str) -> io::Result<Vec<(String, PathBuf)>> {
        let entries = fs::read_dir(self.bucket(bucket).join("uploads"))?;
        let named = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            Ok((
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            ))
        };
        entries.map(named).collect()
    }

    /// Removes temporary files that belong to nothing, once everything is read.
    pub(crate) fn clear_temporary(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.tmp())? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }
}

fn hash(key: &str) -> String {
    hex(Sha256::digest(key))
}

/// Reads a file of JSON, if it is there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A file where a folder should be is not one of ours.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        text => text?,
    };
    let read = serde_json::from_slice(&text).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("cannot read `{}`: {error}", path.display()),
        )
    });
    read.map(Some)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
