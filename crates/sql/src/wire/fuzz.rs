//! Messages and values of clients that nearly make sense.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Float64Array, RecordBatch, StringArray};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::FutureExt;
use futures::future::BoxFuture;
use fuzz::Corpus;
use pgwire::api::{ClientInfo, DefaultClient, PgWireConnectionState};
use pgwire::tokio::server::PgWireMessageServerCodec;
use service::keys::{Key, Keys};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Socket};
use super::scram::Exchange;
use super::server::Stream;
use super::{PgError, Server, Settings, Source, command, params, startup};
use crate::catalog::Session;

struct Memory(RecordBatch);

impl Source for Memory {
    fn context(&self, _: Option<String>) -> BoxFuture<'_, Result<SessionContext, PgError>> {
        let config = SessionConfig::new().with_default_catalog_and_schema("headwater", "public");
        let context = SessionContext::new_with_config(config);
        let made = context.register_batch("vehicle", self.0.clone());
        let made = made.map_err(|error| PgError::new("XX000", error.to_string()));
        async move { made.map(|_| context) }.boxed()
    }

    fn turn(&self) -> BoxFuture<'static, Result<Box<dyn Any + Send>, PgError>> {
        async { Ok(Box::new(()) as Box<dyn Any + Send>) }.boxed()
    }
}

fn server() -> Arc<Server> {
    let entities = StringArray::from_iter_values(["veh-1", "veh-2"]);
    let speeds = Float64Array::from(vec![Some(1.5), None]);
    let rows = RecordBatch::try_from_iter([
        ("entity_id", Arc::new(entities) as _),
        ("speed", Arc::new(speeds) as _),
    ]);
    let settings = Settings {
        keys: Keys::new(&["a-read-key-of-some-length".into()]),
        tls: None,
        takes_clear: true,
        connections: 10,
        timeout: Duration::from_secs(5),
        grace: Duration::from_secs(1),
    };
    let source = Arc::new(Memory(rows.unwrap()));
    Arc::new(Server::new(source, settings, CancellationToken::new()))
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A message of a client: its tag, its length, and what it says.
fn message(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[tag][..], &length, &body].concat()
}

/// Sends all of it, and reads what is answered, to the end.
async fn talk(mut client: DuplexStream, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (mut reader, mut writer) = tokio::io::split(&mut client);
    let mut answers = Vec::new();
    let write = async {
        // Whoever is sent a broken message may close before all is read.
        let _ = writer.write_all(bytes).await;
        let _ = writer.shutdown().await;
    };
    let (read, ()) = tokio::join!(reader.read_to_end(&mut answers), write);
    read.map_err(|error| error.to_string())?;
    Ok(answers)
}

#[test]
fn fuzz_wire_session() {
    let query = |sql: &str| message(b'Q', &[sql.as_bytes(), &[0]]);
    let sync = || message(b'S', &[]);
    let parse = message(
        b'P',
        &[
            b"s\0SELECT speed FROM vehicle WHERE entity_id = $1\0",
            &[0, 1, 0, 0, 0, 25],
        ],
    );
    let bind = message(
        b'B',
        &[
            b"p\0s\0",
            &[0, 1, 0, 1, 0, 1, 0, 0, 0, 5],
            b"veh-1",
            &[0, 1, 0, 1],
        ],
    );
    let extended = [
        parse,
        message(b'D', &[b"Ss\0"]),
        bind,
        message(b'D', &[b"Pp\0"]),
        message(b'E', &[b"p\0", &[0, 0, 0, 1]]),
        message(b'C', &[b"Pp\0"]),
        message(b'H', &[]),
        sync(),
    ]
    .concat();
    let simple = [
        query("BEGIN; SELECT 1; COMMIT"),
        query("SET timezone = 'UTC'"),
        query(""),
    ]
    .concat();
    let cursor = [
        query("BEGIN"),
        query("DECLARE c CURSOR FOR SELECT * FROM vehicle"),
        query("FETCH 1 FROM c"),
        query("COPY (SELECT * FROM vehicle) TO STDOUT"),
        query("CLOSE c"),
        message(b'X', &[]),
    ]
    .concat();
    let corpus = Corpus {
        sound: &[&extended, &simple, &cursor],
        tokens: &[
            "\0",
            "\u{1}",
            "Q",
            "P",
            "B",
            "E",
            "D",
            "S",
            "C",
            "H",
            "X",
            "d",
            "c",
            "f",
            "p",
            "F",
            "$1",
            "$2",
            "s\0",
            "SELECT ",
            "FETCH ALL FROM c",
            "DEALLOCATE s",
            "'",
            ";",
            "\u{7f}\u{7f}\u{7f}\u{7f}",
            "--",
            "/*",
        ],
    };
    let (server, runtime) = (server(), runtime());
    fuzz::run_few("wire_session", corpus, |bytes| {
        let (client, ours) = duplex(64 * 1024);
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let codec = PgWireMessageServerCodec::new(DefaultClient::<()>::new(address, false));
        let mut socket: Socket = Framed::new(Box::new(ours) as Box<dyn Stream>, codec);
        socket.set_state(PgWireConnectionState::ReadyForQuery);
        let place = server.cancels.enter(bytes::Bytes::new());
        let session = Arc::new(Session::new("anyone", place.process()));
        let connection = Connection::new(socket, server.clone(), session, place, Key::own());
        runtime.block_on(async {
            tokio::join!(connection.run(), talk(client, bytes))
                .1
                .map(|_| ())
        })
    });
}

