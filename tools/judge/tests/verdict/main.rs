//! What the judge says of a lake made by hand when something is wrong with it.

#![allow(clippy::unwrap_used)]

mod lake;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use judge::{Certainty, Fault, Places, Question, Scope, Verdict, judge};
use parquet::arrow::ArrowWriter;

use lake::{RECEIVED, Row, World, hour, lines, parquet, rows, time};

fn counts(verdict: &Verdict) -> [u64; 4] {
    [
        verdict.lost,
        verdict.duplicated,
        verdict.altered,
        verdict.invented,
    ]
}

#[tokio::test]
async fn a_lake_that_holds_what_was_accepted_is_clean() {
    let world = World::filled().await;
    let verdict = world.verdict().await;
    assert!(verdict.clean(), "{verdict}");
    assert_eq!((verdict.accepted, verdict.findings.len()), (4, 0));
    let (raw, curated) = (verdict.raw.unwrap(), verdict.curated.unwrap());
    assert_eq!((raw.objects, raw.rows, raw.events), (2, 5, 4));
    assert_eq!((curated.objects, curated.rows, curated.events), (2, 4, 4));
    assert!(
        verdict
            .to_string()
            .ends_with("lost 0, duplicated 0, altered 0, invented 0")
    );
}

#[tokio::test]
async fn a_line_that_is_gone_from_raw_is_lost_and_named() {
    let world = World::filled().await;
    let lines = lines(&world.kinds, &rows());
    world.put_raw(1, &lines[1..]).await;
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [1, 0, 0, 0], "{verdict}");
    let finding = &verdict.findings[0];
    assert_eq!(
        (finding.fault, finding.kind.as_str()),
        (Fault::Lost, "vehicle")
    );
    assert_eq!(finding.event_id, rows()[0].id);
    assert!(
        finding
            .detail
            .starts_with("not in raw/, though in curated/"),
        "{finding}"
    );
}

#[tokio::test]
async fn an_event_that_never_reached_curated_is_lost_and_its_raw_object_named() {
    let world = World::filled().await;
    world.put_curated(1, &rows()[..2]).await;
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [1, 0, 0, 0], "{verdict}");
    let finding = &verdict.findings[0];
    assert_eq!(finding.event_id, rows()[2].id);
    assert!(
        finding.key.as_ref().unwrap().starts_with("raw/"),
        "{finding}"
    );
    let scope = Scope::everything();
    let question = Question {
        places: Places::Raw,
        ..Question::new(&scope)
    };
    let raw_alone = judge(&world.lake, &world.kinds, &world.ledger, &question)
        .await
        .unwrap();
    assert!(
        raw_alone.clean() && raw_alone.curated.is_none(),
        "{raw_alone}"
    );
}

#[tokio::test]
async fn a_row_that_stands_twice_in_curated_is_duplicated() {
    let world = World::filled().await;
    let key = world.put_curated(3, &rows()[..1]).await;
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [0, 1, 0, 0], "{verdict}");
    assert_eq!(verdict.findings[0].key.as_deref(), Some(key.as_str()));
    assert_eq!(verdict.curated.unwrap().events, 3);
    let twice = [&rows()[..1], &rows()[..1]].concat();
    world.put_curated(3, &twice).await;
    assert_eq!(world.verdict().await.duplicated, 1);
}

#[tokio::test]
async fn a_value_that_changed_is_altered_wherever_it_changed() {
    type Change = fn(&mut Row);
    let changes: [Change; 7] = [
        |row| row.speed = Some(80.250_000_000_000_01),
        |row| row.gear = Some(5),
        |row| row.brake = None,
        |row| row.brake = Some(true),
        |row| row.note_bool = Some(false),
        |row| row.vehicle = "veh-9",
        |row| row.time = "2025-10-04T12:34:56.123457Z",
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let world = World::filled().await;
        let mut changed = rows();
        change(&mut changed[0]);
        world.put_curated(1, &changed[..3]).await;
        let verdict = world.verdict().await;
        assert_eq!(
            counts(&verdict),
            [0, 0, 1, 0],
            "change {number} in curated: {verdict}"
        );
        assert_eq!(verdict.findings[0].event_id, rows()[0].id);

        let world = World::filled().await;
        world.put_raw(1, &lines(&world.kinds, &changed)).await;
        let verdict = world.verdict().await;
        assert_eq!(
            counts(&verdict),
            [0, 0, 1, 0],
            "change {number} in raw: {verdict}"
        );
    }
}

#[tokio::test]
async fn an_event_in_the_partition_of_another_hour_is_altered() {
    let world = World::filled().await;
    let key = contract::curated_key("vehicle", hour().next(), 1);
    world.put(&key, parquet(&rows()[3..])).await;
    world.put_curated(2, &[]).await;
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [0, 0, 1, 0], "{verdict}");
    assert!(
        verdict.findings[0].detail.contains("stands elsewhere"),
        "{verdict}"
    );
}

