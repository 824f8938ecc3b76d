//! A process that cannot outlive this program, and what it takes to start one.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rand::RngExt;

/// Ports that are tried, at random: below those that Linux gives to outgoing connections, one of
/// which might take the port of a service that is down.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// Time between two questions whether a process is there, or has ended.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// What processes inherit beside region and credentials: settings of the services that happen to
/// be in the environment are not for this run.
const INHERITED: [&str; 5] = ["PATH", "HOME", "TMPDIR", "RUST_LOG", "RUST_BACKTRACE"];

/// Names and values of environment variables.
pub(crate) type Variables = Vec<(&'static str, String)>;

/// A process that is killed at the latest when this is dropped, as by a panic.
#[derive(Debug)]
pub(crate) struct Guarded(Child);

impl Guarded {
    /// Starts it with its output at the end of `log`, in a process group of its own: Ctrl-C is for
    /// this program alone, which then kills it.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub(crate) fn start(
        binary: &Path,
        arguments: &[&str],
        variables: &[(&'static str, String)],
        log: &Path,
    ) -> anyhow::Result<Guarded> {
        let out = log_file(log)?;
        let child = Command::new(binary)
            .args(arguments)
            .env_clear()
            .envs(inherited())
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start `{}`", binary.display()))?;
        Ok(Guarded(child))
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.0.try_wait().context("cannot ask after a process")
    }

    /// Waits until it ends.
    pub(crate) async fn end(&mut self) -> anyhow::Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Guarded {
    /// `kill -9`. The wait is short: nothing can put it off.
    fn drop(&mut self) {
        // Fails only where it has ended and been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| {
        INHERITED.iter().any(|wanted| name == OsStr::new(wanted))
            || name.to_str().is_some_and(|name| {
                // No way around the proxy.
                name.starts_with("AWS_") && !name.starts_with("AWS_ENDPOINT_URL")
            })
    })
}

fn log_file(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write `{}`", path.display()))
}

/// The binary of that name beside this one's.
///
/// # Errors
///
/// Says how to build it where it is missing.
pub(crate) fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let path = own.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !path.is_file() {
        let release = match own.parent().and_then(Path::file_name) {
            Some(profile) if profile == "release" => " --release",
            _ => "",
        };
        bail!(
            "`{}` is missing: build it with `cargo build --workspace --bins{release}`",
            path.display()
        );
    }
    Ok(path)
}

/// Ports on which nobody listens, each one different.
///
/// # Errors
///
/// If so many cannot be found.
pub(crate) fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let mut ports = Vec::with_capacity(count);
    let tries = PORTS.len();
    for _ in 0..tries {
        if ports.len() == count {
            return Ok(ports);
        }
        let port = rand::rng().random_range(PORTS);
        if !ports.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            ports.push(port);
        }
    }
    bail!(
        "there are no {count} free ports among {} to {}",
        PORTS.start,
        PORTS.end
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_is_missing_says_how_to_build_it() {
        let error = binary("no-such-service").unwrap_err().to_string();
        assert!(error.contains("cargo build --workspace --bins"), "{error}");
    }

    #[tokio::test]
    async fn a_process_ends_with_its_guard_and_inherits_no_settings() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("sh.log");
        let variables = [("QUEUE_NAME", "mine".to_owned())];
        let script = "echo $$ $QUEUE_NAME $CARGO_MANIFEST_DIR; exec sleep 600";
        let mut process =
            Guarded::start(Path::new("/bin/sh"), &["-c", script], &variables, &log).unwrap();
        let said = loop {
            let said = std::fs::read_to_string(&log).unwrap();
            if said.ends_with('\n') {
                break said;
            }
            tokio::time::sleep(POLL).await;
        };
        let (pid, rest) = said.trim_end().split_once(' ').unwrap();
        assert_eq!(rest, "mine");
        assert!(process.ended().unwrap().is_none());
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        drop(process);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn ports_are_free_and_differ() {
        let ports = free_ports(20).unwrap();
        let different: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(different.len(), 20);
    }
}
