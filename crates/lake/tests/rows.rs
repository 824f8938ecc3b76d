//! Rows of lines, however they waited for their hour.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use contract::{Kind, Kinds};
use lake::rows::{
    Added, Admission, Block, Bucket, Buckets, Columns, FewRows, Gathering, HourRows, KindHour,
    SignalTypes, Taken, admissions, signals_in,
};

/// Events of three hours, in turns: the second hour has one event in ten, the third two events in all.
fn lines() -> String {
    let line = |number: usize| {
        let hour = match number {
            50 | 70 => 14,
            _ if number.is_multiple_of(10) => 13,
            _ => 12,
        };
        let signals = match number % 4 {
            0 => r#""engine_rpm":900,"Spare":"a""#.to_owned(),
            1 => format!(r#""spare":{number},"fuel_level_pct":7"#),
            _ => format!(r#""engine_rpm":{number}"#),
        };
        let sender = match number % 3 {
            0 => String::new(),
            other => format!(r#""sender":"key-{other}","#),
        };
        let (id, vehicle, minute) = (number % 1900, number % 7, number % 60);
        format!(
            r#"{{"kind":"vehicle","event_id":"e-{id}","ingest_received_at":"2026-11-20T15:00:00.000Z",{sender}"timestamp":"2026-11-20T{hour}:{minute:02}:00.000Z","vehicle_id":"veh-{vehicle}","can_id":"0x1F0","payload":{{{signals}}}}}"#
        ) + "\n"
    };
    (0..2000).map(line).collect()
}

fn taken(kinds: &Arc<Kinds>, buckets: Buckets, few_bytes: usize) -> Taken {
    let admissions = admissions(kinds, |_| None);
    let mut gathering =
        Gathering::new(kinds.clone(), admissions, buckets).with_few_lines(few_bytes);
    gathering.add_declared(0, 0, lines().as_bytes(), |refused| panic!("{refused:?}"));
    gathering.take().unwrap()
}

/// The blocks of each hour, with the bucket of their ids; lines are in no bucket.
fn blocks(
    kinds: &Kinds,
    taken: Taken,
    wanted: Option<Bucket>,
) -> BTreeMap<KindHour, Vec<(Option<Bucket>, Block)>> {
    let mut hours: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (at, bucket, block) in taken.blocks {
        hours.entry(at).or_default().push((Some(bucket), block));
    }
    let admissions = admissions(kinds, |_| None);
    for (at, lines) in taken.lines {
        let mut rows = FewRows::new(kinds, kind(kinds, at), &admissions[at.0]);
        rows.add(lines.as_bytes(), wanted).unwrap();
        let block = rows.finish().unwrap();
        hours
            .entry(at)
            .or_default()
            .extend(block.map(|block| (None, block)));
    }
    hours
}

fn kind(kinds: &Kinds, at: KindHour) -> &Kind {
    kinds.iter().nth(at.0).unwrap()
}

fn batch(kinds: &Arc<Kinds>, at: KindHour, blocks: Vec<Block>) -> RecordBatch {
    let mut types = SignalTypes::default();
    types.add(kind(kinds, at), [("spare", lake::rows::ColumnType::Number)]);
    let rows = HourRows::of(kinds.clone(), at.0, blocks, None, |_| {});
    let columns = Columns::new(kind(kinds, at), types);
    rows.into_batch(&columns).unwrap().0
}

#[test]
fn an_hour_is_the_same_whether_its_lines_or_its_rows_waited() {
    let kinds = Arc::new(Kinds::builtin());
    let whole = Buckets::new(1, 1);
    let all = |few_bytes: usize| {
        let taken = taken(&kinds, whole, few_bytes);
        let counts = (taken.blocks.len(), taken.lines.len());
        let hours = blocks(&kinds, taken, None).into_iter().map(|(at, blocks)| {
            let blocks = blocks.into_iter().map(|(_, block)| block).collect();
            (at, batch(&kinds, at, blocks))
        });
        (counts, hours.collect::<Vec<_>>())
    };
    let (counts, rows) = all(0);
    assert_eq!(counts, (3, 0));
    let columns: Vec<_> = signals_in(&rows[0].1).map(|(name, _)| name).collect();
    assert!(columns.contains(&"spare") && columns.contains(&"engine_rpm"));
    let ids = rows[0].1["event_id"].as_string::<i32>();
    let senders = rows[0].1["sender"].as_string::<i32>();
    let sender = |id: &str| {
        let row = ids.iter().position(|other| other == Some(id)).unwrap();
        senders.is_valid(row).then(|| senders.value(row))
    };
    assert_eq!(
        [sender("e-201"), sender("e-202"), sender("e-203")],
        [None, Some("key-1"), Some("key-2")]
    );
    for (few_bytes, expected) in [(4096, (2, 1)), (256 * 1024, (1, 2)), (1 << 20, (0, 3))] {
        let (counts, some_lines) = all(few_bytes);
        assert_eq!(counts, expected);
        assert_eq!(rows, some_lines);
    }
}

#[test]
fn an_event_waits_for_the_stored_types_of_its_kind_and_of_no_other() {
    let kinds = Arc::new(Kinds::builtin());
    let cell = r#"{"kind":"cell","event_id":"c","ingest_received_at":"2026-11-20T15:00:00.000Z","schema_version":1,"source":"pm","event_time":"2026-11-20T12:00:00Z","entity_type":"cell","entity_id":"c","metrics":{"cqi":3}}"#;
    let vehicles = lines();
    let text = format!("{cell}\n{vehicles}{cell}\n");
    let unknown: Arc<[Admission]> = kinds.iter().map(Admission::unknown).collect();
    let mut gathering = Gathering::new(kinds.clone(), unknown.clone(), Buckets::new(1, 1));
    let (mut from, mut asked) = (0, Vec::new());
    loop {
        let rest = &text.as_bytes()[from..];
        let refused = |refused: lake::rows::Refused<'_>| panic!("{refused:?}");
        match gathering.add(3, from as u64, rest, |_| true, refused) {
            Ok(Added::Waits { kind, from: at }) => {
                from += at;
                let name = &kinds.iter().nth(kind).unwrap().name;
                asked.push((name.as_str(), from));
                unknown[kind].know(kinds.get(name).unwrap(), None);
            }
            all => break assert_eq!(all, Ok(Added::All)),
        }
    }
    assert_eq!(asked, [("cell", 0), ("vehicle", cell.len() + 1)]);
    let mut known = Gathering::new(
        kinds.clone(),
        admissions(&kinds, |_| None),
        Buckets::new(1, 1),
    );
    known.add_declared(3, 0, text.as_bytes(), |refused| panic!("{refused:?}"));
    let hours = |gathering: &mut Gathering| {
        let hours = blocks(&kinds, gathering.take().unwrap(), None).into_iter();
        let hours = hours.map(|(at, blocks)| {
            let spans: Vec<_> = blocks
                .iter()
                .map(|(_, block)| format!("{block:?}"))
                .collect();
            (at, spans)
        });
        hours.collect::<Vec<_>>()
    };
    assert_eq!(hours(&mut gathering), hours(&mut known));
}

#[test]
fn lines_tell_the_signals_that_rows_tell() {
    let kinds = Arc::new(Kinds::builtin());
    let names = |few_bytes: usize| {
        let taken = taken(&kinds, Buckets::new(1, 1), few_bytes);
        let mut hours: BTreeMap<KindHour, Vec<_>> = BTreeMap::new();
        for (at, _, block) in &taken.blocks {
            let types = block.signal_types(kind(&kinds, *at));
            let types = types.map(|(name, r#type)| (name.to_ascii_lowercase(), r#type));
            hours.entry(*at).or_default().extend(types);
        }
        for (at, lines) in &taken.lines {
            let types = lines.signal_types();
            let types = types.map(|(name, r#type)| (name.to_ascii_lowercase(), r#type));
            hours.entry(*at).or_default().extend(types);
            assert_eq!(lines.signals(), hours[at].len());
        }
        hours.values_mut().for_each(|names| names.sort());
        hours
    };
    assert_eq!(names(0), names(1 << 20));
}

#[test]
fn each_bucket_has_its_rows_and_small_blocks_are_not_divided() {
    let kinds = Arc::new(Kinds::builtin());
    let division = Buckets::new(7, 8);
    let of_hour = |wanted: Option<Bucket>| {
        let taken = taken(&kinds, division, 4096);
        let hours = blocks(&kinds, taken, wanted).into_iter();
        let kinds = kinds.clone();
        hours.map(move |(at, blocks)| {
            let there = |bucket: Option<Bucket>| match (wanted, bucket) {
                (Some(wanted), Some(bucket)) => wanted.meets(bucket),
                _ => true,
            };
            let blocks = blocks.into_iter().filter(|(bucket, _)| there(*bucket));
            let blocks: Vec<_> = blocks.map(|(_, block)| block).collect();
            let count = blocks.len();
            let rows = HourRows::of(kinds.clone(), at.0, blocks, wanted, |_| {});
            (count, rows.len())
        })
    };
    // 1,800 rows of the first hour in eight blocks of its ids, 198 of the second in one, two lines of the third.
    let counts: Vec<_> = of_hour(None).collect();
    let blocks: Vec<_> = counts.iter().map(|(blocks, _)| *blocks).collect();
    assert_eq!(blocks, [8, 1, 1]);
    let mut sums = vec![0; counts.len()];
    for number in 0..division.count() {
        let in_bucket = of_hour(Some(division.bucket(number)));
        for (sum, (blocks, rows)) in sums.iter_mut().zip(in_bucket) {
            assert!(blocks <= 1);
            *sum += rows;
        }
    }
    let rows: Vec<_> = counts.iter().map(|(_, rows)| *rows).collect();
    assert_eq!(sums, rows);
}
