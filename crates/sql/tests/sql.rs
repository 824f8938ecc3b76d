//! Statements over a lake in this process.

use std::sync::Arc;

use aws::Condition;
use contract::{Hour, Kinds, raw_key, raw_part_name};
use datafusion::arrow::util::pretty::pretty_format_batches;
use engine::read::ReadSettings;
use engine::snapshot::{SnapshotSettings, Snapshots};
use engine::{Engine, Turns};
use sql::{Database, SessionOptions, SqlSettings};

#[tokio::test]
async fn events_that_have_landed_are_rows_of_their_kind() {
    let cloud = local_aws::LocalAws::in_process();
    let aws = aws::Aws::emulated(cloud.http_client(), cloud.endpoint());
    aws::setup::create_bucket(&aws, "lake").await.unwrap();
    let (lake, now) = (aws.lake("lake"), aws.clock().now());
    let time = contract::format_millis(now);
    let line = |id: &str, rpm: u32| {
        format!(
            r#"{{"kind":"vehicle","event_id":"{id}","ingest_received_at":"{time}","timestamp":"{time}","vehicle_id":"veh-1","can_id":"0x1F0","payload":{{"engine_rpm":{rpm}}}}}"#
        )
    };
    let key = raw_key(Hour::of(now), raw_part_name(now, 1));
    let body = format!("{}\n{}\n", line("a", 2000), line("b", 3000));
    lake.put(
        &key,
        body.into(),
        "application/x-ndjson",
        Default::default(),
        Condition::Always,
    )
    .await
    .unwrap();
    let kinds = Arc::new(Kinds::builtin());
    let mut snapshots = Snapshots::new(
        lake.clone(),
        kinds,
        aws.clock(),
        SnapshotSettings::default(),
    );
    snapshots.refresh().await.unwrap();
    let engine = Engine::new(
        lake.clone(),
        snapshots.watch(),
        ReadSettings::default(),
        Turns::new(2, 2),
    );
    let database = Database::new(Arc::new(engine), lake, &SqlSettings::default()).unwrap();
    let context = database.context(&SessionOptions::default()).await.unwrap();
    let text =
        "SELECT entity_id, count(*) AS n, avg(engine_rpm) AS rpm FROM vehicle GROUP BY entity_id";
    let rows = context.sql(text).await.unwrap().collect().await.unwrap();
    let table = pretty_format_batches(&rows).unwrap().to_string();
    assert!(table.contains("| veh-1     | 2 | 2500.0 |"), "{table}");
}
