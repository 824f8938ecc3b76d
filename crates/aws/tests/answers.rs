//! What the clients make of slow and odd answers.

use std::collections::HashMap;
use std::time::Duration;

use aws::{Aws, CallError, Condition, PutOutcome, setup};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use local_aws::{Faults, LocalAws};

const MIB: usize = 1024 * 1024;

#[tokio::test(start_paused = true)]
async fn a_put_has_as_much_time_as_its_body_needs_at_a_mebibyte_a_second() {
    for (bytes, attempts) in [(MIB, 4), (64 * MIB, 1)] {
        let cloud = LocalAws::builder().seed(1).build().unwrap();
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        setup::create_bucket(&aws, "lake").await.unwrap();
        let minute = Duration::from_secs(60)..Duration::from_secs(61);
        cloud.set_faults(Faults::seeded(1).slow("PutObject", 1.0, minute));
        let lake = aws.lake("lake");
        let (body, metadata) = (Bytes::from(vec![0; bytes]), HashMap::new());
        let put = lake.put("k", body, "text/plain", metadata, Condition::IfAbsent);
        let put = put.await;
        assert_eq!(aws.meter().usage()["s3:PutObject"].requests, attempts);
        if attempts == 1 {
            assert!(matches!(put, Ok(PutOutcome::Written(_))), "{put:?}");
        } else {
            assert!(put.is_err_and(|error| error.is_transient()));
        }
    }
}

/// Answers each request so.
#[derive(Debug, Clone, Copy)]
struct Answer {
    status: u16,
    region: Option<&'static str>,
    body: &'static str,
}

impl HttpConnector for Answer {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let status = self.status.try_into().expect("a status");
        let mut answer = HttpResponse::new(status, SdkBody::from(self.body));
        if let Some(region) = self.region {
            answer.headers_mut().insert("x-amz-bucket-region", region);
        }
        HttpConnectorFuture::ready(Ok(answer))
    }
}

async fn refusal(answer: Answer) -> CallError {
    let http = http_client_fn(move |_, _| SharedHttpConnector::new(answer));
    let lake = Aws::emulated(http, "http://127.0.0.1:1").lake("lake");
    lake.get("k").await.expect_err("S3 refuses")
}

#[tokio::test]
async fn a_bucket_in_another_region_is_told_with_the_region_to_set() {
    const REDIRECT: &str = "<Error><Code>PermanentRedirect</Code><Message>The bucket you are attempting to access must \
                            be addressed using the specified endpoint.</Message></Error>";
    const MALFORMED: &str = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong\
                             </Message></Error>";
    for (status, body) in [(301, REDIRECT), (301, ""), (400, MALFORMED)] {
        let region = Some("eu-west-1");
        let error = refusal(Answer {
            status,
            region,
            body,
        })
        .await;
        assert!(matches!(error, CallError::Permanent { .. }), "{error:?}");
        let words = error.to_string();
        assert!(
            words.ends_with("(the bucket is in region `eu-west-1`: set AWS_REGION=eu-west-1)"),
            "{words}"
        );
    }
    // S3 names the region in other answers too, where it is not what is wrong.
    const DENIED: &str = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    for region in [Some("eu-west-1"), None] {
        let error = refusal(Answer {
            status: 403,
            region,
            body: DENIED,
        })
        .await;
        assert!(!error.to_string().contains("eu-west-1"), "{error}");
    }
}
