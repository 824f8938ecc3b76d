//! The PostgreSQL wire by a real driver, over a table in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod catalogs;
mod refused;
mod tls;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::TimestampMicrosecondArray;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use secrecy::ExposeSecret;
use service::keys::{Access, Keys, NewKey, Source as KeySource, add, revoke};
use service::tls::Tls;
use sql::wire::{PgError, Server, Settings, Source, serve};
use tokio::net::TcpListener;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

struct Memory(RecordBatch);

impl Source for Memory {
    fn context(&self, _: Option<String>) -> BoxFuture<'_, Result<SessionContext, PgError>> {
        let mut config =
            SessionConfig::new().with_default_catalog_and_schema("headwater", "public");
        config.options_mut().sql_parser.collect_spans = true;
        let context = SessionContext::new_with_config(config.with_information_schema(true));
        context.register_batch("vehicle", self.0.clone()).unwrap();
        async { Ok(context) }.boxed()
    }

    fn turn(&self) -> BoxFuture<'static, Result<Box<dyn Any + Send>, PgError>> {
        async { Ok(Box::new(()) as Box<dyn Any + Send>) }.boxed()
    }
}

fn vehicles() -> RecordBatch {
    let hour = 3_600_000_000;
    let times = TimestampMicrosecondArray::from_iter_values(
        (0..6).map(|n| 1_767_225_600_000_000 + n * hour),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "entity_id",
            Arc::new(StringArray::from_iter_values(
                (0..6).map(|n| format!("veh-{}", n % 3)),
            )),
        ),
        ("event_time", Arc::new(times.with_timezone("UTC"))),
        (
            "speed",
            Arc::new(Float64Array::from_iter(
                (0..6).map(|n| (n != 5).then_some(f64::from(n) + 0.5)),
            )),
        ),
        (
            "brake",
            Arc::new(BooleanArray::from_iter((0..6).map(|n| Some(n % 2 == 0)))),
        ),
        ("odometer", Arc::new(Int64Array::from_iter_values(0..6))),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap()
}

struct Service {
    port: u16,
    stop: CancellationToken,
}

const KEY: &str = "a-read-key-of-some-length";

async fn service(connections: usize, timeout: Duration) -> Service {
    service_with(connections, timeout, None, true).await
}

async fn service_with(
    connections: usize,
    timeout: Duration,
    tls: Option<Tls>,
    takes_clear: bool,
) -> Service {
    let keys = Keys::new(&["another-key".into(), KEY.into()]);
    service_of(keys, connections, timeout, tls, takes_clear).await
}

async fn service_of(
    keys: Keys,
    connections: usize,
    timeout: Duration,
    tls: Option<Tls>,
    takes_clear: bool,
) -> Service {
    let stop = CancellationToken::new();
    let settings = Settings {
        keys,
        tls,
        takes_clear,
        connections,
        timeout,
        grace: Duration::from_secs(2),
    };
    let server = Server::new(Arc::new(Memory(vehicles())), settings, stop.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve(listener, Arc::new(server)));
    Service { port, stop }
}

impl Service {
    async fn try_connect(&self, password: &str) -> Result<Client, tokio_postgres::Error> {
        let options = format!(
            "host=127.0.0.1 port={} user=anyone dbname=headwater password={password}",
            self.port
        );
        let (client, connection) = tokio_postgres::connect(&options, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    async fn connect(&self) -> Client {
        self.try_connect(KEY).await.unwrap()
    }
}

async fn client() -> Client {
    service(50, Duration::from_secs(30)).await.connect().await
}

/// The rows of a simple query, NULL as `∅`, headings first.
async fn ask(client: &Client, sql: &str) -> Vec<String> {
    let messages = client
        .simple_query(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let mut lines = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                lines.push(
                    columns
                        .iter()
                        .map(|column| column.name())
                        .collect::<Vec<_>>()
                        .join("|"),
                );
            }
            SimpleQueryMessage::Row(row) => {
                let values: Vec<&str> = (0..row.len())
                    .map(|index| row.get(index).unwrap_or("∅"))
                    .collect();
                lines.push(values.join("|"));
            }
            _ => {}
        }
    }
    lines
}

