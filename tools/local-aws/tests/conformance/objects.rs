//! What S3 promises of buckets and objects, and how the other checks of it reach them.

use std::collections::BTreeMap;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, Delete, MetadataDirective, ObjectIdentifier,
};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;

use crate::conditions::status;
use crate::listing::walk;
use crate::target::{Target, md5_hex, refused};

pub(crate) async fn bucket(t: &Target) -> String {
    let name = t.name("bucket");
    t.s3.create_bucket().bucket(&name).send().await.unwrap();
    name
}

pub(crate) async fn put(t: &Target, bucket: &str, key: &str, body: impl Into<Bytes>) -> String {
    let body = ByteStream::from(body.into());
    let put =
        t.s3.put_object()
            .bucket(bucket)
            .key(key)
            .body(body)
            .send()
            .await
            .unwrap();
    put.e_tag.unwrap()
}

pub(crate) async fn text(got: GetObjectOutput) -> String {
    String::from_utf8(got.body.collect().await.unwrap().to_vec()).unwrap()
}

pub(crate) async fn read(t: &Target, bucket: &str, key: &str) -> String {
    text(
        t.s3.get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .unwrap(),
    )
    .await
}

pub(crate) async fn buckets_are_created_listed_and_deleted(t: &Target) {
    let name = bucket(t).await;
    t.s3.create_bucket().bucket(&name).send().await.unwrap();
    t.s3.head_bucket().bucket(&name).send().await.unwrap();
    let listed = t.s3.list_buckets().send().await.unwrap();
    let ours = listed
        .buckets()
        .iter()
        .find(|bucket| bucket.name() == Some(&name))
        .unwrap();
    assert!(ours.creation_date().is_some());
    put(t, &name, "key", "x").await;
    assert_eq!(
        refused(t.s3.delete_bucket().bucket(&name).send().await),
        "BucketNotEmpty"
    );
    t.s3.delete_object()
        .bucket(&name)
        .key("key")
        .send()
        .await
        .unwrap();
    t.s3.delete_bucket().bucket(&name).send().await.unwrap();
    assert_eq!(status(t.s3.head_bucket().bucket(&name).send().await), 404);
    assert_eq!(
        refused(t.s3.delete_bucket().bucket(&name).send().await),
        "NoSuchBucket"
    );
    let code = refused(t.s3.create_bucket().bucket("Not_A_Bucket").send().await);
    assert_eq!(code, "InvalidBucketName");
}

pub(crate) async fn an_object_comes_back_with_what_was_said_of_it(t: &Target) {
    let bucket = bucket(t).await;
    let body = "line 1\nline 2\n";
    let put =
        t.s3.put_object()
            .bucket(&bucket)
            .key("raw/year=2026/part-1.jsonl")
            .body(ByteStream::from_static(body.as_bytes()))
            .content_type("application/x-ndjson")
            .cache_control("no-store")
            .content_encoding("identity")
            .metadata("events", "2")
            .metadata("first-event", "2026-01-01T00:00:00Z")
            .send()
            .await
            .unwrap();
    let etag = format!("\"{}\"", md5_hex(body));
    assert_eq!(put.e_tag(), Some(etag.as_str()));
    let get =
        t.s3.get_object()
            .bucket(&bucket)
            .key("raw/year=2026/part-1.jsonl");
    let got = get.send().await.unwrap();
    assert_eq!(got.e_tag(), Some(etag.as_str()));
    assert_eq!(got.content_length(), Some(14));
    assert_eq!(got.content_type(), Some("application/x-ndjson"));
    assert_eq!(got.cache_control(), Some("no-store"));
    assert_eq!(got.content_encoding(), Some("identity"));
    assert!(got.last_modified().unwrap().secs() > 1_600_000_000);
    let metadata: BTreeMap<_, _> = got.metadata().unwrap().iter().collect();
    assert_eq!(metadata.len(), 2);
    assert_eq!(metadata[&"events".to_owned()], "2");
    assert_eq!(text(got).await, body);
    let head =
        t.s3.head_object()
            .bucket(&bucket)
            .key("raw/year=2026/part-1.jsonl");
    let head = head.send().await.unwrap();
    assert_eq!(head.content_length(), Some(14));
    assert_eq!(head.e_tag(), Some(etag.as_str()));
    assert_eq!(head.metadata().unwrap().len(), 2);
    let big = Bytes::from("0123456789abcdef".repeat(512 * 1024));
    self::put(t, &bucket, "big", big.clone()).await;
    let got =
        t.s3.get_object()
            .bucket(&bucket)
            .key("big")
            .send()
            .await
            .unwrap();
    assert!(got.body.collect().await.unwrap().into_bytes() == big);
    let large =
        t.s3.put_object()
            .bucket(&bucket)
            .key("metadata")
            .metadata("m", "x".repeat(3_000));
    if t.strict {
        assert_eq!(refused(large.send().await), "MetadataTooLarge");
    }
}

