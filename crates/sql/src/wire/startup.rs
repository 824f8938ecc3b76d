//! The first messages of a connection: who is there, and with which key.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use pgwire::api::{ClientInfo, DefaultClient, PgWireConnectionState};
use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::{
    Authentication, BackendKeyData, ParameterStatus, PasswordMessageFamily, SecretKey, Startup,
};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion};
use pgwire::tokio::server::PgWireMessageServerCodec;
use service::keys::{Access, Key};
use tokio_util::codec::{Framed, FramedParts};

use super::connection::{Connection, Failure, Socket};
use super::error::PgError;
use super::receive::{receive, sasl_initial};
use super::scram::{Exchange, ScramError};
use super::server::{Server, Stream};
use crate::catalog::Session;

/// Settings whose value the client is told at its start, and when it changes.
pub(super) const REPORTED: &[(&str, &str)] = &[
    ("application_name", "application_name"),
    ("client_encoding", "client_encoding"),
    ("datestyle", "DateStyle"),
    (
        "default_transaction_read_only",
        "default_transaction_read_only",
    ),
    ("integer_datetimes", "integer_datetimes"),
    ("intervalstyle", "IntervalStyle"),
    ("is_superuser", "is_superuser"),
    ("server_encoding", "server_encoding"),
    ("server_version", "server_version"),
    ("session_authorization", "session_authorization"),
    ("standard_conforming_strings", "standard_conforming_strings"),
    ("timezone", "TimeZone"),
];

const METHOD: &str = "SCRAM-SHA-256";

/// Reads up to the end of authentication; none when the connection was a cancel request or has ended. It is told
/// `refused` where no further connection is taken, or none of its sort.
pub(super) async fn start(
    stream: Box<dyn Stream>,
    head: &[u8],
    server: &Arc<Server>,
    refused: Option<PgError>,
) -> Option<Connection> {
    let address = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    let codec = PgWireMessageServerCodec::new(DefaultClient::<()>::new(address, false));
    let mut parts = FramedParts::new::<PgWireBackendMessage>(stream, codec);
    parts.read_buf = BytesMut::from(head);
    let mut socket: Socket = Framed::from_parts(parts);
    socket.set_state(PgWireConnectionState::AwaitingStartup);
    match authenticate(socket, server, refused).await {
        Ok(connection) => connection,
        Err((mut socket, error)) => {
            if let Failure::Error(error) = error {
                let _ = socket.send(error.message()).await;
                let _ = socket.close().await;
            }
            None
        }
    }
}

async fn authenticate(
    mut socket: Socket,
    server: &Arc<Server>,
    refused: Option<PgError>,
) -> Result<Option<Connection>, (Socket, Failure)> {
    let startup = match receive(&mut socket).await {
        Some(Ok(PgWireFrontendMessage::CancelRequest(request))) => {
            server
                .cancels
                .cancel(request.pid, &request.secret_key.to_bytes());
            let _ = socket.close().await;
            return Ok(None);
        }
        Some(Ok(PgWireFrontendMessage::Startup(startup))) => startup,
        Some(Err(_)) => {
            return Err((
                socket,
                PgError::fatal("08P01", "invalid startup message").into(),
            ));
        }
        _ => return Ok(None),
    };
    if let Some(error) = refused {
        return Err((socket, error.into()));
    }
    let key = match exchange(&mut socket, server, &startup).await {
        Ok(key) => key,
        Err(error) => return Err((socket, error)),
    };
    let secret = match socket.protocol_version() {
        ProtocolVersion::PROTOCOL3_0 => SecretKey::I32(rand::random()),
        _ => SecretKey::Bytes(Bytes::from(rand::random::<[u8; 32]>().to_vec())),
    };
    let place = server.cancels.enter(secret.to_bytes());
    let user = startup.parameters.get("user").map_or("", String::as_str);
    let session = Arc::new(Session::new(user, place.process()));
    apply(&session, &startup);
    let greeted = async {
        socket
            .feed(PgWireBackendMessage::Authentication(Authentication::Ok))
            .await?;
        for (name, reported) in REPORTED {
            let value = session.setting(name).unwrap_or_default();
            let status = ParameterStatus::new((*reported).to_owned(), value);
            socket
                .feed(PgWireBackendMessage::ParameterStatus(status))
                .await?;
        }
        let key = BackendKeyData::new(place.process(), secret);
        socket
            .feed(PgWireBackendMessage::BackendKeyData(key))
            .await?;
        socket
            .send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(
                TransactionStatus::Idle,
            )))
            .await
    };
    if greeted.await.is_err() {
        return Ok(None);
    }
    socket.set_state(PgWireConnectionState::ReadyForQuery);
    Ok(Some(Connection::new(
        socket,
        Arc::clone(server),
        session,
        place,
        key,
    )))
}

