//! Overload says so: 429 with Retry-After, and bounded memory.

use std::time::Duration;

use local_aws::{Faults, LocalAws};

use crate::harness::{Service, VEHICLE, vehicle};

#[tokio::test(start_paused = true)]
async fn past_the_bound_the_answer_is_429_and_what_was_accepted_stays_accepted() {
    let slow = Faults::seeded(1).slow(
        "SendMessageBatch",
        1.0,
        Duration::from_secs(2)..Duration::from_secs(3),
    );
    let cloud = LocalAws::builder().faults(slow).build().unwrap();
    let service = Service::over(
        cloud,
        &["--max-body-bytes=64KiB", "--max-pending-bytes=256KiB"],
    )
    .await;
    let body: String = (0..200).map(|n| vehicle(n) + "\n").collect();
    let posts = (0..20).map(|_| service.post_ndjson(body.clone()));
    let answers = futures::future::join_all(posts).await;
    let (accepted, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 202);
    assert!(
        !accepted.is_empty() && !refused.is_empty(),
        "{} accepted",
        accepted.len()
    );
    for answer in &refused {
        assert_eq!(
            (answer.status.as_u16(), answer.error_code().as_str()),
            (429, "overloaded")
        );
        assert_eq!(answer.headers["retry-after"], "1");
    }
    assert_eq!(service.queued().len(), 200 * accepted.len());
    assert_eq!(
        service.post_json(VEHICLE).await.status,
        202,
        "once the queue has them, there is room again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_dawdles_is_408_and_gives_its_share_back() {
    let service = Service::with(&["--body-timeout=2s"]).await;
    let dawdling = futures::stream::unfold(0, |n| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, std::io::Error>(" "), n + 1))
    });
    let answer = service
        .post_json(axum::body::Body::from_stream(dawdling))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.error_code().as_str()),
        (408, "body_too_slow")
    );
    let metrics = service.admin("/metrics").await.text;
    assert!(
        metrics
            .lines()
            .any(|line| line == "headwater_ingest_pending_bytes 0"),
        "{metrics}"
    );
}