pub(crate) async fn what_is_not_there_is_named_by_its_error(t: &Target) {
    let bucket = bucket(t).await;
    let get =
        t.s3.get_object()
            .bucket(&bucket)
            .key("missing")
            .send()
            .await
            .unwrap_err();
    assert!(get.as_service_error().unwrap().is_no_such_key());
    let head =
        t.s3.head_object()
            .bucket(&bucket)
            .key("missing")
            .send()
            .await
            .unwrap_err();
    assert!(head.as_service_error().unwrap().is_not_found());
    let absent = t.name("absent");
    let put =
        t.s3.put_object()
            .bucket(&absent)
            .key("key")
            .body(ByteStream::from_static(b"x"));
    assert_eq!(refused(put.send().await), "NoSuchBucket");
    let list =
        t.s3.list_objects_v2()
            .bucket(&absent)
            .send()
            .await
            .unwrap_err();
    assert!(list.as_service_error().unwrap().is_no_such_bucket());
    t.s3.delete_object()
        .bucket(&bucket)
        .key("missing")
        .send()
        .await
        .unwrap();
    let long = t.s3.put_object().bucket(&bucket).key("k".repeat(1_025));
    assert_eq!(
        refused(long.body(ByteStream::from_static(b"x")).send().await),
        "KeyTooLongError"
    );
}

pub(crate) async fn objects_are_deleted_singly_and_in_batches(t: &Target) {
    let bucket = bucket(t).await;
    for key in ["a", "b", "c & <d>", "e"] {
        put(t, &bucket, key, "x").await;
    }
    t.s3.delete_object()
        .bucket(&bucket)
        .key("a")
        .send()
        .await
        .unwrap();
    let delete = |keys: &[&str], quiet| {
        let keys = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(*key).build().unwrap());
        let delete = Delete::builder()
            .set_objects(Some(keys.collect()))
            .quiet(quiet)
            .build()
            .unwrap();
        t.s3.delete_objects().bucket(&bucket).delete(delete).send()
    };
    let deleted = delete(&["b", "c & <d>", "never there"], false)
        .await
        .unwrap();
    assert_eq!(deleted.deleted().len(), 3);
    assert!(deleted.errors().is_empty());
    assert_eq!(walk(t, &bucket, "", None, 10).await.0, ["e"]);
    assert!(delete(&["e"], true).await.unwrap().deleted().is_empty());
    assert!(walk(t, &bucket, "", None, 10).await.0.is_empty());
}

pub(crate) async fn a_copy_keeps_or_replaces_what_is_said_of_the_object(t: &Target) {
    let bucket = bucket(t).await;
    let put =
        t.s3.put_object()
            .bucket(&bucket)
            .key("from here/ü+%.txt")
            .metadata("kind", "first");
    let put = put
        .content_type("text/plain")
        .body(ByteStream::from_static(b"copied"));
    let etag = put.send().await.unwrap().e_tag.unwrap();
    let source = format!("{bucket}/from%20here/%C3%BC%2B%25.txt");
    let copy = |key: &str| {
        t.s3.copy_object()
            .bucket(&bucket)
            .key(key)
            .copy_source(&source)
    };
    let copied = copy("kept").send().await.unwrap();
    assert_eq!(
        copied.copy_object_result().unwrap().e_tag(),
        Some(etag.as_str())
    );
    let kept =
        t.s3.get_object()
            .bucket(&bucket)
            .key("kept")
            .send()
            .await
            .unwrap();
    assert_eq!(kept.metadata().unwrap()["kind"], "first");
    assert_eq!(kept.content_type(), Some("text/plain"));
    assert_eq!(text(kept).await, "copied");
    let replace = copy("replaced").metadata_directive(MetadataDirective::Replace);
    replace.metadata("kind", "second").send().await.unwrap();
    let replaced =
        t.s3.head_object()
            .bucket(&bucket)
            .key("replaced")
            .send()
            .await
            .unwrap();
    assert_eq!(replaced.metadata().unwrap()["kind"], "second");
    let onto_itself = copy("from here/ü+%.txt").send().await;
    assert_eq!(refused(onto_itself), "InvalidRequest");
    let guarded = copy("guarded")
        .copy_source_if_match("\"other\"")
        .send()
        .await;
    assert_eq!(refused(guarded), "PreconditionFailed");
    let missing =
        t.s3.copy_object()
            .bucket(&bucket)
            .key("x")
            .copy_source(format!("{bucket}/missing"));
    assert_eq!(refused(missing.send().await), "NoSuchKey");
}

