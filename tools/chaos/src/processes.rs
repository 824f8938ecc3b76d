//! The services as processes: started, killed, started again.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitStatus;
use std::time::Duration;

use stand::{POLL, Process, ProcessSpec, answers, free_ports, http_client};
use tokio::time::Instant;

use crate::instance::{Instance, Service};

/// Longest time for all processes to answer after a start.
pub(crate) const START: Duration = Duration::from_secs(120);

/// Longest that an answer to a probe may take.
const PROBE: Duration = Duration::from_secs(2);

/// The ports of a process, on the loopback address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// For clients; only ingest has any.
    pub(crate) clients: u16,
    /// For probes.
    pub(crate) admin: u16,
}

struct Slot {
    spec: ProcessSpec,
    ports: Ports,
    running: Option<Process>,
}

/// All processes of the run, whether they run or not.
pub(crate) struct Processes {
    slots: BTreeMap<Instance, Slot>,
    http: reqwest::Client,
    kills: BTreeMap<Service, u64>,
}

impl Processes {
    /// Gives each process its ports; nothing runs yet. `spec` says how a process is started that listens on them.
    pub(crate) fn prepare(
        instances: impl Iterator<Item = Instance>,
        spec: impl Fn(Instance, Ports) -> anyhow::Result<ProcessSpec>,
    ) -> anyhow::Result<Processes> {
        let instances: Vec<Instance> = instances.collect();
        let mut slots = BTreeMap::new();
        let free = free_ports(2 * instances.len())?;
        for (instance, pair) in instances.iter().zip(free.chunks_exact(2)) {
            let ports = Ports {
                clients: pair[0],
                admin: pair[1],
            };
            let slot = Slot {
                spec: spec(*instance, ports)?,
                ports,
                running: None,
            };
            slots.insert(*instance, slot);
        }
        Ok(Processes {
            slots,
            http: http_client(PROBE)?,
            kills: BTreeMap::new(),
        })
    }

    /// Where clients find the process.
    pub(crate) fn address(&self, instance: Instance) -> Option<SocketAddr> {
        let slot = self.slots.get(&instance)?;
        Some((Ipv4Addr::LOCALHOST, slot.ports.clients).into())
    }

    /// Starts the process unless it runs.
    pub(crate) fn start(&mut self, instance: Instance) -> anyhow::Result<()> {
        match self.slots.get_mut(&instance) {
            Some(slot) => slot.start(),
            None => Ok(()),
        }
    }

    /// Starts all that do not run.
    pub(crate) fn start_all(&mut self) -> anyhow::Result<()> {
        self.slots.values_mut().try_for_each(Slot::start)
    }

    /// `kill -9`, and counted, if it runs.
    pub(crate) fn kill(&mut self, instance: Instance) {
        let slot = self.slots.get_mut(&instance);
        let killed = slot.and_then(|slot| slot.running.take()).is_some();
        *self.kills.entry(instance.service).or_default() += u64::from(killed);
    }

    /// Kills all that run; not counted.
    pub(crate) fn kill_all(&mut self) {
        for slot in self.slots.values_mut() {
            slot.running = None;
        }
    }

    /// How many processes of the service were killed.
    pub(crate) fn kills(&self, service: Service) -> u64 {
        self.kills.get(&service).copied().unwrap_or_default()
    }

    /// Processes that have ended though nobody killed them since the last call, and how they ended.
    pub(crate) fn take_ended(&mut self) -> anyhow::Result<Vec<(Instance, ExitStatus)>> {
        let mut ended = Vec::new();
        for (instance, slot) in &mut self.slots {
            if let Some(running) = &mut slot.running
                && running.has_ended()?
            {
                ended.push((*instance, running.wait()?));
                slot.running = None;
            }
        }
        Ok(ended)
    }

    /// Waits until all that run answer their probe.
    pub(crate) async fn alive(&self) -> Result<(), Instance> {
        let deadline = Instant::now() + START;
        for (instance, slot) in &self.slots {
            let url = format!("http://{}:{}/livez", Ipv4Addr::LOCALHOST, slot.ports.admin);
            while slot.running.is_some() && !answers(&self.http, &url).await {
                if Instant::now() >= deadline {
                    return Err(*instance);
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }
}

impl Slot {
    fn start(&mut self) -> anyhow::Result<()> {
        if self.running.is_none() {
            self.running = Some(self.spec.start()?);
        }
        Ok(())
    }
}
