//! API keys, as clients send them with a request.

use anyhow::ensure;
use axum::http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Shortest read key: fewer characters can be guessed.
const MIN_KEY_LENGTH: usize = 8;

const KEY_HELP: &str = "set READ_KEYS, for example READ_KEYS=$(openssl rand -hex 16)";

/// The header that holds a key.
pub const HEADER: &str = "x-api-key";

/// The accepted keys, as digests: comparing digests tells nothing of a key, not even its length.
pub struct Keys(Vec<[u8; 32]>);

/// Why the key of a request is not accepted: for whoever sent it, who is answered `401`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The request carries no key.
    #[error(
        "no key: send one in the header `x-api-key`, or, where data are read, as `Authorization: Bearer`"
    )]
    Missing,
    /// The request carries more than one.
    #[error("more than one key: send exactly one")]
    Several,
    /// The key is not known.
    #[error("the key is not known")]
    Wrong,
}

impl KeyError {
    /// A stable code for answers.
    pub fn code(self) -> &'static str {
        match self {
            KeyError::Missing => "missing_api_key",
            KeyError::Several => "several_api_keys",
            KeyError::Wrong => "wrong_api_key",
        }
    }
}

/// Checks that there are read keys, and that each is long enough and fits into a header.
///
/// # Errors
///
/// Says which key is wrong and what to do.
pub fn check_read_keys(keys: &[SecretString]) -> anyhow::Result<()> {
    ensure!(!keys.is_empty(), "no read key: {KEY_HELP}");
    for (key, place) in keys.iter().zip(1..) {
        let key = key.expose_secret();
        ensure!(
            key.len() >= MIN_KEY_LENGTH,
            "read key {place} has {} characters, at least {MIN_KEY_LENGTH} are needed: {KEY_HELP}",
            key.len()
        );
        ensure!(
            key.bytes().all(|byte| byte.is_ascii_graphic()),
            "read key {place} holds other than visible ASCII characters, which no header can carry: {KEY_HELP}"
        );
    }
    Ok(())
}

impl Keys {
    /// Accepts these keys.
    pub fn new(keys: &[SecretString]) -> Keys {
        let keys = keys.iter();
        Keys(
            keys.map(|key| digest(key.expose_secret().as_bytes()))
                .collect(),
        )
    }

    /// Checks that the request carries exactly one key in [`HEADER`], and that it is accepted.
    ///
    /// # Errors
    ///
    /// [`KeyError`] otherwise.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), KeyError> {
        let sent = headers.get_all(HEADER).iter();
        self.check_one(sent.map(|key| key.as_bytes()))
    }

    /// As [`check`](Keys::check), and takes a key in `Authorization: Bearer` too.
    ///
    /// # Errors
    ///
    /// [`KeyError`]; another scheme of `Authorization` carries no key.
    pub fn check_with_bearer(&self, headers: &HeaderMap) -> Result<(), KeyError> {
        let sent = headers.get_all(HEADER).iter().map(|key| key.as_bytes());
        let bearer = headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .filter_map(|value| {
                let (scheme, key) = value.as_bytes().split_at_checked(7)?;
                scheme
                    .eq_ignore_ascii_case(b"bearer ")
                    .then(|| key.trim_ascii())
            });
        self.check_one(sent.chain(bearer))
    }

    /// Whether `key` is one of the keys; takes the same time whichever matches, or if none does.
    pub fn has(&self, key: &str) -> bool {
        self.check_one(std::iter::once(key.as_bytes())).is_ok()
    }

    /// Takes the same time whichever key matches, or if none does.
    fn check_one<'k>(&self, mut sent: impl Iterator<Item = &'k [u8]>) -> Result<(), KeyError> {
        let key = match (sent.next(), sent.next()) {
            (None, _) => return Err(KeyError::Missing),
            (Some(_), Some(_)) => return Err(KeyError::Several),
            (Some(key), None) => digest(key),
        };
        let known = self.0.iter();
        let known = known.fold(Choice::from(0), |found, known| found | known.ct_eq(&key));
        if known.into() {
            Ok(())
        } else {
            Err(KeyError::Wrong)
        }
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn keys() -> Keys {
        Keys::new(&["the-old-key".into(), "the-new-key".into()])
    }

    #[test]
    fn any_of_the_keys_is_taken_and_nothing_else() {
        let check = |sent: &[(&'static str, &'static str)]| keys().check(&headers(sent));
        assert_eq!(check(&[(HEADER, "the-old-key")]), Ok(()));
        assert_eq!(check(&[(HEADER, "the-new-key")]), Ok(()));
        assert_eq!(check(&[(HEADER, "the-new-ke")]), Err(KeyError::Wrong));
        assert_eq!(check(&[(HEADER, "")]), Err(KeyError::Wrong));
        assert_eq!(check(&[]), Err(KeyError::Missing));
        let two = [(HEADER, "the-old-key"), (HEADER, "the-new-key")];
        assert_eq!(check(&two), Err(KeyError::Several));
        let bearer = [("authorization", "Bearer the-old-key")];
        assert_eq!(check(&bearer), Err(KeyError::Missing));
    }

    #[test]
    fn a_bearer_is_taken_where_that_is_wanted() {
        let check =
            |sent: &[(&'static str, &'static str)]| keys().check_with_bearer(&headers(sent));
        assert_eq!(check(&[("authorization", "Bearer the-old-key")]), Ok(()));
        assert_eq!(check(&[("authorization", "bearer  the-new-key")]), Ok(()));
        assert_eq!(check(&[(HEADER, "the-new-key")]), Ok(()));
        assert_eq!(
            check(&[("authorization", "Bearer no-key")]),
            Err(KeyError::Wrong)
        );
        assert_eq!(
            check(&[("authorization", "Basic the-old-key")]),
            Err(KeyError::Missing)
        );
        assert_eq!(
            check(&[("authorization", "Bearer")]),
            Err(KeyError::Missing)
        );
        let both = [
            ("authorization", "Bearer the-old-key"),
            (HEADER, "the-old-key"),
        ];
        assert_eq!(check(&both), Err(KeyError::Several));
    }
}
