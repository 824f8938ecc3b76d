//! A folder that holds the cloud between processes.

use std::fs;
use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use local_aws::LocalAws;

use crate::clients;

fn open(folder: &Path) -> LocalAws {
    LocalAws::builder().folder(folder).build().unwrap()
}

#[tokio::test]
async fn objects_are_plain_files_and_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let key = "raw/year=2026/month=01/part-1.jsonl";
    let cloud = open(folder.path());
    let (_, s3) = clients(&cloud);
    s3.create_bucket().bucket("lake").send().await.unwrap();
    for body in ["old", "{\"speed\":1}\n"] {
        let put = s3
            .put_object()
            .bucket("lake")
            .key(key)
            .metadata("events", "1");
        let put = put.content_type("application/x-ndjson");
        put.body(ByteStream::from_static(body.as_bytes()))
            .send()
            .await
            .unwrap();
    }
    let before = s3
        .head_object()
        .bucket("lake")
        .key(key)
        .send()
        .await
        .unwrap();
    let file = folder.path().join("lake").join(key);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"speed\":1}\n");
    drop((cloud, s3));

    let cloud = open(folder.path());
    let (_, s3) = clients(&cloud);
    assert_eq!(cloud.objects("lake"), [key]);
    let got = s3
        .get_object()
        .bucket("lake")
        .key(key)
        .send()
        .await
        .unwrap();
    assert_eq!(got.e_tag(), before.e_tag());
    assert_eq!(got.last_modified(), before.last_modified());
    assert_eq!(got.content_type(), Some("application/x-ndjson"));
    assert_eq!(got.metadata().unwrap()["events"], "1");
    assert_eq!(
        got.body.collect().await.unwrap().into_bytes(),
        "{\"speed\":1}\n"
    );
    let ranged = s3
        .get_object()
        .bucket("lake")
        .key(key)
        .range("bytes=2-6")
        .send()
        .await
        .unwrap();
    assert_eq!(ranged.body.collect().await.unwrap().into_bytes(), "speed");
    s3.delete_object()
        .bucket("lake")
        .key(key)
        .send()
        .await
        .unwrap();
    assert!(!file.exists());
    // Folders that became empty go as well, the bucket's own stays.
    assert_eq!(fs::read_dir(folder.path().join("lake")).unwrap().count(), 0);
    s3.delete_bucket().bucket("lake").send().await.unwrap();
    assert!(!folder.path().join("lake").exists());
}

#[tokio::test]
async fn keys_that_are_no_file_names_are_kept_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(400);
    let keys = [
        "a", "a/b", "a/b/c", "d/e", "d", "f//g", "./h", "i/", &long, "j/./k",
    ];
    let cloud = open(folder.path());
    let (_, s3) = clients(&cloud);
    s3.create_bucket().bucket("lake").send().await.unwrap();
    for key in keys {
        let put = s3.put_object().bucket("lake").key(key);
        put.body(ByteStream::from(key.as_bytes().to_vec()))
            .send()
            .await
            .unwrap();
    }
    for key in ["../escape", "a/../../escape", ".."] {
        let put = s3
            .put_object()
            .bucket("lake")
            .key(key)
            .body(ByteStream::from_static(b"x"));
        assert!(put.send().await.is_err(), "{key}");
    }
    assert!(!folder.path().join("escape").exists());
    drop((cloud, s3));
    let cloud = open(folder.path());
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    assert_eq!(cloud.objects("lake"), expected);
    for key in keys {
        assert_eq!(cloud.object("lake", key).unwrap(), key.as_bytes(), "{key}");
    }
}

