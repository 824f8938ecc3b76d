//! API keys.

use axum::http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::http::refusal::Refusal;

pub(crate) const HEADER: &str = "x-api-key";

/// The accepted keys, as digests: comparing digests tells nothing of a key, not even its length.
pub(crate) struct Keys(Vec<[u8; 32]>);

impl Keys {
    pub(crate) fn new(keys: &[SecretString]) -> Keys {
        Keys(
            keys.iter()
                .map(|key| digest(key.expose_secret().as_bytes()))
                .collect(),
        )
    }

    /// Checks that the request carries exactly one key, and that it is accepted. Takes the same time whichever key
    /// matches, or if none does.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut sent = headers.get_all(HEADER).iter();
        let key = match (sent.next(), sent.next()) {
            (None, _) => return Err(Refusal::NoKey),
            (Some(_), Some(_)) => return Err(Refusal::SeveralKeys),
            (Some(key), None) => digest(key.as_bytes()),
        };
        let known = self
            .0
            .iter()
            .fold(Choice::from(0), |found, known| found | known.ct_eq(&key));
        if known.into() {
            Ok(())
        } else {
            Err(Refusal::WrongKey)
        }
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(keys: &[&'static str]) -> HeaderMap {
        keys.iter()
            .map(|key| {
                (
                    axum::http::HeaderName::from_static(HEADER),
                    key.parse().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn any_of_the_keys_is_taken_and_nothing_else() {
        let keys = Keys::new(&["the-old-key".into(), "the-new-key".into()]);
        let mut two = headers(&["the-old-key"]);
        two.append(HEADER, "the-new-key".parse().unwrap());
        assert!(keys.check(&headers(&["the-old-key"])).is_ok());
        assert!(keys.check(&headers(&["the-new-key"])).is_ok());
        assert!(matches!(
            keys.check(&headers(&["the-new-ke"])),
            Err(Refusal::WrongKey)
        ));
        assert!(matches!(
            keys.check(&headers(&[""])),
            Err(Refusal::WrongKey)
        ));
        assert!(matches!(keys.check(&headers(&[])), Err(Refusal::NoKey)));
        assert!(matches!(keys.check(&two), Err(Refusal::SeveralKeys)));
    }
}
