//! Requests that are refused, each in the form of the API that was asked, and that break nothing.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::json;

use crate::api::{KEY, app, get, send};
use crate::stage::{ROUTES, Stage, firing};

#[tokio::test(start_paused = true)]
async fn each_api_refuses_in_its_own_form() {
    let stage = Stage::new().await;
    let app = app(&stage.lead(ROUTES).await);
    for path in ["/api/v2/alerts?active=perhaps", "/api/v2/alerts?filter=x"] {
        let (status, body) = send(&app, "GET", path, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.is_string(), "{body}");
    }
    for path in [
        "/api/v1/rules?type=none",
        "/api/v1/rules?exclude_alerts=perhaps",
    ] {
        let (status, body) = send(&app, "GET", path, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(
            (&body["status"], &body["errorType"]),
            (&json!("error"), &json!("bad_data"))
        );
        assert!(body["error"].is_string(), "{body}");
    }
    let (status, body) = send(&app, "GET", "/api/v1/deliveries?limit=0", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(body["error"]["code"], "invalid_parameter");
    let large = json!({"ids": ["x".repeat(70_000)]});
    let (status, body) = send(&app, "POST", "/api/v1/deliveries/retry", Some(large)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(body["error"]["code"], "large_body");
    let request = Request::post("/api/v1/deliveries/retry").header("x-api-key", KEY);
    let request = request.body(Body::from("{}")).unwrap();
    let answer = TowerToHyperService::new(app.clone()).call(request).await;
    assert_eq!(answer.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test(start_paused = true)]
async fn bad_requests_break_nothing() {
    let stage = Stage::new().await;
    let process = stage.lead(ROUTES).await;
    let app = app(&process);
    process.evaluate(0, vec![firing("Hot", "1", 0)]).await;
    for path in [
        "/api/v2/alerts?filter=%ff%00",
        "/api/v2/alerts?filter=%7B",
        "/api/v2/alerts?receiver=%28",
        "/api/v2/alerts/groups?active=&=&&==",
        "/api/v2/silences?filter=a%3D~%28",
        "/api/v2/silence/..%2F..%2Fx%00",
        "/api/v1/deliveries?limit=18446744073709551616",
        "/api/v1/deliveries?status=%F0%9F%92%A5",
        "/api/v1/rules?rule_name[]=%ff&type=%00",
    ] {
        let (status, body) = send(&app, "GET", path, None).await;
        assert!(status.as_u16() < 500, "{path}: {status} {body}");
    }
    let good = json!({
        "matchers": [{"name": "n", "value": "1", "isRegex": false}],
        "startsAt": "2026-11-27T00:00:00Z", "endsAt": "2026-11-27T02:00:00Z", "createdBy": "me", "comment": "",
    });
    for (field, value) in [
        (
            "matchers",
            json!([{"name": "", "value": "", "isRegex": false}]),
        ),
        (
            "matchers",
            json!([{"name": "n", "value": "(", "isRegex": true}]),
        ),
        (
            "matchers",
            json!([{"name": "n", "value": "(a{1000}){1000}", "isRegex": true}]),
        ),
        ("matchers", json!("n=1")),
        ("startsAt", json!("+262142-12-31T23:59:59Z")),
        ("endsAt", json!(-1)),
        ("createdBy", json!("x".repeat(3_000))),
        ("comment", json!(null)),
        ("id", json!("no such silence")),
    ] {
        let mut silence = good.clone();
        silence[field] = value;
        let (status, body) = send(&app, "POST", "/api/v2/silences", Some(silence)).await;
        assert!(status.is_client_error(), "{field}: {status} {body}");
    }
    let mut last = good;
    last["endsAt"] = json!("+262142-12-31T23:59:59Z");
    let (status, body) = send(&app, "POST", "/api/v2/silences", Some(last)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(stage.stored().await.silences.len(), 1);
    assert_eq!(
        get(&app, "/api/v2/silences").await[0]["status"]["state"],
        "active"
    );
}
