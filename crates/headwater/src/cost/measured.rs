//! Figures of the pipeline that the bill goes by. Each says whether it was measured, and by which command, or is
//! reckoned or assumed. CPU figures are seconds on the machine of docs/benchmarks.md.

/// Events a second that one aggregator keeps up with, on two cores. More need lanes (adr/0021), which are not built.
///
/// Reckoned with a margin from `AGGREGATOR_CPU`, not measured over an hour.
pub(super) const ONE_AGGREGATOR: f64 = 20_000.0;

/// CPU of ingest for an event, by the number of events in a post.
pub(super) fn ingest_cpu(batch: f64) -> f64 {
    INGEST_POST_CPU / batch + INGEST_EVENT_CPU
}

/// CPU of ingest for a post: measured by `bench ingest-single`.
const INGEST_POST_CPU: f64 = 24.4e-6;
/// CPU of ingest for an event in a post of 500: measured by `bench ingest-bulk`.
const INGEST_EVENT_CPU: f64 = 1.9e-6;
/// CPU of the consumer for an event in packs: measured by `bench consumer`.
pub(super) const CONSUMER_CPU: f64 = 0.97e-6;
/// CPU of the aggregator for an event: measured by `bench aggregator`.
pub(super) const AGGREGATOR_CPU: f64 = 4.0e-6;
/// CPU of ingest on top for an event, if each event is a message of its own. An estimate: `bench plain-plan`, which
/// runs ingest so, measures events a second.
pub(super) const PLAIN_MORE_CPU: f64 = 18e-6;
/// CPU of the consumer for an event that is a message of its own. An estimate, as `PLAIN_MORE_CPU`.
pub(super) const PLAIN_CONSUMER_CPU: f64 = 51e-6;

/// Bytes of a pack for an event of `bytes` as sent, without an id of its own: a line through measurements, to which
/// the test of this module holds it.
pub(super) fn packed_bytes(bytes: f64) -> f64 {
    0.123 * bytes + 27.6
}

/// Bytes of a line in `raw/`: what was sent, and the server's three fields. Counted by the test of this module.
pub(super) fn line_bytes(bytes: f64) -> f64 {
    bytes + 115.0
}

/// Bytes in `curated/` for an event of `bytes` as sent: an id hardly compresses. A line through measurements, to which
/// the test of this module holds it.
pub(super) fn curated_bytes(bytes: f64) -> f64 {
    0.07 * bytes + 18.0
}

/// Bytes of an event in the digest of its part's ids: reckoned, differences of some 27 bits as LEB128.
pub(super) const DIGEST_BYTES: f64 = 4.0;

/// Bytes in `aggregates/` for an entity and hour, Parquet and JSONL together, with a handful of signals: measured by
/// the test of this module.
pub(super) const AGGREGATE_BYTES: f64 = 2_080.0;

/// Events of an hour whose rows are one part at the default of MEMORY_LIMIT: measured by the test of this module.
pub(super) const PART_EVENTS: f64 = 1_120_000.0;

/// A send to SQS and its answer, within a region. Assumed: 12 ms on the way, as in the counts to which `plans` is
/// held, and some for the service.
pub(super) const SEND_SECONDS: f64 = 0.015;
/// A receive and its answer, within a region: the same 12 ms.
pub(super) const RECEIVE_SECONDS: f64 = 0.012;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytesize::ByteSize;
    use chrono::{DateTime, Utc};
    use simulator::{Generator, Plan};

    use super::super::counted_lake::{CountedLake, lines};
    use super::*;

    const VEHICLES: u32 = 200;

    fn end_of_hour() -> DateTime<Utc> {
        "2026-11-20T12:59:59Z".parse().unwrap()
    }

    /// So many events of vehicles over an hour.
    fn events(count: u64) -> Vec<String> {
        let plan = Plan {
            vehicles: VEHICLES,
            cells: 0,
            count: Some(count),
            seed: 20_261_121,
            ..Plan::default()
        };
        let plan = plan.spread_before(end_of_hour(), Duration::from_secs(3_590));
        let events = Generator::new(&plan).unwrap();
        events.map(|event| event.body).collect()
    }

    fn is_about(what: &str, measured: f64, figure: f64) {
        let off = measured / figure;
        println!("{what}: {measured:.1} measured, {figure:.1} in the bill");
        assert!(
            (0.8..1.2).contains(&off),
            "{what}: {measured} is not {figure}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_bytes_of_an_event_are_as_measured() {
        // 2 million events of 2,000 vehicles in 24 hours are 41.7 of a vehicle in an hour.
        let events = events(8_340);
        let count = events.len() as f64;
        let sent = events.iter().map(String::len).sum::<usize>() as f64 / count;
        println!("{sent:.1} bytes an event");
        let lake = CountedLake::new(end_of_hour()).await;
        let landed = lake.land(end_of_hour(), &events).await as f64 / count;
        let counted = landed - sent;
        assert!((110.0..120.0).contains(&counted), "{counted} bytes added");
        let lines = lines(end_of_hour(), &events).concat();
        let packs = contract::Packer::new().unwrap().pack(&lines).unwrap();
        let packed = packs.iter().map(|pack| pack.body.len()).sum::<usize>() as f64 / count;
        is_about("a pack", packed, packed_bytes(sent));
        lake.run(end_of_hour()).await;
        let bytes = async |prefix| lake.sizes(prefix).await.iter().sum::<u64>() as f64;
        is_about(
            "curated/",
            bytes("curated/").await / count,
            curated_bytes(sent),
        );
        let aggregates = bytes("aggregates/").await / f64::from(VEHICLES);
        is_about("aggregates/", aggregates, AGGREGATE_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_that_needs_more_memory_has_more_parts() {
        // A 512th of the default: an hour of few events will do. A part takes more than the bill reckons with.
        let memory = aggregator::Config::default().memory_limit.as_u64() / 512;
        for (share, parts) in [(0.7, 1), (2.0, 2)] {
            let mut lake = CountedLake::new(end_of_hour()).await;
            lake.settings.memory_limit = ByteSize::b(memory);
            let events = events((share * PART_EVENTS / 512.0) as u64);
            lake.land(end_of_hour(), &events).await;
            lake.run(end_of_hour()).await;
            assert_eq!(lake.sizes("curated/").await.len(), parts, "{share}");
        }
    }
}