pub(crate) async fn a_digest_that_differs_is_refused(t: &Target) {
    let bucket = bucket(t).await;
    let put = || {
        let put = t.s3.put_object().bucket(&bucket).key("key");
        put.body(ByteStream::from_static(b"123456789"))
    };
    // MD5 and CRC32 of other texts than the body.
    assert_eq!(
        refused(put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await),
        "BadDigest"
    );
    assert_eq!(
        refused(put().content_md5("nonsense").send().await),
        "InvalidDigest"
    );
    let wrong = put().checksum_crc32("AAAAAA==").send().await;
    assert!(["BadDigest", "InvalidRequest"].contains(&refused(wrong).as_str()));
    assert!(walk(t, &bucket, "", None, 5).await.0.is_empty());
    put()
        .content_md5("JfnnlDI7RTiF9RgfG2JNCw==")
        .send()
        .await
        .unwrap();
    // The CRC catalogue's check value, cbf43926.
    let put = put().checksum_crc32("y/Q5Jg==").send().await.unwrap();
    assert_eq!(put.checksum_crc32(), Some("y/Q5Jg=="));
}

pub(crate) async fn checksums_of_every_algorithm_are_checked_and_kept(t: &Target) {
    let bucket = bucket(t).await;
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let put = t.s3.put_object().bucket(&bucket).key(algorithm.as_str());
        let put = put
            .body(ByteStream::from_static(b"checked"))
            .checksum_algorithm(algorithm.clone());
        put.send().await.unwrap();
        // The SDK computes it again and compares.
        let get = t.s3.get_object().bucket(&bucket).key(algorithm.as_str());
        let got = get
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        let kept = match algorithm {
            ChecksumAlgorithm::Crc32 => got.checksum_crc32(),
            ChecksumAlgorithm::Crc32C => got.checksum_crc32_c(),
            ChecksumAlgorithm::Crc64Nvme => got.checksum_crc64_nvme(),
            ChecksumAlgorithm::Sha1 => got.checksum_sha1(),
            _ => got.checksum_sha256(),
        };
        assert!(kept.is_some(), "{algorithm}");
        assert_eq!(text(got).await, "checked");
    }
}

pub(crate) async fn a_streamed_body_with_its_checksum_in_a_trailer_is_stored_plain(t: &Target) {
    let bucket = bucket(t).await;
    let pieces = ["first,", "second,", "third"];
    let frames = pieces.map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::from(piece))));
    let body = StreamBody::new(futures::stream::iter(frames));
    let body = ByteStream::new(SdkBody::from_body_1_x(body));
    let put =
        t.s3.put_object()
            .bucket(&bucket)
            .key("streamed")
            .content_length(18)
            .body(body);
    let put = put
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .content_encoding("identity");
    put.send().await.unwrap();
    let got =
        t.s3.get_object()
            .bucket(&bucket)
            .key("streamed")
            .send()
            .await
            .unwrap();
    assert_eq!(got.content_encoding(), Some("identity"));
    assert_eq!(got.content_length(), Some(18));
    assert_eq!(text(got).await, "first,second,third");
}

pub(crate) async fn an_empty_object_is_an_object(t: &Target) {
    let bucket = bucket(t).await;
    put(t, &bucket, "empty", "").await;
    put(t, &bucket, "folder/", "").await;
    let head =
        t.s3.head_object()
            .bucket(&bucket)
            .key("empty")
            .send()
            .await
            .unwrap();
    assert_eq!(head.content_length(), Some(0));
    assert_eq!(head.e_tag(), Some("\"d41d8cd98f00b204e9800998ecf8427e\""));
    assert_eq!(read(t, &bucket, "empty").await, "");
    assert_eq!(walk(t, &bucket, "", None, 10).await.0, ["empty", "folder/"]);
}
