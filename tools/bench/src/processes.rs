//! Processes whose CPU and memory are measured: those that end by themselves, and services.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use serde::de::DeserializeOwned;
use stand::{Process, ProcessSpec, http_client};
use tokio::time::Instant;

use crate::procfs;
use crate::scrape::Samples;

/// Longest that a load, a floor or an aggregation may take.
const LONGEST: Duration = Duration::from_secs(3600);

/// Longest that a service may take to tell its metrics.
const SCRAPE: Duration = Duration::from_secs(60);

/// What a process used that ended by itself.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    /// User and system time in seconds.
    pub(crate) cpu: f64,
    /// Most resident memory, as last seen while it ran.
    pub(crate) peak_mib: f64,
    pub(crate) seconds: f64,
    /// Standard output.
    pub(crate) out: String,
}

impl Finished {
    /// Waits until the process ends. Its time counts from this call.
    pub(crate) async fn of(process: Process) -> anyhow::Result<Finished> {
        let (start, mut cpu, mut peak_mib) = (Instant::now(), 0.0, 0.0);
        // A process that ended keeps its CPU time until it is waited for, but not its memory.
        let watch = |id| {
            cpu = procfs::cpu_seconds(id).unwrap_or(cpu);
            peak_mib = procfs::peak_mib(id).unwrap_or(peak_mib);
        };
        let out = process.finish(LONGEST, watch).await?;
        Ok(Finished {
            cpu,
            peak_mib,
            seconds: start.elapsed().as_secs_f64(),
            out,
        })
    }

    /// What the process printed, as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_str(&self.out).with_context(|| format!("cannot read `{}`", self.out))
    }
}

/// A service under test.
#[derive(Debug)]
pub(crate) struct RunningService {
    process: Process,
    /// Where clients find it; the same as `admin` for a service that has none.
    pub(crate) address: SocketAddr,
    /// Where it serves `/readyz` and `/metrics`.
    admin: SocketAddr,
    http: reqwest::Client,
}

impl RunningService {
    /// Starts a service that listens on `address`, and on `admin` for probes, and waits until it is ready.
    pub(crate) async fn start(
        spec: &ProcessSpec,
        address: SocketAddr,
        admin: SocketAddr,
    ) -> anyhow::Result<RunningService> {
        let process = spec.start()?;
        process.ready(&format!("http://{admin}/readyz")).await?;
        Ok(RunningService {
            process,
            address,
            admin,
            http: http_client(SCRAPE)?,
        })
    }

    /// CPU seconds since its start.
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        procfs::cpu_seconds(self.process.id())
    }

    /// The most memory that it has had resident.
    pub(crate) fn peak_mib(&self) -> anyhow::Result<f64> {
        self.unless_ended(procfs::peak_mib(self.process.id()))
    }

    /// The memory that it has resident now.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        self.unless_ended(procfs::resident_mib(self.process.id()))
    }

    fn unless_ended(&self, mib: Option<f64>) -> anyhow::Result<f64> {
        mib.with_context(|| format!("a service has ended\n{}", self.process.log_end()))
    }

    pub(crate) async fn metrics(&self) -> anyhow::Result<Samples> {
        Samples::of(&self.http, &format!("http://{}/metrics", self.admin)).await
    }

    pub(crate) fn log(&self) -> anyhow::Result<String> {
        self.process.log()
    }

    /// Stops it by SIGTERM.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_process_prints_and_uses_is_there_once_it_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo 7";
        let spec = ProcessSpec {
            name: "sh".to_owned(),
            binary: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            variables: Vec::new(),
            folder: folder.path().to_owned(),
        };
        let done = Finished::of(spec.start().unwrap()).await.unwrap();
        assert_eq!(done.json::<u32>().unwrap(), 7);
        assert!(done.cpu > 0.0 && done.peak_mib > 0.1, "{done:?}");
    }
}