/// The settings that come with the startup message; unknown ones are left out, as no client can do without.
fn apply(session: &Session, startup: &Startup) {
    for (name, value) in &startup.parameters {
        match name.as_str() {
            "user" | "database" | "replication" => {}
            "options" => {
                let words: Vec<&str> = value.split_whitespace().collect();
                let pairs = words.iter().filter_map(|word| {
                    word.trim_start_matches("-c")
                        .trim_start_matches("--")
                        .split_once('=')
                });
                for (name, value) in pairs {
                    session.set(name, value);
                }
            }
            _ => {
                session.set(name, value);
            }
        }
    }
    // Everything is UTF-8, whatever spelling the client has for it.
    session.set("client_encoding", "UTF8");
}

async fn exchange(
    socket: &mut Socket,
    server: &Server,
    startup: &Startup,
) -> Result<Arc<Key>, Failure> {
    let protocol = |_| {
        Failure::from(PgError::fatal(
            "08P01",
            "unsupported protocol version or message",
        ))
    };
    pgwire::api::auth::protocol_negotiation(socket, startup)
        .await
        .map_err(protocol)?;
    socket
        .send(PgWireBackendMessage::Authentication(Authentication::SASL(
            vec![METHOD.to_owned()],
        )))
        .await?;
    socket.set_state(PgWireConnectionState::AuthenticationInProgress);

    let first = sasl_initial(password(socket).await?)
        .map_err(|_| PgError::fatal("08P01", "expected a SASL response"))?;
    if first.auth_method != METHOD {
        return Err(
            PgError::fatal("28000", format!("the password is checked by {METHOD} only")).into(),
        );
    }
    // The same for the whole exchange: the salt may change in between.
    let verifiers = server.verifiers();
    let exchange =
        Exchange::start(&verifiers, first.data.as_deref().unwrap_or_default()).map_err(refuse)?;
    let server_first = Bytes::from(exchange.server_first().to_owned());
    socket
        .send(PgWireBackendMessage::Authentication(
            Authentication::SASLContinue(server_first),
        ))
        .await?;

    let last = password(socket)
        .await?
        .into_sasl_response()
        .map_err(protocol)?;
    let (server_final, key) = exchange.finish(&verifiers, &last.data).map_err(refuse)?;
    // A key that was taken out meanwhile, or whose time is over, is none.
    if key.revoked().is_cancelled() || server.settings.keys.has_expired(&key) {
        return Err(refuse(ScramError::Refused));
    }
    if let Err(error) = key.check_access(Access::Read) {
        return Err(PgError::fatal("28000", error.to_string()).into());
    }
    socket
        .feed(PgWireBackendMessage::Authentication(
            Authentication::SASLFinal(server_final.into()),
        ))
        .await?;
    Ok(key)
}

fn refuse(error: ScramError) -> Failure {
    let code = if error == ScramError::Refused {
        "28P01"
    } else {
        "08P01"
    };
    metrics::counter!("headwater_query_pg_logins_refused_total").increment(1);
    PgError::fatal(code, error.to_string()).into()
}

async fn password(socket: &mut Socket) -> Result<PasswordMessageFamily, Failure> {
    match receive(socket).await {
        Some(Ok(PgWireFrontendMessage::PasswordMessageFamily(message))) => Ok(message),
        Some(_) => Err(PgError::fatal("08P01", "expected a password message").into()),
        None => Err(Failure::Gone),
    }
}
