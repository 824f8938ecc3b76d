//! SCRAM-SHA-256 (RFC 5802, RFC 7677) against several keys at once.
//!
//! The user name selects nothing: each key's verifier is tried on each proof, with one salt for all, so that the work
//! and its time are the same for every name and every wrong password. No channel binding.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use service::keys::scram::{ITERATIONS, Salt, Verifier, hmac};
use service::keys::{Key, Keys};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// What proves the keys of now: nothing a password could be read from.
#[derive(Debug)]
pub struct Verifiers {
    salt: Salt,
    keys: Vec<(Verifier, Arc<Key>)>,
}

/// Why an exchange ends.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// The message is not one of SCRAM without channel binding.
    #[error("malformed SCRAM message")]
    Malformed,
    /// No key gives this proof.
    #[error("password authentication failed: the password is a read key")]
    Refused,
}

impl Verifiers {
    /// Verifiers of all keys that have one, with their salt, or with `salt` where the file has none. It takes some
    /// milliseconds for each key without a name.
    pub fn new(keys: &Keys, salt: Salt) -> Verifiers {
        let (keys, of_file) = keys.all();
        let salt = of_file.unwrap_or(salt);
        let keys = keys
            .into_iter()
            .filter_map(|key| Some((key.verifier(&salt)?, key)))
            .collect();
        Verifiers { salt, keys }
    }
}

/// One exchange: the client's first message, ours, the client's last.
#[derive(Debug)]
pub struct Exchange {
    header: String,
    client_first: String,
    server_first: String,
    nonce: String,
}

impl Exchange {
    /// Reads the client's first message.
    ///
    /// # Errors
    ///
    /// [`ScramError::Malformed`].
    pub fn start(verifiers: &Verifiers, message: &[u8]) -> Result<Exchange, ScramError> {
        let random: [u8; 18] = rand::random();
        Exchange::with_nonce(verifiers, message, &STANDARD.encode(random))
    }

    fn with_nonce(
        verifiers: &Verifiers,
        message: &[u8],
        random: &str,
    ) -> Result<Exchange, ScramError> {
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        let mut parts = message.splitn(3, ',');
        let (Some(binding @ ("n" | "y")), Some(identity), Some(bare)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(ScramError::Malformed);
        };
        let client_nonce = bare
            .split(',')
            .find_map(|part| part.strip_prefix("r="))
            .ok_or(ScramError::Malformed)?;
        let nonce = format!("{client_nonce}{random}");
        Ok(Exchange {
            header: format!("{binding},{identity},"),
            client_first: bare.to_owned(),
            server_first: format!(
                "r={nonce},s={},i={ITERATIONS}",
                STANDARD.encode(verifiers.salt)
            ),
            nonce,
        })
    }

    /// Our first message.
    pub fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Reads the client's last message, and gives ours, and the key.
    ///
    /// # Errors
    ///
    /// [`ScramError::Refused`] when the password is no key.
    pub fn finish(
        &self,
        verifiers: &Verifiers,
        message: &[u8],
    ) -> Result<(String, Arc<Key>), ScramError> {
        let message = std::str::from_utf8(message).map_err(|_| ScramError::Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(ScramError::Malformed)?;
        let expected = format!("c={},r={}", STANDARD.encode(&self.header), self.nonce);
        let proof = STANDARD.decode(proof).map_err(|_| ScramError::Malformed)?;
        let proof: [u8; 32] = proof.try_into().map_err(|_| ScramError::Malformed)?;
        if without_proof != expected {
            return Err(ScramError::Malformed);
        }
        let signed = format!(
            "{},{},{without_proof}",
            self.client_first, self.server_first
        );
        let mut server_key = [0; 32];
        let mut place = u64::MAX;
        for ((verifier, _), at) in verifiers.keys.iter().zip(0..) {
            let signature = hmac(&verifier.stored_key, signed.as_bytes());
            let client_key: [u8; 32] = std::array::from_fn(|index| proof[index] ^ signature[index]);
            let equal = Sha256::digest(client_key)[..].ct_eq(&verifier.stored_key);
            for (kept, byte) in server_key.iter_mut().zip(verifier.server_key) {
                kept.conditional_assign(&byte, equal);
            }
            place.conditional_assign(&at, equal);
        }
        let found = verifiers.keys.get(place as usize);
        let (_, key) = found.ok_or(ScramError::Refused)?;
        let signature = STANDARD.encode(hmac(&server_key, signed.as_bytes()));
        Ok((format!("v={signature}"), key.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard_is_accepted_beside_another_key() {
        let salt: [u8; 16] = STANDARD
            .decode("W22ZaJ0SNY7soEsUEjb6gQ==")
            .unwrap()
            .try_into()
            .unwrap();
        let keys = Keys::new(&["other-key".into(), "pencil".into()]);
        let verifiers = Verifiers::new(&keys, salt);
        let start = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let exchange =
            Exchange::with_nonce(&verifiers, start, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0").unwrap();
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let answer = exchange.finish(&verifiers, last.as_bytes());
        assert_eq!(
            answer.unwrap().0,
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn a_wrong_proof_is_refused() {
        let verifiers = Verifiers::new(&Keys::new(&["pencil".into()]), [7; 16]);
        let exchange = Exchange::start(&verifiers, b"n,,n=,r=abc").unwrap();
        let last = format!("c=biws,r={},p={}", exchange.nonce, STANDARD.encode([7; 32]));
        assert_eq!(
            exchange.finish(&verifiers, last.as_bytes()).unwrap_err(),
            ScramError::Refused
        );
        assert_eq!(
            Exchange::start(&verifiers, b"p=tls-unique,,n=,r=abc").unwrap_err(),
            ScramError::Malformed
        );
    }
}
