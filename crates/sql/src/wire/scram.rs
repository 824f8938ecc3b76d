//! SCRAM-SHA-256 (RFC 5802, RFC 7677) against several keys at once.
//!
//! The user name selects nothing: each key's verifier is tried on each proof, with one salt for all, so that the work
//! and its time are the same for every name and every wrong password. No channel binding.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// PostgreSQL's own number, and the least that RFC 7677 allows.
const ITERATIONS: u32 = 4096;

/// What is kept of the keys: nothing a password could be read from.
#[derive(Debug)]
pub struct Verifiers {
    salt: [u8; 16],
    keys: Vec<Verifier>,
}

struct Verifier {
    stored_key: [u8; 32],
    server_key: [u8; 32],
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
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
    /// Verifiers of `keys` with a new salt. It takes some milliseconds for each.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Verifiers {
        let salt: [u8; 16] = rand::random();
        let keys = keys
            .into_iter()
            .map(|key| Verifier::new(key, &salt))
            .collect();
        Verifiers { salt, keys }
    }
}

impl Verifier {
    fn new(key: &str, salt: &[u8]) -> Verifier {
        let salted = iterate(key.as_bytes(), salt);
        Verifier {
            stored_key: Sha256::digest(hmac(&salted, b"Client Key")).into(),
            server_key: hmac(&salted, b"Server Key"),
        }
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
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

    /// Reads the client's last message, and gives ours.
    ///
    /// # Errors
    ///
    /// [`ScramError::Refused`] when the password is no key.
    pub fn finish(&self, verifiers: &Verifiers, message: &[u8]) -> Result<String, ScramError> {
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
        let mut found = subtle::Choice::from(0);
        let mut server_key = [0; 32];
        for verifier in &verifiers.keys {
            let signature = hmac(&verifier.stored_key, signed.as_bytes());
            let client_key: [u8; 32] = std::array::from_fn(|index| proof[index] ^ signature[index]);
            let equal = Sha256::digest(client_key)[..].ct_eq(&verifier.stored_key);
            for (kept, byte) in server_key.iter_mut().zip(verifier.server_key) {
                kept.conditional_assign(&byte, equal);
            }
            found |= equal;
        }
        if bool::from(found) {
            Ok(format!(
                "v={}",
                STANDARD.encode(hmac(&server_key, signed.as_bytes()))
            ))
        } else {
            Err(ScramError::Refused)
        }
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
        let keys = ["other", "pencil"].map(|key| Verifier::new(key, &salt));
        let verifiers = Verifiers {
            salt,
            keys: keys.into(),
        };
        let start = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        let exchange =
            Exchange::with_nonce(&verifiers, start, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0").unwrap();
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let answer = exchange.finish(&verifiers, last.as_bytes());
        assert_eq!(
            answer.unwrap(),
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn a_wrong_proof_is_refused() {
        let verifiers = Verifiers::new(["pencil"]);
        let exchange = Exchange::start(&verifiers, b"n,,n=,r=abc").unwrap();
        let last = format!("c=biws,r={},p={}", exchange.nonce, STANDARD.encode([7; 32]));
        assert_eq!(
            exchange.finish(&verifiers, last.as_bytes()),
            Err(ScramError::Refused)
        );
        assert_eq!(
            Exchange::start(&verifiers, b"p=tls-unique,,n=,r=abc").unwrap_err(),
            ScramError::Malformed
        );
    }
}
