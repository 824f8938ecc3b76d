//! The services as processes: started, killed, started again.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::Instant;

use crate::guarded::{Guarded, POLL, Variables, binary, free_ports};
use crate::plan::{Process, Service};

/// How a process is started, and whether it runs.
#[derive(Debug)]
struct Slot {
    binary: PathBuf,
    arguments: &'static [&'static str],
    variables: Variables,
    log: PathBuf,
    /// Where it serves its probes.
    port: u16,
    running: Option<Guarded>,
}

/// All processes of the run.
#[derive(Debug)]
pub(crate) struct Processes {
    slots: BTreeMap<Process, Slot>,
    http: reqwest::Client,
    kills: BTreeMap<Service, u64>,
}

/// What all of a service's processes are started with.
pub(crate) struct Recipe {
    pub(crate) arguments: &'static [&'static str],
    pub(crate) variables: Variables,
    /// The variable that says where it listens.
    pub(crate) listen: &'static str,
}

impl Processes {
    /// Finds binaries and ports; nothing runs yet.
    ///
    /// # Errors
    ///
    /// If a binary is missing, or there are no ports.
    pub(crate) fn prepare(
        processes: impl Iterator<Item = Process>,
        recipe: impl Fn(Service) -> Recipe,
        logs: &Path,
    ) -> anyhow::Result<Processes> {
        let processes: Vec<Process> = processes.collect();
        let mut slots = BTreeMap::new();
        for (process, port) in processes.iter().zip(free_ports(processes.len())?) {
            let Recipe {
                arguments,
                mut variables,
                listen,
            } = recipe(process.service);
            variables.push((listen, format!("{}:{port}", Ipv4Addr::LOCALHOST)));
            let name = process.to_string().replace(' ', "-");
            let slot = Slot {
                binary: binary(process.service.binary())?,
                arguments,
                variables,
                log: logs.join(format!("{name}.log")),
                port,
                running: None,
            };
            slots.insert(*process, slot);
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()?;
        Ok(Processes {
            slots,
            http,
            kills: BTreeMap::new(),
        })
    }

    /// The address of the process: `http://127.0.0.1:21234`.
    pub(crate) fn url(&self, process: Process) -> Option<String> {
        let slot = self.slots.get(&process)?;
        Some(format!("http://{}:{}", Ipv4Addr::LOCALHOST, slot.port))
    }

    /// Starts the process unless it runs.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub(crate) fn start(&mut self, process: Process) -> anyhow::Result<()> {
        let Some(slot) = self.slots.get_mut(&process) else {
            return Ok(());
        };
        if slot.running.is_none() {
            let Slot {
                binary, arguments, ..
            } = slot;
            slot.running = Some(Guarded::start(
                binary,
                arguments,
                &slot.variables,
                &slot.log,
            )?);
        }
        Ok(())
    }

    /// Starts all that do not run.
    ///
    /// # Errors
    ///
    /// If one cannot be started.
    pub(crate) fn start_all(&mut self) -> anyhow::Result<()> {
        let all: Vec<Process> = self.slots.keys().copied().collect();
        all.into_iter().try_for_each(|process| self.start(process))
    }

    /// `kill -9`, and counted, if it runs.
    pub(crate) fn kill(&mut self, process: Process) {
        let running = self.slots.get_mut(&process).map(|slot| slot.running.take());
        let killed = running.flatten().is_some();
        *self.kills.entry(process.service).or_default() += u64::from(killed);
    }

    /// Kills all that run; not counted.
    pub(crate) fn end(&mut self) {
        for slot in self.slots.values_mut() {
            slot.running = None;
        }
    }

    /// How many processes of the service were killed.
    pub(crate) fn kills(&self, service: Service) -> u64 {
        self.kills.get(&service).copied().unwrap_or_default()
    }

    /// Those that ended though nobody killed them, and how; they no longer run.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Vec<(Process, ExitStatus)>> {
        let mut ended = Vec::new();
        for (process, slot) in &mut self.slots {
            if let Some(running) = &mut slot.running
                && let Some(status) = running.ended()?
            {
                slot.running = None;
                ended.push((*process, status));
            }
        }
        Ok(ended)
    }

    /// Waits until all that run answer their probe; names one that does not within `timeout`.
    pub(crate) async fn alive(&self, timeout: Duration) -> Result<(), Process> {
        let deadline = Instant::now() + timeout;
        for (process, slot) in &self.slots {
            let url = format!("http://{}:{}/livez", Ipv4Addr::LOCALHOST, slot.port);
            while slot.running.is_some() {
                let answer = self.http.get(&url).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    break;
                }
                if Instant::now() >= deadline {
                    return Err(*process);
                }
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }
}
