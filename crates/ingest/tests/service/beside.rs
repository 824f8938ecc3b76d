//! What ingest's port does for the services beside it, in one process: long answers, WebSockets, a page for browsers.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use futures::stream;
use hyper_util::rt::TokioIo;
use local_aws::LocalAws;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::harness::Service;

#[tokio::test(start_paused = true)]
async fn an_answer_that_goes_on_for_long_is_not_taken_for_an_idle_connection() {
    let pieces = async || {
        let pieces = stream::unfold(0, async |piece| {
            sleep(Duration::from_secs(60)).await;
            let text = Bytes::from(format!("{piece} "));
            (piece < 10).then_some((Ok::<_, Infallible>(text), piece + 1))
        });
        Body::from_stream(pieces)
    };
    let others = Router::new().route("/stream", get(pieces));
    let service = Service::beside(others, LocalAws::in_process(), &[]).await;
    let answer = service.get("/stream").await;
    assert_eq!(answer.text, "0 1 2 3 4 5 6 7 8 9 ");
}

#[tokio::test(start_paused = true)]
async fn a_connection_can_become_another_protocol_and_frees_its_seat() {
    let echo = async |mut request: Request| {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut stream = TokioIo::new(upgrade.await.unwrap());
            let mut word = [0; 4];
            stream.read_exact(&mut word).await.unwrap();
            stream.write_all(&word).await.unwrap();
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, "upgrade".parse().unwrap());
        headers.insert(header::UPGRADE, "echo".parse().unwrap());
        response
    };
    let others = Router::new().route("/echo", get(echo));
    let service = Service::beside(others, LocalAws::in_process(), &["--max-connections=1"]).await;
    let mut stream = service.connect();
    let head =
        b"GET /echo HTTP/1.1\r\nhost: ingest\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    // The only seat is free, and the stream is idle for longer than a connection of HTTP may be.
    sleep(Duration::from_secs(120)).await;
    assert_eq!(service.get("/health").await.status, StatusCode::OK);
    stream.write_all(b"word").await.unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"word");
}

#[tokio::test(start_paused = true)]
async fn browsers_get_the_page_of_the_services_beside_it() {
    let page = Router::new().route("/", get(async || "a page"));
    for (others, browser) in [(page, "a page"), (Router::new(), "Headwater ingest")] {
        let service = Service::beside(others, LocalAws::in_process(), &[]).await;
        let asking = |accept: &str| {
            let request = Request::get("/").header("accept", accept);
            request.body(Body::empty()).unwrap()
        };
        let answer = service.send(asking("text/html,*/*;q=0.8")).await;
        assert!(answer.text.starts_with(browser), "{}", answer.text);
        let answer = service.send(asking("*/*")).await;
        assert!(
            answer.text.starts_with("Headwater ingest"),
            "{}",
            answer.text
        );
    }
}
