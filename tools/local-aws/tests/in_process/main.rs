//! What only the cloud in process can show: paused time, faults, folders, kills.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test fails it")]

mod faults;
mod folder;
mod protocol;
mod time;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use local_aws::LocalAws;

/// SDK clients of a cloud that do not try again.
fn clients(cloud: &LocalAws) -> (aws_sdk_sqs::Client, aws_sdk_s3::Client) {
    let credentials = Credentials::from_keys("test", "test", None);
    let sqs = aws_sdk_sqs::Config::builder()
        .endpoint_url(cloud.endpoint())
        .http_client(cloud.http_client())
        .region(aws_sdk_sqs::config::Region::new("us-east-1"))
        .credentials_provider(credentials.clone())
        .retry_config(RetryConfig::disabled());
    let s3 = aws_sdk_s3::Config::builder()
        .endpoint_url(cloud.endpoint())
        .http_client(cloud.http_client())
        .region(aws_sdk_s3::config::Region::new("us-east-1"))
        .credentials_provider(credentials)
        .force_path_style(true)
        .retry_config(RetryConfig::disabled());
    (
        aws_sdk_sqs::Client::from_conf(sqs.build()),
        aws_sdk_s3::Client::from_conf(s3.build()),
    )
}
