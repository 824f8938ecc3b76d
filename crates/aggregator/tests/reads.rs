//! What a run reads: the log, what is new, and no more of the lake than it must.

mod common;

use aws::{Aws, Clock, Condition};
use common::{BUCKET, TestLake, once, vehicle};

const NOON: &str = "2026-11-20T12:30:00Z";

fn gets(lake: &TestLake) -> u64 {
    lake.aws.meter().usage()["s3:GetObject"].requests
}

#[tokio::test]
async fn a_run_is_one_commit_and_later_runs_read_only_what_is_new() {
    let mut lake = TestLake::new().await;
    let event = |id: &str, time| vehicle(id, time, r#"{"engine_rpm":1}"#);
    for at in 0..5 {
        lake.land(NOON, &[event(&format!("e{at}"), "2026-11-20T12:10:00Z")])
            .await;
    }
    let summary = lake.once().await;
    assert_eq!((summary.commits, summary.events, summary.hours), (1, 5, 1));
    lake.land(NOON, &[event("new", "2026-11-20T13:10:00Z")])
        .await;
    let before = gets(&lake);
    assert_eq!(lake.once().await.objects, 1);
    let gets = gets(&lake) - before;
    assert_eq!(
        gets, 3,
        "the checkpoint, the one object, the types of its kind; nothing of an hour that is new"
    );
}

#[tokio::test]
async fn a_large_part_is_read_again_only_if_it_may_have_an_id_in_common() {
    let mut lake = TestLake::new().await;
    let event = |id: u32| {
        // No two have much in common, as ids of clients.
        let id = u64::from(id + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let id = format!("{id:016x}{:016x}", id.rotate_left(17) ^ id.swap_bytes());
        vehicle(&id, "2026-11-20T12:10:00Z", r#"{"engine_rpm":1}"#)
    };
    let many: Vec<_> = (0..20_000).map(event).collect();
    lake.land(NOON, &many).await;
    assert_eq!(lake.once().await.events, 20_000);
    let mut reads = Vec::new();
    for ids in [20_000..20_001, 5..6, 20_001..20_002] {
        lake.land(NOON, &ids.map(event).collect::<Vec<_>>()).await;
        let before = gets(&lake);
        lake.once().await;
        reads.push(gets(&lake) - before);
    }
    // The checkpoint, the new object, the types of its kind, the end of the large part, and the aggregates.
    assert_eq!(reads[0], 5);
    assert_eq!(
        reads[1],
        5 + 1,
        "the part, the small part of before, no aggregates"
    );
    assert_eq!(reads[2], 5 + 1, "and the small part");
    assert_eq!(lake.curated().await.len(), 20_002);
}

#[tokio::test]
async fn a_listing_of_all_that_finds_nothing_is_noted_all_the_same() {
    let mut lake = TestLake::new().await;
    lake.land(NOON, &[vehicle("a", NOON, r#"{"engine_rpm":1}"#)])
        .await;
    lake.once().await;
    let later = Clock::starting_at("2026-11-23T00:00:00Z".parse().unwrap());
    let aws = Aws::emulated_at(lake.cloud.http_client(), lake.cloud.endpoint(), later);
    once(&lake.config, &aws).await.unwrap();
    let checkpoint = String::from_utf8(lake.read("_commits/checkpoint.json").await).unwrap();
    assert!(checkpoint.contains("2026-11-23T00:00"), "{checkpoint}");
}

#[tokio::test]
async fn a_log_that_was_deleted_is_no_new_lake() {
    let mut lake = TestLake::new().await;
    let time = "2026-11-21T12:00:00Z";
    lake.land(time, &[vehicle("a", time, r#"{"engine_rpm":1}"#)])
        .await;
    lake.once().await;
    let curated = lake.curated().await;
    let log = lake.keys("_commits/");
    lake.aws.lake(BUCKET).delete(&log).await.unwrap();
    let error = once(&lake.config, &lake.aws).await.unwrap_err();
    assert!(error.to_string().contains("docs/runbook.md"), "{error}");
    assert_eq!(lake.curated().await, curated);
    // The runbook's remedy.
    let body = r#"{"through":1,"swept_at":null,"committed":{}}"#;
    let checkpoint = "_commits/checkpoint.json";
    let lake_of_bucket = lake.aws.lake(BUCKET);
    lake_of_bucket
        .put(
            checkpoint,
            body.into(),
            "application/json",
            Default::default(),
            Condition::Always,
        )
        .await
        .unwrap();
    let again = lake.once().await;
    assert_eq!((again.events, again.duplicates), (0, 1));
    assert_eq!(lake.curated().await, curated);
}
