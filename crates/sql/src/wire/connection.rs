//! One connection: what it remembers between messages, and what can end a statement of it.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::timezone::Tz;
use futures::SinkExt;
use pgwire::messages::data::{FieldDescription, RowDescription};
use pgwire::messages::response::{CommandComplete, ReadyForQuery, TransactionStatus};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use pgwire::tokio::server::PgWireMessageServerCodec;
use service::keys::Key;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

use super::cancel::Place;
use super::command;
use super::encode::{Column, Encoder, format_of};
use super::error::PgError;
use super::prepared::{Portal, Prepared};
use super::receive::receive;
use super::rows::Rows;
use super::server::{Server, Stream};
use super::texts::zone_of;
use crate::catalog::{Session, types};

pub(super) type Socket = Framed<Box<dyn Stream>, PgWireMessageServerCodec<()>>;

/// Why a statement ends before its end.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client has left: there is nobody to tell.
    Gone,
    /// To be told to the client.
    Error(PgError),
}

impl From<PgError> for Failure {
    fn from(error: PgError) -> Failure {
        Failure::Error(error)
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Failure {
        Failure::Gone
    }
}

/// Messages read ahead while a query runs; with more waiting, the socket is read no further.
const READ_AHEAD: usize = 1000;

/// Time for which the last words to a client that reads nothing may take.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) server: Arc<Server>,
    pub(super) session: Arc<Session>,
    /// The one that let the client in.
    key: Arc<Key>,
    pub(super) prepared: HashMap<String, Prepared>,
    pub(super) portals: HashMap<String, Portal>,
    pub(super) cursors: HashMap<String, Rows>,
    pub(super) transaction: TransactionStatus,
    /// After an error of the extended protocol: messages up to Sync are skipped.
    pub(super) skipping: bool,
    place: Place,
    waiting: VecDeque<PgWireFrontendMessage>,
    running: CancellationToken,
    deadline: Instant,
    limit: Duration,
    /// Settings that `SET LOCAL` changed, with the values to give back.
    pub(super) local: Vec<(String, String)>,
}

impl Connection {
    pub(super) fn new(
        mut socket: Socket,
        server: Arc<Server>,
        session: Arc<Session>,
        place: Place,
        key: Arc<Key>,
    ) -> Connection {
        socket.set_backpressure_boundary(64 * 1024);
        let running = place.next();
        let limit = server.settings.timeout;
        Connection {
            socket,
            server,
            session,
            key,
            prepared: HashMap::new(),
            portals: HashMap::new(),
            cursors: HashMap::new(),
            transaction: TransactionStatus::Idle,
            skipping: false,
            place,
            waiting: VecDeque::new(),
            running,
            deadline: Instant::now() + limit,
            limit,
            local: Vec::new(),
        }
    }

    /// Answers messages until the client leaves or the service stops.
    pub(super) async fn run(mut self) {
        loop {
            let message = match self.waiting.pop_front() {
                Some(message) => message,
                None => tokio::select! {
                    biased;
                    message = receive(&mut self.socket) => match message {
                        Some(Ok(message)) => message,
                        Some(Err(_)) => {
                            self.last_words(PgError::fatal("08P01", "invalid message")).await;
                            return;
                        }
                        None => return,
                    },
                    () = self.server.stop.cancelled() => {
                        let words = "terminating connection: the service is being stopped";
                        self.last_words(PgError::fatal("57P01", words)).await;
                        return;
                    }
                    () = self.key.revoked().cancelled() => {
                        self.last_words(key_is_gone()).await;
                        return;
                    }
                },
            };
            // A client that always has a statement for us is told too.
            if self.key.revoked().is_cancelled() || self.server.settings.keys.has_expired(&self.key)
            {
                self.last_words(key_is_gone()).await;
                return;
            }
            if matches!(message, PgWireFrontendMessage::Terminate(_)) {
                return;
            }
            // In a box: the future of a statement is large, and frames of unoptimised builds hold copies of it.
            match Box::pin(self.answer(message)).await {
                Ok(()) => {}
                Err(Failure::Gone) => return,
                Err(Failure::Error(error)) => {
                    self.last_words(error).await;
                    return;
                }
            }
        }
    }

    /// Answers one message. An error that is returned ends the connection.
    async fn answer(&mut self, message: PgWireFrontendMessage) -> Result<(), Failure> {
        match message {
            PgWireFrontendMessage::Query(query) => {
                self.skipping = false;
                self.simple(&query.query).await
            }
            other => self.extended(other).await,
        }
    }

    async fn last_words(&mut self, error: PgError) {
        let _ = timeout(LAST_WORDS, async {
            self.socket.send(error.message()).await?;
            self.socket.close().await
        })
        .await;
    }

    /// Tells the client of an error that ends only a statement, and whether the transaction goes on.
    ///
    /// # Errors
    ///
    /// The error itself when it ends the connection.
    pub(super) async fn tell(&mut self, failure: Failure) -> Result<(), Failure> {
        match failure {
            Failure::Error(error) if !error.fatal => {
                if self.transaction == TransactionStatus::Transaction {
                    self.transaction = TransactionStatus::Error;
                }
                match timeout(LAST_WORDS, self.socket.feed(error.message())).await {
                    Ok(sent) => Ok(sent?),
                    // The client reads nothing: its connection is given up.
                    Err(_) => Err(Failure::Gone),
                }
            }
            other => Err(other),
        }
    }

