//! The page's files: part of the program, under a name that changes with their content.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// Name and content of every file under `web/`.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/web.rs"));

/// The page itself, which is not among the assets.
const PAGE: &str = "index.html";

/// What stands in the page for the path of the assets.
const PLACE: &str = "{{assets}}";

/// Files of fewer bytes are not compressed: it would save no packet.
const WORTH_COMPRESSING: usize = 1024;

/// The page and its assets, compressed once.
#[derive(Debug)]
pub(crate) struct Assets {
    hash: String,
    page: File,
    files: BTreeMap<&'static str, File>,
}

#[derive(Debug)]
struct File {
    content_type: &'static str,
    plain: Bytes,
    gzip: Option<Bytes>,
}

impl Assets {
    /// Takes the files that the program was built with.
    ///
    /// # Errors
    ///
    /// If it was built without a page, or a file cannot be compressed.
    pub(crate) fn load() -> anyhow::Result<Assets> {
        Assets::of(FILES)
    }

    fn of(all: &[(&'static str, &'static [u8])]) -> anyhow::Result<Assets> {
        let mut hash = Sha256::new();
        for (name, content) in all {
            hash.update(name.as_bytes());
            hash.update((content.len() as u64).to_le_bytes());
            hash.update(content);
        }
        let hash: String = hash
            .finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let page = all.iter().find(|(name, _)| *name == PAGE);
        let (_, page) = page.context("the program was built without web/index.html")?;
        let page = std::str::from_utf8(page).context("web/index.html is no UTF-8")?;
        let page = page.replace(PLACE, &format!("/console/assets/{hash}"));
        let page = File::new(PAGE, page.into())?;
        let files = all.iter().filter(|(name, _)| *name != PAGE);
        let files = files.map(|(name, content)| {
            let file = File::new(name, Bytes::from_static(content));
            file.map(|file| (*name, file))
        });
        Ok(Assets {
            hash,
            page,
            files: files.collect::<anyhow::Result<_>>()?,
        })
    }

    /// The page, which browsers ask for again each time.
    pub(crate) fn page(&self, asked: &HeaderMap) -> Response {
        self.page.answer(asked, "no-cache")
    }

    /// A file of this program; none under another hash, which is that of another program.
    pub(crate) fn file(&self, hash: &str, name: &str, asked: &HeaderMap) -> Option<Response> {
        let file = self.files.get(name).filter(|_| hash == self.hash)?;
        Some(file.answer(asked, "public, max-age=31536000, immutable"))
    }
}

impl File {
    fn new(name: &str, plain: Bytes) -> anyhow::Result<File> {
        let content_type = content_type(name);
        let is_text = content_type.starts_with("text/") || content_type.contains("svg");
        let is_text = is_text || content_type.contains("json");
        let gzip = if is_text && plain.len() >= WORTH_COMPRESSING {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            let failed = || format!("cannot compress `{name}`");
            encoder.write_all(&plain).with_context(failed)?;
            Some(encoder.finish().with_context(failed)?.into())
        } else {
            None
        };
        Ok(File {
            content_type,
            plain,
            gzip,
        })
    }

    fn answer(&self, asked: &HeaderMap, cache: &'static str) -> Response {
        let (body, is_gzip) = match &self.gzip {
            Some(gzip) if takes_gzip(asked) => (gzip.clone(), true),
            _ => (self.plain.clone(), false),
        };
        let mut response = (StatusCode::OK, body).into_response();
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(header::CONTENT_TYPE, self.content_type);
        set(header::CACHE_CONTROL, cache);
        set(header::VARY, "accept-encoding");
        if is_gzip {
            set(header::CONTENT_ENCODING, "gzip");
        }
        response
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Whether the client takes gzip: it names it, and not with the weight 0.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let lists = asked.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight
            .trim()
            .strip_prefix("q=")
            .and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight != Some(0.0)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use http_body_util::BodyExt;

    use super::*;

    const LONG: &[u8] = &[b'a'; 5000];

    fn asking(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding))])
    }

    #[tokio::test]
    async fn files_are_compressed_for_who_takes_it_and_named_by_their_content() {
        let page: &[u8] = b"<script src=\"{{assets}}/app.js\"></script>";
        let assets = Assets::of(&[("app.js", LONG), (PAGE, page)]).unwrap();
        let other = Assets::of(&[("app.js", b"b"), (PAGE, page)]).unwrap();
        assert_ne!(assets.hash, other.hash);
        let sent = assets.page(&HeaderMap::new());
        assert_eq!(sent.headers()[header::CACHE_CONTROL], "no-cache");
        let sent = sent.into_body().collect().await.unwrap().to_bytes();
        let expected = format!(
            "<script src=\"/console/assets/{}/app.js\"></script>",
            assets.hash
        );
        assert_eq!(sent, expected);
        let hash = &assets.hash;
        for (encoding, is_gzip) in [
            ("gzip, br", true),
            ("br", false),
            ("gzip;q=0", false),
            ("*", false),
        ] {
            let sent = assets.file(hash, "app.js", &asking(encoding)).unwrap();
            assert_eq!(
                sent.headers().contains_key(header::CONTENT_ENCODING),
                is_gzip,
                "{encoding}"
            );
            assert!(
                sent.headers()[header::CACHE_CONTROL]
                    .to_str()
                    .unwrap()
                    .contains("immutable")
            );
            let body = sent.into_body().collect().await.unwrap().to_bytes();
            let mut plain = Vec::new();
            if is_gzip {
                flate2::read::GzDecoder::new(&body[..])
                    .read_to_end(&mut plain)
                    .unwrap();
            } else {
                plain = body.to_vec();
            }
            assert_eq!(plain, LONG);
        }
        assert!(assets.file("0000", "app.js", &HeaderMap::new()).is_none());
        assert!(
            assets
                .file(hash, "../Cargo.toml", &HeaderMap::new())
                .is_none()
        );
        assert!(assets.file(hash, PAGE, &HeaderMap::new()).is_none());
    }

    #[test]
    fn the_program_has_a_page() {
        Assets::load().unwrap();
        assert!(Assets::of(&[("app.js", LONG)]).is_err());
    }
}
