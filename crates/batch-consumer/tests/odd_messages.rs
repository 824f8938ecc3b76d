//! Messages by other hands: too large for a letter, with a time that cannot be true, in the envelope of another
//! service.

mod support;

use batch_consumer::dlq::{self, Filter};
use support::*;
use tokio_util::sync::CancellationToken;

#[tokio::test(start_paused = true)]
async fn a_message_larger_than_a_letter_may_wrap_becomes_one_letter_and_is_kept_whole() {
    let bench = Bench::new().await;
    let body = "x".repeat(aws::MAX_BATCH_BYTES);
    bench.send(&[plain(body.clone())]).await;
    bench.send(&[plain(sent("a"))]).await;
    let running = bench.start();
    bench.drained().await;
    running.stopped().await.unwrap();
    let letters = bench.letters();
    assert_eq!(letters.len(), 1);
    let attributes = &letters[0].attributes;
    assert_eq!(attributes["reason"], "too_large");
    assert!(attributes["detail"].contains("1048576 bytes"));
    let whole = &attributes["whole_body"];
    let bucket = &bench.config.lake.lake_bucket;
    let object = bench.cloud.object(bucket, whole).unwrap();
    let object: serde_json::Value = serde_json::from_slice(&object).unwrap();
    assert_eq!(object["body"], body);
    assert!(body.starts_with(&letters[0].body));

    let stop = CancellationToken::new();
    let filter = Filter::default();
    let replayed = dlq::replay(&bench.dlq, &bench.queue, &filter, false, &stop, |_, _| ()).await;
    let replayed = replayed.unwrap();
    assert_eq!((replayed.matched, replayed.sent, replayed.cut), (1, 0, 1));
    assert_eq!((bench.letters().len(), bench.queued()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_largest_message_that_redrive_moved_is_replayed_without_an_attribute_more() {
    let bench = Bench::new().await;
    let body = "x".repeat(aws::MAX_BATCH_BYTES);
    for result in bench.dlq.send(&[plain(body.clone())]).await {
        result.unwrap();
    }
    let stop = CancellationToken::new();
    let filter = Filter::default();
    let replayed = dlq::replay(&bench.dlq, &bench.queue, &filter, false, &stop, |_, _| ()).await;
    assert_eq!(replayed.unwrap().sent, 1);
    let queued = bench.cloud.messages(bench.queue.name());
    assert_eq!(
        (queued[0].body.len(), queued[0].attributes.len()),
        (body.len(), 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_of_receipt_that_cannot_be_true_makes_a_letter_and_no_partition() {
    let bench = Bench::new().await;
    let mut by_attribute = plain(sent("a"));
    let year_9999 = "9999-12-31T23:00:00.000Z";
    by_attribute
        .attributes
        .insert("received_at".into(), year_9999.into());
    bench
        .send(&[by_attribute, plain(stored_at("b", year_9999))])
        .await;
    let year_1999 = "1999-12-31T23:00:00.000Z";
    bench
        .send(&packs(&[stored_at("c", year_1999), stored("d")]))
        .await;
    let running = bench.start();
    bench.drained().await;
    assert_eq!(bench.ids(), ["d"]);
    let mut told: Vec<(String, bool)> = bench
        .letters()
        .into_iter()
        .map(|letter| {
            let attributes = letter.attributes;
            assert!(attributes["received_at"].starts_with("2025-10-04T12:30"));
            (
                attributes["reason"].clone(),
                attributes["detail"].contains("received_at` is `"),
            )
        })
        .collect();
    told.sort();
    // An event that happened 25 years after its receipt has a time of its own that cannot be true.
    let expected = [
        ("timestamp_out_of_range", false),
        ("timestamp_out_of_range", true),
        ("undecodable", true),
    ];
    assert_eq!(
        told,
        expected.map(|(reason, told)| (reason.to_owned(), told))
    );
    running.stopped().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_in_the_envelope_of_another_service_is_told_what_to_set() {
    let bench = Bench::new().await;
    let sns = serde_json::json!({
        "Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": sent("a"),
    });
    bench.send(&[plain(sns.to_string())]).await;
    let running = bench.start();
    bench.drained().await;
    let letter = bench.letters().remove(0);
    assert_eq!(letter.attributes["reason"], "undecodable");
    assert!(letter.attributes["detail"].contains("SNS envelope"));
    assert_eq!(letter.body, sns.to_string());
    running.stopped().await.unwrap();
}
