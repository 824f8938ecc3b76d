//! Compression of request bodies.

use std::io::Write;

/// How a request body is compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// zstd, level 1.
    Zstd,
    /// gzip, level 1.
    Gzip,
}

impl Compression {
    /// The value of `content-encoding`, where there is one.
    pub(crate) fn content_encoding(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Zstd => Some("zstd"),
            Compression::Gzip => Some("gzip"),
        }
    }

    pub(crate) fn compress(self, body: Vec<u8>) -> Vec<u8> {
        match self {
            Compression::None => body,
            Compression::Zstd => {
                zstd::encode_all(body.as_slice(), 1).expect("memory to memory cannot fail")
            }
            Compression::Gzip => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(&body)
                    .and_then(|()| gzip.finish())
                    .expect("memory to memory cannot fail")
            }
        }
    }
}
