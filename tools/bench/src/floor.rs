//! The floor, a reference for ingest: the least that bulk ingest has to do, by library calls alone. Each
//! body is checked to be UTF-8, each line is read into a struct written for it, and the lines are
//! compressed as packs are and encoded as base64.

use std::hint::black_box;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::procfs;

/// zstd's level in packs.
const LEVEL: i32 = 1;

/// Bytes of lines that are compressed together: about what a pack of 64 KiB holds.
const PACK_LINES: usize = 256 * 1024;

/// Input of the floor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FloorSpec {
    /// File of events, one a line.
    pub(crate) corpus: PathBuf,
    /// Events of a body.
    pub(crate) batch: usize,
    /// Least number of events; the corpus is repeated until it is reached.
    pub(crate) events: u64,
}

/// What the floor took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FloorReport {
    pub(crate) events: u64,
    pub(crate) cpu_seconds: f64,
    /// Bytes of base64 for each event.
    pub(crate) bytes_per_event: f64,
}

impl FloorReport {
    /// CPU seconds for a million events.
    pub(crate) fn per_million(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.events as f64
    }
}

/// A vehicle's event with the simulator's signals and no others.
#[derive(Debug, Deserialize)]
#[allow(dead_code)]
struct Vehicle<'a> {
    timestamp: &'a str,
    vehicle_id: &'a str,
    can_id: &'a str,
    payload: Payload,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code)]
struct Payload {
    engine_rpm: Option<f64>,
    vehicle_speed_kmh: Option<f64>,
    gear: Option<i64>,
    throttle_pct: Option<f64>,
    brake_status: Option<bool>,
    coolant_temp_c: Option<f64>,
    fuel_level_pct: Option<f64>,
}

/// Does the work on one thread.
pub(crate) fn run(spec: &FloorSpec) -> anyhow::Result<FloorReport> {
    let corpus = std::fs::read(&spec.corpus)
        .with_context(|| format!("cannot read `{}`", spec.corpus.display()))?;
    let bodies = bodies(&corpus, spec.batch.max(1));
    ensure!(!bodies.is_empty(), "the corpus is empty");
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    let mut lines = Vec::with_capacity(PACK_LINES * 2);
    let (mut events, mut encoded) = (0, 0);
    let pid = std::process::id();
    let before = procfs::cpu_seconds(pid)?;
    while events < spec.events {
        for body in &bodies {
            let text = std::str::from_utf8(body).context("the corpus is not text")?;
            for line in text.lines() {
                let vehicle: Vehicle<'_> =
                    serde_json::from_str(line).with_context(|| format!("not an event: {line}"))?;
                black_box(&vehicle);
                events += 1;
            }
            lines.extend_from_slice(body);
            if lines.len() >= PACK_LINES {
                encoded += black_box(STANDARD.encode(compressor.compress(&lines)?)).len();
                lines.clear();
            }
        }
    }
    encoded += STANDARD.encode(compressor.compress(&lines)?).len();
    Ok(FloorReport {
        events,
        cpu_seconds: procfs::cpu_seconds(pid)? - before,
        bytes_per_event: encoded as f64 / events as f64,
    })
}

/// Cuts the corpus into bodies of `batch` lines.
fn bodies(corpus: &[u8], batch: usize) -> Vec<&[u8]> {
    let mut bodies = Vec::new();
    let (mut start, mut lines) = (0, 0);
    for (at, byte) in corpus.iter().enumerate() {
        if *byte == b'\n' {
            lines += 1;
            if lines == batch {
                bodies.push(&corpus[start..=at]);
                (start, lines) = (at + 1, 0);
            }
        }
    }
    if start < corpus.len() {
        bodies.push(&corpus[start..]);
    }
    bodies
}

#[cfg(test)]
mod tests {
    use crate::corpus::{Corpus, Recipe};

    use super::*;

    #[test]
    fn every_event_of_the_simulator_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe {
            events: 2_000,
            vehicles: 50,
        };
        let corpus = Corpus::prepare(recipe, folder.path()).unwrap().path;
        let spec = FloorSpec {
            corpus,
            batch: 300,
            events: 5_000,
        };
        let report = run(&spec).unwrap();
        assert_eq!(report.events, 6_000);
        assert!((5.0..100.0).contains(&report.bytes_per_event), "{report:?}");
    }

    #[test]
    fn bodies_hold_all_lines() {
        assert_eq!(bodies(b"a\nb\nc\n", 2), [&b"a\nb\n"[..], b"c\n"]);
        assert!(bodies(b"", 2).is_empty());
    }
}
