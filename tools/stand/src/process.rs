//! A child process that ends with its guard, and the files that hold what it prints.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::time::{Instant, sleep};

use crate::environment::{Variables, inherited};
use crate::http::{answers, http_client};

/// Time between two questions whether a process is ready, or has ended.
pub const POLL: Duration = Duration::from_millis(20);

/// Longest that a process may take to become ready.
const READY: Duration = Duration::from_secs(60);

/// Longest that an answer to a probe may take.
const PROBE: Duration = Duration::from_secs(2);

/// Longest that a process may take to stop: more than the services' own grace of 20 s.
const STOP: Duration = Duration::from_secs(30);

/// Variables that every process inherits.
const INHERITED: [&str; 3] = ["PATH", "HOME", "TMPDIR"];

/// Lines of a log that an error shows.
const LOG_LINES: usize = 20;

/// What a process is started with.
#[derive(Clone)]
pub struct ProcessSpec {
    /// Names the process in messages, and its files.
    pub name: String,
    /// Path of the executable.
    pub binary: PathBuf,
    /// Arguments after the program's own name.
    pub arguments: Vec<String>,
    /// The environment beside `PATH`, `HOME` and `TMPDIR`, which are inherited.
    pub variables: Variables,
    /// Folder of the files `NAME.out` and `NAME.log`, to which standard output and error are appended.
    pub folder: PathBuf,
}

impl ProcessSpec {
    /// Starts the process in a process group of its own: Ctrl-C is for this program alone, which then
    /// drops the guard.
    ///
    /// # Errors
    ///
    /// If its files cannot be written, or it cannot be started.
    pub fn start(&self) -> anyhow::Result<Process> {
        let ((out, stdout), (log, stderr)) = (self.file("out")?, self.file("log")?);
        let printed_before = stdout.metadata().map_or(0, |file| file.len());
        let child = Command::new(&self.binary)
            .args(&self.arguments)
            .env_clear()
            .envs(inherited(|name| INHERITED.contains(&name)))
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start `{}`", self.binary.display()))?;
        Ok(Process {
            name: self.name.clone(),
            child,
            out,
            printed_before,
            log,
        })
    }

    fn file(&self, ending: &str) -> anyhow::Result<(PathBuf, File)> {
        let path = self.folder.join(format!("{}.{ending}", self.name));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok((path, file))
    }
}

/// A process that is killed at the latest when this is dropped, as by a panic.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    out: PathBuf,
    /// Bytes that `out` held before this process was started.
    printed_before: u64,
    log: PathBuf,
}

