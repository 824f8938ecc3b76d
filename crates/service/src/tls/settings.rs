//! Settings of TLS, as services have them.

use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;

use super::Tls;
use super::files::{Files, Setting};

/// TLS towards clients; without a certificate, connections are in clear.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsSettings {
    /// Certificate chain (PEM), the service's own first: clients then connect by https, and no longer by http. Read
    /// again when it changes, and on SIGHUP.
    #[arg(long, env, requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// Private key (PEM, without a password) of TLS_CERT.
    #[arg(long, env, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Certificates of CAs (PEM): a client must then show a certificate that one of them has issued, beside its key.
    #[arg(long, env, requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
}

impl TlsSettings {
    /// Reads the files, if there are any.
    ///
    /// # Errors
    ///
    /// Says which of them cannot be used, and why.
    pub fn load(&self) -> anyhow::Result<Option<Tls>> {
        let pair = self.tls_cert.clone().zip(self.tls_key.clone());
        self.load_as("tls", ["TLS_CERT", "TLS_KEY"], pair)
    }

    /// As [`load`](TlsSettings::load), of another certificate and key than those of TLS_CERT; the certificates of
    /// clients are the same. `name` is as in `headwater_tls_reloads_total`.
    ///
    /// # Errors
    ///
    /// As for [`load`](TlsSettings::load).
    pub fn load_as(
        &self,
        name: &'static str,
        [cert, key]: [&'static str; 2],
        pair: Option<(PathBuf, PathBuf)>,
    ) -> anyhow::Result<Option<Tls>> {
        // Flags are told by clap, a program that fills the struct is not.
        ensure!(
            self.tls_client_ca.is_none() || pair.is_some(),
            "TLS_CLIENT_CA is set and {cert} is not: without TLS no client shows a certificate"
        );
        let Some((chain, secret)) = pair else {
            return Ok(None);
        };
        let files = Files {
            name,
            cert: Setting::new(cert, chain),
            key: Setting::new(key, secret),
            client_ca: self
                .tls_client_ca
                .clone()
                .map(|path| Setting::new("TLS_CLIENT_CA", path)),
        };
        Tls::load(files).map(Some)
    }

    /// Whether clients speak TLS.
    pub fn is_on(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.is_on() { "https" } else { "http" }
    }
}
