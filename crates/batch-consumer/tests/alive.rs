//! A consumer that is alive, ready, or neither: what it says, and that no part of it dies unseen.

mod support;

use aws::Aws;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use batch_consumer::Consumer;
use local_aws::{FaultKind, LocalAws};
use service::metrics::Ready;
use support::*;
use tokio_util::sync::CancellationToken;

/// Passes requests on, and panics at those that have this in their URL or in the name of their operation.
#[derive(Debug)]
struct Panicking {
    to: SharedHttpConnector,
    at: &'static str,
}

impl HttpConnector for Panicking {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = request.headers().get("x-amz-target");
        let named = operation.is_some_and(|name| name.contains(self.at));
        assert!(
            !named && !request.uri().contains(self.at),
            "a defect in {}",
            self.at
        );
        self.to.call(request)
    }
}

fn panicking(cloud: &LocalAws, at: &'static str) -> Aws {
    let http = cloud.http_client();
    let http = http_client_fn(move |settings, components| {
        let to = http.http_connector(settings, components);
        SharedHttpConnector::new(Panicking { to, at })
    });
    Aws::emulated(http, cloud.endpoint())
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_receiver_or_a_write_ends_the_consumer_with_its_reason() {
    for (at, part) in [
        ("ReceiveMessage", "\"receiver\" panicked"),
        ("/raw/", "\"write\" panicked"),
    ] {
        let mut bench = Bench::new().await;
        bench.send(&singles(0..10)).await;
        bench.aws = panicking(&bench.cloud, at);
        let error = bench.start().ended().await.unwrap_err();
        let words = format!("{error:#}");
        assert!(
            words.contains(part) && words.contains("a defect in"),
            "{words}"
        );
        assert_eq!(bench.queued(), 10, "no message is lost");
    }
}

#[tokio::test(start_paused = true)]
async fn readiness_follows_the_last_answers_and_says_which() {
    let bench = Bench::new().await;
    let (ready, stop) = (Ready::default(), CancellationToken::new());
    assert_eq!(ready.reason(), Some("starting"));
    let consumer = Consumer::connect(bench.config.clone(), bench.aws.clone(), &stop);
    let consumer = consumer.await.unwrap();
    let running = tokio::spawn({
        let ready = ready.clone();
        async move { consumer.run(&ready).await }
    });
    until("it is ready", || ready.get()).await;
    for (operation, code, message) in [
        ("ReceiveMessage", "receive_failed", sent("a")),
        ("PutObject", "write_failed", sent("b")),
        (
            "SendMessageBatch",
            "dead_letters_failed",
            "not JSON".to_owned(),
        ),
    ] {
        bench.send(&[plain(message)]).await;
        bench
            .cloud
            .fail_next(operation, 16, FaultKind::ServiceUnavailable);
        until(code, || ready.reason() == Some(code)).await;
        until("it is ready again", || ready.get()).await;
        bench.drained().await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(ready.reason(), Some("stopping"));
}
