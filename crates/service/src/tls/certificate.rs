//! What is read of a certificate that rustls has checked, or that is the service's own.

use chrono::{DateTime, Utc};
use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Decode, ErrorKind, Reader, SliceReader, Tag, Tagged};
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// `id-at-commonName` (X.520).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The names of the certificate's owner: the common names of its subject, and the DNS names and URIs among its
/// alternative names, as they stand there.
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let mut names = common_names(certificate.subject()).unwrap_or_default();
    let others = certificate.valid_dns_names();
    names.extend(
        others
            .chain(certificate.valid_uri_names())
            .map(str::to_owned),
    );
    names.dedup();
    names
}

/// Those of a subject, which comes without its outer tag: `SET OF SEQUENCE { type, value }`, one after the other.
fn common_names(subject: &[u8]) -> der::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut subject = SliceReader::new(subject)?;
    while !subject.is_finished() {
        let set: AnyRef<'_> = subject.decode()?;
        let mut set = SliceReader::new(set.value())?;
        while !set.is_finished() {
            let (kind, value) =
                set.sequence(|pair| Ok((ObjectIdentifier::decode(pair)?, AnyRef::decode(pair)?)))?;
            let is_text = matches!(
                value.tag(),
                Tag::Utf8String | Tag::PrintableString | Tag::Ia5String
            );
            if kind == COMMON_NAME
                && is_text
                && let Ok(name) = std::str::from_utf8(value.value())
            {
                names.push(name.to_owned());
            }
        }
    }
    Ok(names)
}

/// From when and until when a certificate is good (RFC 5280, section 4.1).
pub(super) fn validity(
    certificate: &CertificateDer<'_>,
) -> der::Result<(DateTime<Utc>, DateTime<Utc>)> {
    let whole = AnyRef::from_der(certificate)?;
    let mut whole = SliceReader::new(whole.value())?;
    let signed: AnyRef<'_> = whole.decode()?;
    let mut fields = SliceReader::new(signed.value())?;
    // The version, which is left out where it is 1, then serial number, algorithm and issuer.
    let first: AnyRef<'_> = fields.decode()?;
    let before = if first.tag().is_context_specific() {
        3
    } else {
        2
    };
    for _ in 0..before {
        AnyRef::decode(&mut fields)?;
    }
    fields.sequence(|times| Ok((time(times)?, time(times)?)))
}

fn time<'r>(times: &mut impl Reader<'r>) -> der::Result<DateTime<Utc>> {
    let since_1970 = match times.peek_tag()? {
        Tag::UtcTime => UtcTime::decode(times)?.to_unix_duration(),
        _ => GeneralizedTime::decode(times)?.to_unix_duration(),
    };
    let seconds = i64::try_from(since_1970.as_secs()).ok();
    let time = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.ok_or_else(|| ErrorKind::DateTime.into())
}