#[tokio::test]
async fn what_was_never_accepted_is_invented_unless_it_is_out_of_scope() {
    let world = World::filled().await;
    let stranger = Row {
        id: "stranger".into(),
        ..rows()[0].clone()
    };
    world
        .put_raw(3, &lines(&world.kinds, std::slice::from_ref(&stranger)))
        .await;
    world.put_curated(3, &[stranger]).await;
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [0, 0, 0, 1], "{verdict}");
    assert_eq!(verdict.findings[0].event_id, "stranger");
    world
        .put_raw(4, &["{\"kind\":\"vehicle\"\n".to_owned()])
        .await;
    let verdict = world.verdict().await;
    assert_eq!(verdict.invented, 2, "{verdict}");
    assert!(verdict.to_string().contains("line 1"), "{verdict}");

    let later = world
        .verdict_in(&Scope::since(time("2025-10-04T12:40:00.001Z")))
        .await;
    assert_eq!(later.invented, 1, "the broken line tells no time: {later}");
    let own = world.verdict_in(&Scope::everything().ledger_only()).await;
    assert!(own.clean(), "{own}");
    let since = world.verdict_in(&Scope::since(time(RECEIVED))).await;
    assert_eq!(since.invented, 2, "{since}");
}

#[tokio::test]
async fn what_was_there_before_is_not_read_and_what_comes_after_is() {
    let world = World::new().await;
    let stranger = Row {
        id: "stranger".into(),
        ..rows()[0].clone()
    };
    world.put_raw(1, &lines(&world.kinds, &[stranger])).await;
    let scope = Scope::from_now(&world.lake).await.unwrap();
    world.put_raw(2, &lines(&world.kinds, &rows())).await;
    world.put_curated(1, &rows()).await;
    let verdict = world.verdict_in(&scope).await;
    assert!(verdict.clean(), "{verdict}");
    assert_eq!(verdict.raw.unwrap().objects, 1);
}

#[tokio::test]
async fn an_event_without_an_answer_may_be_there_or_not() {
    for there in [false, true] {
        let mut world = World::filled().await;
        let maybe = Row {
            id: "maybe".into(),
            ..rows()[0].clone()
        };
        world.accept(&maybe, Certainty::Maybe);
        if there {
            world
                .put_raw(3, &lines(&world.kinds, std::slice::from_ref(&maybe)))
                .await;
            world.put_curated(3, &[maybe]).await;
        }
        let verdict = world.verdict().await;
        assert!(verdict.clean(), "{verdict}");
        assert_eq!((verdict.accepted, verdict.maybe), (4, 1));
    }
}

#[tokio::test]
async fn of_two_contents_under_one_id_raw_holds_both_and_curated_one() {
    let mut world = World::filled().await;
    let other = Row {
        speed: Some(3.0),
        ..rows()[0].clone()
    };
    world.accept(&other, Certainty::Accepted);
    let verdict = world.verdict().await;
    assert_eq!(counts(&verdict), [1, 0, 0, 0], "{verdict}");
    assert!(
        verdict.findings[0].detail.contains("each content"),
        "{verdict}"
    );
    world
        .put_raw(3, &lines(&world.kinds, std::slice::from_ref(&other)))
        .await;
    let verdict = world.verdict().await;
    assert!(verdict.clean(), "{verdict}");
    assert_eq!(verdict.conflicts, 1);
    world.put_curated(3, &[other]).await;
    assert_eq!(counts(&world.verdict().await), [0, 1, 0, 0]);
}

#[tokio::test]
async fn no_more_than_twenty_of_a_fault_are_named() {
    let mut world = World::filled().await;
    for number in 0..30 {
        let row = Row {
            id: format!("n-{number}"),
            ..rows()[0].clone()
        };
        world.accept(&row, Certainty::Accepted);
    }
    let verdict = world.verdict().await;
    assert_eq!((verdict.lost, verdict.findings.len()), (30, 20));
    assert!(
        verdict.to_string().contains("… and 10 more lost"),
        "{verdict}"
    );
}

#[tokio::test]
async fn a_part_without_its_columns_is_an_error_and_no_verdict() {
    let world = World::filled().await;
    let batch = RecordBatch::try_from_iter([(
        "event_id",
        Arc::new(StringArray::from(vec!["a"])) as ArrayRef,
    )])
    .unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let key = contract::curated_key("vehicle", hour(), 9);
    world.put(&key, writer.into_inner().unwrap()).await;
    let scope = Scope::everything();
    let judged = judge(
        &world.lake,
        &world.kinds,
        &world.ledger,
        &Question::new(&scope),
    )
    .await;
    let error = judged.unwrap_err().to_string();
    assert!(
        error.contains(&key) && error.contains("entity_id"),
        "{error}"
    );
}
