//! From the rate of events to requests, bytes, CPU time and dollars.

use aws::price_per_request;

use super::aggregator::{self, AggregatorRequests};
use super::bill::Bill;
use super::defaults::DEFAULTS;
use super::measured;
use super::prices::{
    FARGATE_GB_HOUR, FARGATE_VCPU_HOUR, FIREHOSE_GB, FIREHOSE_PARQUET_GB, FIREHOSE_ROUNDS_TO, GB,
    KINESIS_GB_IN, KINESIS_GB_OUT, KINESIS_ROUNDS_TO, KINESIS_STREAM_HOUR, S3_GB_MONTH,
    SQS_ABOVE_100_BILLION,
};
use super::settings::{CostConfig, MONTH_HOURS, days};

/// Events of one message batch call, and messages of one object, in the plain plan.
const PLAIN_CALL: f64 = 10.0;
const PLAIN_OBJECT: f64 = 100.0;

/// Share of its vCPU that a task is to use: room for peaks until more tasks have started.
const UTILISATION: f64 = 0.6;

/// vCPUs of an aggregator's task, as terraform/variables.tf has them, and the shortest time that Fargate bills.
const AGGREGATOR_VCPUS: f64 = 2.0;
const SHORTEST_TASK_SECONDS: f64 = 60.0;

/// The smallest step and task of Fargate, in vCPU, and memory for each of them, in GB.
const VCPU_STEP: f64 = 0.25;
const GB_PER_VCPU: f64 = 2.0;

/// Firehose's largest buffer, and the longest that it collects: 128 MiB or 15 minutes.
const FIREHOSE_OBJECT: f64 = 128.0 * 1024.0 * 1024.0;
const FIREHOSE_SECONDS: f64 = 900.0;

/// The bills of the four ways, Headwater's first.
pub fn compare(config: &CostConfig) -> [Bill; 4] {
    [
        headwater(config),
        plain(config),
        firehose(config),
        kinesis(config),
    ]
}

/// What one way uses in a second.
struct Use {
    /// Dollars a second for what carries the events.
    transport: f64,
    /// Objects written before the aggregator: to `raw/`, or by Firehose to its own.
    puts: f64,
    /// vCPUs of the tasks that run all the time.
    vcpus: f64,
    /// Bytes of `raw/`.
    raw: f64,
    /// Aggregators; 0 where nothing aggregates.
    lanes: f64,
}

/// Requests of the pipeline in a second, as AWS bills them.
#[derive(Debug)]
struct Requests {
    sends: f64,
    receives: f64,
    deletes: f64,
    puts: f64,
}

fn requests(config: &CostConfig) -> Requests {
    let (rate, posts) = (config.rate, config.rate / config.batch);
    let lanes = lanes(rate);
    // A group goes once the one before it is back and the linger has passed; each task has groups of its own.
    let round = measured::SEND_SECONDS + config.linger.as_secs_f64();
    let tasks = vcpus(measured::ingest_cpu(config.batch) * rate).ceil();
    let packs = rate * measured::packed_bytes(config.bytes) / contract::MAX_PACK_BYTES as f64;
    let groups = posts.min(tasks / round);
    // The events of a group go to the queues of all lanes, each by a send of its own.
    let sends = (groups * lanes.min(rate / groups)).max(packs);
    // A receive that is not full is followed by a pause; ten full packs are billed as ten requests.
    let receives = packs
        .max(sends / 10.0)
        .max(lanes / (DEFAULTS.receive_pace + measured::RECEIVE_SECONDS));
    let raw = rate * measured::line_bytes(config.bytes);
    let puts = (lanes * objects(sends / lanes, raw / lanes)).min(rate);
    let deletes = (sends / 10.0).max(puts);
    Requests {
        sends,
        receives,
        deletes,
        puts,
    }
}

fn headwater(config: &CostConfig) -> Bill {
    let rate = config.rate;
    let Requests {
        sends,
        receives,
        deletes,
        puts,
    } = requests(config);
    Use {
        transport: sqs_dollars(sends + receives + deletes),
        puts,
        vcpus: vcpus(measured::ingest_cpu(config.batch) * rate)
            + consumers(measured::CONSUMER_CPU, rate),
        raw: rate * measured::line_bytes(config.bytes),
        lanes: lanes(rate),
    }
    .bill("Headwater", config)
}

/// One event a message, ten to a call, an object for each hundred: the pipeline without packs.
fn plain(config: &CostConfig) -> Bill {
    let rate = config.rate;
    let line = measured::line_bytes(config.bytes);
    // Each call carries ten events, or what ten events have in units of 64 KiB.
    let calls = (rate / PLAIN_CALL).max(rate * line / 65_536.0);
    let objects = (rate / PLAIN_OBJECT).max(rate.min(1.0 / DEFAULTS.batch_seconds));
    Use {
        transport: sqs_dollars(2.0 * calls + rate / PLAIN_CALL),
        puts: objects,
        vcpus: vcpus((measured::ingest_cpu(config.batch) + measured::PLAIN_MORE_CPU) * rate)
            + consumers(measured::PLAIN_CONSUMER_CPU, rate),
        raw: rate * line,
        lanes: lanes(rate),
    }
    .bill("plain plan", config)
}