    pub(super) async fn feed(&mut self, message: PgWireBackendMessage) -> Result<(), Failure> {
        Ok(self.socket.feed(message).await?)
    }

    pub(super) async fn ready(&mut self) -> Result<(), Failure> {
        let ready = PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(self.transaction));
        Ok(self.socket.send(ready).await?)
    }

    pub(super) async fn complete(&mut self, tag: String) -> Result<(), Failure> {
        self.feed(PgWireBackendMessage::CommandComplete(CommandComplete::new(
            tag,
        )))
        .await
    }

    /// Starts the clock of a statement; cancel requests from now on are for it.
    pub(super) fn arm(&mut self) {
        self.running = self.place.next();
        let asked = self
            .session
            .setting("statement_timeout")
            .unwrap_or_default();
        let asked = command::duration(&asked).unwrap_or_default();
        let most = self.server.settings.timeout;
        self.limit = if asked.is_zero() {
            most
        } else {
            asked.min(most)
        };
        self.deadline = Instant::now() + self.limit;
    }

    /// Waits for `future` as long as the statement may run, and reads on the socket meanwhile: a client that has left
    /// is noticed at once.
    pub(super) async fn watch<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Failure> {
        let mut future = pin!(future);
        loop {
            let room = self.waiting.len() < READ_AHEAD;
            tokio::select! {
                biased;
                error = ended(&self.running, &self.server.end, self.deadline, self.limit) => return Err(error.into()),
                () = self.key.revoked().cancelled() => return Err(key_is_gone().into()),
                value = &mut future => return Ok(value),
                message = receive(&mut self.socket), if room => match message {
                    None | Some(Err(_)) | Some(Ok(PgWireFrontendMessage::Terminate(_))) => return Err(Failure::Gone),
                    Some(Ok(message)) => self.waiting.push_back(message),
                },
            }
        }
    }

    /// Sends messages as long as the statement may run.
    pub(super) async fn feed_all(
        &mut self,
        messages: impl Iterator<Item = PgWireBackendMessage>,
    ) -> Result<(), Failure> {
        let socket = &mut self.socket;
        let feed = async {
            for message in messages {
                socket.feed(message).await?;
            }
            Ok::<_, io::Error>(())
        };
        tokio::select! {
            biased;
            error = ended(&self.running, &self.server.end, self.deadline, self.limit) => Err(error.into()),
            fed = feed => Ok(fed?),
        }
    }

    /// The zone in which times are shown as text.
    pub(super) fn zone(&self) -> Tz {
        let zone = self.session.setting("timezone").unwrap_or_default();
        zone_of(&zone).unwrap_or_else(|| "+00:00".parse().expect("a fixed zone"))
    }

    /// Sends rows until the end or `limit`. True at the end.
    pub(super) async fn send_rows(
        &mut self,
        rows: &mut Rows,
        formats: &[i16],
        limit: Option<u64>,
    ) -> Result<(u64, bool), Failure> {
        let columns = Arc::clone(&rows.columns);
        let zone = self.zone();
        let mut sent = 0;
        loop {
            let (batch, from) = match rows.current.take() {
                Some(current) => current,
                None => match self.watch(rows.next()).await? {
                    None => return Ok((sent, true)),
                    Some(batch) => (batch?, 0),
                },
            };
            let left = limit.map_or(usize::MAX, |limit| (limit - sent) as usize);
            let until = batch.num_rows().min(from.saturating_add(left));
            let encoder = Encoder::new(&batch, &columns, formats, zone).map_err(|error| {
                PgError::new("XX000", format!("cannot send these values: {error}"))
            })?;
            let messages = (from..until).map(|row| PgWireBackendMessage::DataRow(encoder.row(row)));
            self.feed_all(messages).await?;
            sent += (until - from) as u64;
            if until < batch.num_rows() {
                rows.current = Some((batch, until));
            }
            if limit.is_some_and(|limit| sent >= limit) {
                return Ok((sent, false));
            }
        }
    }

    pub(super) fn description(columns: &[Column], formats: &[i16]) -> PgWireBackendMessage {
        let fields = columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let length = match types::by_oid(column.oid) {
                    Some((pg, false)) => pg.len,
                    _ => -1,
                };
                let format = format_of(formats, index);
                FieldDescription::new(column.name.clone(), 0, 0, column.oid, length, -1, format)
            })
            .collect();
        PgWireBackendMessage::RowDescription(RowDescription::new(fields))
    }
}

fn key_is_gone() -> PgError {
    PgError::fatal(
        "57P01",
        "terminating connection: the key is no longer accepted",
    )
}

/// Ready when the statement must end.
async fn ended(
    running: &CancellationToken,
    end: &CancellationToken,
    deadline: Instant,
    limit: Duration,
) -> PgError {
    tokio::select! {
        () = running.cancelled() => PgError::new("57014", "canceling statement due to user request"),
        () = end.cancelled() => PgError::fatal("57P01", "terminating connection: the service is being stopped"),
        () = sleep_until(deadline) => {
            let words = format!("canceling statement due to statement timeout ({} ms)", limit.as_millis());
            PgError::new("57014", words).hint("ask for a shorter time range, or raise QUERY_TIMEOUT of the service")
        }
    }
}
