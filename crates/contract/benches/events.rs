//! What each step of an event's way through this crate costs, next to the floor: the same work by
//! library calls alone, with the fields known when it was compiled.
//!
//! `cargo bench -p contract` measures; the summary at the end gives the best of many rounds, which
//! other processes on the machine disturb least.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time, on no runtime"
)]

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use contract::{
    Envelope, Event, Format, Kinds, Packer, SentReader, Unpacker, derive_event_id, each_text,
    parse_line, write_line,
};
use criterion::{Criterion, Throughput};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;

/// Events of a bulk request.
const EVENTS: usize = 500;
const RECEIVED_AT: &str = "2025-10-04T13:00:00.000Z";

/// The vehicle's contract as one would write it by hand: what parsing costs at least.
#[derive(Deserialize)]
#[allow(dead_code, reason = "read for its cost alone")]
struct VehicleByHand<'a> {
    timestamp: &'a str,
    vehicle_id: &'a str,
    can_id: &'a str,
    payload: PayloadByHand,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "read for its cost alone")]
struct PayloadByHand {
    engine_rpm: Option<f64>,
    vehicle_speed_kmh: Option<f64>,
    gear: Option<i64>,
    throttle_pct: Option<f64>,
    brake_status: Option<bool>,
    coolant_temp_c: Option<f64>,
}

/// A cell's contract, likewise.
#[derive(Deserialize)]
#[allow(dead_code, reason = "read for its cost alone")]
struct CellByHand<'a> {
    event_id: Option<&'a str>,
    schema_version: i64,
    source: &'a str,
    event_time: &'a str,
    entity_type: &'a str,
    entity_id: &'a str,
    metrics: MetricsByHand,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "read for its cost alone")]
struct MetricsByHand {
    dl_prb_util_pct: Option<f64>,
    ul_prb_util_pct: Option<f64>,
    rrc_conn_avg: Option<f64>,
    drop_rate_pct: Option<f64>,
}

/// 200-byte vehicle events without an id, as a fleet sends them.
fn vehicles() -> Vec<String> {
    let mut random = StdRng::seed_from_u64(7);
    (0..EVENTS)
        .map(|at| {
            format!(
                r#"{{"timestamp":"2025-10-04T12:{:02}:{:02}.{:03}Z","vehicle_id":"veh-{:05}","can_id":"0x1F0","payload":{{"engine_rpm":{},"vehicle_speed_kmh":{:.1},"gear":{},"throttle_pct":{:.1},"brake_status":{},"coolant_temp_c":{:.1}}}}}"#,
                at / 60 % 60,
                at % 60,
                random.random_range(0..1000),
                random.random_range(0..500),
                random.random_range(700..6000),
                random.random_range(0.0..180.0),
                random.random_range(0..7),
                random.random_range(0.0..100.0),
                random.random_bool(0.2),
                random.random_range(60.0..110.0),
            )
        })
        .collect()
}

/// Cell events with ids.
fn cells() -> Vec<String> {
    let mut random = StdRng::seed_from_u64(8);
    (0..EVENTS)
        .map(|at| {
            format!(
                r#"{{"event_id":"{}","schema_version":1,"source":"pmgen","event_time":"2025-10-04T12:{:02}:{:02}.000Z","entity_type":"cell","entity_id":"CELL-{:06}","metrics":{{"dl_prb_util_pct":{:.1},"ul_prb_util_pct":{:.1},"rrc_conn_avg":{:.1},"drop_rate_pct":{:.2}}}}}"#,
                uuid::Uuid::from_u128(random.random()),
                at / 60 % 60,
                at % 60,
                random.random_range(0..300),
                random.random_range(0.0..100.0),
                random.random_range(0.0..100.0),
                random.random_range(0.0..900.0),
                random.random_range(0.0..3.0),
            )
        })
        .collect()
}

/// One line of the summary: a name and what handles all the events once.
type Row<'a> = (&'static str, Box<dyn FnMut() + 'a>);

