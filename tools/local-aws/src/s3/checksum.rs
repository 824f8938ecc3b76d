//! Checksums that clients send along: computed while a body arrives.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The algorithms of the S3 API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

const ALL: [Algorithm; 5] = [
    Algorithm::Crc32,
    Algorithm::Crc32c,
    Algorithm::Crc64Nvme,
    Algorithm::Sha1,
    Algorithm::Sha256,
];

/// A checksum as it is kept with an object or part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksum {
    pub(crate) algorithm: Algorithm,
    /// In base64; a checksum over the checksums of parts ends in `-` and the number of parts.
    pub(crate) value: String,
}

impl Algorithm {
    pub(crate) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The name as `x-amz-checksum-algorithm` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        ALL.into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The algorithm whose header or trailer has this name.
    pub(crate) fn of_header(header: &str) -> Option<Self> {
        ALL.into_iter()
            .find(|algorithm| algorithm.header().eq_ignore_ascii_case(header))
    }

    pub(crate) fn hasher(self) -> Hasher {
        let crc = |algorithm| crc_fast::Digest::new(algorithm);
        match self {
            Self::Crc32 => Hasher::Crc32(crc(CrcAlgorithm::Crc32IsoHdlc)),
            Self::Crc32c => Hasher::Crc32(crc(CrcAlgorithm::Crc32Iscsi)),
            Self::Crc64Nvme => Hasher::Crc64(crc(CrcAlgorithm::Crc64Nvme)),
            Self::Sha1 => Hasher::Sha1(Sha1::new()),
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
        }
    }
}

/// A checksum being computed.
pub(crate) enum Hasher {
    Crc32(crc_fast::Digest),
    Crc64(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(crc) | Self::Crc64(crc) => crc.update(bytes),
            Self::Sha1(sha) => sha.update(bytes),
            Self::Sha256(sha) => sha.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            // The upper half of a 32-bit checksum is zero.
            Self::Crc32(crc) => crc.finalize().to_be_bytes()[4..].to_vec(),
            Self::Crc64(crc) => crc.finalize().to_be_bytes().to_vec(),
            Self::Sha1(sha) => sha.finalize().to_vec(),
            Self::Sha256(sha) => sha.finalize().to_vec(),
        }
    }

    pub(crate) fn finish_base64(self) -> String {
        STANDARD.encode(self.finish())
    }
}

impl Checksum {
    /// The checksum among a request's headers.
    pub(crate) fn in_headers(headers: &HeaderMap) -> Option<Self> {
        ALL.into_iter().find_map(|algorithm| {
            let value = headers.get(algorithm.header())?.to_str().ok()?;
            Some(Self {
                algorithm,
                value: value.to_owned(),
            })
        })
    }

    /// The checksum over the parts' checksums, as a multipart object has it.
    pub(crate) fn of_parts<'a>(
        algorithm: Algorithm,
        parts: impl ExactSizeIterator<Item = &'a str>,
    ) -> Self {
        let count = parts.len();
        let mut hasher = algorithm.hasher();
        for part in parts {
            hasher.update(&STANDARD.decode(part).unwrap_or_default());
        }
        let value = format!("{}-{count}", hasher.finish_base64());
        Self { algorithm, value }
    }

    /// `COMPOSITE` or `FULL_OBJECT`.
    pub(crate) fn kind(&self) -> &'static str {
        if self.value.contains('-') {
            "COMPOSITE"
        } else {
            "FULL_OBJECT"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_the_check_string_are_those_of_the_catalogues() {
        // CRC catalogue's check values for "123456789"; SHA from FIPS examples' tool.
        for (algorithm, expected) in [
            (Algorithm::Crc32, "cbf43926"),
            (Algorithm::Crc32c, "e3069283"),
            (Algorithm::Crc64Nvme, "ae8b14860a799888"),
            (Algorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        ] {
            let mut hasher = algorithm.hasher();
            hasher.update(b"12345");
            hasher.update(b"6789");
            assert_eq!(crate::hex::hex(hasher.finish()), expected, "{algorithm:?}");
        }
    }
}
