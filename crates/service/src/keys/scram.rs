//! Verifiers of keys for PostgreSQL clients, which prove that they have a key without sending it (SCRAM-SHA-256,
//! RFC 5802 and RFC 7677): the server needs a verifier or the key itself, and a SHA-256 of it is not enough.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// PostgreSQL's own number, and the least that RFC 7677 allows.
pub const ITERATIONS: u32 = 4096;

/// The salt of all verifiers of a process. One for all, because the server tells it before it knows which key a client
/// has; keys made by `headwater keys new` have 256 random bits, which no table of hashes could hold.
pub type Salt = [u8; 16];

/// What proves a key: nothing from which the key could be read.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// `StoredKey` of RFC 5802.
    pub stored_key: [u8; 32],
    /// `ServerKey` of RFC 5802.
    pub server_key: [u8; 32],
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl Verifier {
    /// The verifier of a key. It takes some milliseconds.
    pub fn new(key: &str, salt: &Salt) -> Verifier {
        let salted = iterate(key.as_bytes(), salt);
        Verifier {
            stored_key: Sha256::digest(hmac(&salted, b"Client Key")).into(),
            server_key: hmac(&salted, b"Server Key"),
        }
    }

    /// Reads what [`to_text`](Verifier::to_text) has written.
    pub fn parse(text: &str) -> Option<Verifier> {
        let (stored_key, server_key) = text.split_once(':')?;
        let read = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        Some(Verifier {
            stored_key: read(stored_key)?,
            server_key: read(server_key)?,
        })
    }

    /// `StoredKey:ServerKey` in base64, as PostgreSQL has it in `pg_authid`.
    pub fn to_text(&self) -> String {
        let (stored, server) = (
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key),
        );
        format!("{stored}:{server}")
    }
}

/// HMAC-SHA-256.
pub fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// `Hi` of RFC 5802: PBKDF2 with one block.
fn iterate(password: &[u8], salt: &[u8]) -> [u8; 32] {
    let mut last = hmac(password, &[salt, &1_u32.to_be_bytes()].concat());
    let mut sum = last;
    for _ in 1..ITERATIONS {
        last = hmac(password, &last);
        for (sum, last) in sum.iter_mut().zip(last) {
            *sum ^= last;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_is_read_as_it_was_written() {
        let verifier = Verifier::new("pencil", &[7; 16]);
        assert_eq!(Verifier::parse(&verifier.to_text()), Some(verifier.clone()));
        for wrong in ["", "a:b", "AAAA:AAAA", &verifier.to_text()[1..]] {
            assert_eq!(Verifier::parse(wrong), None, "{wrong}");
        }
        assert_eq!(format!("{verifier:?}"), "Verifier");
    }
}
