//! The session with the broker: connects, subscribes, takes messages, and connects again without end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use chrono::Utc;
use metrics::{counter, gauge};
use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, Filter, Packet, Publish, RetainForwardRule, SubAck, SubscribeReasonCode,
};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop};
use service::ready::Ready;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::held::{Came, Held};
use super::{BrokerSettings, words};
use crate::message::{Message, Receipt};
use crate::metrics::{AGAIN, CONNECTED, DROPPED, RECEIVED, RECONNECTS};

/// Waits before a new connection: each is twice as long as the one before.
const WAITS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(30)];

/// How long a connection lasts before the waits begin with the shortest again.
const LASTING: Duration = Duration::from_secs(10);

/// What a message takes beside its bytes.
const OVERHEAD: usize = 512;

/// Most filters of one packet: some brokers take no more (AWS IoT Core, read 2026-11-28).
const FILTERS_AT_ONCE: usize = 8;

/// Where messages go, and what the session is told.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) messages: mpsc::UnboundedSender<Message>,
    /// Bytes that messages may take; shared with whoever asks how many they take.
    pub(crate) memory: Arc<Semaphore>,
    pub(crate) ready: Ready,
    /// Once it is cancelled no message is taken; what is acknowledged still goes out.
    pub(crate) stop: CancellationToken,
}

/// The session of this bridge with its broker.
pub(crate) struct Session {
    settings: BrokerSettings,
    client: AsyncClient,
    events: EventLoop,
    held: Arc<Held>,
    way: Way,
    /// Filters whose subscription is not answered, by packet.
    unanswered: VecDeque<Vec<String>>,
    connected: Option<Instant>,
    was_connected: bool,
}

impl Session {
    /// Makes the client; it connects once the session runs.
    pub(crate) fn new(settings: BrokerSettings, way: Way) -> anyhow::Result<Session> {
        let options = settings
            .options()
            .context("cannot set up TLS to the broker")?;
        // Room for an acknowledgement of each packet identifier that there is, so that sending one never waits: not
        // every broker keeps to RECEIVE_MAXIMUM (Mosquitto 2.0.11 sends all that it has at the first acknowledgement).
        let room = usize::from(u16::MAX) + settings.filters.len() + 64;
        let (client, events) = AsyncClient::new(options, room);
        let held = Held::new({
            let client = client.clone();
            move |packet| acknowledge(&client, packet)
        });
        Ok(Session {
            settings,
            client,
            events,
            held: Arc::new(held),
            way,
            unanswered: VecDeque::new(),
            connected: None,
            was_connected: false,
        })
    }

