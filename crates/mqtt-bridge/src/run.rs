//! The bridge as a whole: broker on one side, ingest on the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use metrics::gauge;
use service::ready::Ready;
use service::supervise::{self, Supervised};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::broker::{Held, Session, Way};
use crate::config::Config;
use crate::deliver::Deliverer;
use crate::message::Message;
use crate::metrics::{MEMORY, UNACKNOWLEDGED, describe};

/// Longest time for the broker to take the last acknowledgements and the disconnect.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// A bridge that has not begun.
pub struct Bridge {
    session: Session,
    deliverer: Deliverer,
    taken: mpsc::UnboundedReceiver<Message>,
    memory: Arc<Semaphore>,
    bytes: usize,
    ready: Ready,
    metrics_listen: SocketAddr,
    grace: Duration,
    stop: CancellationToken,
}

impl Bridge {
    /// Makes a bridge of its settings; it connects once it runs.
    ///
    /// # Errors
    ///
    /// If a setting, a rule, a declaration or a certificate cannot be used.
    pub fn new(config: &Config, stop: &CancellationToken) -> anyhow::Result<Bridge> {
        config.check()?;
        let rules = config.rules.load(&config.rules.kinds()?)?;
        let (broker, deliver) = (config.broker(&rules)?, config.deliver()?);
        let (messages, taken) = mpsc::unbounded_channel();
        let bytes = usize::try_from(config.max_held.as_u64()).unwrap_or(usize::MAX);
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        let (memory, ready) = (Arc::new(Semaphore::new(bytes)), Ready::default());
        info!(
            event = "starting",
            broker = %broker.address,
            client_id = broker.client_id,
            filters = broker.filters.join(" "),
            ingest = config.ingest_url,
            "takes messages of {} for {}",
            broker.address,
            config.ingest_url
        );
        let way = Way {
            messages,
            memory: Arc::clone(&memory),
            ready: ready.clone(),
            stop: stop.clone(),
        };
        Ok(Bridge {
            session: Session::new(broker, way)?,
            deliverer: Deliverer::new(Arc::new(rules), &deliver, &ready, stop)?,
            taken,
            memory,
            bytes,
            ready,
            metrics_listen: config.metrics_listen,
            grace: config.shutdown_grace,
            stop: stop.clone(),
        })
    }

    /// Runs until the token given to [`new`](Bridge::new) is cancelled: then what has come is finished within
    /// SHUTDOWN_GRACE, and acknowledged.
    ///
    /// # Errors
    ///
    /// If the address of the metrics is taken, the broker refuses the bridge or a subscription, or a task breaks.
    pub async fn run(self) -> anyhow::Result<()> {
        let handle = service::metrics::install()?;
        describe();
        let (held, client) = (self.session.held(), self.session.client());
        let update = {
            let (held, memory, bytes) = (Arc::clone(&held), self.memory, self.bytes);
            move || {
                gauge!(UNACKNOWLEDGED).set(held.len() as f64);
                gauge!(MEMORY).set(bytes.saturating_sub(memory.available_permits()) as f64);
            }
        };
        // Served until the end, so that a scrape shows the drain.
        let serving = service::metrics::serve(
            self.metrics_listen,
            handle,
            update,
            self.ready.clone(),
            CancellationToken::new(),
        );
        let session = supervise::spawn("broker", self.session.run());
        let delivering = supervise::spawn("deliver", self.deliverer.run(self.taken));
        let bridging = async {
            tokio::select! {
                // First: at a stop both tasks come to their end.
                biased;
                () = self.stop.cancelled() => {}
                reason = session.broken() => return Err(reason),
                reason = delivering.broken() => return Err(reason),
            }
            self.ready.set(false);
            info!(
                event = "stopping",
                held = held.len(),
                "stopping: what has come is finished first"
            );
            match tokio::time::timeout(self.grace, delivering.end()).await {
                Ok(ended) => ended?,
                Err(_) => warn!(
                    event = "grace_over",
                    "SHUTDOWN_GRACE is over while posts are under way"
                ),
            }
            leave(&client, &session, &held).await;
            Ok(())
        };
        tokio::select! {
            result = bridging => result,
            result = serving => match result {
                Ok(()) => bail!("the server of the metrics has ended"),
                Err(error) => Err(error),
            },
        }
    }
}

/// Sends the last acknowledgements, and says goodbye, so that the broker need not find out that nobody is there.
async fn leave(client: &rumqttc::v5::AsyncClient, session: &Supervised, held: &Held) {
    let left = tokio::time::timeout(LEAVE_WITHIN, async {
        // Behind the acknowledgements, which go the same way.
        client.disconnect().await.context("the session is over")?;
        session.end().await
    });
    if !matches!(left.await, Ok(Ok(()))) {
        info!(
            event = "left_alone",
            "the broker is away, and was not told that the bridge leaves"
        );
    }
    let unacknowledged = held.len();
    let left = match unacknowledged {
        0 => "all that came is acknowledged".to_owned(),
        some => format!("{some} messages are not acknowledged, and come again"),
    };
    info!(event = "stopped", unacknowledged, "stopped: {left}");
}
