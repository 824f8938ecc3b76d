//! What S3 promises of reads and writes on a condition, and of ranges.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;

use crate::objects::{bucket, put, read, text};
use crate::target::{Target, refused};

/// The HTTP status of the error that a call must end in.
pub(crate) fn status<T: std::fmt::Debug, E>(
    result: Result<T, SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>>,
) -> u16 {
    let error = result.expect_err("the call should have been refused");
    error
        .raw_response()
        .expect("there should be an answer")
        .status()
        .as_u16()
}

pub(crate) async fn ranges_are_read_as_asked(t: &Target) {
    let bucket = bucket(t).await;
    put(t, &bucket, "key", "0123456789").await;
    let get = |range: &str| {
        t.s3.get_object()
            .bucket(&bucket)
            .key("key")
            .range(range)
            .send()
    };
    for (range, expected, told) in [
        ("bytes=0-3", "0123", "bytes 0-3/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
    ] {
        let got = get(range).await.unwrap();
        assert_eq!(got.content_range(), Some(told));
        assert_eq!(
            got.content_length(),
            Some(expected.len().try_into().unwrap())
        );
        assert_eq!(text(got).await, expected, "{range}");
    }
    let beyond = get("bytes=10-").await;
    assert_eq!(refused(beyond), "InvalidRange");
    assert_eq!(status(get("bytes=10-").await), 416);
}

pub(crate) async fn reads_can_be_conditional(t: &Target) {
    let bucket = bucket(t).await;
    let etag = put(t, &bucket, "key", "x").await;
    let get = || t.s3.get_object().bucket(&bucket).key("key");
    assert_eq!(text(get().if_match(&etag).send().await.unwrap()).await, "x");
    assert_eq!(status(get().if_match("\"other\"").send().await), 412);
    assert_eq!(status(get().if_none_match(&etag).send().await), 304);
    get().if_none_match("\"other\"").send().await.unwrap();
    let modified = get().send().await.unwrap().last_modified.unwrap();
    assert_eq!(status(get().if_modified_since(modified).send().await), 304);
    get().if_unmodified_since(modified).send().await.unwrap();
    let head = t.s3.head_object().bucket(&bucket).key("key");
    assert_eq!(status(head.clone().if_match("\"other\"").send().await), 412);
    assert_eq!(status(head.if_none_match(&etag).send().await), 304);
}

pub(crate) async fn writes_can_be_conditional(t: &Target) {
    let bucket = bucket(t).await;
    let write = |body: &'static str| {
        let put = t.s3.put_object().bucket(&bucket).key("key");
        put.body(ByteStream::from_static(body.as_bytes()))
    };
    let first = write("1")
        .if_none_match("*")
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap();
    assert_eq!(
        refused(write("2").if_none_match("*").send().await),
        "PreconditionFailed"
    );
    assert_eq!(status(write("2").if_none_match("*").send().await), 412);
    assert_eq!(
        refused(write("2").if_match("\"other\"").send().await),
        "PreconditionFailed"
    );
    let second = write("2")
        .if_match(&first)
        .send()
        .await
        .unwrap()
        .e_tag
        .unwrap();
    assert_eq!(
        refused(write("3").if_match(&first).send().await),
        "PreconditionFailed"
    );
    assert_eq!(read(t, &bucket, "key").await, "2");
    write("3").if_match(&second).send().await.unwrap();
    t.s3.delete_object()
        .bucket(&bucket)
        .key("key")
        .send()
        .await
        .unwrap();
    assert_eq!(
        refused(write("4").if_match(&second).send().await),
        "NoSuchKey"
    );
    write("5").if_none_match("*").send().await.unwrap();
}

/// How many of 24 tasks that write one key at once succeed; the others must be refused with 412.
async fn race(t: &Target, bucket: &str, matching: Option<String>) -> (usize, String) {
    let tasks: Vec<_> = (0..24)
        .map(|n| {
            let put = t.s3.put_object().bucket(bucket).key("contested");
            let put = put.body(ByteStream::from(format!("writer {n}").into_bytes()));
            let put = match &matching {
                None => put.if_none_match("*"),
                Some(etag) => put.if_match(etag),
            };
            tokio::spawn(async move { (n, put.send().await) })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            (n, Ok(_)) => winners.push(n),
            (_, Err(error)) => assert_eq!(error.code(), Some("PreconditionFailed")),
        }
    }
    let body = read(t, bucket, "contested").await;
    assert_eq!(body, format!("writer {}", winners[0]));
    (winners.len(), body)
}

pub(crate) async fn of_24_creators_of_one_key_one_wins(t: &Target) {
    let bucket = bucket(t).await;
    assert_eq!(race(t, &bucket, None).await.0, 1);
}

pub(crate) async fn of_24_replacers_of_one_version_one_wins(t: &Target) {
    let bucket = bucket(t).await;
    let etag = put(t, &bucket, "contested", "first").await;
    assert_eq!(race(t, &bucket, Some(etag)).await.0, 1);
}
