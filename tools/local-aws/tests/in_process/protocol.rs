//! The protocols as bytes on a socket, for what SDKs do not show.

use std::time::Duration;

use local_aws::{FaultKind, LocalAws};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

struct Server {
    cloud: LocalAws,
    address: std::net::SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

async fn server() -> Server {
    let cloud = LocalAws::in_process();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(local_aws::serve(cloud.clone(), listener, stop.clone()));
    Server {
        cloud,
        address,
        stop,
        task,
    }
}

impl Server {
    /// Sends a request to the server's address and reads the answer to the end of the connection.
    async fn exchange(&self, head: &str, body: &[u8]) -> String {
        self.send(&format!("{head}\r\nHost: {}", self.address), body)
            .await
    }

    /// Sends a request whose head says the host.
    async fn send(&self, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // A server that has read enough answers and closes while the rest is on its way.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        // A cut connection may be reset.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn sqs(&self, operation: &str, body: &str) -> String {
        let head = format!(
            "POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.{operation}\r\nContent-Type: application/x-amz-json-1.0"
        );
        self.exchange(&head, body.as_bytes()).await
    }
}

#[tokio::test]
async fn health_is_told_in_both_ways() {
    let server = server().await;
    for path in ["/_local/health", "/_localstack/health"] {
        let answer = server.exchange(&format!("GET {path} HTTP/1.1"), b"").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(
            answer.ends_with(
                r#"{"status":"running","services":{"sqs":"available","s3":"available"}}"#
            )
        );
    }
}

#[tokio::test]
async fn an_sqs_error_has_type_message_and_the_older_code() {
    let server = server().await;
    let answer = server
        .sqs("GetQueueUrl", r#"{"QueueName":"missing"}"#)
        .await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let header = "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender";
    assert!(answer.contains(header), "{answer}");
    assert!(
        answer.contains(r#""__type":"com.amazonaws.sqs#QueueDoesNotExist""#),
        "{answer}"
    );
    let answer = server.sqs("SendMessage", "not json").await;
    assert!(answer.contains("#SerializationException"), "{answer}");
    let answer = server.sqs("NoSuchOperation", "{}").await;
    assert!(
        answer.starts_with("HTTP/1.1 404") && answer.contains("NoSuchOperation"),
        "{answer}"
    );
}

#[tokio::test]
async fn what_is_not_emulated_is_refused() {
    let server = server().await;
    for operation in [
        "AddPermission",
        "CancelMessageMoveTask",
        "ListDeadLetterSourceQueues",
        "ListMessageMoveTasks",
        "ListQueueTags",
        "StartMessageMoveTask",
        "TagQueue",
        "UntagQueue",
    ] {
        let answer = server.sqs(operation, "{}").await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(answer.contains("#UnknownOperationException"), "{answer}");
    }
    let tagged = r#"{"QueueName":"q","tags":{"team":"telemetry"}}"#;
    let answer = server.sqs("CreateQueue", tagged).await;
    assert!(answer.contains("#UnsupportedOperation"), "{answer}");
    server.exchange("PUT /lake HTTP/1.1", b"").await;
    // Listing in its first version, and what has a parameter of its own.
    for target in [
        "/lake",
        "/lake?uploads",
        "/lake?location",
        "/lake?versioning",
        "/lake?versions",
        "/lake?tagging",
        "/lake/key?uploadId=1",
        "/lake/key?tagging",
        "/lake/key?response-content-type=text/plain",
    ] {
        let answer = server
            .exchange(&format!("GET {target} HTTP/1.1"), b"")
            .await;
        assert!(answer.starts_with("HTTP/1.1 501"), "{target}: {answer}");
        assert!(answer.contains("<Code>NotImplemented</Code>"), "{answer}");
    }
}

#[tokio::test]
async fn a_queue_url_points_to_where_the_client_came_in() {
    let server = server().await;
    let answer = server.sqs("CreateQueue", r#"{"QueueName":"q"}"#).await;
    let url = format!("http://{}/000000000000/q", server.address);
    assert!(answer.contains(&url), "{answer}");
}

#[tokio::test]
async fn an_s3_error_is_xml_with_code_and_resource() {
    let server = server().await;
    let answer = server.exchange("GET /lake/a%20key HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(
        answer.contains("<Error><Code>NoSuchBucket</Code>"),
        "{answer}"
    );
    assert!(
        answer.contains("<Resource>/lake/a key</Resource>"),
        "{answer}"
    );
    let answer = server.exchange("GET /lake?acl HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 501"), "{answer}");
    let answer = server.exchange("HEAD /lake HTTP/1.1", b"").await;
    assert!(
        answer.starts_with("HTTP/1.1 404") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn signed_chunks_are_taken_apart_and_their_trailer_is_checked() {
    let server = server().await;
    server.exchange("PUT /lake HTTP/1.1", b"").await;
    let put = |checksum: &str| {
        let head = "PUT /lake/chunked HTTP/1.1\r\n\
            Content-Encoding: gzip, aws-chunked\r\n\
            X-Amz-Content-Sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER\r\n\
            X-Amz-Trailer: x-amz-checksum-crc32\r\n\
            X-Amz-Decoded-Content-Length: 9";
        let body = format!(
            "4;chunk-signature=00\r\n1234\r\n5;chunk-signature=00\r\n56789\r\n\
             0;chunk-signature=00\r\nx-amz-checksum-crc32:{checksum}\r\nx-amz-trailer-signature:00\r\n\r\n"
        );
        let server = &server;
        async move { server.exchange(head, body.as_bytes()).await }
    };
    let answer = put("AAAAAA==").await;
    assert!(answer.contains("<Code>BadDigest</Code>"), "{answer}");
    assert!(server.cloud.objects("lake").is_empty());
    let answer = put("y/Q5Jg==").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.cloud.object("lake", "chunked").unwrap(), "123456789");
    let answer = server.exchange("HEAD /lake/chunked HTTP/1.1", b"").await;
    assert!(answer.contains("content-encoding: gzip\r\n"), "{answer}");
    assert!(answer.contains("content-length: 9\r\n"), "{answer}");
}

#[tokio::test]
async fn a_cut_connection_is_closed_without_an_answer() {
    let server = server().await;
    server
        .cloud
        .fail_next("CreateBucket", 1, FaultKind::CutAfter);
    assert_eq!(server.exchange("PUT /lake HTTP/1.1", b"").await, "");
    let answer = server.exchange("HEAD /lake HTTP/1.1", b"").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_client_that_leaves_a_long_poll_takes_no_message_with_it() {
    let server = server().await;
    server.sqs("CreateQueue", r#"{"QueueName":"q"}"#).await;
    let poll = r#"{"QueueUrl":"http://x/000000000000/q","WaitTimeSeconds":20}"#;
    let left = tokio::time::timeout(
        Duration::from_millis(200),
        server.sqs("ReceiveMessage", poll),
    );
    assert!(left.await.is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    server
        .sqs(
            "SendMessage",
            r#"{"QueueUrl":"http://x/000000000000/q","MessageBody":"m"}"#,
        )
        .await;
    assert_eq!(server.cloud.queue_counts("q").unwrap().visible, 1);
}

#[tokio::test]
async fn a_stopping_server_answers_long_polls_at_once() {
    let server = server().await;
    server.sqs("CreateQueue", r#"{"QueueName":"q"}"#).await;
    let poll = r#"{"QueueUrl":"http://x/000000000000/q","WaitTimeSeconds":20}"#;
    let (answer, ()) = tokio::join!(server.sqs("ReceiveMessage", poll), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.stop.cancel();
    });
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("{}"),
        "{answer}"
    );
    let ended = tokio::time::timeout(Duration::from_secs(3), server.task).await;
    ended.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_page_of_a_web_site_and_a_foreign_name_change_nothing() {
    let server = server().await;
    server.exchange("PUT /lake HTTP/1.1", b"").await;
    server.exchange("PUT /lake/raw HTTP/1.1", b"kept").await;
    let delete = b"<Delete><Object><Key>raw</Key></Object></Delete>";
    let page =
        "POST /lake?delete HTTP/1.1\r\nContent-Type: text/plain\r\nOrigin: http://evil.example";
    let answer = server.exchange(page, delete).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
    let rebound = "GET /lake/raw HTTP/1.1\r\nHost: evil.example";
    let answer = server.send(rebound, b"").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(!answer.contains("kept"), "{answer}");
    let queue = "POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.CreateQueue\r\nHost: evil.example";
    let answer = server.send(queue, br#"{"QueueName":"q"}"#).await;
    assert!(answer.contains("#AccessDeniedException"), "{answer}");
    assert_eq!(server.cloud.objects("lake"), ["raw"]);
    assert_eq!(server.cloud.queue_counts("q"), None);
}

#[tokio::test]
async fn a_body_that_no_client_needs_is_refused_and_not_kept() {
    let server = server().await;
    server.exchange("PUT /lake HTTP/1.1", b"").await;
    let large = vec![b' '; (8 << 20) + 1];
    let answer = server.exchange("POST /lake?delete HTTP/1.1", &large).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let sqs = "POST / HTTP/1.1\r\nX-Amz-Target: AmazonSQS.SendMessage";
    let answer = server.exchange(sqs, &large).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("#RequestTooLarge"), "{answer}");
    let answer = server.exchange("PUT /lake/raw HTTP/1.1", &large).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
