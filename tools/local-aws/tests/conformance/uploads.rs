//! What S3 promises of objects that are uploaded in parts.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use md5::{Digest, Md5};

use crate::listing::walk;
use crate::objects::{bucket, put, read};
use crate::target::{Target, md5_hex, refused};

const PART: usize = 5 * 1024 * 1024;

/// An upload with these parts; gives its id and the parts as `complete` takes them.
async fn upload(t: &Target, bucket: &str, parts: &[Bytes]) -> (String, Vec<CompletedPart>) {
    let created =
        t.s3.create_multipart_upload()
            .bucket(bucket)
            .key("parts")
            .metadata("made", "of parts");
    let id = created
        .content_type("text/x-parts")
        .send()
        .await
        .unwrap()
        .upload_id
        .unwrap();
    let mut completed = Vec::new();
    for (number, part) in (1..).zip(parts) {
        let part =
            t.s3.upload_part()
                .bucket(bucket)
                .key("parts")
                .upload_id(&id)
                .part_number(number)
                .body(ByteStream::from(part.clone()))
                .send()
                .await
                .unwrap();
        let completed_part = CompletedPart::builder().part_number(number);
        completed.push(completed_part.set_e_tag(part.e_tag).build());
    }
    (id, completed)
}

fn complete(
    t: &Target,
    bucket: &str,
    id: &str,
    parts: &[CompletedPart],
) -> aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder
{
    let parts = CompletedMultipartUpload::builder()
        .set_parts(Some(parts.to_vec()))
        .build();
    t.s3.complete_multipart_upload()
        .bucket(bucket)
        .key("parts")
        .upload_id(id)
        .multipart_upload(parts)
}

fn two_parts() -> [Bytes; 2] {
    [Bytes::from("a".repeat(PART)), Bytes::from("the end")]
}

pub(crate) async fn parts_become_one_object(t: &Target) {
    let bucket = bucket(t).await;
    let parts = two_parts();
    let (id, completed) = upload(t, &bucket, &parts).await;
    assert!(walk(t, &bucket, "", None, 10).await.0.is_empty());
    let done = complete(t, &bucket, &id, &completed).send().await.unwrap();
    let md5s = [Md5::digest(&parts[0]), Md5::digest(&parts[1])].concat();
    let etag = format!("\"{}-2\"", md5_hex(md5s));
    assert_eq!(done.e_tag(), Some(etag.as_str()));
    let got =
        t.s3.get_object()
            .bucket(&bucket)
            .key("parts")
            .send()
            .await
            .unwrap();
    assert_eq!(got.e_tag(), Some(etag.as_str()));
    assert_eq!(got.content_type(), Some("text/x-parts"));
    assert_eq!(got.metadata().unwrap()["made"], "of parts");
    assert!(got.body.collect().await.unwrap().into_bytes() == parts.concat());
    assert_eq!(
        refused(complete(t, &bucket, "no-such-id", &completed).send().await),
        "NoSuchUpload"
    );
}

pub(crate) async fn parts_out_of_order_missing_or_too_small_are_refused(t: &Target) {
    let bucket = bucket(t).await;
    let (id, completed) = upload(t, &bucket, &[Bytes::from("small"), Bytes::from("last")]).await;
    assert_eq!(
        refused(complete(t, &bucket, &id, &completed).send().await),
        "EntityTooSmall"
    );
    let reversed: Vec<_> = completed.iter().cloned().rev().collect();
    assert_eq!(
        refused(complete(t, &bucket, &id, &reversed).send().await),
        "InvalidPartOrder"
    );
    let other = CompletedPart::builder()
        .part_number(3)
        .e_tag("\"d41d8cd98f00b204e9800998ecf8427e\"");
    assert_eq!(
        refused(complete(t, &bucket, &id, &[other.build()]).send().await),
        "InvalidPart"
    );
    complete(t, &bucket, &id, &completed[1..])
        .send()
        .await
        .unwrap();
    assert_eq!(read(t, &bucket, "parts").await, "last");
}

pub(crate) async fn an_aborted_upload_leaves_nothing(t: &Target) {
    let bucket = bucket(t).await;
    let (id, completed) = upload(t, &bucket, &[Bytes::from("x")]).await;
    let abort = || {
        t.s3.abort_multipart_upload()
            .bucket(&bucket)
            .key("parts")
            .upload_id(&id)
            .send()
    };
    abort().await.unwrap();
    assert_eq!(refused(abort().await), "NoSuchUpload");
    assert_eq!(
        refused(complete(t, &bucket, &id, &completed).send().await),
        "NoSuchUpload"
    );
    assert!(walk(t, &bucket, "", None, 10).await.0.is_empty());
}

pub(crate) async fn part_checksums_become_one_of_the_whole(t: &Target) {
    let bucket = bucket(t).await;
    let create = t.s3.create_multipart_upload().bucket(&bucket).key("parts");
    let created = create
        .checksum_algorithm(ChecksumAlgorithm::Crc32)
        .send()
        .await
        .unwrap();
    let id = created.upload_id.unwrap();
    let mut completed = Vec::new();
    for (number, body) in (1..).zip(two_parts()) {
        let part =
            t.s3.upload_part()
                .bucket(&bucket)
                .key("parts")
                .upload_id(&id)
                .part_number(number);
        let part = part
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(ByteStream::from(body));
        let part = part.send().await.unwrap();
        assert!(part.checksum_crc32().is_some());
        let entry = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag);
        completed.push(entry.set_checksum_crc32(part.checksum_crc32).build());
    }
    let done = complete(t, &bucket, &id, &completed).send().await.unwrap();
    assert!(done.checksum_crc32().unwrap().ends_with("-2"));
    let get =
        t.s3.get_object()
            .bucket(&bucket)
            .key("parts")
            .checksum_mode(ChecksumMode::Enabled);
    let got = get.send().await.unwrap();
    assert_eq!(
        got.body.collect().await.unwrap().into_bytes().len(),
        PART + 7
    );
}

pub(crate) async fn an_upload_can_be_completed_on_a_condition(t: &Target) {
    let bucket = bucket(t).await;
    let (id, completed) = upload(t, &bucket, &[Bytes::from("uploaded")]).await;
    put(t, &bucket, "parts", "was first").await;
    let guarded = complete(t, &bucket, &id, &completed)
        .if_none_match("*")
        .send()
        .await;
    assert_eq!(refused(guarded), "PreconditionFailed");
    assert_eq!(read(t, &bucket, "parts").await, "was first");
    complete(t, &bucket, &id, &completed).send().await.unwrap();
    assert_eq!(read(t, &bucket, "parts").await, "uploaded");
}
