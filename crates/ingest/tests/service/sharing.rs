//! Many requests share few sends.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::harness::{KEY, clients, config, queued, vehicle};

const EVENTS: usize = 100_000;
const PER_REQUEST: usize = 500;
const CONNECTIONS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_connections_share_sends_and_packs_are_well_filled() {
    let cloud = local_aws::LocalAws::in_process();
    let aws = clients(&cloud);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let service = tokio::spawn(ingest::run(
        config(&[]),
        aws.clone(),
        listener,
        None,
        Default::default(),
        stop.clone(),
    ));
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|connection| {
            // Made beforehand: clients that are busy between their posts do not post together.
            let requests = (connection..EVENTS / PER_REQUEST).step_by(CONNECTIONS);
            let bodies: Vec<String> = requests
                .map(|request| {
                    let first = request * PER_REQUEST;
                    (first..first + PER_REQUEST)
                        .map(|n| vehicle(n) + "\n")
                        .collect()
                })
                .collect();
            tokio::spawn(async move {
                let http = reqwest::Client::new();
                for body in bodies {
                    let post = http
                        .post(format!("http://{address}/v1/events"))
                        .header("x-api-key", KEY);
                    let answer = post
                        .header("content-type", "application/x-ndjson")
                        .body(body)
                        .send()
                        .await
                        .unwrap();
                    assert_eq!(answer.status(), 202);
                }
            })
        })
        .collect();
    for connection in connections {
        connection.await.unwrap();
    }
    stop.cancel();
    service.await.unwrap().unwrap();
    assert_eq!(queued(&cloud).len(), EVENTS);
    let usage = aws.meter().usage()["sqs:SendMessageBatch"];
    let rounds = (EVENTS / PER_REQUEST) as f64 / CONNECTIONS as f64;
    assert!(
        usage.requests as f64 <= rounds * 3.0,
        "{usage:?} in {rounds} rounds"
    );
    // A derived id alone takes 30 of an event's 54 bytes: it does not compress.
    assert!(usage.billed as usize <= EVENTS.div_ceil(900), "{usage:?}");
}