/// Firehose with Direct PUT, converting to Parquet; something of ours still takes the posts.
fn firehose(config: &CostConfig) -> Bill {
    let rate = config.rate;
    let line = measured::line_bytes(config.bytes);
    let billed = (line / FIREHOSE_ROUNDS_TO).ceil() * FIREHOSE_ROUNDS_TO * rate / GB;
    Use {
        transport: billed * (FIREHOSE_GB + FIREHOSE_PARQUET_GB),
        puts: (rate * line / FIREHOSE_OBJECT).max(1.0 / FIREHOSE_SECONDS),
        vcpus: vcpus(measured::ingest_cpu(config.batch) * rate),
        raw: 0.0,
        lanes: 0.0,
    }
    .bill("Firehose", config)
}

/// Kinesis on demand in place of SQS; services as ours before and behind it.
fn kinesis(config: &CostConfig) -> Bill {
    let rate = config.rate;
    let line = measured::line_bytes(config.bytes);
    let billed = (line / KINESIS_ROUNDS_TO).ceil() * KINESIS_ROUNDS_TO * rate / GB;
    let (raw, lanes) = (rate * line, lanes(rate));
    Use {
        transport: billed * KINESIS_GB_IN
            + raw / GB * KINESIS_GB_OUT
            + KINESIS_STREAM_HOUR / 3600.0,
        puts: (lanes * objects(0.0, raw / lanes)).min(rate),
        vcpus: vcpus(measured::ingest_cpu(config.batch) * rate)
            + consumers(measured::CONSUMER_CPU, rate),
        raw,
        lanes,
    }
    .bill("Kinesis on demand", config)
}

/// Aggregators for that many events a second.
fn lanes(rate: f64) -> f64 {
    (rate / measured::ONE_AGGREGATOR).ceil().max(1.0)
}

/// vCPUs of the consumers, which each lane has its own of, at that many CPU seconds an event.
fn consumers(cpu: f64, rate: f64) -> f64 {
    let lanes = lanes(rate);
    lanes * vcpus(cpu * rate / lanes)
}

/// Objects a second of the consumer: one at BATCH_MAX_MESSAGES, BATCH_MAX_BYTES or BATCH_MAX_WAIT.
fn objects(messages: f64, raw_bytes: f64) -> f64 {
    (messages / DEFAULTS.batch_messages)
        .max(raw_bytes / DEFAULTS.batch_bytes)
        .max(1.0 / DEFAULTS.batch_seconds)
}

/// Dollars a second for that many billed requests a second.
fn sqs_dollars(requests: f64) -> f64 {
    let month = requests * MONTH_HOURS * 3600.0;
    let first = month.min(100e9);
    let dollars =
        first * price_per_request("sqs:SendMessageBatch") + (month - first) * SQS_ABOVE_100_BILLION;
    dollars / (MONTH_HOURS * 3600.0)
}

/// vCPUs for that many CPU seconds a second.
fn vcpus(cpu: f64) -> f64 {
    (cpu / UTILISATION / VCPU_STEP).ceil().max(1.0) * VCPU_STEP
}

impl Use {
    fn bill(self, name: &'static str, config: &CostConfig) -> Bill {
        let seconds = MONTH_HOURS * 3600.0;
        let hour = FARGATE_VCPU_HOUR + GB_PER_VCPU * FARGATE_GB_HOUR;
        let mut vcpus = self.vcpus;
        let mut curated = config.rate * measured::curated_bytes(config.bytes);
        // Dollars a second.
        let mut s3 = self.puts * price_per_request("s3:PutObject");
        if self.lanes > 0.0 {
            curated += config.rate * measured::DIGEST_BYTES
                + config.entities() * measured::AGGREGATE_BYTES / 3600.0;
            vcpus += self.aggregator_vcpus(config);
            s3 += self.aggregator_dollars(config);
        }
        let day = 86_400.0 / GB;
        let stored = curated * days(config.retention) + self.raw * days(config.raw_retention);
        let dollars = [
            self.transport * seconds,
            s3 * seconds,
            stored * day * S3_GB_MONTH,
            vcpus * MONTH_HOURS * hour,
        ];
        Bill {
            name,
            lanes: self.lanes as u32,
            dollars,
            total: dollars.iter().sum(),
            requests_per_million: (dollars[0] + dollars[1]) * 1e6 / config.events(),
        }
    }

