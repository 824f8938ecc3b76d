//! The files of TLS, and what is made of them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use chrono::{DateTime, Utc};
use metrics::gauge;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};
use tracing::warn;

use super::certificate::validity;
use crate::follow;

/// Most bytes of a file: the certificates of all public CAs are 200 KB.
const MOST_BYTES: usize = 1024 * 1024;

#[derive(Debug, Clone)]
pub(super) struct Files {
    /// In metrics and in events of the log, as `tls`.
    pub(super) name: &'static str,
    pub(super) cert: Setting,
    pub(super) key: Setting,
    pub(super) client_ca: Option<Setting>,
}

/// A file, and the setting that names it.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    name: &'static str,
    path: PathBuf,
}

impl Setting {
    pub(super) fn new(name: &'static str, path: PathBuf) -> Setting {
        Setting { name, path }
    }

    /// As `TLS_CERT /etc/cert.pem`, in backquotes.
    fn told(&self) -> String {
        format!("{} `{}`", self.name, self.path.display())
    }

    fn certificates(&self, pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let found = found.with_context(|| format!("{} is not PEM", self.told()))?;
        ensure!(
            !found.is_empty(),
            "{} holds no certificate: one begins with `-----BEGIN CERTIFICATE-----`",
            self.told()
        );
        Ok(found)
    }

    fn private_key(&self, pem: &[u8]) -> anyhow::Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
            PemError::NoItemsFound => anyhow!(
                "{} holds no private key: one begins with `-----BEGIN PRIVATE KEY-----`, and has no password",
                self.told()
            ),
            error => anyhow!("{} is not PEM: {error}", self.told()),
        })
    }
}

impl Files {
    /// What they hold: certificate, key, and, if there is one, the CA.
    pub(super) fn read(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        let settings = [&self.cert, &self.key].into_iter().chain(&self.client_ca);
        settings
            .map(|setting| follow::read(setting.name, &setting.path, MOST_BYTES))
            .collect()
    }

    /// A server with these contents, for any protocol; tells until when its certificate is good.
    pub(super) fn config(&self, contents: &[Vec<u8>]) -> anyhow::Result<ServerConfig> {
        let [cert, key, client_ca @ ..] = contents else {
            return Err(anyhow!(
                "{} and {} are read together",
                self.cert.name,
                self.key.name
            ));
        };
        let chain = self.cert.certificates(cert)?;
        let key = self.key.private_key(key)?;
        let own = chain.first().cloned();
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let clients = match self.client_ca.as_ref().zip(client_ca.first()) {
            Some((setting, pem)) => {
                let mut roots = RootCertStore::empty();
                for ca in setting.certificates(pem)? {
                    roots
                        .add(ca)
                        .with_context(|| format!("cannot use {}", setting.told()))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                Some(verifier.with_context(|| format!("cannot use {}", setting.told()))?)
            }
            None => None,
        };
        let with_clients = clients.is_some();
        let builder = match clients {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(chain, key);
        let mut config = config.map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                anyhow!("{} is not the key of {}", self.key.told(), self.cert.told())
            }
            Error::InvalidCertificate(_) => anyhow!("cannot use {}: {error}", self.cert.told()),
            error => anyhow!(
                "cannot use {} with {}: {error}",
                self.key.told(),
                self.cert.told()
            ),
        })?;
        if with_clients {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = Ticketer::new()?;
        }
        if let Some(own) = own {
            self.tell_validity(&own, Utc::now());
        }
        Ok(config)
    }

    /// Warns where the certificate is not good now. It is used all the same: some clients look at no time.
    fn tell_validity(&self, own: &CertificateDer<'_>, now: DateTime<Utc>) {
        let Ok((from, until)) = validity(own) else {
            return;
        };
        gauge!(format!(
            "headwater_{}_certificate_expires_timestamp",
            self.name
        ))
        .set(until.timestamp() as f64);
        let cert = self.cert.told();
        if until < now {
            warn!(event = "tls_certificate_expired", %until, "{cert} has expired: clients refuse it");
        } else if now < from {
            warn!(event = "tls_certificate_early", %from, "{cert} is not good yet: clients refuse it");
        }
    }
}
