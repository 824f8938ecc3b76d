//! A stop in the middle of the work loses nothing that was accepted.

use std::time::Duration;

use local_aws::{Faults, LocalAws};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::harness::{KEY, clients, config, queued, vehicle};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_stop_signal_what_is_in_flight_is_finished_and_the_port_is_closed() {
    let slow = Faults::seeded(1).slow(
        "SendMessageBatch",
        1.0,
        Duration::from_millis(100)..Duration::from_millis(200),
    );
    let cloud = LocalAws::builder().faults(slow).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let service = tokio::spawn(ingest::run(
        config(&[]),
        clients(&cloud),
        listener,
        None,
        Default::default(),
        stop.clone(),
    ));
    let posts: Vec<_> = (0..16)
        .map(|client| {
            tokio::spawn(async move {
                let http = reqwest::Client::new();
                let mut accepted = Vec::new();
                for n in 0..10_000 {
                    let event =
                        vehicle(client * 10_000 + n).replace("veh-", &format!("c{client}-n{n}-"));
                    let post = http
                        .post(format!("http://{address}/v1/events"))
                        .header("x-api-key", KEY)
                        .body(event);
                    match post.send().await {
                        Ok(answer) if answer.status() == 202 => {
                            accepted.push(format!("c{client}-n{n}-"))
                        }
                        // The port is closed, or the connection was before the request was read.
                        _ => break,
                    }
                }
                accepted
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let started = tokio::time::Instant::now();
    stop.cancel();
    service.await.unwrap().unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
    let mut accepted = Vec::new();
    for post in posts {
        accepted.extend(post.await.unwrap());
    }
    assert!(accepted.len() > 16, "{}", accepted.len());
    let ids: Vec<_> = queued(&cloud)
        .iter()
        .map(|line| line["vehicle_id"].as_str().unwrap().to_owned())
        .collect();
    for id in &accepted {
        assert!(
            ids.iter().any(|queued| queued.starts_with(id.as_str())),
            "{id} was accepted and is lost"
        );
    }
    assert!(
        tokio::net::TcpStream::connect(address).await.is_err(),
        "the port is closed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_does_not_end_holds_the_stop_up_for_the_grace_period_alone() {
    let cloud = LocalAws::in_process();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let config = config(&["--shutdown-grace=500ms"]);
    let service = tokio::spawn(ingest::run(
        config,
        clients(&cloud),
        listener,
        None,
        Default::default(),
        stop.clone(),
    ));
    let body = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let post = reqwest::Client::new()
        .post(format!("http://{address}/v1/events"))
        .header("x-api-key", KEY);
    let hanging = tokio::spawn(post.body(reqwest::Body::wrap_stream(body)).send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = tokio::time::Instant::now();
    stop.cancel();
    service.await.unwrap().unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    hanging.abort();
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_hangs_holds_the_stop_up_no_longer_than_its_clients_wait() {
    let hang = Duration::from_secs(100)..Duration::from_secs(101);
    let cloud = LocalAws::builder()
        .faults(Faults::seeded(1).slow("SendMessageBatch", 1.0, hang))
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let config = config(&["--max-in-flight=1"]);
    let service = tokio::spawn(ingest::run(
        config,
        clients(&cloud),
        listener,
        None,
        Default::default(),
        stop.clone(),
    ));
    let posts = (0..10).map(|n| async move {
        // One after the other, so that each waits for a send of its own.
        tokio::time::sleep(Duration::from_millis(500 * n)).await;
        let post = reqwest::Client::new()
            .post(format!("http://{address}/v1/events"))
            .header("x-api-key", KEY);
        post.body(vehicle(n as usize))
            .send()
            .await
            .unwrap()
            .status()
    });
    let posts = tokio::spawn(futures::future::join_all(posts));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let started = tokio::time::Instant::now();
    stop.cancel();
    service.await.unwrap().unwrap();
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(12), "{waited:?}");
    let answers = posts.await.unwrap();
    assert!(answers.iter().all(|status| *status == 503), "{answers:?}");
}
