//! A client that gets a path of a service near by, as health checks do (`<service> health`): an image then needs
//! neither shell nor curl.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for a whole answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the service that listens on `listen` for `path`, such as `/readyz`, and prints the answer's body. A service
/// that listens on all addresses is asked on the loopback address.
///
/// # Errors
///
/// If nothing answers within 5 s, or the answer is not 200.
pub async fn check(listen: SocketAddr, path: &str) -> anyhow::Result<()> {
    println!("{}", get(listen, path, "").await?);
    Ok(())
}

/// Gets a path from the service that listens on `listen`, and gives the answer's body. `headers` are lines that end in
/// CR LF.
///
/// # Errors
///
/// As for [`check`].
pub async fn get(listen: SocketAddr, path: &str, headers: &str) -> anyhow::Result<String> {
    let mut target = listen;
    if listen.ip().is_unspecified() {
        target.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let ask = async {
        let mut stream = TcpStream::connect(target).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.take(64 * 1024).read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, ask)
        .await
        .with_context(|| format!("http://{target}{path} did not answer within 5 s"))?
        .with_context(|| format!("cannot ask http://{target}{path}"))?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("http://{target}{path} answered `{status}`");
    }
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok(body.unwrap_or_default().to_owned())
}