fn main() {
    let kinds = Kinds::builtin();
    let now: DateTime<Utc> = RECEIVED_AT.parse().expect("a valid time");
    let (vehicles, cells) = (vehicles(), cells());
    let read = |texts| -> Vec<Event<'_>> { read_all(&kinds, texts, now) };
    let (vehicle_events, cell_events) = (read(&vehicles), read(&cells));
    let with_ids: Vec<Event<'_>> = vehicle_events
        .iter()
        .map(|event| Event {
            event_id: Some("0198c1f0-5a3b-7c11-8e22-000000000000".into()),
            ..event.clone()
        })
        .collect();
    let (vehicle_lines, cell_lines) = (
        lines(&vehicle_events, &vehicles),
        lines(&cell_events, &cells),
    );
    let mut packer = Packer::new().expect("zstd sets itself up");
    let pack = packer
        .pack(vehicle_lines.as_bytes())
        .expect("packs")
        .remove(0);
    let attributes = pack.attributes();
    let envelope = Envelope::read(&pack.body, &attributes);
    let mut floor_zstd = zstd::bulk::Compressor::new(1).expect("zstd sets itself up");
    let mut whole_zstd = zstd::bulk::Compressor::new(1).expect("zstd sets itself up");
    let (array, ndjson) = (format!("[{}]", vehicles.join(",")), vehicles.join("\n"));
    let mut unpacker = Unpacker::default();
    let mut line = Vec::new();
    let mut line_with_id = Vec::new();
    let mut way = Vec::new();
    let mut way_packer = Packer::new().expect("zstd sets itself up");

    let mut rows: Vec<Row<'_>> = vec![
        (
            "floor: parse, zstd, base64",
            Box::new(|| {
                vehicles.iter().for_each(|text| parse_by_hand(text));
                let packed = whole_zstd
                    .compress(vehicle_lines.as_bytes())
                    .expect("packs");
                black_box(STANDARD.encode(packed));
            }),
        ),
        (
            "ingest's whole way",
            Box::new(|| {
                way.clear();
                let mut reader = SentReader::new(&kinds, None);
                for text in &vehicles {
                    let event = reader.read(text, now).expect("valid");
                    write_line(&mut way, &event, RECEIVED_AT, text);
                }
                black_box(way_packer.pack(&way).expect("packs"));
            }),
        ),
        (
            "consumer's way: unpack, parse_line",
            Box::new(|| {
                let text = envelope.text(&mut Unpacker::default()).expect("unpacks");
                for line in text.lines() {
                    black_box(parse_line(&kinds, line).expect("valid"));
                }
            }),
        ),
        (
            "each_text, array",
            Box::new(|| {
                each_text(array.as_bytes(), Format::Json, |text, _| {
                    black_box(text).expect("UTF-8");
                    ControlFlow::Continue(())
                })
                .expect("an array");
            }),
        ),
        (
            "each_text, lines",
            Box::new(|| {
                each_text(ndjson.as_bytes(), Format::Ndjson, |text, _| {
                    black_box(text).expect("UTF-8");
                    ControlFlow::Continue(())
                })
                .expect("lines");
            }),
        ),
        (
            "parse by hand, vehicle",
            Box::new(|| vehicles.iter().for_each(|text| parse_by_hand(text))),
        ),
        (
            "SentReader::read, vehicle",
            Box::new(|| {
                let mut reader = SentReader::new(&kinds, None);
                for text in &vehicles {
                    black_box(reader.read(text, now).expect("valid"));
                }
            }),
        ),
        (
            "parse_line, vehicle",
            Box::new(|| {
                for line in vehicle_lines.lines() {
                    black_box(parse_line(&kinds, line).expect("valid"));
                }
            }),
        ),
        (
            "parse by hand, cell",
            Box::new(|| {
                for text in &cells {
                    black_box(serde_json::from_str::<CellByHand<'_>>(text).expect("valid"));
                }
            }),
        ),
        (
            "SentReader::read, cell",
            Box::new(|| {
                let mut reader = SentReader::new(&kinds, None);
                for text in &cells {
                    black_box(reader.read(text, now).expect("valid"));
                }
            }),
        ),
        (
            "parse_line, cell",
            Box::new(|| {
                for line in cell_lines.lines() {
                    black_box(parse_line(&kinds, line).expect("valid"));
                }
            }),
        ),
        (
            "derive_event_id",
            Box::new(|| {
                for event in &vehicle_events {
                    black_box(derive_event_id(event));
                }
            }),
        ),
        (
            "write_line, id derived",
            Box::new(|| {
                for (event, text) in vehicle_events.iter().zip(&vehicles) {
                    line.clear();
                    write_line(&mut line, event, RECEIVED_AT, text);
                    black_box(&line);
                }
            }),
        ),
        (
            "write_line, id given",
            Box::new(|| {
                for (event, text) in with_ids.iter().zip(&vehicles) {
                    line_with_id.clear();
                    write_line(&mut line_with_id, event, RECEIVED_AT, text);
                    black_box(&line_with_id);
                }
            }),
        ),
        (
            "floor: zstd and base64",
            Box::new(|| {
                let packed = floor_zstd
                    .compress(vehicle_lines.as_bytes())
                    .expect("packs");
                black_box(STANDARD.encode(packed));
            }),
        ),
        (
            "Packer::pack",
            Box::new(|| {
                black_box(packer.pack(vehicle_lines.as_bytes()).expect("packs"));
            }),
        ),
        (
            "Envelope::text",
            Box::new(|| {
                black_box(envelope.text(&mut unpacker).expect("unpacks"));
            }),
        ),
        (
            "Envelope::text, new Unpacker",
            Box::new(|| {
                let text = envelope.text(&mut Unpacker::default());
                black_box(text.expect("unpacks"));
            }),
        ),
    ];

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("events");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, row) in &mut rows {
        group.bench_function(*name, |bencher| bencher.iter(&mut *row));
    }
    group.finish();
    criterion.final_summary();
    // Under `cargo test` each row runs once, and there is nothing to sum up.
    if std::env::args().any(|argument| argument == "--bench") {
        summary(&mut rows);
    }
}

