//! A process under test: started, waited for, measured, stopped, and never left behind.

use std::ffi::OsString;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal};
use tokio::time::{Instant, sleep};

use crate::procfs;

/// Time between two questions whether a process is ready, or has ended.
const POLL: Duration = Duration::from_millis(20);

/// Longest that a process may take to become ready.
const READY: Duration = Duration::from_secs(30);

/// Longest that a process may take to stop: more than the services' own grace of 20 s.
const STOP: Duration = Duration::from_secs(30);

/// What processes inherit: settings that happen to be in the environment are not for a
/// measurement.
const INHERITED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "PYTHON"];

/// Names and values of environment variables.
pub(crate) type Variables = Vec<(String, String)>;

/// A process that is killed at the latest when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    /// Both hold what it has printed.
    out: PathBuf,
    log: PathBuf,
    started: Instant,
}

/// What a process that ended by itself has used.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    /// User and system time in seconds.
    pub(crate) cpu: f64,
    /// Most resident memory, as last seen while it ran.
    pub(crate) peak_mib: f64,
    /// From its start to its end.
    pub(crate) seconds: f64,
    /// What it printed.
    pub(crate) out: String,
}

impl Process {
    /// Starts it in a process group of its own, so that Ctrl-C is for the harness alone. What it
    /// prints goes to `NAME.out` and `NAME.log` in `folder`.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub(crate) fn start(
        name: &str,
        binary: &Path,
        arguments: &[String],
        variables: &Variables,
        folder: &Path,
    ) -> anyhow::Result<Process> {
        let file = |ending: &str| {
            let path = folder.join(format!("{name}.{ending}"));
            let file = File::create(&path);
            file.with_context(|| format!("cannot write `{}`", path.display()))
                .map(|file| (path, file))
        };
        let ((out, stdout), (log, stderr)) = (file("out")?, file("log")?);
        let inherited = INHERITED
            .iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        let child = Command::new(binary)
            .args(arguments)
            .env_clear()
            .envs(inherited)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start `{}`", binary.display()))?;
        Ok(Process {
            name: name.to_owned(),
            child,
            out,
            log,
            started: Instant::now(),
        })
    }

    /// Waits until `url` answers 200.
    ///
    /// # Errors
    ///
    /// If the process ends, or is not ready in time; with the end of its log.
    pub(crate) async fn ready(&mut self, url: &str) -> anyhow::Result<()> {
        let http = crate::http::client()?;
        let deadline = Instant::now() + READY;
        loop {
            let answer = http.get(url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if procfs::has_ended(self.child.id())? || Instant::now() > deadline {
                bail!("{} did not become ready\n{}", self.name, self.log_end());
            }
            sleep(POLL).await;
        }
    }

    /// CPU seconds so far.
    ///
    /// # Errors
    ///
    /// If the process is gone.
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        procfs::cpu_seconds(self.child.id())
    }

    /// The most memory it has had resident, in MiB.
    ///
    /// # Errors
    ///
    /// If the process has ended.
    pub(crate) fn peak_mib(&self) -> anyhow::Result<f64> {
        procfs::peak_mib(self.child.id()).with_context(|| self.ended_early())
    }

    /// The memory it has resident, in MiB.
    ///
    /// # Errors
    ///
    /// If the process has ended.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        procfs::resident_mib(self.child.id()).with_context(|| self.ended_early())
    }

    /// What it has logged so far.
    ///
    /// # Errors
    ///
    /// If the log cannot be read.
    pub(crate) fn log(&self) -> anyhow::Result<String> {
        let bytes = std::fs::read(&self.log)
            .with_context(|| format!("cannot read `{}`", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until it ends by itself, and gives what it has used.
    ///
    /// # Errors
    ///
    /// If it fails, or runs for longer than `longest`; with the end of its log.
    pub(crate) async fn finish(mut self, longest: Duration) -> anyhow::Result<Finished> {
        let mut peak = 0.0;
        // A process that ended keeps its CPU time until it is waited for, but not its memory.
        while !procfs::has_ended(self.child.id())? {
            peak = procfs::peak_mib(self.child.id()).unwrap_or(peak);
            if self.started.elapsed() > longest {
                bail!("{} runs for more than {longest:?}", self.name);
            }
            sleep(POLL).await;
        }
        let (cpu, seconds) = (self.cpu()?, self.started.elapsed().as_secs_f64());
        let status = self.wait()?;
        ensure!(
            status.success(),
            "{} ended with {status}\n{}",
            self.name,
            self.log_end()
        );
        let out = std::fs::read_to_string(&self.out)
            .with_context(|| format!("cannot read `{}`", self.out.display()))?;
        Ok(Finished {
            cpu,
            peak_mib: peak,
            seconds,
            out,
        })
    }

    /// Stops it by SIGTERM.
    ///
    /// # Errors
    ///
    /// If it does not end in time, or not with exit code 0.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.context("a process without an id")?;
        rustix::process::kill_process(pid, Signal::TERM)
            .with_context(|| format!("cannot stop {}", self.name))?;
        let deadline = Instant::now() + STOP;
        while !procfs::has_ended(self.child.id())? {
            ensure!(
                Instant::now() < deadline,
                "{} runs {STOP:?} after SIGTERM\n{}",
                self.name,
                self.log_end()
            );
            sleep(POLL).await;
        }
        let status = self.wait()?;
        ensure!(
            status.success(),
            "{} ended with {status} on SIGTERM\n{}",
            self.name,
            self.log_end()
        );
        Ok(())
    }

    fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let name = &self.name;
        self.child
            .wait()
            .with_context(|| format!("cannot wait for {name}"))
    }

    fn ended_early(&self) -> String {
        format!("{} has ended\n{}", self.name, self.log_end())
    }

    fn log_end(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(20)..].join("\n  ");
        format!("last lines of its log:\n  {end}")
    }
}