#[tokio::test]
async fn queues_and_messages_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = open(folder.path());
    let (sqs, _) = clients(&cloud);
    let create = sqs.create_queue().queue_name("q");
    let create = create.attributes(QueueAttributeName::VisibilityTimeout, "120");
    let url = create.send().await.unwrap().queue_url.unwrap();
    for body in ["deleted", "in flight", "waiting", "line\nbreak 🚗"] {
        let codec = MessageAttributeValue::builder()
            .data_type("String")
            .string_value("zstd");
        let send = sqs.send_message().queue_url(&url).message_body(body);
        send.message_attributes("codec", codec.build().unwrap())
            .send()
            .await
            .unwrap();
    }
    let receive = || sqs.receive_message().queue_url(&url);
    let first = receive().send().await.unwrap().messages.unwrap().remove(0);
    let second = receive().send().await.unwrap().messages.unwrap().remove(0);
    let delete = sqs.delete_message().queue_url(&url);
    delete
        .set_receipt_handle(first.receipt_handle)
        .send()
        .await
        .unwrap();
    let before = (cloud.messages("q"), cloud.queue_counts("q"));
    drop((cloud, sqs));

    // Twice: the journal is written again at each start.
    drop(open(folder.path()));
    let cloud = open(folder.path());
    let (sqs, _) = clients(&cloud);
    assert_eq!((cloud.messages("q"), cloud.queue_counts("q")), before);
    assert_eq!(
        before.1.map(|counts| (counts.visible, counts.in_flight)),
        Some((2, 1))
    );
    let get = sqs
        .get_queue_attributes()
        .queue_url(&url)
        .attribute_names(QueueAttributeName::All);
    let attributes = get.send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "120");
    // A handle from before the restart is still good.
    let delete = sqs.delete_message().queue_url(&url);
    delete
        .set_receipt_handle(second.receipt_handle)
        .send()
        .await
        .unwrap();
    assert_eq!(cloud.queue_depth("q"), 2);
    let sent = sqs
        .send_message()
        .queue_url(&url)
        .message_body("new")
        .send()
        .await
        .unwrap();
    assert_eq!(cloud.messages("q")[2].message_id, sent.message_id.unwrap());
}

#[tokio::test]
async fn an_upload_can_be_completed_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = open(folder.path());
    let (_, s3) = clients(&cloud);
    s3.create_bucket().bucket("lake").send().await.unwrap();
    let created = s3
        .create_multipart_upload()
        .bucket("lake")
        .key("k")
        .send()
        .await
        .unwrap();
    let id = created.upload_id.unwrap();
    let part = s3
        .upload_part()
        .bucket("lake")
        .key("k")
        .upload_id(&id)
        .part_number(1);
    let part = part
        .body(ByteStream::from_static(b"kept"))
        .send()
        .await
        .unwrap();
    drop((cloud, s3));
    let cloud = open(folder.path());
    let (_, s3) = clients(&cloud);
    let part = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(part.e_tag)
        .build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = s3
        .complete_multipart_upload()
        .bucket("lake")
        .key("k")
        .upload_id(&id);
    complete.multipart_upload(parts).send().await.unwrap();
    assert_eq!(cloud.object("lake", "k").unwrap(), "kept");
}

#[tokio::test]
async fn a_refused_write_leaves_no_file_behind() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = open(folder.path());
    let (_, s3) = clients(&cloud);
    s3.create_bucket().bucket("lake").send().await.unwrap();
    let put = |body| {
        s3.put_object()
            .bucket("lake")
            .key("k")
            .body(ByteStream::from_static(body))
    };
    put(b"first").send().await.unwrap();
    assert!(put(b"second").if_none_match("*").send().await.is_err());
    assert!(
        put(b"third")
            .content_md5("1B2M2Y8AsgTpgAmY7PhCfg==")
            .send()
            .await
            .is_err()
    );
    assert_eq!(cloud.object("lake", "k").unwrap(), "first");
    let temporary = folder.path().join(".local-aws/tmp");
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0);
}

#[tokio::test]
async fn a_kill_between_metadata_and_bytes_is_mended_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = open(folder.path());
    let (_, s3) = clients(&cloud);
    s3.create_bucket().bucket("lake").send().await.unwrap();
    let put = s3
        .put_object()
        .bucket("lake")
        .key("k")
        .body(ByteStream::from_static(b"new"));
    put.send().await.unwrap();
    drop((cloud, s3));
    // As a kill leaves it after the metadata's rename: the new bytes wait
    // under the name that the metadata gives, the old ones are in place.
    let hidden = folder.path().join(".local-aws");
    let meta = fs::read_dir(hidden.join("s3/lake/meta"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let text = fs::read_to_string(meta.path()).unwrap();
    let staged = text
        .split("\"staged\":\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    fs::rename(
        folder.path().join("lake/k"),
        hidden.join("tmp").join(staged),
    )
    .unwrap();
    fs::write(folder.path().join("lake/k"), "old").unwrap();
    fs::write(hidden.join("tmp/of-nobody"), "half writ").unwrap();
    let cloud = open(folder.path());
    assert_eq!(cloud.object("lake", "k").unwrap(), "new");
    assert_eq!(fs::read_dir(hidden.join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_folder_serves_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let error = LocalAws::builder()
        .folder(folder.path())
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    drop(first);
    open(folder.path());
}
