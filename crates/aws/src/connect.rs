//! The clients of SQS and S3: their endpoint, credentials, timeouts and retries.

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::clock::Clock;
use crate::endpoint::{NotAnEndpoint, check_endpoint, is_loopback, is_private};
use crate::error::CallError;
use crate::explain::Explained;
use crate::lake::Lake;
use crate::meter::Meter;
use crate::queue::Queue;
use crate::timeouts::timeouts;

/// The clients of one service, the meter that counts what they send, and the clock of the service. Clones share the
/// meter.
#[derive(Debug, Clone)]
pub struct Aws {
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    meter: Meter,
    clock: Clock,
    endpoint: Option<String>,
}

impl Aws {
    /// Makes clients by the SDK's own chain of settings: environment, profile, web identity, container and instance
    /// roles. Sends nothing but what the chain asks for. S3 is addressed by path where an endpoint is set.
    ///
    /// An endpoint on this machine needs neither region nor credentials: without them it gets `us-east-1` and `test`,
    /// because an emulation checks neither, and the chain would look for an instance role first.
    ///
    /// # Errors
    ///
    /// [`NotAnEndpoint`] where `AWS_ENDPOINT_URL` is no URL: the SDK would leave it aside and talk to AWS itself.
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

    /// Makes clients that talk through `http` to `endpoint`, with the credentials of an emulation: for an emulation
    /// in the same process, or for tests.
    pub fn emulated(http: SharedHttpClient, endpoint: &str) -> Aws {
        Aws::emulated_at(http, endpoint, Clock::system())
    }

    /// [`Aws::emulated`] with a clock of its own, for requests as well as for the service.
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
        // By default the SDK has one allowance of retries for the whole process: the failures of one emulation would
        // end the retries at another.
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

    /// The same clients with a new meter, so that each of several services in a process counts its own requests.
    pub fn with_own_meter(&self) -> Aws {
        Aws {
            meter: Meter::default(),
            ..self.clone()
        }
    }

    /// The endpoint, if one is set; `None` is AWS itself.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// Whether the endpoint is on this machine, where making queues and buckets harms nobody.
    pub fn is_loopback(&self) -> bool {
        self.endpoint().is_some_and(is_loopback)
    }

    /// Adds to the error of a call what a user can do about it, when a program starts.
    pub fn explain(&self, error: CallError) -> Explained {
        Explained::new(error, self.endpoint())
    }

    /// The clock of the service: the system's, unless [`Aws::emulated_at`] set another.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The meter that counts the requests of these clients.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Looks a queue up by its name.
    ///
    /// # Errors
    ///
    /// [`CallError::NotFound`] where no queue has the name, else any other [`CallError`].
    pub async fn queue(&self, name: &str) -> Result<Queue, CallError> {
        Queue::find(self.sqs.clone(), self.meter.clone(), name).await
    }

    /// The lake in a bucket. Sends nothing: whether the bucket is there shows at the first call, such as
    /// [`Lake::probe`].
    pub fn lake(&self, bucket: &str) -> Lake {
        let private = self.endpoint().is_none_or(is_private);
        Lake::new(self.s3.clone(), self.meter.clone(), bucket, private)
    }
}

fn test_credentials() -> Credentials {
    Credentials::from_keys("test", "test", None)
}

/// Whether the user has named credentials, which are then used at any endpoint.
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
