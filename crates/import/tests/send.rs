//! Whole imports against a stand-in for ingest.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::post;
use common::{Folder, Ran};

const SQL: &str = "
    SELECT row, 'car-7' AS vehicle_id, '0x7E8' AS can_id, t AS timestamp, number(rpm) AS engine_rpm FROM input";

/// The lines that came, the requests among them kept apart.
type Received = Arc<Mutex<Vec<Vec<String>>>>;

/// Accepts all but events that hold `refuse-me`, as ingest answers.
async fn answer(
    State(received): State<Received>,
    request: Request,
) -> (axum::http::StatusCode, String) {
    assert_eq!(request.uri().path(), "/v1/events/vehicle");
    assert_eq!(request.headers()["x-api-key"], "key-1");
    let body = axum::body::to_bytes(request.into_body(), usize::MAX)
        .await
        .unwrap();
    let text = String::from_utf8(zstd::decode_all(&body[..]).unwrap()).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let refused = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains("refuse-me"));
    let refused: Vec<serde_json::Value> =
        refused.map(|(index, _)| serde_json::json!({"index": index, "code": "invalid_timestamp", "message": "bad"})).collect();
    let accepted = lines.len() - refused.len();
    received.lock().unwrap().push(lines);
    (
        axum::http::StatusCode::ACCEPTED,
        serde_json::json!({"accepted": accepted, "rejected": refused}).to_string(),
    )
}

async fn ingest() -> (Received, String) {
    let received = Received::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/v1/events/{kind}", post(answer))
        .with_state(Arc::clone(&received));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (received, url)
}

fn rows(count: usize) -> String {
    let rows = (1..=count).map(|row| {
        format!(
            "2025-07-04T08:{:02}:{:02}Z,{row}\n",
            row / 60 % 60,
            row % 60
        )
    });
    format!("t,rpm\n{}", rows.collect::<String>())
}

async fn import(folder: Arc<Folder>, arguments: Vec<String>) -> Ran {
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        folder.import(&arguments)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn arguments(url: &str, further: &[&str]) -> Vec<String> {
    let given = ["--ingest-url", url, "--api-key", "key-1"];
    given
        .iter()
        .chain(further)
        .map(|argument| (*argument).to_owned())
        .collect()
}

#[tokio::test]
async fn files_are_sent_in_posts_of_the_asked_size_and_twice_the_same() {
    let folder = Arc::new(Folder::new(SQL));
    folder.file("a.csv", rows(1_050));
    folder.file("b.csv", rows(10));
    let (received, url) = ingest().await;
    let again = arguments(&url, &["a.csv", "b.csv", "--batch", "100"]);
    let ran = import(Arc::clone(&folder), again.clone()).await;
    ran.said(
        0,
        &[
            "a.csv: 1050 rows read, 1050 events, 1050 sent, 1050 accepted, 0 refused",
            "b.csv: 10 rows read",
        ],
    );
    ran.said(0, &["2 files: 1060 rows read", "1060 accepted"]);
    let first = std::mem::take(&mut *received.lock().unwrap());
    assert_eq!(first.len(), 11);
    assert!(first.iter().all(|post| post.len() <= 100));
    import(folder, again).await.said(0, &[]);
    let second = received.lock().unwrap().clone();
    let lines = |posts: &[Vec<String>]| {
        posts
            .iter()
            .flatten()
            .cloned()
            .collect::<BTreeSet<String>>()
    };
    assert_eq!(lines(&first), lines(&second));
}

#[tokio::test]
async fn what_ingest_refuses_is_told_by_file_and_row() {
    let folder = Arc::new(Folder::new(SQL));
    folder.file("a.csv", rows(5));
    folder.file("b.csv", format!("{}refuse-me,6\nrefuse-me,7\n", rows(5)));
    let (_, url) = ingest().await;
    let ran = import(folder, arguments(&url, &["a.csv", "b.csv"])).await;
    ran.said(
        1,
        &[
            "b.csv: 7 rows read, 7 events, 7 sent, 5 accepted, 2 refused",
            "refused 2 invalid_timestamp: row 6, bad",
        ],
    );
}

#[tokio::test]
async fn an_ingest_that_is_not_there_and_a_missing_key_are_told() {
    let folder = Arc::new(Folder::new(SQL));
    folder.file("a.csv", rows(5));
    let none = arguments("http://127.0.0.1:1", &["a.csv", "--retry-for", "0s"]);
    import(Arc::clone(&folder), none).await.said(
        1,
        &[
            "5 without an answer",
            "cannot reach ingest",
            "to go on, add --from 'a.csv:0'",
        ],
    );
    import(folder, vec!["a.csv".to_owned()])
        .await
        .said(2, &["HEADWATER_API_KEY is not set"]);
}

#[tokio::test]
async fn an_import_that_is_stopped_says_where_to_go_on_and_nothing_is_missing_then() {
    let folder = Arc::new(Folder::new(SQL));
    folder.file("a.csv", rows(3_000));
    let (received, url) = ingest().await;
    // Ten events a second: it is far from its end when the first post has come.
    let slow = arguments(&url, &["--rate", "10", "--batch", "5"]);
    let slow: Vec<&str> = slow.iter().map(String::as_str).collect();
    let mut command = folder.command(&[&slow[..], &["--kind", "vehicle", "a.csv"]].concat());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while received.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let process = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &process])
        .status()
        .unwrap();
    let ran = tokio::task::spawn_blocking(|| Ran::of(child.wait_with_output().unwrap()))
        .await
        .unwrap();
    ran.said(0, &["to go on, add --from 'a.csv:"]);
    let place = BufReader::new(ran.out.as_bytes()).lines().find_map(|line| {
        line.unwrap()
            .strip_prefix("to go on, add --from '")
            .map(|place| place.trim_end_matches('\'').to_owned())
    });
    let rest = arguments(&url, &["a.csv", "--from", &place.unwrap()]);
    import(Arc::clone(&folder), rest).await.said(0, &[]);
    let lines: BTreeSet<String> = received.lock().unwrap().iter().flatten().cloned().collect();
    assert_eq!(lines.len(), 3_000);
}
