//! A flood: bodies that cost much to read for few bytes sent, one after the other on each connection.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Context;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::answer::Answers;

/// The key of the flood, which is another than that of the load beside it.
pub(crate) const FLOOD_KEY: &str = "bench-key-0002";

/// Bytes of the larger body, unfolded: the most that ingest takes.
const UNFOLDED: usize = 8 * 1024 * 1024;

/// Events of the other body: the most that ingest takes.
const EVENTS: usize = 50_000;

/// Floods over `connections` until `stop`; gives the answers by status. A connection that ingest closes is opened
/// again.
///
/// # Errors
///
/// If a body cannot be compressed, or nothing listens.
pub(crate) async fn flood(
    target: SocketAddr,
    connections: usize,
    stop: CancellationToken,
) -> anyhow::Result<BTreeMap<u16, u64>> {
    let posts = [UNFOLDED / 3 - 1, EVENTS]
        .map(|events| post(&format!("[{}{{}}]", "{},".repeat(events - 1))));
    let posts: Vec<Vec<u8>> = posts.into_iter().collect::<anyhow::Result<_>>()?;
    let statuses = RefCell::default();
    let all = (0..connections).map(|_| connection(target, &posts, &statuses));
    let flooding = futures::future::try_join_all(all);
    stop.run_until_cancelled(flooding).await.transpose()?;
    Ok(statuses.into_inner())
}

async fn connection(
    target: SocketAddr,
    posts: &[Vec<u8>],
    statuses: &RefCell<BTreeMap<u16, u64>>,
) -> anyhow::Result<()> {
    loop {
        let mut stream = TcpStream::connect(target).await.context("cannot connect")?;
        let mut answers = Answers::default();
        for post in posts.iter().cycle() {
            let answered = async {
                stream.write_all(post).await?;
                answers.next(&mut stream).await
            };
            let Ok(answer) = answered.await else {
                break;
            };
            *statuses.borrow_mut().entry(answer.status).or_default() += 1;
        }
    }
}

/// A whole request with this body, compressed.
fn post(body: &str) -> anyhow::Result<Vec<u8>> {
    let body = zstd::encode_all(body.as_bytes(), 19).context("cannot compress")?;
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: bench\r\nx-api-key: {FLOOD_KEY}\r\ncontent-type: application/json\r\n\
         content-encoding: zstd\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Ok([head.into_bytes(), body].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_of_the_flood_is_small_and_unfolds_to_much() {
        let post = post(&format!("[{}{{}}]", "{},".repeat(UNFOLDED / 3 - 2))).unwrap();
        assert!(post.len() < 2_000, "{}", post.len());
    }
}
