//! Parts that are gone, replaced or broken; bounds; and what a second question asks of S3.

use std::sync::Arc;

use engine::kernels::{Ask, EntityFilter, Grouping, ScanError, Wanted};
use engine::read::{PartError, ReadSettings};
use engine::snapshot::Part;

use crate::plain::{HOUR, batch};
use crate::stage::{Stage, hour};
use crate::{ask, block_on, many};

async fn count(stage: &Stage, parts: Vec<Part>) -> Result<u64, ScanError> {
    let speed = Arc::new(Ask {
        signals: vec!["speed".to_owned()],
        times: HOUR,
        entities: EntityFilter::All,
    });
    let hours = [hour(parts, Vec::new())];
    let (whole, wanted) = (Grouping::default(), Wanted::default());
    let groups = stage
        .scanner
        .groups(&hours, &speed, whole, wanted, 10)
        .await?;
    Ok(groups.iter().map(|(_, _, stats)| stats[0].count).sum())
}

fn part_of(events: usize) -> bytes::Bytes {
    lake::parts::to_parquet(&batch(&many(events))).unwrap()
}

#[test]
fn a_part_that_was_replaced_or_deleted_is_named_as_gone() {
    block_on(async {
        let mut stage = Stage::new(ReadSettings::default()).await;
        let (kept, replaced) = (stage.put(part_of(10)).await, stage.put(part_of(20)).await);
        let smaller = stage.put_at(&replaced.key, part_of(5)).await;
        let failed = count(&stage, vec![kept.clone(), replaced.clone()]).await;
        assert!(matches!(failed, Err(ScanError::Part(PartError::Gone(part))) if part == replaced));
        assert_eq!(
            count(&stage, vec![kept.clone(), smaller]).await.unwrap(),
            15
        );
        stage
            .lake
            .delete(std::slice::from_ref(&replaced.key))
            .await
            .unwrap();
        let failed = count(&stage, vec![kept, replaced.clone()]).await;
        assert!(matches!(failed, Err(ScanError::Part(PartError::Gone(part))) if part == replaced));
    });
}

#[test]
fn a_large_part_that_a_smaller_one_replaced_is_gone_too() {
    block_on(async {
        let mut stage = Stage::new(ReadSettings::default()).await;
        let large = stage.put(part_of(40_000)).await;
        assert!(large.size > 200_000, "{}", large.size);
        stage.put_at(&large.key, part_of(5)).await;
        let failed = count(&stage, vec![large.clone()]).await;
        assert!(matches!(failed, Err(ScanError::Part(PartError::Gone(part))) if part == large));
    });
}

#[test]
fn a_broken_part_is_named_and_the_rest_can_be_asked_for() {
    block_on(async {
        let mut stage = Stage::new(ReadSettings::default()).await;
        let sound = stage.put(part_of(100)).await;
        let file = part_of(100);
        let mut broken = vec![
            bytes::Bytes::from_static(b"no part"),
            file.slice(..file.len() / 2),
        ];
        // Bytes of pages that are turned round, behind a footer that is whole.
        let mut pages = file.to_vec();
        pages[8..400].reverse();
        broken.push(pages.into());
        let no_part = arrow::array::RecordBatch::try_from_iter([(
            "a",
            Arc::new(arrow::array::Int64Array::from(vec![1])) as arrow::array::ArrayRef,
        )]);
        broken.push(crate::plain::part_of_small_pages(&no_part.unwrap()));
        for body in broken {
            let part = stage.put(body).await;
            let all = ask(&HOUR, &EntityFilter::All);
            let hours = [hour(vec![sound.clone(), part.clone()], Vec::new())];
            let (by_entity, wanted) = (
                Grouping {
                    step: None,
                    by_entity: true,
                },
                Wanted::default(),
            );
            let failed = stage
                .scanner
                .groups(&hours, &all, by_entity, wanted, 1000)
                .await;
            let Err(ScanError::Part(PartError::Broken { key, .. })) = failed else {
                panic!("{failed:?}");
            };
            assert_eq!(key, part.key);
        }
        assert_eq!(count(&stage, vec![sound]).await.unwrap(), 100);
    });
}

#[test]
fn more_groups_than_the_bound_are_an_error() {
    block_on(async {
        let mut stage = Stage::new(ReadSettings::default()).await;
        let part = stage.put(part_of(100)).await;
        let hours = [hour(vec![part], Vec::new())];
        let speed = Arc::new(Ask {
            signals: vec!["speed".to_owned()],
            times: HOUR,
            entities: EntityFilter::All,
        });
        let by_entity = Grouping {
            step: None,
            by_entity: true,
        };
        let ten = stage
            .scanner
            .groups(&hours, &speed, by_entity, Wanted::default(), 10)
            .await;
        assert_eq!(ten.unwrap().len(), 10);
        let nine = stage
            .scanner
            .groups(&hours, &speed, by_entity, Wanted::default(), 9)
            .await;
        assert!(
            matches!(nine, Err(ScanError::TooManyGroups { most: 9 })),
            "{nine:?}"
        );
    });
}

#[test]
fn a_question_that_is_asked_again_asks_nothing_of_s3() {
    block_on(async {
        let mut stage = Stage::new(ReadSettings::default()).await;
        let parts = vec![
            stage.put(part_of(10)).await,
            stage.put(part_of(40_000)).await,
        ];
        let gets = |stage: &Stage| stage.aws.meter().usage()["s3:GetObject"].requests;
        assert_eq!(count(&stage, parts.clone()).await.unwrap(), 3610);
        let first = gets(&stage);
        // The small part whole; of the large one the footer, and the chunk of `speed` with that of times beside it.
        assert!((3..=4).contains(&first), "{first}");
        assert_eq!(count(&stage, parts.clone()).await.unwrap(), 3610);
        assert_eq!(gets(&stage), first);
        let small = ReadSettings {
            chunk_bytes: 0,
            footer_bytes: 0,
        };
        stage.scanner = Stage::scanner_of(&stage.lake, small);
        assert_eq!(count(&stage, parts).await.unwrap(), 3610);
    });
}
