//! The settings that several services share; each flag can be given as an environment variable.

use clap::Args;

/// The queue of events.
#[derive(Debug, Clone, Args)]
pub struct QueueSettings {
    /// Name of the SQS queue of events.
    #[arg(long, env, default_value = "headwater-events")]
    pub queue_name: String,
}

/// The dead-letter queue.
#[derive(Debug, Clone, Args)]
pub struct DlqSettings {
    /// Name of the dead-letter queue.
    #[arg(long, env, default_value = "headwater-events-dlq")]
    pub dlq_name: String,
}

/// The lake.
#[derive(Debug, Clone, Args)]
pub struct LakeSettings {
    /// Name of the S3 bucket of the lake.
    #[arg(long, env, default_value = "headwater-lake")]
    pub lake_bucket: String,
}

/// Whether missing queues and buckets are made.
#[derive(Debug, Clone, Default, Args)]
pub struct CreateSettings {
    /// Make queues and bucket where they are missing. Without it, they are made only at an
    /// endpoint on this machine; `--create=false` makes them nowhere.
    #[arg(long, env, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub create: Option<bool>,
}

impl CreateSettings {
    /// Whether to make what is missing at this endpoint.
    pub fn wanted(&self, aws: &crate::Aws) -> bool {
        self.create.unwrap_or_else(|| aws.is_loopback())
    }
}
