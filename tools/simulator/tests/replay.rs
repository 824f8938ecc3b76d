//! Replays of made-up recordings.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use contract::Kinds;
use simulator::{Replay, ReplayCounts, ReplayError, Skip, Speed};

/// Three events of a cell in two seconds, and a line that is none.
const LINES: &str = "\
    {\"event_time\":\"2031-05-17T09:00:00Z\",\"entity_id\":\"CELL-1\",\"metrics\":{\"cqi\":11}}\n\
    {\"event_time\":\"2031-05-17T09:00:01Z\",\"entity_id\":\"CELL-1\",\"metrics\":{\"cqi\":12}}\n\
    {\"event_time\":\n\
    {\"event_time\":\"2031-05-17T09:00:02Z\",\"entity_id\":\"CELL-2\",\"metrics\":{\"cqi\":13}}\n";

fn new(files: &[PathBuf], speed: Speed) -> Result<Replay, ReplayError> {
    Replay::new(files, &Kinds::builtin(), speed)
}

fn read(file: PathBuf) -> (Vec<String>, ReplayCounts) {
    let mut replay = new(&[file], Speed::Max).unwrap();
    let events = replay.by_ref().map(|event| event.unwrap().body).collect();
    (events, replay.counts().clone())
}

#[test]
fn packed_files_and_files_given_twice_yield_the_very_same_events() {
    let folder = tempfile::tempdir().unwrap();
    let [plain, gzip, zstd] =
        ["a.ndjson", "a.jsonl.gz", "a.json.zst"].map(|name| folder.path().join(name));
    std::fs::write(&plain, LINES).unwrap();
    let file = std::fs::File::create(&gzip).unwrap();
    let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packer.write_all(LINES.as_bytes()).unwrap();
    packer.finish().unwrap();
    std::fs::write(&zstd, zstd::encode_all(LINES.as_bytes(), 1).unwrap()).unwrap();
    let (events, counts) = read(plain.clone());
    assert_eq!((counts.lines, counts.events, events.len()), (4, 3, 3));
    assert_eq!(counts.skipped, BTreeMap::from([(Skip::NotJson, 1)]));
    for file in [plain, gzip, zstd] {
        assert_eq!(read(file), (events.clone(), counts.clone()));
    }
}

#[test]
fn files_that_are_no_events_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("trip.csv.gz");
    std::fs::write(&csv, "").unwrap();
    let error = |file: PathBuf| new(&[file], Speed::Max).err().unwrap();
    let told = error(csv).to_string();
    assert!(
        told.contains("trip.csv.gz") && told.contains("`import`"),
        "{told}"
    );
    let told = error(folder.path().to_owned()).to_string();
    assert!(told.contains("it is a folder"), "{told}");
    let absent = error(folder.path().join("absent.ndjson"));
    assert!(matches!(absent, ReplayError::Read { .. }), "{absent}");
}

#[test]
fn a_slower_replay_spreads_the_events_by_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.ndjson");
    std::fs::write(&file, LINES).unwrap();
    let replay = new(&[file.clone(), file], Speed::Times(2.0)).unwrap();
    let due: Vec<Duration> = replay.map(|event| event.unwrap().due.unwrap()).collect();
    assert_eq!(
        due,
        [0, 500, 1_000, 1_000, 1_500, 2_000].map(Duration::from_millis)
    );
}
