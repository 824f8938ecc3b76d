//! The program against an ingest behind TLS, whose certificate only `SSL_CERT_FILE` vouches for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A certificate for `localhost` and 127.0.0.1 of a certificate authority of its own, good until 2126.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name)
}

fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(fixture("server.pem")).unwrap();
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Answers each request with the acceptance of one event.
async fn serve(listener: TcpListener) {
    let acceptor = acceptor();
    while let Ok((stream, _)) = listener.accept().await {
        // Whoever does not trust the certificate ends the handshake.
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        let mut request = vec![0; 16 * 1024];
        let read = stream.read(&mut request).await.unwrap();
        assert!(request[..read].starts_with(b"POST /v1/events HTTP/1.1\r\n"));
        let answer = "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 28\r\n\
                      connection: close\r\n\r\n{\"accepted\":1,\"rejected\":[]}";
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        // What is unread as a connection closes would take the answer with it.
        let _ = stream.read_to_end(&mut request).await;
    }
}

async fn post_one(url: String, authority: &'static str) -> Output {
    let run = move || {
        Command::new(env!("CARGO_BIN_EXE_simulator"))
            .args(["--count=1", "--rate=0", "--retry-for=0s", "--api-key=k"])
            .env("INGEST_URL", url)
            .env("SSL_CERT_FILE", fixture(authority))
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn an_ingest_behind_tls_is_posted_to_if_its_certificate_is_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener));
    let trusted = post_one(url.clone(), "ca.pem").await;
    let shown = String::from_utf8_lossy(&trusted.stderr).into_owned();
    assert!(trusted.status.success(), "{shown}");
    let refused = post_one(url.clone(), "other-ca.pem").await;
    let shown = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{shown}");
    assert!(shown.contains("certificate"), "{shown}");
    let none = post_one(url, "no-such-file.pem").await;
    let shown = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(shown.contains("SSL_CERT_FILE"), "{shown}");
}