impl Drop for Process {
    /// `kill -9`. The wait is short: nothing can put it off.
    fn drop(&mut self) {
        // Fails only where it has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where this program is, as it was when this was first asked: a build may replace it meanwhile.
///
/// # Errors
///
/// If the system does not tell.
pub(crate) fn own_program() -> anyhow::Result<PathBuf> {
    static OWN: OnceLock<PathBuf> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own.clone());
    }
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    Ok(OWN.get_or_init(|| own).clone())
}

/// The program of that name beside the harness's own.
///
/// # Errors
///
/// Says how to build it where it is missing.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = own_program()?.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    ensure!(
        path.is_file(),
        "there is no `{}`: leave out --no-build, which builds it",
        path.display()
    );
    Ok(path)
}

/// A port on which nobody listens.
///
/// # Errors
///
/// If the system has none.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, folder: &Path) -> Process {
        let arguments = ["-c".to_owned(), script.to_owned()];
        let variables = vec![("MINE".to_owned(), "yes".to_owned())];
        Process::start("sh", Path::new("/bin/sh"), &arguments, &variables, folder).unwrap()
    }

    #[tokio::test]
    async fn what_a_process_prints_and_uses_is_there_once_it_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let script =
            "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $MINE $CARGO_MANIFEST_DIR";
        let done = shell(script, folder.path())
            .finish(Duration::from_secs(60))
            .await
            .unwrap();
        assert_eq!(done.out, "yes\n");
        assert!(done.cpu > 0.0 && done.peak_mib > 0.1, "{done:?}");
    }

    #[tokio::test]
    async fn a_process_that_fails_is_an_error_with_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let failed = shell("echo no such thing >&2; exit 3", folder.path());
        let error = failed.finish(Duration::from_secs(60)).await.unwrap_err();
        assert!(error.to_string().contains("no such thing"), "{error}");
    }

    #[tokio::test]
    async fn a_process_is_stopped_by_sigterm_and_killed_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done";
        let polite = shell(script, folder.path());
        while std::fs::read_to_string(&polite.out).unwrap().is_empty() {
            sleep(POLL).await;
        }
        polite.stop().await.unwrap();
        let stubborn = shell("exec sleep 600", folder.path());
        let pid = stubborn.child.id();
        drop(stubborn);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }
}
