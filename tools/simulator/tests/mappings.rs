//! The mappings that ship, and one of another kind, on made-up rows in the shapes of the data.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use chrono::Utc;
use contract::{Kinds, parse_sent};
use serde_json::{Value, json};
use simulator::{Mapping, Replay, ReplayCounts, ReplayError, Skip, Speed};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("test_data")
        .join(name)
}

fn replay(file: PathBuf, mapping: &str) -> Result<(Vec<String>, ReplayCounts), ReplayError> {
    let kinds = Kinds::builtin();
    let text = Mapping::built_in(mapping).unwrap_or(mapping);
    let mapping = Mapping::parse("test", text, &kinds).unwrap();
    let mut replay = Replay::new(&[file], Some(mapping), &kinds, Speed::Max)?;
    let events = replay
        .by_ref()
        .map(|event| event.map(|event| event.body))
        .collect::<Result<_, _>>()?;
    Ok((events, replay.counts().clone()))
}

fn json(events: &[String]) -> Vec<Value> {
    // Made-up rows are of 2031, which is "the future" to a contract.
    let then = "2031-06-01T00:00:00Z".parse().unwrap();
    for event in events {
        parse_sent(&Kinds::builtin(), None, event, then).unwrap();
    }
    events
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect()
}

#[test]
fn rows_of_the_obd_kit_become_vehicle_events() {
    let (events, counts) = replay(fixture("2031-05-17_Made_Up_Car_A_B.csv"), "obd2-kit").unwrap();
    let events = json(&events);
    assert_eq!(
        events[0],
        json!({"timestamp": "2031-05-17T08:00:00.100Z", "vehicle_id": "seat-leon", "can_id": "0x7E8", "payload": {"coolant_temp_c": 20}})
    );
    assert_eq!(
        events[2]["payload"],
        json!({
            "coolant_temp_c": 20, "intake_pressure_kpa": 101, "engine_rpm": 812.5, "vehicle_speed_kmh": 0,
            "intake_air_temp_c": 18, "air_flow_gps": 2.5, "throttle_pct": 12.5, "ambient_temp_c": 17,
            "accelerator_pedal_pct": 14.5, "accelerator_pedal_e_pct": 14.5
        })
    );
    // The clock steps back by less than a second: no midnight.
    assert_eq!(events[3]["timestamp"], "2031-05-17T07:59:59.950Z");
    assert!(
        events[3]["payload"].get("intake_air_temp_c").is_none(),
        "a sentinel is left out"
    );
    assert_eq!((counts.rows, counts.events, events.len()), (8, 5, 5));
    assert_eq!(
        counts.skipped,
        BTreeMap::from([
            (Skip::NoSignals, 1),
            (Skip::BadTime, 1),
            (Skip::ShortRow, 1)
        ])
    );
    assert_eq!(counts.dropped_values["engine_rpm"], 1);
    assert_eq!(counts.dropped_values["intake_air_temp_c"], 2);
}

#[test]
fn a_mojibake_header_and_crlf_change_nothing_but_the_date_in_the_name() {
    let (plain, plain_counts) =
        replay(fixture("2031-05-17_Made_Up_Car_A_B.csv"), "obd2-kit").unwrap();
    let (other, counts) = replay(
        fixture("2031-05-18_Made_Up_Car_B_A_mojibake_crlf.csv"),
        "obd2-kit",
    )
    .unwrap();
    let plain: Vec<String> = plain
        .iter()
        .map(|event| event.replace("05-17T", "05-18T"))
        .collect();
    assert_eq!((plain, plain_counts), (other, counts));
}

#[test]
fn rows_of_the_5g_traces_become_cell_events_without_missing_values_and_sentinels() {
    let (events, counts) = replay(fixture("B_2031.05.17_09.00.00.csv"), "ucc-5g").unwrap();
    let events = json(&events);
    assert_eq!(
        events[0],
        json!({
            "event_time": "2031-05-17T09:00:00.000Z", "entity_id": "CELL-700001", "entity_type": "cell",
            "schema_version": 1, "source": "g-nettrack",
            "metrics": {
                "rsrp_dbm": -90, "rsrq_db": -11, "snr_db": 8, "cqi": 11, "rssi_dbm": -70, "dl_bitrate_kbps": 1500,
                "ul_bitrate_kbps": 40, "neighbour_rsrp_dbm": -101, "neighbour_rsrq_db": -14, "speed_kmh": 0,
                "longitude_deg": 1.5, "latitude_deg": 2.25, "network_mode": "5G", "state": "D"
            }
        })
    );
    let metrics = events[2]["metrics"].as_object().unwrap();
    for absent in [
        "rsrp_dbm",
        "snr_db",
        "cqi",
        "neighbour_rsrp_dbm",
        "neighbour_rsrq_db",
    ] {
        assert!(!metrics.contains_key(absent), "{absent}");
    }
    assert_eq!(metrics["ping_avg_ms"], 24.5);
    assert_eq!((counts.rows, events.len()), (6, 3));
    assert_eq!(
        counts.skipped,
        BTreeMap::from([
            (Skip::NoEntity, 1),
            (Skip::BadEntity, 1),
            (Skip::BadTime, 1)
        ])
    );
}

