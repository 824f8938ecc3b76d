//! Makes what the pipeline needs: the queue of events, the dead-letter queue with its redrive policy, the bucket of
//! the lake. What is there already stays as it is, but for the redrive policy.

use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_runtime_api::client::result::SdkError;

use crate::connect::Aws;
use crate::error::{CallError, sort};

/// Deliveries of a message before the redrive policy moves it to the dead-letter queue.
pub const MAX_RECEIVE_COUNT: u32 = 5;

/// Seconds for which a received message stays hidden, unless it is deleted or its timeout is changed.
pub const VISIBILITY_TIMEOUT_SECONDS: u32 = 60;

/// Seconds for which messages are kept: 14 days, the longest that SQS allows (SQS API reference, `CreateQueue`, read
/// 2026-11-26).
const RETENTION_SECONDS: u32 = 14 * 24 * 3600;

/// Makes the queue and its dead-letter queue where they are missing, and ties them by a redrive policy. Queues that
/// are there keep their other attributes. Two callers at once do no harm.
///
/// # Errors
///
/// [`CallError`] of the call that failed; queues that were made before it stay.
pub async fn create_queues(aws: &Aws, queue: &str, dlq: &str) -> Result<(), CallError> {
    const SET: &str = "sqs:SetQueueAttributes";
    let dead_letters = create_queue(aws, dlq).await?;
    let events = create_queue(aws, queue).await?;
    let arn = queue_arn(aws, &dead_letters).await?;
    let redrive =
        serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVE_COUNT});
    aws.sqs
        .set_queue_attributes()
        .queue_url(events)
        .attributes(QueueAttributeName::RedrivePolicy, redrive.to_string())
        .customize()
        .interceptor(aws.meter().attempts(SET, 0))
        .send()
        .await
        .map_err(|error| sort(SET, error))?;
    Ok(())
}

async fn create_queue(aws: &Aws, name: &str) -> Result<String, CallError> {
    const CREATE: &str = "sqs:CreateQueue";
    // Looked up first: to create a queue that is there with other attributes is an error.
    match aws.queue(name).await {
        Ok(queue) => return Ok(queue.url().to_owned()),
        Err(CallError::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let made = aws
        .sqs
        .create_queue()
        .queue_name(name)
        .attributes(
            QueueAttributeName::MessageRetentionPeriod,
            RETENTION_SECONDS.to_string(),
        )
        .attributes(
            QueueAttributeName::VisibilityTimeout,
            VISIBILITY_TIMEOUT_SECONDS.to_string(),
        )
        .attributes(QueueAttributeName::ReceiveMessageWaitTimeSeconds, "20")
        .customize()
        .interceptor(aws.meter().attempts(CREATE, 0))
        .send()
        .await
        .map_err(|error| sort(CREATE, error))?;
    made.queue_url
        .ok_or_else(|| CallError::permanent(CREATE, "the answer names no queue URL"))
}

async fn queue_arn(aws: &Aws, url: &str) -> Result<String, CallError> {
    const GET: &str = "sqs:GetQueueAttributes";
    let answer = aws
        .sqs
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::QueueArn)
        .customize()
        .interceptor(aws.meter().attempts(GET, 0))
        .send()
        .await
        .map_err(|error| sort(GET, error))?;
    answer
        .attributes
        .and_then(|mut attributes| attributes.remove(&QueueAttributeName::QueueArn))
        .ok_or_else(|| CallError::permanent(GET, "the answer names no QueueArn"))
}

/// Makes the bucket where it is missing, in the region of `aws`.
///
/// # Errors
///
/// [`CallError`] of the call: [`CallError::Permanent`] where the name belongs to another account.
pub async fn create_bucket(aws: &Aws, bucket: &str) -> Result<(), CallError> {
    const CREATE: &str = "s3:CreateBucket";
    let region = aws
        .s3
        .config()
        .region()
        .map(|region| region.as_ref().to_owned())
        .unwrap_or_default();
    // us-east-1 is the one region that must not be named (S3 API reference, CreateBucket).
    let place = (region != "us-east-1").then(|| {
        CreateBucketConfiguration::builder()
            .location_constraint(BucketLocationConstraint::from(region.as_str()))
            .build()
    });
    let made = aws
        .s3
        .create_bucket()
        .bucket(bucket)
        .set_create_bucket_configuration(place)
        .customize()
        .interceptor(aws.meter().attempts(CREATE, 0))
        .send()
        .await;
    match made {
        Ok(_) => Ok(()),
        Err(SdkError::ServiceError(error)) if error.err().is_bucket_already_owned_by_you() => {
            Ok(())
        }
        Err(error) => Err(sort(CREATE, error)),
    }
}