async fn code(client: &Client, sql: &str) -> String {
    let error = client.simple_query(sql).await.expect_err(sql);
    error
        .as_db_error()
        .unwrap_or_else(|| panic!("{sql}: {error:?}"))
        .code()
        .code()
        .to_owned()
}

#[tokio::test]
async fn a_read_key_opens_and_another_password_does_not() {
    let service = service(50, Duration::from_secs(30)).await;
    service.try_connect(KEY).await.unwrap();
    service.try_connect("another-key").await.unwrap();
    let error = service.try_connect("wrong").await.err().unwrap();
    assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD), "{error:?}");
}

/// Waits for what must happen, for as long as a machine that does much else may take.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(60), future).await;
    done.unwrap_or_else(|_| panic!("{what}: not within a minute"))
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_its_connections_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let [kept, gone] = ["kept", "gone"].map(|name| {
        let new = NewKey {
            name: name.to_owned(),
            may: vec![Access::Read],
            postgres: true,
            ..NewKey::default()
        };
        add(&path, &new).unwrap()
    });
    let source = KeySource {
        file: Some(path.clone()),
        ..KeySource::default()
    };
    let keys = Keys::load(&source, chrono::Utc::now).unwrap();
    let followed = keys.clone();
    tokio::spawn(async move { followed.follow().await });
    let service = service_of(keys, 50, Duration::from_secs(30), None, true).await;
    let kept_client = service.try_connect(kept.expose_secret()).await.unwrap();
    let options = format!(
        "host=127.0.0.1 port={} user=a dbname=b password={}",
        service.port,
        gone.expose_secret()
    );
    let (gone_client, connection) = tokio_postgres::connect(&options, NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    assert_eq!(ask(&gone_client, "select 1").await, ["?column?", "1"]);

    revoke(&path, "gone").unwrap();
    let told = soon("the connection ends", connection).await.unwrap();
    let code = told.unwrap_err().code().cloned();
    assert_eq!(code, Some(SqlState::ADMIN_SHUTDOWN));
    let error = service
        .try_connect(gone.expose_secret())
        .await
        .err()
        .unwrap();
    assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD), "{error:?}");
    assert_eq!(ask(&kept_client, "select 1").await, ["?column?", "1"]);
}

#[tokio::test]
async fn headings_types_and_texts_are_those_of_postgresql() {
    let client = client().await;
    assert_eq!(ask(&client, "select count(*), avg(speed), 42, 'x', speed + 1 from vehicle where speed < 1 group by speed").await,
        ["count|avg|?column?|?column?|?column?", "1|0.5|42|x|1.5"]);
    assert_eq!(
        ask(
            &client,
            "select event_time, brake, speed from vehicle order by event_time desc limit 1"
        )
        .await,
        ["event_time|brake|speed", "2026-01-01 05:00:00+00|f|∅"]
    );
    assert_eq!(
        ask(
            &client,
            "set time zone 'Europe/Berlin'; select min(event_time) from vehicle"
        )
        .await,
        ["min", "2026-01-01 01:00:00+01"]
    );
    assert_eq!(
        ask(
            &client,
            "select event_time at time zone 'America/New_York' from vehicle order by 1 limit 1"
        )
        .await,
        ["timezone", "2025-12-31 19:00:00"]
    );
    assert_eq!(
        ask(&client, "select 1, 1, null, null").await,
        ["?column?|?column?|?column?|?column?", "1|1|∅|∅"]
    );
    assert_eq!(
        ask(&client, "select array['a','b c',null] as a").await,
        ["a", "{a,\"b c\",NULL}"]
    );
    assert!(ask(&client, ";").await.is_empty());
    assert!(ask(&client, "-- ping").await.is_empty());
}

