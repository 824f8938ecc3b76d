//! The services and their processes, by name.

use std::fmt;

/// A service that runs as one or several processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Service {
    Ingest,
    Consumer,
    Aggregator,
}

impl Service {
    pub(crate) const ALL: [Service; 3] = [Service::Ingest, Service::Consumer, Service::Aggregator];

    /// The name of the service's binary.
    pub(crate) fn binary(self) -> &'static str {
        match self {
            Service::Ingest => "ingest",
            Service::Consumer => "batch-consumer",
            Service::Aggregator => "aggregator",
        }
    }
}

/// One of a service's processes, over all its starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Instance {
    pub(crate) service: Service,
    /// Counted from 1.
    pub(crate) number: usize,
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.service {
            Service::Ingest => f.write_str("ingest"),
            service => write!(f, "{} {}", service.binary(), self.number),
        }
    }
}

/// How many processes there are of each service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) consumers: usize,
    pub(crate) aggregators: usize,
}

impl Counts {
    pub(crate) fn of(self, service: Service) -> impl Iterator<Item = Instance> {
        let count = match service {
            Service::Ingest => 1,
            Service::Consumer => self.consumers,
            Service::Aggregator => self.aggregators,
        };
        (1..=count).map(move |number| Instance { service, number })
    }

    pub(crate) fn all(self) -> impl Iterator<Item = Instance> {
        Service::ALL
            .into_iter()
            .flat_map(move |service| self.of(service))
    }
}