impl Process {
    /// The process id, valid until [`wait`](Process::wait).
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended. It is not waited for, so that `/proc` still has its CPU time.
    ///
    /// # Errors
    ///
    /// If it has been waited for.
    pub fn has_ended(&self) -> anyhow::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let ended = waitid(WaitId::Pid(Pid::from_child(&self.child)), options);
        let ended = ended.with_context(|| format!("cannot ask after {}", self.name))?;
        Ok(ended.is_some())
    }

    /// Waits until a GET of `url` succeeds, at most 60 s.
    ///
    /// # Errors
    ///
    /// If the process ends, or is not ready in time.
    pub async fn ready(&self, url: &str) -> anyhow::Result<()> {
        let http = http_client(PROBE)?;
        let deadline = Instant::now() + READY;
        while !answers(&http, url).await {
            if self.has_ended()? || Instant::now() > deadline {
                bail!("{} did not become ready\n{}", self.name, self.log_end());
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits until the process ends by itself, at most `longest` from now, and gives what it printed to
    /// standard output. `watch` is called with its id every 20 ms, the last time after its end and
    /// before it is waited for.
    ///
    /// # Errors
    ///
    /// If it fails, or runs for longer.
    pub async fn finish(
        mut self,
        longest: Duration,
        mut watch: impl FnMut(u32),
    ) -> anyhow::Result<String> {
        let deadline = Instant::now() + longest;
        loop {
            let ended = self.has_ended()?;
            watch(self.id());
            if ended {
                break;
            }
            if Instant::now() > deadline {
                bail!("{} runs for more than {longest:?}", self.name);
            }
            sleep(POLL).await;
        }
        self.expect_success("")?;
        let printed = std::fs::read(&self.out)
            .with_context(|| format!("cannot read `{}`", self.out.display()))?;
        let own = printed.get(self.printed_before as usize..);
        Ok(String::from_utf8_lossy(own.unwrap_or_default()).into_owned())
    }

    /// Stops it by SIGTERM and waits at most 30 s for its end.
    ///
    /// # Errors
    ///
    /// If it does not end in time, or not with exit code 0.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .with_context(|| format!("cannot stop {}", self.name))?;
        let deadline = Instant::now() + STOP;
        while !self.has_ended()? {
            if Instant::now() > deadline {
                let log = self.log_end();
                bail!("{} runs {STOP:?} after SIGTERM\n{log}", self.name);
            }
            sleep(POLL).await;
        }
        self.expect_success(" on SIGTERM")
    }

    /// Blocks until it has ended, and says how.
    ///
    /// # Errors
    ///
    /// If the system cannot tell.
    pub fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let name = &self.name;
        let status = self.child.wait();
        status.with_context(|| format!("cannot wait for {name}"))
    }

    fn expect_success(&mut self, after: &str) -> anyhow::Result<()> {
        let status = self.wait()?;
        ensure!(
            status.success(),
            "{} ended with {status}{after}\n{}",
            self.name,
            self.log_end()
        );
        Ok(())
    }

    /// What processes of this name have logged so far.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        let bytes = std::fs::read(&self.log)
            .with_context(|| format!("cannot read `{}`", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines of the log, for an error; empty if the file cannot be read.
    pub fn log_end(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n  ");
        format!("last lines of its log:\n  {end}")
    }
}

impl Drop for Process {
    /// `kill -9`, and a wait, which is short: nothing can put the end off.
    fn drop(&mut self) {
        // Fails only where it has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shell(script: &str, folder: &Path) -> Process {
        let spec = ProcessSpec {
            name: "sh".to_owned(),
            binary: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            variables: vec![("MINE".to_owned(), "yes".to_owned())],
            folder: folder.to_owned(),
        };
        spec.start().unwrap()
    }

    async fn printed(process: &Process) -> String {
        loop {
            let printed = std::fs::read_to_string(&process.out).unwrap();
            if printed.ends_with('\n') {
                return printed;
            }
            sleep(POLL).await;
        }
    }

    fn exists(id: u32) -> bool {
        Path::new(&format!("/proc/{id}")).exists()
    }

    #[tokio::test]
    async fn a_process_inherits_no_settings_and_is_there_until_it_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let process = shell("echo $MINE $CARGO_MANIFEST_DIR", folder.path());
            let mut looks = Vec::new();
            let watch = |id| looks.push(exists(id));
            let printed = process.finish(Duration::from_secs(60), watch).await;
            assert_eq!(printed.unwrap(), "yes\n");
            assert!(looks.iter().all(|there| *there), "{looks:?}");
        }
    }

    #[tokio::test]
    async fn a_process_that_fails_is_an_error_with_the_end_of_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let failed = shell("echo no such thing >&2; exit 3", folder.path());
        let error = failed.finish(Duration::from_secs(60), |_| {}).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no such thing"), "{error}");
    }

    #[tokio::test]
    async fn a_process_is_stopped_by_sigterm_and_killed_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'exit 0' TERM; echo up; while :; do sleep 0.01; done";
        let polite = shell(script, folder.path());
        printed(&polite).await;
        polite.stop().await.unwrap();
        let stubborn = shell("exec sleep 600", folder.path());
        let id = stubborn.id();
        assert!(!stubborn.has_ended().unwrap() && exists(id));
        drop(stubborn);
        assert!(!exists(id));
    }
}