#[test]
fn fuzz_wire_startup() {
    let (server, runtime) = (server(), runtime());
    let named = |version: u32, pairs: &[u8]| {
        let length = u32::try_from(pairs.len() + 9).unwrap().to_be_bytes();
        [&length[..], &version.to_be_bytes(), pairs, &[0]].concat()
    };
    let first = b"SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=rOprNGfwEbeRWgbNEkqOabcd";
    let start = named(
        196_608,
        b"user\0anyone\0database\0headwater\0options\0-c a=b\0",
    );
    let sound = [
        [start.clone(), message(b'p', &[first])].concat(),
        [
            start,
            message(b'p', &[first]),
            message(b'p', &[b"c=biws,r=x,p=eA=="]),
        ]
        .concat(),
        named(196_610, b"user\0x\0_pq_.a\0b\0"),
        [&[0, 0, 0, 16][..], &80_877_102_u32.to_be_bytes(), &[0; 8]].concat(),
    ];
    let sound = sound.each_ref().map(Vec::as_slice);
    let corpus = Corpus {
        sound: &sound,
        tokens: &[
            "\0",
            "p",
            "n,,",
            "y,,",
            "p=tls-unique,,",
            "=2C",
            "=3D",
            "r=",
            "c=biws",
            "user\0",
            "\u{3}",
            ",",
        ],
    };
    fuzz::run_few("wire_startup", corpus, |bytes| {
        let (head, rest) = bytes.split_at(bytes.len().min(8));
        let (client, ours) = duplex(64 * 1024);
        let (started, answers) = runtime.block_on(async {
            let start = startup::start(Box::new(ours), head, &server, None);
            tokio::join!(start.map(|started| started.is_some()), talk(client, rest))
        });
        answers?;
        if started {
            Err("let in without the key".to_owned())
        } else {
            Ok(())
        }
    });
}

#[test]
fn fuzz_wire_values() {
    let server = server();
    let sound: [&[u8]; 6] = [
        b"{1,2,NULL,\"a\"}",
        b"2025-10-04 12:34:56.789+02",
        b"1 day 02:03:04",
        b"\\xdeadbeef",
        &[
            0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, b'a',
        ],
        &[0, 3, 0, 1, 0, 0, 0, 2, 4, 210, 22, 46, 3, 232],
    ];
    // The types that clients bind: numbers, texts, times, numeric, arrays of them, and one that nobody knows.
    let oids = [
        16, 17, 20, 21, 23, 25, 114, 700, 701, 1043, 1082, 1083, 1114, 1184, 1186, 1700, 1009,
        1007, 1016, 2950, 99_999,
    ];
    let corpus = Corpus {
        sound: &sound,
        tokens: &[
            "\0", "\u{7f}", "{", "}", "\"", "\\", ",", "NULL", "nan", "infinity", "-", "1e400",
            "9", "T", ":",
        ],
    };
    fuzz::run("wire_values", corpus, |bytes| {
        for oid in oids {
            for binary in [false, true] {
                // Refused in words, or taken.
                if let Err(error) = params::literal(oid, binary, Some(bytes)) {
                    error.message();
                }
            }
        }
        if let Ok(exchange) = Exchange::start(&server.verifiers(), bytes) {
            exchange.server_first();
        }
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = command::duration(text);
        }
        Ok(())
    });
}

/// A text that is taken reads, and nothing else.
#[test]
fn fuzz_sql_text() {
    let statements = include_str!("../../tests/data/client-statements.txt");
    let sound: Vec<&[u8]> = statements
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::as_bytes)
        .collect();
    let corpus = Corpus {
        sound: &sound,
        tokens: &[
            "(",
            ")",
            "'",
            "\"",
            "$$",
            "$1",
            ";",
            ",",
            "*",
            "::",
            "--",
            "/*",
            "*/",
            "E'\\",
            "\0",
            "SELECT ",
            " FROM ",
            " WHERE ",
            "WITH RECURSIVE a AS (",
            "INSERT INTO a ",
            "DELETE FROM a",
            "UPDATE a SET b=1 ",
            "DROP TABLE a",
            " RETURNING *",
            "COPY a TO '/tmp/x'",
            "EXPLAIN ANALYZE ",
            " UNION ALL ",
            "NOT ",
            "- ",
            "CASE WHEN ",
            "[1]",
            "INTERVAL '1'",
            "SET a = ",
            "FETCH 9999999999999999999 ",
            "\u{202e}",
            " OVER (ORDER BY ",
        ],
    };
    fuzz::run("sql_text", corpus, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Ok(());
        };
        if let Ok(statement) = crate::parse_one(text) {
            let read = statement.to_string();
            let refused = crate::parse_one(&read)
                .is_err_and(|error| matches!(error, crate::SqlError::ReadOnly(_)));
            if refused {
                return Err(format!("{read} would write, and was taken"));
            }
        }
        if let Ok(statements) = command::parse(text) {
            for statement in statements {
                // Whatever it is: a command, a query, or refused.
                let _ = command::of(statement);
            }
        }
        Ok(())
    });
}
