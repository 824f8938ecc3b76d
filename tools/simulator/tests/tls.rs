//! The program against an https server that asks for a certificate of its clients.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use service::tls::TlsSettings;
use stand::Authority;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Serves an ingest that accepts each event; gives its address.
async fn serve(folder: &Path) -> String {
    let authority = Authority::new("ours").unwrap();
    let named = |name: &str| folder.join(name);
    std::fs::write(named("ca.pem"), authority.pem()).unwrap();
    let other = Authority::new("theirs").unwrap();
    std::fs::write(named("other-ca.pem"), other.pem()).unwrap();
    let server = authority.issue("ingest", &["127.0.0.1"]).unwrap();
    let [cert, key] = server.write(folder, "server").unwrap();
    let client = authority.issue("fleet", &[]).unwrap();
    client.write(folder, "client").unwrap();
    let tls = TlsSettings {
        tls_cert: Some(cert),
        tls_key: Some(key),
        tls_client_ca: Some(named("ca.pem")),
    };
    let tls = tls.load().unwrap();
    let accept = async || (StatusCode::ACCEPTED, r#"{"accepted":1,"rejected":[]}"#);
    let routes = Router::new().route("/v1/events", post(accept));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        service::server::serve(listener, routes, 10, tls, &CancellationToken::new()).await;
    });
    url
}

async fn post_one(url: &str, settings: Vec<(&'static str, PathBuf)>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simulator"));
    command
        .args(["--count=1", "--rate=0", "--retry-for=0s", "--api-key=k"])
        .env("HEADWATER_INGEST_URL", url)
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR")
        .envs(settings);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn it_posts_to_a_server_that_it_trusts_and_shows_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(folder.path()).await;
    let named = |setting: &'static str, name: &str| (setting, folder.path().join(name));
    let client = || {
        vec![
            named("CLIENT_CERT", "client.pem"),
            named("CLIENT_KEY", "client.key"),
        ]
    };
    let with = |settings: &[(&'static str, &str)]| {
        let more = settings.iter().map(|(setting, name)| named(setting, name));
        client().into_iter().chain(more).collect::<Vec<_>>()
    };
    for trusting in [
        with(&[("CA_FILE", "ca.pem")]),
        with(&[("SSL_CERT_FILE", "ca.pem")]),
        // The one that is named for this comes before those of the system.
        with(&[("CA_FILE", "ca.pem"), ("SSL_CERT_FILE", "other-ca.pem")]),
    ] {
        let posted = post_one(&url, trusting).await;
        let shown = String::from_utf8_lossy(&posted.stderr);
        assert!(posted.status.success(), "{shown}");
    }
    for (settings, said) in [
        (with(&[("CA_FILE", "other-ca.pem")]), "certificate"),
        (vec![named("CA_FILE", "ca.pem")], "ertificate"),
        (
            with(&[("SSL_CERT_FILE", "no-such-file.pem")]),
            "SSL_CERT_FILE",
        ),
        (
            with(&[("CA_FILE", "no-such-file.pem")]),
            "cannot read CA_FILE",
        ),
        (with(&[("CA_FILE", "client.key")]), "cannot read CA_FILE"),
        (
            vec![
                named("CA_FILE", "ca.pem"),
                named("CLIENT_CERT", "client.pem"),
            ],
            "CLIENT_CERT and CLIENT_KEY belong together",
        ),
    ] {
        let refused = post_one(&url, settings).await;
        let shown = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && shown.contains(said),
            "{said}: {shown}"
        );
    }
}
