//! Rules about the pipeline itself.

use std::collections::BTreeMap;
use std::time::Duration;

use aws::Queue;
use tokio::time::sleep;

use crate::stage::{Stage, write};

const RULES: &str = r#"
groups:
  - name: pipeline
    rules:
      - alert: Letters
        expr: last_over_time(dead_letters{kind="headwater"}[60s]) > 0
      - alert: Waiting
        expr: min_over_time(queue_messages{kind="headwater"}[20s]) >= 1
      - alert: Old
        expr: last_over_time(queue_age_seconds{kind="headwater"}[20s]) > 60
"#;

async fn send(queue: &Queue) {
    let message = aws::Outgoing {
        body: "a message that waits".to_owned(),
        attributes: BTreeMap::new(),
    };
    queue.send(&[message]).await.pop().unwrap().unwrap();
}

async fn empty(queue: &Queue) {
    for message in queue.receive(10, Duration::ZERO, None).await.unwrap() {
        let deleted = queue.delete(&[message.receipt_handle]).await.pop();
        deleted.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn queues_and_dead_letters_can_have_rules() {
    let mut stage = Stage::new().await;
    write(stage.rules.path(), "rules.yml", RULES);
    let (events, letters) = ("headwater-events", "headwater-events-dlq");
    aws::setup::create_queues(&stage.aws, events, letters)
        .await
        .unwrap();
    let events = stage.aws.queue(events).await.unwrap();
    let letters = stage.aws.queue(letters).await.unwrap();
    stage.begin().await;
    sleep(Duration::from_secs(100)).await;
    assert_eq!(stage.told(), [] as [&str; 0]);
    send(&events).await;
    send(&letters).await;
    sleep(Duration::from_secs(200)).await;
    empty(&events).await;
    empty(&letters).await;
    sleep(Duration::from_secs(200)).await;
    stage.end(false).await;
    let mut told: Vec<String> = stage.told();
    told.iter_mut().for_each(|told| {
        let end = told.rfind(' ').unwrap_or_default();
        told.truncate(end);
    });
    told.sort();
    assert_eq!(
        told,
        [
            "HeadwaterLate alerts firing",
            "HeadwaterLate alerts resolved",
            "Letters alerts firing",
            "Letters alerts resolved",
            "Old alerts firing",
            "Old alerts resolved",
            "Waiting alerts firing",
            "Waiting alerts resolved",
        ]
    );
}