fn read_all<'a>(kinds: &'a Kinds, texts: &'a [String], now: DateTime<Utc>) -> Vec<Event<'a>> {
    let mut reader = SentReader::new(kinds, None);
    texts
        .iter()
        .map(|text| reader.read(text, now).expect("valid"))
        .collect()
}

fn lines(events: &[Event<'_>], texts: &[String]) -> String {
    let mut lines = Vec::new();
    for (event, text) in events.iter().zip(texts) {
        write_line(&mut lines, event, RECEIVED_AT, text);
    }
    String::from_utf8(lines).expect("lines are UTF-8")
}

fn parse_by_hand(text: &str) {
    black_box(serde_json::from_str::<VehicleByHand<'_>>(text).expect("valid"));
}

/// The best of many rounds of each row, taken in turn so that a busy stretch falls on all of them.
fn summary(rows: &mut [Row<'_>]) {
    let mut best = vec![Duration::MAX; rows.len()];
    for _ in 0..400 {
        for ((_, row), best) in rows.iter_mut().zip(&mut best) {
            let start = Instant::now();
            row();
            *best = (*best).min(start.elapsed());
        }
    }
    println!(
        "\n{:<36} {:>9} {:>9}",
        "best of 400 rounds", "ns/event", "of floor"
    );
    for ((name, _), time) in rows.iter().zip(&best) {
        println!(
            "{name:<36} {:>9.1} {:>9.2}",
            time.as_nanos() as f64 / EVENTS as f64,
            time.as_secs_f64() / best[0].as_secs_f64()
        );
    }
}
