//! Reads HTTP answers of ingest off a connection.

use anyhow::{Context, bail};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Most bytes of an answer: more than any list of refused events has.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// An answer to a post.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Number of accepted events, if the body names it.
    pub(super) accepted: Option<u64>,
    pub(super) text: String,
}

/// The answers of one connection.
#[derive(Default)]
pub(super) struct Answers {
    buffer: Vec<u8>,
}

impl Answers {
    /// Waits for the next answer.
    pub(super) async fn next(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> anyhow::Result<Answer> {
        self.buffer.clear();
        loop {
            let read = stream.read_buf(&mut self.buffer).await;
            if read.context("cannot read an answer")? == 0 {
                bail!("the connection was closed before an answer");
            }
            if let Some(answer) = parse(&self.buffer)? {
                return Ok(answer);
            }
            if self.buffer.len() > MAX_ANSWER {
                bail!("an answer of more than {MAX_ANSWER} bytes");
            }
        }
    }
}

/// The answer; `None` until all of it has arrived.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).context("an answer's head is not text")?;
    let body = &bytes[end + 4..];
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("not an HTTP answer: {head}"))?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let named = name.eq_ignore_ascii_case("content-length");
        named.then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.with_context(|| format!("an answer without its length: {head}"))?;
    if body.len() < length {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(body);
    let accepted = text.split_once("\"accepted\":").and_then(|(_, rest)| {
        let end = rest.find(|c: char| !c.is_ascii_digit());
        rest[..end.unwrap_or(rest.len())].parse().ok()
    });
    Ok(Some(Answer {
        status,
        accepted,
        text: text.into_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::parse;

    const WHOLE: &[u8] =
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 33\r\n\r\n{\"accepted\":500,\"rejected\":[ ]  }";

    #[test]
    fn an_answer_is_read_once_all_of_it_is_there() {
        for cut in 0..WHOLE.len() {
            assert!(parse(&WHOLE[..cut]).unwrap().is_none(), "{cut} bytes");
        }
        let answer = parse(WHOLE).unwrap().unwrap();
        assert_eq!((answer.status, answer.accepted), (202, Some(500)));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        assert!(parse(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 202 Accepted\r\n\r\n").is_err());
    }
}
