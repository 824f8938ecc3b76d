//! The scenarios by name: what each measures, and what it needs.

use clap::ValueEnum;

use crate::run_args::RunArgs;

/// What can be measured. `bench list` and `--help` print the comment of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// the ones below, but those that say otherwise
    All,
    /// CPU of ingest, 500 events a post, against the floor; its memory
    IngestBulk,
    /// CPU of ingest, one event a post, against a bare handler
    IngestSingle,
    /// CPU and memory of a consumer that empties a full queue
    Consumer,
    /// requests and dollars for a million events through SQS and S3
    Requests,
    /// CPU and memory of the aggregator, against DuckDB (needs Python)
    Aggregator,
    /// the aggregator on ten times as many events (with --long)
    #[value(name = "aggregator-20m")]
    Aggregator20m,
    /// one hour of 36 million events (--hour-events) against 2 million (with --long)
    AggregatorHour,
    /// the same hour in 60 runs against one run (with --long)
    AggregatorMinutes,
    /// events each in an hour of its own, beside normal load (with --long)
    AggregatorStray,
    /// a year of sparse hours at 12 ms a request, and once more (with --long)
    AggregatorYear,
    /// lines of many hours in any order against the same in order (with --long)
    AggregatorShuffled,
    /// a run with nothing to do on a lake of a million raw objects (with --long)
    Idle,
    /// events/s end to end in bulk (LocalStack, with --localstack)
    LocalstackBulk,
    /// events/s end to end, one a post (LocalStack)
    LocalstackSingle,
    /// events/s against one event a message (LocalStack)
    PlainPlan,
    /// time of 10,000 events into S3 (LocalStack)
    #[value(name = "localstack-10k")]
    Localstack10k,
    /// latency of 100 single events a second (LocalStack)
    LocalstackTrickle,
    /// from 202 to counted by SQL, 500 events/s (LocalStack; with the feature sql)
    LocalstackFresh,
    /// from 202 to the webhook of an alert, 1,000 events/s (LocalStack)
    LocalstackAlerts,
    /// how cost grows with the work (not in all)
    Growth,
    /// latency against PUTs, with and without BATCH_ADAPTIVE (not in all)
    Adaptive,
    /// latency of one key while another floods ingest (not in all)
    Fair,
    /// CPU of ingest over https against http, in bulk and one event a post (not in all)
    Tls,
    /// memory under full load for 20 minutes (not in all)
    Memory,
    /// questions to query, against DuckDB on the same files (needs Python; not in all)
    Query,
}

impl Scenario {
    pub(crate) fn needs_localstack(self) -> bool {
        matches!(
            self,
            Scenario::LocalstackBulk
                | Scenario::LocalstackSingle
                | Scenario::PlainPlan
                | Scenario::Localstack10k
                | Scenario::LocalstackTrickle
                | Scenario::LocalstackFresh
                | Scenario::LocalstackAlerts
        )
    }

    /// Whether `all` has the scenario.
    fn is_in_all(self, args: &RunArgs) -> bool {
        match self {
            Scenario::All
            | Scenario::Growth
            | Scenario::Adaptive
            | Scenario::Fair
            | Scenario::Tls
            | Scenario::Memory
            | Scenario::Query => false,
            Scenario::Aggregator20m
            | Scenario::AggregatorHour
            | Scenario::AggregatorMinutes
            | Scenario::AggregatorStray
            | Scenario::AggregatorYear
            | Scenario::AggregatorShuffled
            | Scenario::Idle => args.long,
            other => args.localstack || !other.needs_localstack(),
        }
    }

    /// The scenarios that were asked for, each once, with those of `all` in its place.
    pub(crate) fn chosen(asked: &[Scenario], args: &RunArgs) -> Vec<Scenario> {
        let all = asked.contains(&Scenario::All);
        let scenarios = Scenario::value_variants().iter().copied();
        scenarios
            .filter(|scenario| *scenario != Scenario::All)
            .filter(|scenario| asked.contains(scenario) || (all && scenario.is_in_all(args)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Asked {
        #[arg(value_enum)]
        scenarios: Vec<Scenario>,
        #[command(flatten)]
        run: RunArgs,
    }

    fn of(arguments: &[&str]) -> Vec<Scenario> {
        let asked = Asked::try_parse_from(["bench"].iter().chain(arguments)).unwrap();
        Scenario::chosen(&asked.scenarios, &asked.run)
    }

    #[test]
    fn all_has_what_needs_nothing_and_more_where_asked() {
        let all = of(&["all"]);
        assert!(all.contains(&Scenario::Aggregator) && all.contains(&Scenario::Requests));
        assert!(!all.contains(&Scenario::Memory) && !all.contains(&Scenario::PlainPlan));
        assert!(of(&["all", "--long"]).contains(&Scenario::Aggregator20m));
        assert!(of(&["all", "--long"]).contains(&Scenario::Idle) && !all.contains(&Scenario::Idle));
        assert!(of(&["all", "--localstack"]).contains(&Scenario::PlainPlan));
        assert_eq!(of(&["all", "memory", "consumer"]).len(), all.len() + 1);
        assert_eq!(of(&["memory", "memory"]), [Scenario::Memory]);
    }

    #[test]
    fn the_readme_names_every_scenario() {
        let readme = include_str!("../README.md");
        for scenario in Scenario::value_variants() {
            let value = scenario.to_possible_value().unwrap();
            let name = format!("| `{}` |", value.get_name());
            assert!(readme.contains(&name), "{name}");
        }
    }
}
