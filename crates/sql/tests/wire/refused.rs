//! What clients are refused, and in which words.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::error::SqlState;

use crate::{KEY, ask, client, code, service};

#[tokio::test]
async fn what_writes_or_is_unknown_is_refused_with_its_code() {
    let client = client().await;
    for (sql, expected) in [
        ("insert into vehicle values (1)", "25006"),
        ("drop table vehicle", "25006"),
        ("copy vehicle to '/tmp/stolen'", "42501"),
        ("select * from vehicles", "42P01"),
        ("select sped from vehicle", "42703"),
        ("select nonsense(speed) from vehicle", "42883"),
        ("select 1/0", "22012"),
        ("selec 1", "42601"),
        ("fetch 1 from nothing", "34000"),
        (
            "select set_config('datafusion.x', '1', false); show nothing_such",
            "42704",
        ),
    ] {
        assert_eq!(code(&client, sql).await, expected, "{sql}");
    }
    let error = client
        .simple_query("select 1 frm vehicle x y")
        .await
        .unwrap_err();
    assert!(
        error.as_db_error().unwrap().position().is_some(),
        "{error:?}"
    );
    assert_eq!(
        ask(&client, "select count(*) from vehicle").await,
        ["count", "6"]
    );
}

#[tokio::test]
async fn a_statement_that_would_nest_too_deeply_is_refused_and_ends_no_process() {
    let client = client().await;
    let sum = |operators: usize| format!("select {}1", "1+".repeat(operators));
    assert_eq!(ask(&client, &sum(190)).await, ["?column?", "191"]);
    assert_eq!(code(&client, &sum(100_000)).await, "54000");
    for deep in [sum(5000), format!("select {}1", "- ".repeat(5000))] {
        assert_eq!(code(&client, &deep).await, "54001");
        let error = client.prepare(&deep).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "54001");
    }
    let nested = format!("select {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(code(&client, &nested).await, "54001");
    assert_eq!(ask(&client, "select 1").await, ["?column?", "1"]);
}

#[tokio::test]
async fn names_that_are_not_known_are_answered_with_the_nearest_and_their_place() {
    let client = client().await;
    for (sql, words, place) in [
        ("select * from vehicel", "`vehicle`", Some(15)),
        ("select\n sped from vehicle", "`speed`", Some(9)),
    ] {
        let error = client.simple_query(sql).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert!(error.message().contains(words), "{sql}: {error:?}");
        let position = error.position().map(|position| match position {
            tokio_postgres::error::ErrorPosition::Original(place) => *place,
            other => panic!("{other:?}"),
        });
        assert_eq!(position, place, "{sql}");
    }
}

#[tokio::test]
async fn a_client_that_asks_for_tls_where_there_is_none_is_told_so() {
    let service = service(50, Duration::from_secs(30)).await;
    let mut socket = TcpStream::connect(("127.0.0.1", service.port))
        .await
        .unwrap();
    // The message SSLRequest: its length, and its code.
    socket
        .write_all(&[0, 0, 0, 8, 4, 210, 22, 47])
        .await
        .unwrap();
    assert_eq!(socket.read_u8().await.unwrap(), b'N');
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let service = service(1, Duration::from_secs(30)).await;
    let first = service.connect().await;
    let error = service.try_connect(KEY).await.err().unwrap();
    assert_eq!(
        error.code(),
        Some(&SqlState::TOO_MANY_CONNECTIONS),
        "{error:?}"
    );
    assert_eq!(ask(&first, "select 1").await, ["?column?", "1"]);
}
