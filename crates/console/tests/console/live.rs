//! The live stream, by WebSocket and as Server-Sent Events.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode, header};
use axum::routing::get as on_get;
use axum::{Json, response::Response};
use console::{AlertsApi, ConsoleSettings};
use futures::{SinkExt, StreamExt};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::stage::{KEY, Stage, following, get, mounted, post, request};

/// Longest wait for what must come; a test that waits for it in vain fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn connect(
        at: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, StatusCode> {
        let mut request = format!("ws://{at}/v1/live").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(Error::Http(response)) => Err(response.status()),
            Err(other) => panic!("{other}"),
        }
    }

    async fn with_key(at: SocketAddr) -> Socket {
        let mut socket = Socket::connect(at, &[("x-api-key", KEY)]).await.unwrap();
        assert_eq!(socket.next().await["topic"], "hello");
        socket
    }

    async fn say(&mut self, message: Value) {
        self.0
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }

    async fn next(&mut self) -> Value {
        loop {
            match timeout(PATIENCE, self.0.next())
                .await
                .expect("no message")
                .unwrap()
                .unwrap()
            {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message of a topic.
    async fn next_of(&mut self, topic: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["topic"] == topic {
                return message;
            }
        }
    }

    async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("still open") {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

/// Serves routes on a port, as the services do.
async fn serve(routes: Router) -> (SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let until = stop.clone();
    tokio::spawn(async move { service::server::serve(listener, routes, 100, None, &until).await });
    (address, stop)
}

fn series(vehicle: &str) -> Value {
    json!({"topic": "series", "kind": "vehicle", "entity": vehicle, "signal": "engine_rpm"})
}

#[tokio::test]
async fn a_value_that_lands_is_told_and_a_late_one_is_not() {
    let mut stage = Stage::new().await;
    stage
        .land(&[("veh-1", 10, 700.0), ("veh-2", 10, 800.0)])
        .await;
    let (console, routes) = stage.plain();
    let _following = following(&console);
    let (at, _stop) = serve(routes).await;
    let mut socket = Socket::with_key(at).await;
    socket
        .say(json!({"subscribe": [series("veh-1"), series("veh-9")]}))
        .await;
    let first = socket.next().await;
    assert_eq!(
        (&first["value"], &first["snapshot"]),
        (&json!(700.0), &json!(true))
    );
    assert_eq!(first["time"], 1_759_586_410_000_i64);
    for (second, rpm, told) in [(20, 900.0, true), (15, 1.0, false), (30, 950.0, true)] {
        stage
            .land(&[("veh-1", second, rpm), ("veh-2", second, 1.0)])
            .await;
        if told {
            let next = socket.next().await;
            assert_eq!(
                (&next["value"], &next["snapshot"]),
                (&json!(rpm), &json!(false))
            );
            assert!(next["seq"].as_u64() > first["seq"].as_u64());
        }
    }
    // Of what is no topic the client is told, and goes on.
    socket.say(json!({"subscribe": [{"topic": "weather"}, series("veh-2")], "unsubscribe": [series("veh-1")]})).await;
    let error = socket.next().await;
    assert_eq!(
        (&error["topic"], &error["code"]),
        (&json!("error"), &json!("invalid_topic"))
    );
    assert_eq!(error["of"], json!({"topic": "weather"}));
    assert_eq!(socket.next().await["entity"], "veh-2");
    socket.0.send(Message::text("no json")).await.unwrap();
    assert_eq!(socket.next().await["code"], "invalid_message");
}

#[tokio::test]
async fn events_say_the_same_as_the_socket_and_go_on_by_their_id() {
    let mut stage = Stage::new().await;
    let (console, routes) = stage.plain();
    let _following = following(&console);
    stage.land(&[("veh-1", 10, 700.0)]).await;
    let (at, _stop) = serve(routes.clone()).await;
    let mut socket = Socket::with_key(at).await;
    socket.say(json!({"subscribe": [series("veh-1")]})).await;
    let list = json!([series("veh-1")]).to_string();
    let list = percent_encoding::utf8_percent_encode(&list, percent_encoding::NON_ALPHANUMERIC);
    let path = format!("/v1/live?subscribe={list}");
    let headers = [("x-api-key", KEY), ("accept", "text/event-stream")];
    let mut events = Events::open(&routes, &path, &headers).await;
    let (_, hello) = events.next().await;
    assert_eq!(hello["topic"], "hello");
    let (_, event) = events.next().await;
    assert_eq!(event, socket.next().await);
    stage.land(&[("veh-1", 20, 800.0)]).await;
    let (id, event) = events.next().await;
    assert_eq!(event, socket.next().await);
    drop(events);
    // While it is away one more comes.
    stage.land(&[("veh-1", 30, 900.0)]).await;
    let missed = socket.next().await;
    let headers = [
        ("x-api-key", KEY),
        ("accept", "text/event-stream"),
        ("last-event-id", &*id),
    ];
    let mut events = Events::open(&routes, &path, &headers).await;
    assert_eq!(events.next().await.1["topic"], "hello");
    assert_eq!(events.next().await.1, missed);
    // An id of another start is told as a gap.
    let headers = [
        ("x-api-key", KEY),
        ("accept", "text/event-stream"),
        ("last-event-id", "00-1"),
    ];
    let mut events = Events::open(&routes, &path, &headers).await;
    assert_eq!(events.next().await.1["topic"], "hello");
    assert_eq!(events.next().await.1["topic"], "gap");
    let (_, snapshot) = events.next().await;
    assert_eq!(
        (&snapshot["value"], &snapshot["snapshot"]),
        (&json!(900.0), &json!(true))
    );
}

/// A stream of events, read from the body of an answer.
struct Events {
    response: Response,
    text: String,
}

impl Events {
    async fn open(routes: &Router, path: &str, headers: &[(&str, &str)]) -> Events {
        let Ok(response) = routes
            .clone()
            .call(request(Method::GET, path, headers, ""))
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/event-stream"
        );
        Events {
            response,
            text: String::new(),
        }
    }

    /// Id and data of the next event.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name).map(str::to_owned))
                };
                let (id, data) = (field("id: "), field("data: "));
                self.text = rest.to_owned();
                if let Some(data) = data {
                    return (id.unwrap_or_default(), serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let frame = timeout(PATIENCE, self.response.body_mut().frame())
                .await
                .expect("no event");
            let bytes = frame.unwrap().unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }
}

#[tokio::test]
async fn only_a_key_or_the_page_itself_may_follow() {
    let stage = Stage::new().await;
    let (_console, routes) = stage.plain();
    let (at, _stop) = serve(routes.clone()).await;
    let (host, origin) = (at.to_string(), format!("http://{at}"));
    let body = json!({"key": KEY}).to_string();
    let signed_in = post(&routes, "/console/login", &[("host", &host)], &body).await;
    let cookie = signed_in.cookie();
    for (headers, status) in [
        (vec![], 401),
        (vec![("x-api-key", "another-key")], 401),
        (
            vec![
                ("cookie", "headwater_session=made-up"),
                ("origin", &*origin),
            ],
            401,
        ),
        (vec![("cookie", &*cookie)], 403),
        (
            vec![("cookie", &*cookie), ("origin", "https://evil.example")],
            403,
        ),
        (
            vec![
                ("cookie", &*cookie),
                ("origin", &*origin),
                ("sec-fetch-site", "cross-site"),
            ],
            403,
        ),
    ] {
        let refused = Socket::connect(at, &headers)
            .await
            .err()
            .map(|status| status.as_u16());
        assert_eq!(refused, Some(status), "{headers:?}");
    }
    let bearer = format!("Bearer {KEY}");
    assert!(
        Socket::connect(at, &[("authorization", &bearer)])
            .await
            .is_ok()
    );
    let mut socket = Socket::connect(at, &[("cookie", &cookie), ("origin", &origin)])
        .await
        .unwrap();
    assert_eq!(socket.next().await["topic"], "hello");
    // Who signs out is no longer told anything.
    let left = [("host", &*host), ("cookie", &*cookie), ("origin", &*origin)];
    post(&routes, "/console/logout", &left, "").await;
    assert_eq!(u16::from(socket.closed().await.unwrap().code), 1008);
    let plain = get(&routes, "/v1/live", &[("x-api-key", KEY)]).await;
    assert_eq!(
        (plain.status, plain.code().as_str()),
        (StatusCode::UPGRADE_REQUIRED, "no_upgrade")
    );
    let forged = [
        ("host", &*host),
        ("cookie", &*cookie),
        ("accept", "text/event-stream"),
        ("sec-fetch-site", "cross-site"),
    ];
    assert_eq!(
        get(&routes, "/v1/live", &forged).await.code(),
        "foreign_origin"
    );
}

#[tokio::test]
async fn a_restart_is_told_by_another_boot_and_a_gap() {
    let mut stage = Stage::new().await;
    stage.land(&[("veh-1", 10, 700.0)]).await;
    let mut boots = Vec::new();
    let mut seq = Value::Null;
    for start in 0..2 {
        let (console, routes) = stage.plain();
        let following = following(&console);
        let (at, _stop) = serve(routes).await;
        let mut socket = Socket::connect(at, &[("x-api-key", KEY)]).await.unwrap();
        boots.push(socket.next().await["boot"].clone());
        let since = format!("{}-{seq}", boots[0].as_str().unwrap());
        socket
            .say(json!({"subscribe": [series("veh-1")], "since": since}))
            .await;
        let first = socket.next().await;
        if start == 0 {
            seq = first["seq"].clone();
        } else {
            assert_eq!(first["topic"], "gap");
            assert_eq!(socket.next().await["value"], 700.0);
        }
        // The server says that it goes.
        drop(following);
        assert_eq!(u16::from(socket.closed().await.unwrap().code), 1001);
        assert!(Socket::connect(at, &[("x-api-key", KEY)]).await.is_err());
    }
    assert_ne!(boots[0], boots[1]);
}

#[tokio::test]
async fn lists_alerts_and_figures_come_from_the_services_and_once_for_all() {
    let mut stage = Stage::new().await;
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = asked.clone();
    let top = async move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Json(json!({"entities": [{"entity_id": "veh-1", "value": 9.5, "count": 3}]}))
    };
    let query = Router::new().route("/v1/top", on_get(top));
    let firing = json!([{"labels": {"alertname": "Hot"}}]);
    let figures = json!({"queue_messages": 7, "queue_oldest_s": 1.5, "dead_letters": 0});
    let alerts = Router::new()
        .route("/api/v2/alerts", on_get(async || Json(firing)))
        .route("/api/v1/figures", on_get(async || Json(figures)));
    let alerts = AlertsApi::here(alerts);
    let console = stage.console(query, alerts, &ConsoleSettings::default());
    let _following = following(&console);
    let (at, _stop) = serve(mounted(&console)).await;
    stage.land(&[("veh-1", 10, 700.0)]).await;
    let mut sockets = [Socket::with_key(at).await, Socket::with_key(at).await];
    let topics = ["top", "alerts", "health", "moments"];
    for socket in &mut sockets {
        let all = topics.map(|topic| match topic {
            "top" => json!({"topic": "top", "kind": "vehicle", "signal": "engine_rpm", "n": 5}),
            _ => json!({"topic": topic}),
        });
        socket.say(json!({"subscribe": all})).await;
        let mut found = std::collections::BTreeMap::new();
        while found.len() < topics.len() {
            let message = socket.next().await;
            found.insert(message["topic"].as_str().unwrap().to_owned(), message);
        }
        let top = &found["top"];
        assert_eq!(
            top["rows"],
            json!([{"entity": "veh-1", "value": 9.5, "count": 3}])
        );
        assert_eq!(
            (&top["window"], &top["n"], &top["stat"]),
            (&json!("5m"), &json!(5), &json!("avg"))
        );
        assert_eq!(found["alerts"]["value"][0]["labels"]["alertname"], "Hot");
        assert_eq!(found["moments"]["value"], json!([]));
        let health = &found["health"]["value"];
        assert_eq!(
            (&health["queue_messages"], &health["dead_letters"]),
            (&json!(7), &json!(0))
        );
        assert_eq!(
            (&health["hot_rows"], &health["commit"]),
            (&json!(1), &json!(0))
        );
        assert!(
            health["lake_age_s"].is_number() && health["events_per_second"].is_null(),
            "{health}"
        );
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_cannot_be_had_is_told_and_places_are_bounded() {
    let stage = Stage::new().await;
    let settings = ConsoleSettings {
        live_max_clients: 1,
        ..ConsoleSettings::default()
    };
    let none = AlertsApi::of(&settings).unwrap();
    let console = stage.console(Router::new(), none, &settings);
    let _following = following(&console);
    let (at, _stop) = serve(mounted(&console)).await;
    let mut socket = Socket::with_key(at).await;
    assert_eq!(
        Socket::connect(at, &[("x-api-key", KEY)]).await.err(),
        Some(StatusCode::SERVICE_UNAVAILABLE)
    );
    socket
        .say(json!({"subscribe": [{"topic": "alerts"}]}))
        .await;
    let error = socket.next_of("error").await;
    assert_eq!(
        (&error["code"], &error["of"]["topic"]),
        (&json!("no_alerts"), &json!("alerts"))
    );
    drop(socket);
    // The place is free again.
    let again = timeout(PATIENCE, async {
        while Socket::connect(at, &[("x-api-key", KEY)]).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    again.await.unwrap();
}
