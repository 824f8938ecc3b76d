//! TLS on the wire: who may connect in clear, and certificates that are read again.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::ServerName;
use service::tls::TlsSettings;
use stand::Authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::{Client, NoTls};
use tokio_rustls::client::TlsStream;

use crate::{KEY, Service, ask, service_with};

/// The message SSLRequest: its length, and its code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

fn settings(folder: &Path) -> TlsSettings {
    TlsSettings {
        tls_cert: Some(folder.join("server.pem")),
        tls_key: Some(folder.join("server.key")),
        tls_client_ca: None,
    }
}

/// A handshake behind SSLRequest, with the ALPN of newer clients.
async fn secure(service: &Service, authority: &Authority) -> std::io::Result<TlsStream<TcpStream>> {
    let mut socket = TcpStream::connect(("127.0.0.1", service.port)).await?;
    socket.write_all(&SSL_REQUEST).await?;
    assert_eq!(socket.read_u8().await?, b'S');
    let connector = authority.connector(None, &["postgresql"]).unwrap();
    connector
        .connect(ServerName::try_from("localhost").unwrap(), socket)
        .await
}

async fn log_in(stream: TlsStream<TcpStream>) -> Client {
    let mut options = tokio_postgres::Config::new();
    options.user("anyone").dbname("headwater").password(KEY);
    // TLS is there already.
    options.ssl_mode(tokio_postgres::config::SslMode::Disable);
    let (client, connection) = options.connect_raw(stream, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn statements_run_over_tls_and_a_changed_certificate_is_shown_to_who_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| Authority::new(name).unwrap());
    let install = |authority: &Authority| {
        let certified = authority.issue("query", &["localhost"]).unwrap();
        certified.write(folder.path(), "server").unwrap();
    };
    install(&first);
    let tls = settings(folder.path()).load().unwrap();
    let service = service_with(50, Duration::from_secs(30), tls, false).await;
    let before = log_in(secure(&service, &first).await.unwrap()).await;
    assert_eq!(ask(&before, "select 1").await, ["?column?", "1"]);
    install(&second);
    // Within two looks at the files.
    let changed = async {
        while secure(&service, &second).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), changed)
        .await
        .unwrap();
    let after = log_in(secure(&service, &second).await.unwrap()).await;
    assert_eq!(ask(&after, "select 2").await, ["?column?", "2"]);
    assert_eq!(ask(&before, "select 3").await, ["?column?", "3"]);
}

#[tokio::test]
async fn a_client_in_clear_is_told_to_use_tls_where_it_must() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours").unwrap();
    let certified = authority.issue("query", &["localhost"]).unwrap();
    certified.write(folder.path(), "server").unwrap();
    for takes_clear in [true, false] {
        let tls = settings(folder.path()).load().unwrap();
        let service = service_with(50, Duration::from_secs(30), tls, takes_clear).await;
        let error = service.try_connect(KEY).await.err();
        let code = error
            .as_ref()
            .and_then(|error| error.code())
            .map(|code| code.code());
        assert_eq!(code, (!takes_clear).then_some("28000"), "{error:?}");
    }
}
