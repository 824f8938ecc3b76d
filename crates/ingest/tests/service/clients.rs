//! Clients that hold on to connections, dawdle or do not listen: others go on being served.

use std::net::SocketAddr;
use std::time::Duration;

use local_aws::{Faults, LocalAws};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::harness::{KEY, Service, VEHICLE, clients, config, queued, vehicle};

/// Longer than a new connection may be silent where others want its seat.
const SILENT: Duration = Duration::from_millis(300);

/// The service on a port of its own.
struct Server {
    address: SocketAddr,
    admin: SocketAddr,
    cloud: LocalAws,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    async fn start(flags: &[&str]) -> Server {
        Server::over(LocalAws::in_process(), flags).await
    }

    async fn over(cloud: LocalAws, flags: &[&str]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let admin_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = admin_listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let service = ingest::run(
            config(flags),
            clients(&cloud),
            listener,
            Some(admin_listener),
            Default::default(),
            stop.clone(),
        );
        Server {
            address,
            admin,
            cloud,
            stop,
            task: tokio::spawn(service),
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Connects and writes that much of a request.
    async fn begin(&self, text: &[u8]) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(text).await.unwrap();
        stream
    }

    /// What the admin port answers.
    async fn get_admin(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    /// What a client on a connection of its own gets.
    async fn post(&self, body: &str) -> String {
        let mut stream = self.begin(&request(body, body.len())).await;
        answer(&mut stream).await
    }

    /// As [`post`](Server::post), and again after a second for as long as there is no seat.
    async fn post_patiently(&self, body: &str) -> String {
        loop {
            let answer = self.post(body).await;
            if !is_no_seat(&answer) {
                return answer;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    async fn stopped(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// A request that announces `length` bytes and has those of `body`.
fn request(body: &str, length: usize) -> Vec<u8> {
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: ingest\r\nx-api-key: {KEY}\r\ncontent-type: application/x-ndjson\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The head of the next answer and the body behind it; empty where the connection was closed.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let length = text
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next())
            .and_then(|digits| digits.parse::<usize>().ok());
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        if body.is_some() && body == length {
            return text;
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return text,
            Ok(count) => text.push_str(std::str::from_utf8(&piece[..count]).unwrap()),
        }
    }
}

/// Whether the server has closed the connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]).await, Ok(0) | Err(_))
}

fn is_accepted(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 202 ")
}

/// Whether the client was turned away because every seat is taken.
fn is_no_seat(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 503 ")
        && answer.contains("\r\nretry-after: 1\r\n")
        && answer.contains(r#"{"error":{"code":"too_many_connections","#)
}

fn is_overload(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 429 ") && answer.contains("\r\nretry-after: 1\r\n")
}

#[tokio::test(start_paused = true)]
async fn connections_that_wait_give_way_where_there_are_more_than_places() {
    let server = Server::start(&["--max-connections=4"]).await;
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(server.connect().await);
    }
    sleep(SILENT).await;
    assert!(is_accepted(&server.post(VEHICLE).await));
    // Those that found no seat and send nothing are closed, and of the others the first one, for the post.
    let mut seated = idle.split_off(1);
    for stream in idle.iter_mut().chain(seated.split_off(3).iter_mut()) {
        assert!(is_closed(stream).await);
    }
    let mut last = seated.pop().unwrap();
    last.write_all(&request(VEHICLE, VEHICLE.len()))
        .await
        .unwrap();
    assert!(is_accepted(&answer(&mut last).await));
    server.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_use_stays_and_the_one_that_has_waited_the_longest_goes() {
    let server = Server::start(&["--max-connections=3"]).await;
    let mut used = server.connect().await;
    let mut unused = server.connect().await;
    let request = request(VEHICLE, VEHICLE.len());
    for round in 0..20 {
        used.write_all(&request).await.unwrap();
        assert!(is_accepted(&answer(&mut used).await), "round {round}");
        assert!(is_accepted(&server.post(VEHICLE).await));
    }
    sleep(SILENT).await;
    let others = [
        server.begin(b"POST /v1/ev").await,
        server.begin(b"POST /v1/ev").await,
    ];
    assert!(is_closed(&mut unused).await);
    used.write_all(&request).await.unwrap();
    assert!(is_accepted(&answer(&mut used).await));
    drop(others);
    server.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn more_clients_than_places_are_told_so_and_served_when_they_come_back() {
    let slow = Faults::seeded(1).slow(
        "SendMessageBatch",
        1.0,
        Duration::from_millis(100)..Duration::from_millis(200),
    );
    let cloud = LocalAws::builder().faults(slow).build().unwrap();
    let server = Server::over(cloud, &["--max-connections=2"]).await;
    let posts = (0..30).map(|n| {
        let server = &server;
        async move { server.post_patiently(&vehicle(n)).await }
    });
    let answers = futures::future::join_all(posts).await;
    assert!(
        answers.iter().all(|answer| is_accepted(answer)),
        "{answers:?}"
    );
    assert_eq!(queued(&server.cloud).len(), 30);
    server.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_keeps_nobody_out() {
    let server = Server::start(&["--max-connections=1"]).await;
    let mut slow = server.begin(b"POST /v1/ev").await;
    sleep(SILENT).await;
    assert!(is_accepted(&server.post(VEHICLE).await));
    assert!(is_closed(&mut slow).await);
    server.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_dawdles_gives_its_place_up_after_five_seconds_and_is_told() {
    let server = Server::start(&["--max-connections=1"]).await;
    let mut slow = server.begin(&request("{", 100)).await;
    let started = Instant::now();
    assert!(is_no_seat(&server.post(VEHICLE).await));
    assert!(is_accepted(&server.post_patiently(VEHICLE).await));
    let waited = started.elapsed();
    assert!((5..8).contains(&waited.as_secs()), "{waited:?}");
    let refused = answer(&mut slow).await;
    assert!(
        refused.starts_with("HTTP/1.1 408 ") && refused.contains("within 5s"),
        "{refused}"
    );
    // With places to spare it has its 30 seconds.
    let roomy = Server::start(&[]).await;
    let mut slow = roomy.begin(&request("{", 100)).await;
    let started = Instant::now();
    assert!(answer(&mut slow).await.contains("within 30s"));
    assert!(started.elapsed() >= Duration::from_secs(30));
    server.stopped().await;
    roomy.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn bodies_that_stall_give_the_bytes_that_they_hold_to_others() {
    let server = Server::start(&["--max-body-bytes=64KiB", "--max-pending-bytes=256KiB"]).await;
    let half: String = (0..200).map(|n| vehicle(n) + "\n").collect();
    let mut stalled = Vec::new();
    for _ in 0..6 {
        stalled.push(server.begin(&request(&half, 60_000)).await);
    }
    let started = Instant::now();
    let refused = server.post(&half).await;
    assert!(is_overload(&refused), "{refused}");
    while !is_accepted(&server.post(&half).await) {
        sleep(Duration::from_secs(1)).await;
    }
    let waited = started.elapsed();
    assert!((5..10).contains(&waited.as_secs()), "{waited:?}");
    drop(stalled);
    sleep(Duration::from_secs(1)).await;
    assert!(is_accepted(&server.post(&half).await));
    server.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_dropped_and_others_have_their_answers() {
    let server = Server::start(&[]).await;
    let many = request(&"{}\n".repeat(10_000), 30_000);
    let mut deaf = Vec::new();
    for _ in 0..8 {
        let mut stream = server.connect().await;
        deaf.push(tokio::spawn({
            let many = many.clone();
            // Until the connection breaks.
            async move { while stream.write_all(&many).await.is_ok() {} }
        }));
    }
    for n in 0..12 {
        let events = format!("{}\n{{}}\n", vehicle(n));
        let text = server.post(&events).await;
        assert!(
            is_accepted(&text) && text.contains(r#""rejected_count":1}"#),
            "{text}"
        );
        sleep(Duration::from_secs(1)).await;
    }
    futures::future::join_all(deaf).await;
    let text = server.post(&"{}\n".repeat(10_000)).await;
    assert!(text.starts_with("HTTP/1.1 422 "), "{}", &text[..200]);
    server.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_head_too_long_is_431() {
    let server = Server::start(&[]).await;
    let head = format!("GET / HTTP/1.1\r\nhost: {}\r\n", "x".repeat(10_000));
    let mut stream = server.begin(head.as_bytes()).await;
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 431 "));
    let mut stream = server.begin(b"not HTTP at all\r\n\r\n").await;
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 400 "));
    assert!(is_closed(&mut stream).await);
    let metrics = server.get_admin("/metrics").await;
    for counted in [
        "headwater_ingest_refusals_total{code=\"head_too_large\"} 1",
        "headwater_ingest_refusals_total{code=\"invalid_head\"} 1",
    ] {
        assert!(metrics.contains(counted), "{metrics}");
    }
    server.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_posts_that_hang_hold_every_seat_probes_answer_and_others_are_told() {
    let slow = Duration::from_secs(2)..Duration::from_millis(2_001);
    let faults = Faults::seeded(1).slow("SendMessageBatch", 1.0, slow);
    let cloud = LocalAws::builder().faults(faults).build().unwrap();
    let server = Server::over(cloud, &["--max-connections=20"]).await;
    let mut held = Vec::new();
    for n in 0..20 {
        let body = vehicle(n);
        held.push(server.begin(&request(&body, body.len())).await);
    }
    // Accepted in the order in which they came: once this one is told, all others have their seats.
    let mut turned_away = server.begin(&request(VEHICLE, VEHICLE.len())).await;
    let refused = answer(&mut turned_away).await;
    assert!(is_no_seat(&refused), "{refused}");
    assert!(is_closed(&mut turned_away).await);
    assert!(server.get_admin("/livez").await.ends_with("alive\n"));
    let metrics = server.get_admin("/metrics").await;
    assert!(
        metrics.contains("headwater_ingest_refusals_total{code=\"too_many_connections\"}"),
        "{metrics}"
    );
    server.cloud.set_faults(Faults::none());
    for stream in &mut held {
        assert!(is_accepted(&answer(stream).await));
    }
    // Their clients keep the connections, and others get seats all the same.
    assert!(is_accepted(&server.post_patiently(VEHICLE).await));
    drop(held);
    server.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_its_side_behind_a_whole_request_has_its_answer() {
    let server = Server::start(&[]).await;
    for n in 0..6 {
        let body = vehicle(n);
        let mut stream = server.begin(&request(&body, body.len())).await;
        stream.shutdown().await.unwrap();
        let text = answer(&mut stream).await;
        assert!(is_accepted(&text), "{text}");
        assert!(is_closed(&mut stream).await);
    }
    assert_eq!(queued(&server.cloud).len(), 6);
    let mut idle = server.connect().await;
    idle.shutdown().await.unwrap();
    assert!(is_closed(&mut idle).await, "it has nothing to say");
    server.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn heads_that_http_forbids_are_refused_with_a_body() {
    let server = Server::start(&[]).await;
    let head = |version: &str, headers: &str| {
        let length = VEHICLE.len();
        format!(
            "POST /v1/events {version}\r\nx-api-key: {KEY}\r\n{headers}content-length: {length}\r\n\r\n{VEHICLE}"
        )
    };
    let chunked = format!(
        "POST /v1/events HTTP/1.1\r\nhost: a\r\nx-api-key: {KEY}\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
    );
    for (text, status, code) in [
        (head("HTTP/1.1", ""), 400, "invalid_host"),
        (
            head("HTTP/1.1", "host: a\r\nhost: b\r\n"),
            400,
            "invalid_host",
        ),
        (chunked, 501, "unsupported_transfer_encoding"),
    ] {
        let mut stream = server.begin(text.as_bytes()).await;
        let refused = answer(&mut stream).await;
        assert!(
            refused.starts_with(&format!("HTTP/1.1 {status} "))
                && refused.contains(&format!(r#"{{"error":{{"code":"{code}","#)),
            "{refused}"
        );
        assert!(is_closed(&mut stream).await);
    }
    let mut old = server.begin(head("HTTP/1.0", "").as_bytes()).await;
    let text = answer(&mut old).await;
    assert!(text.starts_with("HTTP/1.0 202 "), "{text}");
    assert_eq!(queued(&server.cloud).len(), 1);
    server.stopped().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_being_read_is_not_cut_for_a_seat() {
    let service = Service::with(&["--max-connections=1"]).await;
    let mut reader = service.connect();
    let many = request(&"{}\n".repeat(1_000), 3_000);
    reader.write_all(&many).await.unwrap();
    sleep(Duration::from_secs(6)).await;
    let turned_away = service.post_json(VEHICLE).await;
    assert_eq!(turned_away.error_code(), "too_many_connections");
    sleep(Duration::from_secs(2)).await;
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    assert!(
        text.len() > 64 * 1024 && text.ends_with(r#"],"rejected_count":1000}"#),
        "{} bytes",
        text.len()
    );
    assert_eq!(service.post_json(VEHICLE).await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn what_has_begun_of_a_request_does_not_hold_the_stop_up() {
    let server = Server::start(&[]).await;
    let idle = server.connect().await;
    let mut head = server.begin(b"POST /v1/ev").await;
    let mut body = server.begin(&request("{", 100)).await;
    sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    server.stopped().await;
    // The body has a while, as under pressure.
    let waited = started.elapsed();
    assert!((5..8).contains(&waited.as_secs()), "{waited:?}");
    assert!(answer(&mut body).await.starts_with("HTTP/1.1 408 "));
    assert!(is_closed(&mut head).await);
    drop(idle);
}
