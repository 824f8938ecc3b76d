//! The file on disk for what does not fit into memory. It has no name, so that it goes with the process.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::Context;

/// A file that only grows.
pub(crate) struct SpillFile {
    file: File,
    folder: PathBuf,
    end: u64,
}

impl SpillFile {
    pub(crate) fn new(folder: PathBuf) -> anyhow::Result<SpillFile> {
        let made = tempfile::tempfile_in(&folder);
        let file = made
            .with_context(|| format!("cannot make a file in `{}` (SPILL_DIR)", folder.display()))?;
        let end = 0;
        Ok(SpillFile { file, folder, end })
    }

    /// Bytes in the file.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Appends the bytes, and returns where they start.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> anyhow::Result<u64> {
        let start = self.end;
        self.file.write_all_at(bytes, start).with_context(|| {
            format!(
                "cannot write to the file in `{}` (SPILL_DIR), which has {} MiB by now: it needs more room, or SPILL_LIMIT must be lower",
                self.folder.display(),
                start >> 20
            )
        })?;
        self.end += bytes.len() as u64;
        Ok(start)
    }

    /// Appends the bytes of the buffer and empties it, if there are more than `least`.
    pub(crate) fn append_from(&mut self, buffer: &mut Vec<u8>, least: usize) -> anyhow::Result<()> {
        if buffer.len() > least {
            self.append(buffer)?;
            buffer.clear();
        }
        Ok(())
    }

    pub(crate) fn read(&self, range: &Range<u64>) -> anyhow::Result<Vec<u8>> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    }
}
