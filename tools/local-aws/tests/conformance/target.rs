//! Where the suite runs.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use local_aws::LocalAws;
use md5::{Digest, Md5};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// An SQS and an S3, and names that no other test uses.
pub(crate) struct Target {
    pub(crate) sqs: aws_sdk_sqs::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    /// Whether limits of the API that LocalStack does not keep are kept here.
    pub(crate) strict: bool,
    unique: String,
    _server: Option<DropGuard>,
    _folder: Option<tempfile::TempDir>,
}

impl Target {
    pub(crate) fn in_process() -> Self {
        Self::of(&LocalAws::in_process())
    }

    fn of(cloud: &LocalAws) -> Self {
        let http = cloud.http_client();
        Self::new(
            cloud.endpoint(),
            |sqs| sqs.http_client(http.clone()),
            |s3| s3.http_client(http.clone()),
            None,
        )
    }

    pub(crate) fn in_a_folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cloud = LocalAws::builder().folder(folder.path()).build().unwrap();
        Self {
            _folder: Some(folder),
            ..Self::of(&cloud)
        }
    }

    pub(crate) async fn over_a_port() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(local_aws::serve(
            LocalAws::in_process(),
            listener,
            stop.clone(),
        ));
        Self::at(&endpoint, Some(stop.drop_guard()))
    }

    pub(crate) fn localstack() -> Option<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test has no settings of its own"
        )]
        let endpoint = std::env::var("LOCALSTACK_ENDPOINT").ok()?;
        let target = Self::at(&endpoint, None);
        Some(Self {
            strict: false,
            ..target
        })
    }

    fn at(endpoint: &str, server: Option<DropGuard>) -> Self {
        let http = aws_smithy_http_client::Builder::new().build_http();
        Self::new(
            endpoint,
            |sqs| sqs.http_client(http.clone()),
            |s3| s3.http_client(http.clone()),
            server,
        )
    }

    fn new(
        endpoint: &str,
        sqs: impl FnOnce(aws_sdk_sqs::config::Builder) -> aws_sdk_sqs::config::Builder,
        s3: impl FnOnce(aws_sdk_s3::config::Builder) -> aws_sdk_s3::config::Builder,
        server: Option<DropGuard>,
    ) -> Self {
        let credentials = Credentials::from_keys("test", "test", None);
        let sqs_config = aws_sdk_sqs::Config::builder()
            .endpoint_url(endpoint)
            .region(aws_sdk_sqs::config::Region::new("us-east-1"))
            .credentials_provider(credentials.clone())
            .retry_config(RetryConfig::disabled());
        let s3_config = aws_sdk_s3::Config::builder()
            .endpoint_url(endpoint)
            .region(aws_sdk_s3::config::Region::new("us-east-1"))
            .credentials_provider(credentials)
            .force_path_style(true)
            .retry_config(RetryConfig::disabled());
        Self {
            sqs: aws_sdk_sqs::Client::from_conf(sqs(sqs_config).build()),
            s3: aws_sdk_s3::Client::from_conf(s3(s3_config).build()),
            strict: true,
            unique: uuid::Uuid::new_v4().simple().to_string(),
            _server: server,
            _folder: None,
        }
    }

    /// A name nobody else uses, for a queue or bucket.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{name}-{}", &self.unique[..12])
    }
}

/// Tries until it gives something, for ten seconds: an emulation may be up to
/// a second late with what time brings about.
pub(crate) async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..100 {
        if let Some(value) = attempt().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it did not come about within ten seconds");
}

/// The code of the error that a call must end in.
pub(crate) fn refused<T: std::fmt::Debug, E, R>(result: Result<T, SdkError<E, R>>) -> String
where
    SdkError<E, R>: ProvideErrorMetadata,
{
    let error = result.expect_err("the call should have been refused");
    error.code().unwrap_or("no code").to_owned()
}

pub(crate) fn md5_hex(bytes: impl AsRef<[u8]>) -> String {
    Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
