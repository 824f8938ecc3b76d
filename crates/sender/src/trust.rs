//! Which servers are trusted, and as whom the client shows itself.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use hyper_rustls::ConfigBuilderExt;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Settings of clients of https addresses.
#[derive(Debug, Clone, Default, Args)]
pub struct Trust {
    /// Certificates of the CAs (PEM) that https servers are checked by, in place of the system's.
    #[arg(long, env, global = true)]
    pub ca_file: Option<PathBuf>,

    /// Certificate chain (PEM) to show to a server that asks for one; needs CLIENT_KEY.
    #[arg(long, env, global = true)]
    pub client_cert: Option<PathBuf>,

    /// Private key (PEM) of CLIENT_CERT.
    #[arg(long, env, global = true)]
    pub client_key: Option<PathBuf>,
}

impl Trust {
    /// What connections are made with: the CAs of the file, or else those of the system or of the file that
    /// `SSL_CERT_FILE` names.
    ///
    /// # Errors
    ///
    /// If a file, or what the system has, cannot be used.
    pub fn config(&self) -> io::Result<ClientConfig> {
        let builder = builder()?;
        let builder = match &self.ca_file {
            None => builder.with_native_roots().map_err(|error| {
                io::Error::other(format!(
                    "{error}: install the system's certificates, or name a file of them in CA_FILE or SSL_CERT_FILE"
                ))
            })?,
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates("CA_FILE", path)? {
                    roots
                        .add(certificate)
                        .map_err(|error| wrong("CA_FILE", path, error))?;
                }
                builder.with_root_certificates(roots)
            }
        };
        let (cert, key) = match (&self.client_cert, &self.client_key) {
            (None, None) => return Ok(builder.with_no_client_auth()),
            (Some(cert), Some(key)) => (cert, key),
            _ => {
                let text = "CLIENT_CERT and CLIENT_KEY belong together: set both or neither";
                return Err(io::Error::other(text));
            }
        };
        let chain = certificates("CLIENT_CERT", cert)?;
        let secret =
            PrivateKeyDer::from_pem_file(key).map_err(|error| unread("CLIENT_KEY", key, error))?;
        let with = builder.with_client_auth_cert(chain, secret);
        with.map_err(|error| wrong("CLIENT_CERT", cert, error))
    }
}

/// What connections are made with where no address is https.
pub(crate) fn no_tls() -> io::Result<ClientConfig> {
    let builder = builder()?.with_root_certificates(RootCertStore::empty());
    Ok(builder.with_no_client_auth())
}

fn builder() -> io::Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    let provider = rustls::crypto::ring::default_provider();
    ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)
}

fn certificates(setting: &str, path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(unread(setting, path, PemError::NoItemsFound)),
        found => found.map_err(|error| unread(setting, path, error)),
    }
}

fn unread(setting: &str, path: &Path, error: PemError) -> io::Error {
    io::Error::other(format!(
        "cannot read {setting} `{}`: {error}",
        path.display()
    ))
}

fn wrong(setting: &str, path: &Path, error: rustls::Error) -> io::Error {
    io::Error::other(format!(
        "cannot use {setting} `{}`: {error}",
        path.display()
    ))
}