#[tokio::test]
async fn parameters_keep_the_types_that_the_client_gave_them() {
    let client = client().await;
    let since = std::time::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + 1);
    let statement = client
        .prepare("select entity_id, event_time, speed, brake, odometer from vehicle where event_time > $1 and entity_id = $2 and speed > $3")
        .await
        .unwrap();
    assert_eq!(
        statement.params(),
        [Type::TIMESTAMPTZ, Type::TEXT, Type::FLOAT8]
    );
    let types: Vec<&Type> = statement
        .columns()
        .iter()
        .map(|column| column.type_())
        .collect();
    assert_eq!(
        types,
        [
            &Type::TEXT,
            &Type::TIMESTAMPTZ,
            &Type::FLOAT8,
            &Type::BOOL,
            &Type::INT8
        ]
    );
    let rows = client
        .query(&statement, &[&since, &"veh-1", &2.0])
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, f64>(2), 4.5);
    assert!(rows[0].get::<_, std::time::SystemTime>(1) > since);

    let entities = vec!["veh-1", "veh-2"];
    let rows = client
        .query(
            "select odometer from vehicle where entity_id = any($1) order by 1 limit $2",
            &[&entities, &3_i64],
        )
        .await
        .unwrap();
    let found: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(found, [1, 2, 4]);
    let typed = client
        .prepare_typed("select $1 as n", &[Type::INT8])
        .await
        .unwrap();
    assert_eq!(
        client
            .query_one(&typed, &[&7_i64])
            .await
            .unwrap()
            .get::<_, i64>(0),
        7
    );
    let none: Option<f64> = None;
    assert!(
        client
            .query("select 1 from vehicle where speed = $1", &[&none])
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn transactions_cursors_and_copies() {
    let client = client().await;
    client.batch_execute("begin; savepoint a").await.unwrap();
    assert_eq!(code(&client, "select x from vehicle").await, "42703");
    assert_eq!(code(&client, "select 1").await, "25P02");
    client
        .batch_execute("rollback to savepoint a; release savepoint a")
        .await
        .unwrap();
    client
        .batch_execute("declare \"srv\" cursor for select odometer from vehicle order by 1")
        .await
        .unwrap();
    assert_eq!(
        ask(&client, "fetch forward 2 from \"srv\"").await,
        ["odometer", "0", "1"]
    );
    assert_eq!(
        ask(&client, "fetch forward all from \"srv\"").await,
        ["odometer", "2", "3", "4", "5"]
    );
    client.batch_execute("close \"srv\"; commit").await.unwrap();

    let copied = client.copy_out("copy (select entity_id, speed from vehicle order by odometer limit 2) to stdout with (format csv, header)").await.unwrap();
    let bytes: Vec<u8> = copied
        .map(|bytes| bytes.unwrap().to_vec())
        .collect::<Vec<_>>()
        .await
        .concat();
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "entity_id,speed\nveh-0,0.5\nveh-1,1.5\n"
    );
}

#[tokio::test]
async fn portals_give_their_rows_in_parts() {
    let mut client = client().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction
        .bind("select odometer from vehicle order by 1", &[])
        .await
        .unwrap();
    let mut counts = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 4).await.unwrap();
        counts.push(rows.len());
        if rows.len() < 4 {
            break;
        }
    }
    assert_eq!(counts, [4, 2]);
}

const ENDLESS: &str = "select count(*) from generate_series(1, 100000000000) a";

#[tokio::test]
async fn a_statement_ends_when_it_is_cancelled_and_when_its_time_is_over() {
    let service = service(50, Duration::from_secs(30)).await;
    let client = service.connect().await;
    let token = client.cancel_token();
    let mut running = std::pin::pin!(client.simple_query(ENDLESS));
    // Until a request finds the statement running.
    let ended = loop {
        tokio::select! {
            ended = &mut running => break ended,
            sent = token.cancel_query(NoTls) => sent.unwrap(),
        }
    };
    assert_eq!(ended.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
    client
        .batch_execute("set statement_timeout to '50ms'")
        .await
        .unwrap();
    let error = client.simple_query(ENDLESS).await.unwrap_err();
    assert!(
        error
            .as_db_error()
            .unwrap()
            .message()
            .contains("statement timeout"),
        "{error:?}"
    );
    assert_eq!(
        ask(&client, "reset statement_timeout; select 1").await,
        ["?column?", "1"]
    );
}

#[tokio::test]
async fn a_client_that_waits_is_told_when_the_service_stops() {
    let service = service(5, Duration::from_secs(30)).await;
    let options = format!(
        "host=127.0.0.1 port={} user=a dbname=b password={KEY}",
        service.port
    );
    let (_client, connection) = tokio_postgres::connect(&options, NoTls).await.unwrap();
    service.stop.cancel();
    let error = connection.await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN), "{error:?}");
}