    /// vCPUs of the aggregators on average: each run is paid for as long as it takes, a minute at least.
    fn aggregator_vcpus(&self, config: &CostConfig) -> f64 {
        let worked = measured::AGGREGATOR_CPU * config.rate / UTILISATION;
        let share = (SHORTEST_TASK_SECONDS / config.interval.as_secs_f64()).min(1.0);
        worked.max(self.lanes * AGGREGATOR_VCPUS * share)
    }

    /// Dollars a second for the requests of the aggregators.
    fn aggregator_dollars(&self, config: &CostConfig) -> f64 {
        let (rate, objects) = (config.rate / self.lanes, self.puts / self.lanes);
        let AggregatorRequests { puts, lists, gets } =
            aggregator::in_an_hour(config, rate, objects);
        let dollars = puts * price_per_request("s3:PutObject")
            + lists * price_per_request("s3:ListObjectsV2")
            + gets * price_per_request("s3:GetObject");
        self.lanes * dollars / 3600.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::config;
    use super::*;

    /// Counted on the embedded emulation with 12 ms on the way to it, 256 connections, 12 s each; 2026-11-21.
    #[test]
    fn single_posts_take_the_requests_that_were_counted() {
        for (rate, sends, receives, deletes, puts) in [
            ("100", 0.2492, 0.0875, 0.0292, 0.005),
            ("1000", 0.0255, 0.0088, 0.0029, 0.0005),
            ("4000", 0.0063, 0.0021, 0.0007, 0.0001),
        ] {
            let config = config(&["--rate", rate, "--batch", "1"]);
            let reckoned = requests(&config);
            for (name, reckoned, counted) in [
                ("sends", reckoned.sends, sends),
                ("receives", reckoned.receives, receives),
                ("deletes", reckoned.deletes, deletes),
                ("puts", reckoned.puts, puts),
            ] {
                let off = reckoned / config.rate / counted;
                // The last figure was rounded to one digit.
                assert!((0.8..1.3).contains(&off), "{name} at {rate}/s: {off}");
            }
        }
    }

    #[test]
    fn a_longer_linger_makes_a_trickle_cheaper() {
        let usual = headwater(&config(&["--batch", "1"]));
        let patient = headwater(&config(&["--batch", "1", "--linger", "1s"]));
        assert!(
            patient.dollars[0] < usual.dollars[0] / 2.0,
            "{patient:?} {usual:?}"
        );
    }

    #[test]
    fn a_flood_past_one_aggregator_says_so_and_pays_for_sends_to_each_lane() {
        let bulk = |rate| headwater(&config(&["--batch", "500", "--rate", rate]));
        let (most, one_more) = (bulk("20000"), bulk("20001"));
        assert!(!most.needs_lanes() && one_more.needs_lanes());
        let (some, many) = (bulk("100000"), bulk("1000000"));
        assert_eq!((some.lanes, many.lanes), (5, 50));
        // What is stored grows with the events; sends grow with lanes times tasks of ingest.
        assert!((many.dollars[2] / some.dollars[2] - 10.0).abs() < 1e-6);
        assert!(
            many.dollars[0] > 20.0 * some.dollars[0],
            "{some:?} {many:?}"
        );
        let [.., firehose, _] = compare(&config(&["--rate", "1000000"]));
        assert_eq!(firehose.lanes, 0);
    }

    #[test]
    fn hours_of_late_events_and_frequent_runs_show_in_the_bill() {
        let s3 = |arguments: &[&str]| headwater(&config(arguments)).dollars[1];
        let usual = s3(&[]);
        // 72 hours more of two kinds, 730 times: $1.58 for a part and two aggregates of each, and about as much for
        // the digests of the parts that an hour has already, 38 on average.
        let late = s3(&["--late-hours", "73"]) - usual;
        assert!((3.2..3.4).contains(&late), "{late}");
        // A listing of `_commits/` and one of `raw/` each two seconds.
        let often = s3(&["--interval", "2s"]) - usual;
        assert!((13.0..15.0).contains(&often), "{often}");
    }

    #[test]
    fn each_rounding_up_of_the_streams_shows() {
        let small = compare(&config(&["--bytes", "100"]));
        let large = compare(&config(&["--bytes", "800"]));
        for at in [2, 3] {
            let (small, large) = (small[at].dollars[0], large[at].dollars[0]);
            assert!((large / small - 1.0).abs() < 0.25, "{small} {large}");
        }
        assert!(large[0].dollars[2] > 2.0 * small[0].dollars[2]);
    }

    #[test]
    fn requests_to_sqs_past_100_billion_a_month_are_cheaper() {
        let month = MONTH_HOURS * 3600.0;
        let price = |requests: f64| sqs_dollars(requests / month) * month;
        assert!((price(100e9) - 40_000.0).abs() < 1e-3);
        assert!((price(200e9) - 70_000.0).abs() < 1e-3);
    }
}
