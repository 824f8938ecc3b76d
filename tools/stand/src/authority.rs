//! Certificates for tests and measurements.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// A certificate authority that nobody else knows.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// A certificate and its private key.
#[derive(Clone)]
pub struct Certified {
    /// The certificate, PEM.
    pub cert: String,
    /// Its key, PEM.
    pub key: String,
}

impl std::fmt::Debug for Certified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certified").finish_non_exhaustive()
    }
}

impl Authority {
    /// An authority of that name, with a new key.
    ///
    /// # Errors
    ///
    /// If there is no randomness.
    pub fn new(name: &str) -> anyhow::Result<Authority> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Authority { issuer, pem })
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for servers and clients, with this common name and these alternative names: DNS names, addresses,
    /// and URIs, which have a colon.
    ///
    /// # Errors
    ///
    /// If a name cannot be one.
    pub fn issue(&self, common_name: &str, names: &[&str]) -> anyhow::Result<Certified> {
        self.sign(params(common_name, names)?)
    }

    /// As [`issue`](Authority::issue), good until the end of 2020.
    ///
    /// # Errors
    ///
    /// If a name cannot be one.
    pub fn issue_expired(&self, common_name: &str, names: &[&str]) -> anyhow::Result<Certified> {
        let mut params = params(common_name, names)?;
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(params)
    }

    /// Makes connections to servers of this authority: shows them a certificate, if it is given one, and offers these
    /// protocols.
    ///
    /// # Errors
    ///
    /// If the certificate is none.
    pub fn connector(
        &self,
        shown: Option<&Certified>,
        protocols: &[&str],
    ) -> anyhow::Result<TlsConnector> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes())?)?;
        let provider = rustls::crypto::ring::default_provider();
        let builder = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let mut config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let cert = CertificateDer::from_pem_slice(shown.cert.as_bytes())?;
                let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes())?;
                builder.with_client_auth_cert(vec![cert], key)?
            }
        };
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn sign(&self, params: CertificateParams) -> anyhow::Result<Certified> {
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.issuer)?.pem();
        let key = key.serialize_pem();
        Ok(Certified { cert, key })
    }
}

impl Certified {
    /// Writes `NAME.pem` and `NAME.key`, and gives their paths.
    ///
    /// # Errors
    ///
    /// If they cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> anyhow::Result<[PathBuf; 2]> {
        let write = |ending: &str, text: &str| {
            let path = folder.join(format!("{name}.{ending}"));
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write `{}`", path.display()))?;
            anyhow::Ok(path)
        };
        Ok([write("pem", &self.cert)?, write("key", &self.key)?])
    }
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn params(common_name: &str, names: &[&str]) -> anyhow::Result<CertificateParams> {
    let (uris, others): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.contains(':'));
    let mut params =
        CertificateParams::new(others.into_iter().map(str::to_owned).collect::<Vec<_>>())?;
    for uri in uris {
        params.subject_alt_names.push(SanType::URI(uri.try_into()?));
    }
    params.distinguished_name = named(common_name);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    Ok(params)
}
