//! Who gets in, and for how long.

use std::time::Duration;

use axum::http::{StatusCode, header};
use serde_json::json;
use tokio::time::advance;

use crate::stage::{KEY, ORIGIN, Stage, get, post, sign_in};

#[tokio::test(start_paused = true)]
async fn a_read_key_opens_the_console_until_it_is_left_or_its_hours_are_over() {
    let stage = Stage::new().await;
    let (_, routes) = stage.plain();
    let answer = get(&routes, "/console/session", &[]).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (StatusCode::UNAUTHORIZED, "no_session")
    );
    let cookie = sign_in(&routes).await;
    let session = get(&routes, "/console/session", &[("cookie", &cookie)]).await;
    assert_eq!(session.status, StatusCode::OK);
    assert_eq!(session.json()["sql"], false);
    assert_eq!(session.json()["alerts"], false);
    assert!(
        session.json()["expires_at"]
            .as_str()
            .unwrap()
            .starts_with("2025-10-05T02:30")
    );
    // Signing out needs the page's own origin.
    let forged = [("cookie", &*cookie), ("origin", "https://evil.example")];
    assert_eq!(
        post(&routes, "/console/logout", &forged, "").await.code(),
        "foreign_origin"
    );
    let own = [("cookie", &*cookie), ("origin", ORIGIN)];
    let left = post(&routes, "/console/logout", &own, "").await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    assert!(
        left.headers[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert_eq!(
        get(&routes, "/console/session", &own).await.status,
        StatusCode::UNAUTHORIZED
    );
    let cookie = sign_in(&routes).await;
    advance(Duration::from_secs(12 * 3600)).await;
    let over = get(&routes, "/console/session", &[("cookie", &cookie)]).await;
    assert_eq!(over.code(), "no_session");
}

#[tokio::test(start_paused = true)]
async fn wrong_keys_and_other_sites_do_not_open_it() {
    let stage = Stage::new().await;
    let (_, routes) = stage.plain();
    let right = json!({"key": KEY}).to_string();
    for (headers, body, status, code) in [
        (
            vec![("origin", ORIGIN)],
            r#"{"key":"the-key-of-ingest"}"#,
            401,
            "wrong_key",
        ),
        (vec![("origin", ORIGIN)], r#"{"key":""}"#, 401, "wrong_key"),
        (vec![("origin", ORIGIN)], "{}", 400, "invalid_body"),
        (
            vec![("origin", "https://evil.example")],
            &right,
            403,
            "foreign_origin",
        ),
        (vec![("origin", "null")], &right, 403, "foreign_origin"),
        (
            vec![("sec-fetch-site", "cross-site")],
            &right,
            403,
            "foreign_origin",
        ),
    ] {
        let answer = post(&routes, "/console/login", &headers, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{headers:?} {body}"
        );
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
    }
    let long = "x".repeat(5000);
    assert_eq!(
        post(&routes, "/console/login", &[], &long).await.code(),
        "large_body"
    );
    // A made-up cookie is none.
    let made_up = [("cookie", "headwater_session_3000=00ff")];
    assert_eq!(
        get(&routes, "/console/session", &made_up).await.code(),
        "no_session"
    );
}

#[tokio::test(start_paused = true)]
async fn guessing_is_slowed_and_then_refused() {
    let stage = Stage::new().await;
    let (_, routes) = stage.plain();
    let before = tokio::time::Instant::now();
    for _ in 0..10 {
        let answer = post(&routes, "/console/login", &[], r#"{"key":"guess"}"#).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    assert!(before.elapsed() > Duration::from_secs(5));
    let right = json!({"key": KEY}).to_string();
    let refused = post(&routes, "/console/login", &[], &right).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "too_many_sign_ins")
    );
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
    advance(Duration::from_secs(60)).await;
    sign_in(&routes).await;
}

#[tokio::test(start_paused = true)]
async fn a_link_opens_the_console_once() {
    let stage = Stage::new().await;
    let (console, routes) = stage.plain();
    let path = format!("/console/open?token={}", console.one_time_token().unwrap());
    let opened = get(&routes, &path, &[("sec-fetch-site", "none")]).await;
    assert_eq!(
        (opened.status, &opened.headers[header::LOCATION]),
        (StatusCode::SEE_OTHER, &"/console/".parse().unwrap())
    );
    let set = opened.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(
        set.contains("HttpOnly; SameSite=Strict; Path=/") && !set.contains("Secure"),
        "{set}"
    );
    let session = get(&routes, "/console/session", &[("cookie", &opened.cookie())]).await;
    assert_eq!(session.status, StatusCode::OK);
    for used in [&*path, "/console/open?token=", "/console/open"] {
        let again = get(&routes, used, &[]).await;
        assert_eq!(again.headers[header::LOCATION], "/console/?link=used");
        assert!(!again.headers.contains_key(header::SET_COOKIE));
    }
}

#[tokio::test(start_paused = true)]
async fn every_answer_keeps_strangers_out_of_the_page() {
    let stage = Stage::new().await;
    let (_, routes) = stage.plain();
    for path in [
        "/console/",
        "/console/now",
        "/console/sql",
        "/console/session",
        "/console/none",
    ] {
        let answer = get(&routes, path, &[("accept", "text/html")]).await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(answer.headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(answer.headers["cross-origin-opener-policy"], "same-origin");
    }
    assert_eq!(get(&routes, "/console/", &[]).await.status, StatusCode::OK);
    assert_eq!(
        get(&routes, "/console/none", &[]).await.code(),
        "unknown_route"
    );
    assert_eq!(
        get(&routes, "/console/assets/00/app.js", &[]).await.status,
        StatusCode::NOT_FOUND
    );
    let report = r#"{"csp-report":{"blocked-uri":"https://evil.example"}}"#;
    assert_eq!(
        post(&routes, "/console/csp", &[("origin", "null")], report)
            .await
            .status,
        StatusCode::NO_CONTENT
    );
    let long = "x".repeat(20_000);
    assert_eq!(
        post(&routes, "/console/csp", &[], &long).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}
