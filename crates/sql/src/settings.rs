//! What bounds SQL.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Args;

/// Bounds of SQL; each flag can be given as an environment variable.
#[derive(Debug, Clone, Args)]
pub struct SqlSettings {
    /// Most memory for hash tables, sorts and joins of all queries together; past it a query is refused. Columns that
    /// are kept in memory have what these leave.
    #[arg(long, env, default_value = "512MiB")]
    pub memory_limit: ByteSize,

    /// Most bytes of the files that one statement may look at, unless it says that it wants all of them. What counts is
    /// the size of the files in the hours that its conditions on times leave.
    #[arg(long, env, default_value = "10GiB")]
    pub max_scan_bytes: ByteSize,

    /// Folder of views, a file `NAME.sql` with one SELECT each.
    #[arg(long, env)]
    pub views: Option<PathBuf>,
}

impl Default for SqlSettings {
    fn default() -> SqlSettings {
        SqlSettings {
            memory_limit: ByteSize::mib(512),
            max_scan_bytes: ByteSize::gib(10),
            views: None,
        }
    }
}
