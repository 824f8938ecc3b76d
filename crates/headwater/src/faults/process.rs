//! A service that can be killed and frozen as a process can: it runs on a thread of its own, with a runtime of its own.

use std::thread;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// What befalls a service.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It ends at once, whatever it is doing, and is started again after this time.
    Kill(Duration),
    /// It does nothing for this time, and then goes on; its connections stay open.
    Freeze(Duration),
}

/// Sends faults to a service.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    pub(super) name: &'static str,
    faults: mpsc::Sender<Fault>,
}

impl Control {
    /// Lets the fault befall the service, once the fault before is over.
    pub(super) async fn befall(&self, fault: Fault) {
        // A service that has ended takes no faults: whoever watches it says so.
        let _ = self.faults.send(fault).await;
    }
}

/// What runs a service until `stop`, with faults meanwhile, and what sends it faults. `make` starts it, each time anew.
pub(crate) fn spawn<F>(
    name: &'static str,
    make: impl Fn(CancellationToken) -> F + Clone + Send + 'static,
    stop: CancellationToken,
) -> (impl Future<Output = anyhow::Result<()>>, Control)
where
    F: Future<Output = anyhow::Result<()>>,
{
    let (faults, mut befalling) = mpsc::channel(1);
    let running = async move {
        loop {
            let mut process = Process::start(name, make.clone())?;
            let down = loop {
                tokio::select! {
                    ended = &mut process.ended => return ended.context("its thread is gone")?,
                    () = stop.cancelled() => {
                        process.stop.cancel();
                        return process.ended.await.context("its thread is gone")?;
                    }
                    fault = befalling.recv() => match fault {
                        Some(Fault::Kill(down)) => break down,
                        Some(Fault::Freeze(time)) => process.freeze(time),
                        None => stop.cancelled().await,
                    },
                }
            };
            process.kill().await;
            if stop.run_until_cancelled(sleep(down)).await.is_none() {
                return Ok(());
            }
        }
    };
    (running, Control { name, faults })
}

struct Process {
    runtime: Handle,
    kill: oneshot::Sender<()>,
    stop: CancellationToken,
    ended: oneshot::Receiver<anyhow::Result<()>>,
}

impl Process {
    fn start<F>(
        name: &str,
        make: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> anyhow::Result<Process>
    where
        F: Future<Output = anyhow::Result<()>>,
    {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("no runtime for it")?;
        let (kill, killed) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let stop = CancellationToken::new();
        let process = Process {
            runtime: runtime.handle().clone(),
            kill,
            stop: stop.clone(),
            ended,
        };
        let run = move || {
            let result = runtime.block_on(async {
                tokio::select! {
                    result = make(stop) => Some(result),
                    _ = killed => None,
                }
            });
            // Tasks that the service has spawned are dropped where they are.
            runtime.shutdown_background();
            if let Some(result) = result {
                // Nobody is there to be told where the demo is over.
                let _ = end.send(result);
            }
        };
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(run).context("no thread for it")?;
        Ok(process)
    }

    /// Keeps the runtime's only thread from its tasks.
    #[allow(
        clippy::disallowed_methods,
        reason = "the thread is to be blocked, and by real time"
    )]
    fn freeze(&self, time: Duration) {
        self.runtime.spawn(async move { thread::sleep(time) });
    }

    /// Ends it and waits until it is gone, and its port free.
    async fn kill(self) {
        let _ = self.kill.send(());
        let _ = self.ended.await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;

    #[tokio::test]
    async fn a_killed_service_ends_where_it_is_and_is_started_again() {
        let (started, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (up, mut is_up) = mpsc::channel(8);
        let make = {
            let (started, ended) = (started.clone(), ended.clone());
            move |stop: CancellationToken| {
                let (started, ended, up) = (started.clone(), ended.clone(), up.clone());
                async move {
                    started.fetch_add(1, SeqCst);
                    up.send(()).await?;
                    stop.cancelled().await;
                    ended.fetch_add(1, SeqCst);
                    Ok(())
                }
            }
        };
        let stop = CancellationToken::new();
        let (running, control) = spawn("service", make, stop.clone());
        let running = tokio::spawn(running);
        is_up.recv().await.unwrap();
        control.befall(Fault::Kill(Duration::ZERO)).await;
        is_up.recv().await.unwrap();
        control
            .befall(Fault::Freeze(Duration::from_millis(1)))
            .await;
        stop.cancel();
        running.await.unwrap().unwrap();
        assert_eq!((started.load(SeqCst), ended.load(SeqCst)), (2, 1));
    }

    #[tokio::test]
    async fn a_service_that_ends_by_itself_tells_why() {
        let make = |_| async { anyhow::bail!("no queue") };
        let (running, _control) = spawn("service", make, CancellationToken::new());
        assert_eq!(running.await.unwrap_err().to_string(), "no queue");
    }
}
