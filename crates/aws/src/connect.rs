//! Makes the clients.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::clock::Clock;
use crate::error::{CallError, Explained, NotAnEndpoint};
use crate::lake::Lake;
use crate::meter::Meter;
use crate::queue::Queue;

/// Longest that one attempt at a call may take: a long poll lasts up to 20 s.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The clients of one process, the meter that counts what they send, and its clock.
#[derive(Debug, Clone)]
pub struct Aws {
    sqs: aws_sdk_sqs::Client,
    s3: aws_sdk_s3::Client,
    meter: Meter,
    clock: Clock,
    endpoint: Option<String>,
}

impl Aws {
    /// Clients by the SDK's own chain of settings: environment, profile, web identity, container
    /// and instance roles. S3 is addressed by path where an endpoint is set.
    ///
    /// An endpoint on this machine needs neither region nor credentials: where none are set it
    /// gets `us-east-1` and `test`, for an emulation checks neither and the chain would look for
    /// an instance role first.
    ///
    /// # Errors
    ///
    /// [`NotAnEndpoint`] where `AWS_ENDPOINT_URL` is not one: the SDK would leave it aside and talk to
    /// AWS itself.
    pub async fn connect() -> Result<Aws, NotAnEndpoint> {
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let chain = || {
            aws_config::defaults(BehaviorVersion::latest())
                .http_client(http.clone())
                .retry_config(RetryConfig::standard().with_max_attempts(4))
                .timeout_config(timeouts())
        };
        // The environment's region and credentials are looked for without the roles behind them.
        let endpoint_only = chain()
            .no_credentials()
            .region(Region::from_static("us-east-1"))
            .load()
            .await;
        check_endpoint(endpoint_only.endpoint_url())?;
        let mut loader = chain();
        if endpoint_only.endpoint_url().is_some_and(is_loopback) {
            if !has_credentials() {
                loader = loader.credentials_provider(test_credentials());
            }
            loader = loader.region(
                aws_config::meta::region::RegionProviderChain::first_try(
                    aws_config::environment::EnvironmentVariableRegionProvider::new(),
                )
                .or_else(Region::from_static("us-east-1")),
            );
        }
        let config = loader.load().await;
        Ok(Aws::from_config(&config, Clock::system(), None))
    }

    /// Clients that talk through `http` to `endpoint`, with the credentials of an emulation: for
    /// one in the same process, or for tests.
    pub fn emulated(http: SharedHttpClient, endpoint: &str) -> Aws {
        Aws::emulated_at(http, endpoint, Clock::system())
    }

