//! Planning on a stack that is large enough.

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::error::SqlError;

/// Stack of a thread that plans. An optimiser's recursion over the joins and subqueries that clients write needs more
/// than the 2 MiB of a thread of the runtime, and an overflow would end the process.
const STACK: usize = 32 << 20;

/// Runs `future` on a thread of its own, which also keeps planning off the threads that answer. It is given up where
/// nobody waits for it any more.
///
/// # Errors
///
/// [`SqlError::Thread`] if there is no thread to be had; those of `future`.
///
/// # Panics
///
/// If `future` does.
pub(crate) async fn on_large_stack<T, E>(future: BoxFuture<'static, Result<T, E>>) -> Result<T, E>
where
    T: Send + 'static,
    E: From<SqlError> + Send + 'static,
{
    let (mut sender, receiver) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let thread = std::thread::Builder::new()
        .name("plan".to_owned())
        .stack_size(STACK);
    let plan = move || {
        let planned = runtime.block_on(async {
            tokio::select! {
                planned = std::panic::AssertUnwindSafe(future).catch_unwind() => Some(planned),
                () = sender.closed() => None,
            }
        });
        if let Some(planned) = planned {
            let _ = sender.send(planned);
        }
    };
    thread.spawn(plan).map_err(SqlError::Thread)?;
    match receiver.await {
        Ok(Ok(planned)) => planned,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        // The thread ends without an answer only where this future is dropped.
        Err(_) => std::future::pending().await,
    }
}