    /// The messages that it holds.
    pub(crate) fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held)
    }

    /// The client that ends the session's run by a disconnect.
    pub(crate) fn client(&self) -> AsyncClient {
        self.client.clone()
    }

    /// Runs until the client disconnects.
    ///
    /// # Errors
    ///
    /// If the broker refuses the first connection for what the settings say, or a subscription.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        let mut waits = waits();
        loop {
            // Never dropped halfway: an acknowledgement that is being written would be lost.
            match self.events.poll().await {
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return Ok(()),
                Ok(event) => self.took(event).await?,
                Err(error) => {
                    let lasted = self.connected.map(|since| since.elapsed());
                    if lasted.is_some_and(|lasted| lasted >= LASTING) {
                        waits = self::waits();
                    }
                    self.lost(&error).await?;
                    let [_, longest] = WAITS;
                    let wait = waits.next().unwrap_or(longest).min(longest);
                    self.tell_lost(&error, lasted.is_some_and(|lasted| lasted < LASTING), wait);
                    // A stop must not wait for a broker that is away: what is held comes again by itself.
                    let slept = self.way.stop.run_until_cancelled(tokio::time::sleep(wait));
                    if slept.await.is_none() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn took(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Incoming(Packet::ConnAck(answer)) => self.connected(&answer),
            Event::Incoming(Packet::SubAck(answer)) => self.subscribed(&answer),
            Event::Incoming(Packet::Publish(message)) => {
                self.take(message).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn connected(&mut self, answer: &ConnAck) -> anyhow::Result<()> {
        self.held.connected(answer.session_present);
        let address = &self.settings.address;
        let session = if answer.session_present {
            "resumed"
        } else {
            "new"
        };
        info!(event = "broker_connected", broker = %address, session, "connected to the broker at {address}");
        if self.was_connected {
            counter!(RECONNECTS).increment(1);
            if !answer.session_present {
                warn!(
                    event = "session_lost",
                    "the broker does not know the session any more: what was published meanwhile has not come, and \
                     will not; see SESSION_EXPIRY and the broker's persistence"
                );
            }
        }
        self.connected = Some(Instant::now());
        self.was_connected = true;
        self.unanswered.clear();
        for filters in self.settings.filters.chunks(FILTERS_AT_ONCE) {
            let asked = filters.iter().map(|filter| Filter {
                // Else a broker would send all retained messages at each connection again.
                retain_forward_rule: RetainForwardRule::OnNewSubscribe,
                ..Filter::new(filter, self.settings.qos)
            });
            self.client.try_subscribe_many(asked).map_err(|_| {
                anyhow!(
                    "cannot subscribe to {}: it is no filter",
                    filters.join(", ")
                )
            })?;
            self.unanswered.push_back(filters.to_vec());
        }
        Ok(())
    }

    fn subscribed(&mut self, answer: &SubAck) -> anyhow::Result<()> {
        let filters = self.unanswered.pop_front().unwrap_or_default();
        for (at, code) in answer.return_codes.iter().enumerate() {
            let filter = filters.get(at).map_or("", String::as_str);
            match code {
                SubscribeReasonCode::Success(granted) if *granted < self.settings.qos => {
                    warn!(
                        event = "less_granted",
                        filter,
                        "the broker sends `{filter}` by {granted:?} at most: \
                        messages can be lost"
                    );
                }
                SubscribeReasonCode::Success(_) => {}
                refused => bail!(words::unsubscribed(filter, refused)),
            }
        }
        if self.unanswered.is_empty() {
            gauge!(CONNECTED).set(1.0);
            self.way.ready.succeeded("broker");
            self.way.ready.set(!self.way.stop.is_cancelled());
        }
        Ok(())
    }

    async fn take(&mut self, message: Publish) {
        if self.way.stop.is_cancelled() {
            return;
        }
        counter!(RECEIVED).increment(1);
        let size = message.topic.len() + message.payload.len() + OVERHEAD;
        let most = usize::try_from(self.settings.max_held.as_u64()).unwrap_or(usize::MAX);
        let size = u32::try_from(size.min(most)).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.way.memory);
        if message.qos == QoS::AtMostOnce {
            match memory.try_acquire_many_owned(size) {
                Ok(memory) => self.hand_on(message, None, memory),
                Err(_) => counter!(DROPPED).increment(1),
            }
            return;
        }
        let came = self
            .held
            .came(message.pkid, message.dup, &message.topic, &message.payload);
        let Came::First(number) = came else {
            counter!(AGAIN).increment(1);
            return;
        };
        // While there is no room nothing more is read, and the broker waits.
        let room = memory.acquire_many_owned(size);
        if let Some(Ok(memory)) = self.way.stop.run_until_cancelled(room).await {
            self.hand_on(message, Some(number), memory);
        }
    }

    fn hand_on(&self, message: Publish, number: Option<u64>, memory: OwnedSemaphorePermit) {
        let held = number.map(|number| (Arc::clone(&self.held), number));
        let message = Message {
            topic: String::from_utf8_lossy(&message.topic).into_owned(),
            payload: message.payload,
            arrived: Utc::now(),
            receipt: Receipt {
                held,
                _memory: memory,
            },
        };
        // Nobody listens once the bridge stops: then it is not acknowledged.
        if self.way.messages.send(message).is_err() {
            debug!(
                event = "message_late",
                "a message came while the bridge stops"
            );
        }
    }

    async fn lost(&mut self, error: &ConnectionError) -> anyhow::Result<()> {
        // What was read before the connection broke off belongs to it still.
        for event in std::mem::take(&mut self.events.state.events) {
            if let Event::Incoming(Packet::Publish(message)) = event {
                self.take(message).await;
            }
        }
        self.held.lost();
        // Acknowledgements that were on their way are not for the next connection.
        self.events.clean();
        self.connected = None;
        gauge!(CONNECTED).set(0.0);
        if !self.was_connected && words::is_final(error) {
            bail!(words::lost(error, &self.settings.client_id).1);
        }
        Ok(())
    }

    fn tell_lost(&self, error: &ConnectionError, was_short: bool, wait: Duration) {
        let client_id = &self.settings.client_id;
        let (code, reason) = words::lost(error, client_id);
        // Not every broker says so when it ends one connection for another of the same name.
        let advice = if was_short {
            format!("; if this goes on, another client may have the CLIENT_ID `{client_id}`")
        } else {
            String::new()
        };
        self.way.ready.failed("broker", code, Duration::MAX);
        let address = &self.settings.address;
        warn!(
            event = "broker_lost",
            code,
            broker = %address,
            "not connected to the broker at {address}: {reason}{advice}; trying again in {:.1} s",
            wait.as_secs_f64()
        );
    }
}

fn waits() -> ExponentialBackoff {
    let [shortest, longest] = WAITS;
    ExponentialBuilder::default()
        .with_min_delay(shortest)
        .with_max_delay(longest)
        .with_factor(2.0)
        .with_jitter()
        .without_max_times()
        .build()
}

fn acknowledge(client: &AsyncClient, packet: u16) {
    let message = Publish {
        pkid: packet,
        qos: QoS::AtLeastOnce,
        ..Publish::default()
    };
    // There is room. One that is not acknowledged comes again with the next connection.
    if client.try_ack(&message).is_err() {
        warn!(
            event = "not_acknowledged",
            packet, "cannot acknowledge a message: it comes again with the next connection"
        );
    }
}
