//! Tasks whose end must not go unseen: without a watcher, a panic in a task leaves a process that looks well and does
//! nothing.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use anyhow::anyhow;
use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinError;

/// How a task ended: `Err` holds the reason in words.
type End = Result<(), Arc<str>>;

/// A task that [`spawn`] started. Clones watch the same task; the task goes on where all of them are dropped.
#[derive(Debug, Clone)]
pub struct Supervised {
    name: &'static str,
    end: watch::Receiver<Option<End>>,
}

/// Runs `work` as a task. Its name begins the reason of its end: `the task "grouping" panicked: index out of bounds`.
/// To be called within a runtime.
pub fn spawn<F>(name: &'static str, work: F) -> Supervised
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let (tell, end) = watch::channel(None);
    tokio::spawn(async move {
        let ended = match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the task {name:?} failed: {error:#}").into()),
            Err(panic) => Err(panicked(name, &*panic).into()),
        };
        tell.send_replace(Some(ended));
    });
    Supervised { name, end }
}

impl Supervised {
    /// Waits until the task ends.
    ///
    /// # Errors
    ///
    /// The error that the task ended with, or the words of its panic.
    pub async fn end(&self) -> anyhow::Result<()> {
        let mut end = self.end.clone();
        // The sender goes without a word only where the runtime drops the task.
        let ended = end.wait_for(Option::is_some).await;
        match ended.ok().and_then(|ended| ended.clone()) {
            Some(Ok(())) => Ok(()),
            Some(Err(reason)) => Err(anyhow!("{reason}")),
            None => Err(anyhow!("the task {:?} was dropped", self.name)),
        }
    }

    /// Waits until the task ends, and gives the reason: for a task that must run as long as its service. A service
    /// selects on this beside its work, and ends with the reason.
    pub async fn broken(&self) -> anyhow::Error {
        match self.end().await {
            Ok(()) => anyhow!("the task {:?} ended by itself", self.name),
            Err(reason) => reason,
        }
    }
}

/// The result of a task that was joined, as one of a [`JoinSet`](tokio::task::JoinSet); `name` as in [`spawn`].
///
/// # Errors
///
/// If the task panicked or was aborted.
pub fn joined<T>(name: &'static str, ended: Result<T, JoinError>) -> anyhow::Result<T> {
    ended.map_err(|error| match error.try_into_panic() {
        Ok(panic) => anyhow!("{}", panicked(name, &*panic)),
        Err(error) => anyhow!("the task {name:?} was dropped: {error}"),
    })
}

fn panicked(name: &str, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let words = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!(
        "the task {name:?} panicked: {}",
        words.unwrap_or("without words")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_watches_a_task_is_told_how_it_ended() {
        let well = spawn("well", async { Ok(()) });
        assert!(well.end().await.is_ok());
        let reason = well.broken().await.to_string();
        assert_eq!(reason, "the task \"well\" ended by itself");
        let failed = spawn("failing", async { Err(anyhow!("no queue")) });
        let reason = failed.clone().broken().await.to_string();
        assert_eq!(reason, "the task \"failing\" failed: no queue");
        let number = 7;
        let panicked = spawn("panicking", async move { panic!("number {number}") });
        for _ in 0..2 {
            let reason = panicked.broken().await.to_string();
            assert_eq!(reason, "the task \"panicking\" panicked: number 7");
        }
    }

    #[tokio::test]
    async fn a_joined_task_gives_its_result_or_the_words_of_its_panic() {
        assert_eq!(joined("one", tokio::spawn(async { 7 }).await).unwrap(), 7);
        let panic = tokio::spawn(async { panic!("broken") }).await;
        let reason = joined::<()>("two", panic).unwrap_err().to_string();
        assert_eq!(reason, "the task \"two\" panicked: broken");
    }
}