    /// The same by that clock.
    pub fn emulated_at(http: SharedHttpClient, endpoint: &str, clock: Clock) -> Aws {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .endpoint_url(endpoint)
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(test_credentials()))
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .timeout_config(timeouts())
            .time_source(clock)
            .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
                aws_smithy_async::rt::sleep::TokioSleep::new(),
            ))
            .build();
        // The SDK has one allowance of retries for the whole process: the failures of one such
        // cloud would end the retries at another.
        let retries = RetryPartition::custom("emulated")
            .token_bucket(TokenBucket::default())
            .build();
        Aws::from_config(&config, clock, Some(retries))
    }

    fn from_config(config: &SdkConfig, clock: Clock, retries: Option<RetryPartition>) -> Aws {
        let endpoint = config.endpoint_url().map(str::to_owned);
        let mut s3 = aws_sdk_s3::config::Builder::from(config);
        let mut sqs = aws_sdk_sqs::config::Builder::from(config);
        s3.set_force_path_style(Some(endpoint.is_some()));
        s3.set_retry_partition(retries.clone());
        sqs.set_retry_partition(retries);
        Aws {
            sqs: aws_sdk_sqs::Client::from_conf(sqs.build()),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            meter: Meter::default(),
            clock,
            endpoint,
        }
    }

    /// The same clients with a meter of their own: what one of several services in a process uses.
    pub fn with_own_meter(&self) -> Aws {
        Aws {
            meter: Meter::default(),
            ..self.clone()
        }
    }

    /// The endpoint where one is set; none is AWS itself.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Whether the endpoint is on this machine, where making queues and buckets harms nobody.
    pub fn is_loopback(&self) -> bool {
        self.endpoint().is_some_and(is_loopback)
    }

    /// Adds to the error of a call what a user can do about it, when a program starts.
    pub fn explain(&self, error: CallError) -> Explained {
        let advice = match (&error, self.endpoint()) {
            (CallError::NotFound { .. }, _) => "make it first, or let --create make it".to_owned(),
            (CallError::Transient { .. }, Some(endpoint)) => format!(
                "nothing answers at {endpoint}: is LocalStack or local-aws up, and AWS_ENDPOINT_URL right \
                 (such as AWS_ENDPOINT_URL=http://127.0.0.1:4566)?"
            ),
            (CallError::Transient { .. }, None) => {
                "AWS cannot be reached: for LocalStack or local-aws set AWS_ENDPOINT_URL=http://127.0.0.1:4566, \
                 for AWS check AWS_REGION and the network"
                    .to_owned()
            }
            (CallError::Permanent { .. }, _) => {
                "check AWS_REGION, the credentials and their permissions".to_owned()
            }
        };
        Explained {
            advice,
            source: error,
        }
    }

    /// The time of day as this process has it.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// What the clients have sent.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The queue of that name.
    ///
    /// # Errors
    ///
    /// [`CallError::NotFound`] where there is none.
    pub async fn queue(&self, name: &str) -> Result<Queue, CallError> {
        Queue::find(self.sqs.clone(), self.meter.clone(), name).await
    }

    /// The lake in that bucket; whether it is there shows at the first call.
    pub fn lake(&self, bucket: &str) -> Lake {
        let private = self.endpoint().is_none_or(is_private);
        Lake::new(self.s3.clone(), self.meter.clone(), bucket, private)
    }

    pub(crate) fn sqs(&self) -> &aws_sdk_sqs::Client {
        &self.sqs
    }

    pub(crate) fn s3(&self) -> &aws_sdk_s3::Client {
        &self.s3
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build()
}

fn test_credentials() -> Credentials {
    Credentials::from_keys("test", "test", None)
}

/// Holds what the SDK took for the endpoint against what the environment says.
#[expect(
    clippy::disallowed_methods,
    reason = "asks for the SDK's own variables, which clap does not read"
)]
fn check_endpoint(taken: Option<&str>) -> Result<(), NotAnEndpoint> {
    let asked = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
    let ignored = std::env::var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_ok();
    let wanted = match taken {
        Some(taken) => taken,
        None if ignored => return Ok(()),
        None => asked.trim(),
    };
    let is_http = ["http://", "https://"]
        .iter()
        .any(|scheme| wanted.starts_with(scheme));
    match wanted.is_empty() || taken.is_some() && is_http {
        true => Ok(()),
        false => Err(NotAnEndpoint(wanted.to_owned())),
    }
}

/// Whether the user has named credentials: then they are used, whatever the endpoint.
#[expect(
    clippy::disallowed_methods,
    reason = "asks for the SDK's own variables, which clap does not read"
)]
fn has_credentials() -> bool {
    [
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ]
    .iter()
    .any(|name| std::env::var(name).is_ok())
}

/// Whether what is sent there cannot be changed on its way: by TLS, or because it stays on this
/// machine. AWS itself, which is no endpoint of ours, is reached by TLS.
fn is_private(endpoint: &str) -> bool {
    endpoint.starts_with("https://") || is_loopback(endpoint)
}

fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.split("://").last().unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{is_loopback, is_private};

    #[test]
    fn only_this_machine_is_loopback() {
        for local in [
            "http://localhost:4566",
            "http://127.0.0.1:4566/",
            "http://[::1]:4566",
            "http://127.9.9.9",
        ] {
            assert!(is_loopback(local), "{local}");
        }
        for remote in [
            "https://sqs.us-east-1.amazonaws.com",
            "http://localstack:4566",
            "http://localhost.example.com",
        ] {
            assert!(!is_loopback(remote), "{remote}");
        }
    }

    #[test]
    fn what_goes_in_the_clear_to_another_machine_is_not_private() {
        assert!(is_private("http://127.0.0.1:4566"));
        assert!(is_private("https://s3.us-east-1.amazonaws.com"));
        assert!(!is_private("http://localstack:4566"));
    }
}
