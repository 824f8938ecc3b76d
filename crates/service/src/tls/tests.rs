//! Handshakes over pipes, with certificates made here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use stand::{Authority, Certified};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Protocol, Secured, Tls, TlsSettings, certificate, follow};

/// A folder with the files of a service.
struct Stage {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Stage {
    fn new() -> Stage {
        let stage = Stage {
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::new("ours").unwrap(),
        };
        stage.install(&stage.authority.issue("first", &["localhost"]).unwrap());
        std::fs::write(stage.path("ca.pem"), stage.authority.pem()).unwrap();
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn install(&self, certified: &Certified) {
        certified.write(self.folder.path(), "server").unwrap();
    }

    fn settings(&self, asks_clients: bool) -> TlsSettings {
        TlsSettings {
            tls_cert: Some(self.path("server.pem")),
            tls_key: Some(self.path("server.key")),
            tls_client_ca: asks_clients.then(|| self.path("ca.pem")),
        }
    }

    fn tls(&self, asks_clients: bool) -> Tls {
        self.settings(asks_clients).load().unwrap().unwrap()
    }

    fn complaint(&self) -> String {
        format!("{:#}", self.settings(true).load().unwrap_err())
    }
}

impl Stage {
    fn client(&self, shown: Option<&Certified>, protocols: &[&str]) -> TlsConnector {
        self.authority.connector(shown, protocols).unwrap()
    }
}

/// What came of a handshake on both sides: the client says a word once it is done.
struct Met {
    secured: std::io::Result<Secured<DuplexStream>>,
    client: Option<TlsStream<DuplexStream>>,
}

async fn meet(tls: &Tls, protocol: Protocol, connector: TlsConnector) -> Met {
    let (ours, theirs) = duplex(64 * 1024);
    let client = async {
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = connector.connect(name, theirs).await.ok()?;
        // With TLS 1.3 a client learns only afterwards that its certificate is refused.
        let _ = stream.write_all(b"hello").await;
        Some(stream)
    };
    let (secured, client) = tokio::join!(tls.accept(ours, protocol), client);
    Met { secured, client }
}

impl Met {
    /// The common name that the server showed.
    fn shown(&self) -> String {
        let (_, connection) = self.client.as_ref().unwrap().get_ref();
        let shown = connection.peer_certificates().unwrap().first().unwrap();
        certificate::names(shown).remove(0)
    }
}

async fn shown(stage: &Stage, tls: &Tls) -> String {
    let met = meet(tls, Protocol::Http, stage.client(None, &[])).await;
    assert!(met.secured.is_ok());
    met.shown()
}

#[tokio::test(start_paused = true)]
async fn new_handshakes_get_a_new_certificate_and_wrong_files_change_nothing() {
    let stage = Stage::new();
    let tls = stage.tls(false);
    let following = tls.clone();
    tokio::spawn(async move { follow(Some(following)).await });
    let before = meet(&tls, Protocol::Http, stage.client(None, &[])).await;
    assert_eq!(shown(&stage, &tls).await, "first");
    stage.install(&stage.authority.issue("second", &["localhost"]).unwrap());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(shown(&stage, &tls).await, "second");
    let mut said = [0; 5];
    let mut open = before.secured.unwrap().stream;
    open.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello", "connections under way go on");
    // The key of another certificate, no PEM, and no file.
    let third = stage.authority.issue("third", &["localhost"]).unwrap();
    std::fs::write(stage.path("server.key"), &third.key).unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(shown(&stage, &tls).await, "second");
    std::fs::write(stage.path("server.pem"), "nothing").unwrap();
    sleep(Duration::from_secs(5)).await;
    std::fs::remove_file(stage.path("server.pem")).unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(shown(&stage, &tls).await, "second");
    stage.install(&third);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(shown(&stage, &tls).await, "third");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_setting() {
    let stage = Stage::new();
    let other = stage.authority.issue("other", &["localhost"]).unwrap();
    let swap = |name: &str, text: &str| {
        let path = stage.path(name);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        let complaint = stage.complaint();
        std::fs::write(&path, before).unwrap();
        assert!(complaint.contains(&*path.to_string_lossy()), "{complaint}");
        complaint
    };
    let other_key = swap("server.key", &other.key);
    assert!(other_key.contains("TLS_KEY") && other_key.contains("is not the key of TLS_CERT"));
    assert!(swap("server.key", "x").contains("holds no private key"));
    assert!(swap("server.key", &other.cert).contains("holds no private key"));
    assert!(swap("server.pem", &other.key).contains("TLS_CERT"));
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(swap("server.pem", garbage).contains("cannot use TLS_CERT"));
    assert!(swap("ca.pem", "").contains("TLS_CLIENT_CA"));
    let settings = TlsSettings {
        tls_cert: Some(Path::new("/no/such/file").into()),
        ..stage.settings(false)
    };
    let complaint = format!("{:#}", settings.load().unwrap_err());
    assert!(complaint.contains("cannot read TLS_CERT `/no/such/file`"));
}

#[tokio::test]
async fn a_client_is_let_in_by_a_certificate_of_the_ca_alone() {
    let stage = Stage::new();
    let tls = stage.tls(true);
    let names = ["veh-7.fleet.example", "urn:veh:7"];
    let good = stage.authority.issue("veh-7", &names).unwrap();
    let met = meet(&tls, Protocol::Http, stage.client(Some(&good), &[])).await;
    let client = met.secured.unwrap().client;
    assert_eq!(client.names, ["veh-7", "veh-7.fleet.example", "urn:veh:7"]);
    let expired = stage.authority.issue_expired("veh-7", &names).unwrap();
    let stranger = Authority::new("theirs").unwrap();
    let foreign = stranger.issue("veh-7", &names).unwrap();
    for shown in [None, Some(&expired), Some(&foreign)] {
        let met = meet(&tls, Protocol::Http, stage.client(shown, &[])).await;
        assert!(met.secured.is_err());
    }
    let met = meet(&tls, Protocol::Http, stage.client(Some(&good), &[])).await;
    assert!(met.secured.is_ok(), "the refused ones disturb nobody");
}

#[tokio::test]
async fn a_handshake_names_the_protocol_and_who_speaks_none_is_refused() {
    let stage = Stage::new();
    let tls = stage.tls(false);
    let offers = |names: &[&str]| stage.client(None, names);
    for (names, protocol, is_http2) in [
        (&["h2", "http/1.1"][..], Protocol::Http, true),
        (&["http/1.1"], Protocol::Http, false),
        (&[], Protocol::Http, false),
        (&["h2", "http/1.1"], Protocol::Http1, false),
        (&["postgresql"], Protocol::Postgres, false),
    ] {
        let met = meet(&tls, protocol, offers(names)).await;
        assert_eq!(met.secured.unwrap().is_http2, is_http2, "{names:?}");
    }
    let met = meet(&tls, Protocol::Http1, offers(&["h2"])).await;
    assert!(met.secured.is_err());
    let (ours, mut theirs) = duplex(1024);
    theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(tls.accept(ours, Protocol::Http).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_ends() {
    let stage = Stage::new();
    let (ours, _theirs) = duplex(1024);
    let met = stage.tls(false).accept(ours, Protocol::Http).await;
    assert_eq!(met.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[test]
fn until_when_a_certificate_is_good_is_read_of_it() {
    let stage = Stage::new();
    let good_until = |certified: &Certified| {
        let der = CertificateDer::from_pem_slice(certified.cert.as_bytes()).unwrap();
        let (from, until) = certificate::validity(&der).unwrap();
        assert!(from < until);
        until.to_rfc3339()
    };
    let expired = stage.authority.issue_expired("a", &[]).unwrap();
    assert_eq!(good_until(&expired), "2021-01-01T00:00:00+00:00");
    // Past 2049 times are written in another way.
    let good = stage.authority.issue("a", &[]).unwrap();
    assert!(good_until(&good).starts_with("4096-01-01"));
}
