//! The console over https, as a browser meets it: HTTP/2 for the page, HTTP/1.1 for the WebSocket.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures::StreamExt;
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use service::tls::TlsSettings;
use stand::Authority;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_util::sync::CancellationToken;

use crate::stage::{KEY, Stage, following};

async fn connect(at: SocketAddr, authority: &Authority, protocol: &str) -> TlsStream<TcpStream> {
    let connector = authority.connector(None, &[protocol]).unwrap();
    let stream = TcpStream::connect(at).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn a_browser_signs_in_over_http2_and_follows_over_a_websocket() {
    let stage = Stage::new().await;
    let (console, routes) = stage.plain();
    let _following = following(&console);
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours").unwrap();
    let certified = authority.issue("console", &["localhost"]).unwrap();
    let [cert, key] = certified.write(folder.path(), "server").unwrap();
    let tls = TlsSettings {
        tls_cert: Some(cert),
        tls_key: Some(key),
        tls_client_ca: None,
    };
    let tls = tls.load().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let until = stop.clone();
    let serving =
        tokio::spawn(
            async move { service::server::serve(listener, routes, 10, tls, &until).await },
        );
    let host = format!("localhost:{}", at.port());
    let (url, origin) = (
        |path: &str| format!("https://{host}{path}"),
        format!("https://{host}"),
    );

    let stream = TokioIo::new(connect(at, &authority, "h2").await);
    let (mut page, connection) = http2::handshake(TokioExecutor::new(), stream)
        .await
        .unwrap();
    tokio::spawn(connection);
    let sign_in = Request::post(url("/console/login"))
        .header(header::ORIGIN, &origin)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(json!({"key": KEY}).to_string()));
    let answer = page.send_request(sign_in.unwrap()).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let cookie = answer.headers()[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        cookie.starts_with("__Host-") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    let session = Request::get(url("/console/session")).header(header::COOKIE, cookie);
    let answer = page
        .send_request(session.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap()["sql"],
        false
    );

    let stream = connect(at, &authority, "http/1.1").await;
    let mut upgrade = format!("wss://{host}/v1/live")
        .into_client_request()
        .unwrap();
    upgrade
        .headers_mut()
        .insert(header::ORIGIN, origin.parse().unwrap());
    upgrade
        .headers_mut()
        .insert(header::COOKIE, cookie.parse().unwrap());
    let (mut socket, _) = client_async(upgrade, stream).await.unwrap();
    let hello = socket.next().await.unwrap().unwrap().into_text().unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&hello).unwrap()["topic"],
        "hello"
    );
    stop.cancel();
    serving.await.unwrap();
}
