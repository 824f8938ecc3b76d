//! How requests name a queue: by its name, its URL or its ARN.

use super::error::SqsError;

/// The account that all queues belong to.
pub(crate) const ACCOUNT: &str = "000000000000";

/// The queue's name in a queue URL: its last segment.
pub(crate) fn queue_name(url: &str) -> Result<&str, SqsError> {
    match url.rsplit('/').next() {
        None | Some("") => Err(SqsError::missing("QueueUrl")),
        Some(name) => Ok(name),
    }
}

/// The ARN of the queue of this name.
pub(crate) fn arn(region: &str, name: &str) -> String {
    format!("arn:aws:sqs:{region}:{ACCOUNT}:{name}")
}

/// The queue's name in an ARN of SQS.
pub(crate) fn name_in_arn(arn: &str) -> Option<&str> {
    let rest = arn.strip_prefix("arn:aws:sqs:")?;
    rest.rsplit(':').next()
}