#[test]
fn a_logger_of_another_make_needs_nothing_but_a_mapping() {
    let mapping = "kind = 'vehicle'
        [csv]
        delimiter = ';'
        decimal = ','
        skip_lines = 1
        [entity]
        column = 'car'
        prefix = 'veh-'
        [time]
        columns = ['day', 'time of day']
        format = '%d.%m.%y %H:%M'
        zone = '+02:00'
        [fields]
        can_id = '0x100'
        [[signals]]
        name = 'engine_rpm'
        starts_with = 'rpm'
        [[signals]]
        name = 'battery_v'
        matches = '^volt'
        [[signals]]
        name = 'gear'
        column = 'gear'
        type = 'integer'
    ";
    let file = fixture("semicolons.csv");
    // Day before month before year, as written there.
    let (events, counts) = replay(file, mapping).unwrap();
    assert_eq!(
        json(&events),
        [
            json!({"timestamp": "2031-05-17T06:00:00.000Z", "vehicle_id": "veh-12", "can_id": "0x100", "payload": {"engine_rpm": 812.5}}),
            json!({"timestamp": "2031-05-17T06:01:00.000Z", "vehicle_id": "veh-13", "can_id": "0x100", "payload": {"engine_rpm": 1.2}}),
        ]
    );
    assert_eq!(
        counts.dropped_values,
        BTreeMap::from([("battery_v".to_owned(), 2)])
    );
    assert_eq!(
        counts.absent_columns,
        BTreeMap::from([("gear".to_owned(), 1)])
    );
}

#[test]
fn packed_files_and_files_given_twice_yield_the_very_same_events() {
    let name = "B_2031.05.17_09.00.00.csv";
    let text = std::fs::read(fixture(name)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let gzip = folder.path().join(format!("{name}.gz"));
    let mut packer = flate2::write::GzEncoder::new(
        std::fs::File::create(&gzip).unwrap(),
        flate2::Compression::fast(),
    );
    std::io::Write::write_all(&mut packer, &text).unwrap();
    packer.finish().unwrap();
    let zstd = folder.path().join(format!("{name}.zst"));
    std::fs::write(&zstd, zstd::encode_all(text.as_slice(), 1).unwrap()).unwrap();
    let plain = replay(fixture(name), "ucc-5g").unwrap();
    for file in [fixture(name), gzip, zstd] {
        assert_eq!(replay(file, "ucc-5g").unwrap(), plain);
    }
}

#[test]
fn files_that_do_not_fit_say_what_they_lack() {
    let error = replay(fixture("semicolons.csv"), "ucc-5g")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("semicolons.csv") && error.contains("RAWCELLID"),
        "{error}"
    );
    let error = replay(fixture("absent.csv"), "ucc-5g").unwrap_err();
    assert!(matches!(error, ReplayError::Read { .. }));
    let unmapped = Replay::new(
        &[fixture("semicolons.csv")],
        None,
        &Kinds::builtin(),
        Speed::Max,
    );
    assert!(unmapped.err().unwrap().to_string().contains("--mapping"));
}

#[test]
fn a_slower_replay_spreads_the_events_by_their_times() {
    let kinds = Kinds::builtin();
    let mapping = Mapping::parse("test", Mapping::built_in("ucc-5g").unwrap(), &kinds).unwrap();
    let file = fixture("B_2031.05.17_09.00.00.csv");
    let replay = Replay::new(
        &[file.clone(), file],
        Some(mapping),
        &kinds,
        Speed::Times(2.0),
    )
    .unwrap();
    let due: Vec<Duration> = replay.map(|event| event.unwrap().due.unwrap()).collect();
    assert_eq!(due, [0, 0, 500, 500, 500, 1_000].map(Duration::from_millis));
}

#[test]
fn recorded_files_are_read_whole() {
    let Some(folder) = option_env_folder() else {
        eprintln!("skipped: HEADWATER_RECORDED does not name a folder of recorded data");
        return;
    };
    let kinds = Kinds::builtin();
    for (part, mapping) in [
        ("vehicle-kit-obd2", "obd2-kit"),
        ("cells-ucc-5g-drivetest", "ucc-5g"),
    ] {
        let mut files = Vec::new();
        find(&folder.join(part), &mut files);
        let mapping = Mapping::parse(mapping, Mapping::built_in(mapping).unwrap(), &kinds).unwrap();
        let mut replay = Replay::new(&files, Some(mapping), &kinds, Speed::Max).unwrap();
        let now = Utc::now();
        for event in replay.by_ref() {
            let body = event.unwrap().body;
            parse_sent(&kinds, None, &body, now)
                .unwrap_or_else(|rejection| panic!("{rejection}: {body}"));
        }
        let counts = replay.counts();
        eprintln!("{part}: {counts}");
        assert!(
            counts.events > 0 && counts.events * 100 > counts.rows * 99,
            "{part}: {counts}"
        );
    }
}

/// Tests may read their environment: it is the only way to hand them a folder.
#[allow(clippy::disallowed_methods)]
fn option_env_folder() -> Option<PathBuf> {
    std::env::var("HEADWATER_RECORDED")
        .ok()
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir())
}

fn find(folder: &std::path::Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = folder.read_dir() else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        match path.is_dir() {
            true => find(&path, files),
            false if path.to_string_lossy().ends_with(".csv.gz") => files.push(path),
            false => {}
        }
    }
}
