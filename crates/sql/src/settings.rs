//! What bounds SQL.

use bytesize::ByteSize;
use clap::Args;

/// Bounds of SQL; each flag can be given as an environment variable.
#[derive(Debug, Clone, Args)]
pub struct SqlSettings {
    /// Most memory for hash tables, sorts and joins of all queries together; past it a query is refused.
    #[arg(long, env, default_value = "512MiB")]
    pub memory_limit: ByteSize,
}

impl Default for SqlSettings {
    fn default() -> SqlSettings {
        SqlSettings {
            memory_limit: ByteSize::mib(512),
        }
    }
}
