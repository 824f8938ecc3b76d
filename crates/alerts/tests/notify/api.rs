//! The API: Prometheus' and Alertmanager's shapes, keys, silences that are recorded before they are answered.

use std::sync::Arc;

use alerts::api::{ApiState, RuleGroup, RuleView, RulesView, router};
use alerts::journal::Status;
use alerts::model::{Labels, State};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

use crate::receivers::Manner;
use crate::stage::{Process, ROUTES, Stage, firing, resolved, routing, seconds, transition};

pub(crate) const KEY: &str = "the-read-key";

pub(crate) struct Rules;

impl RulesView for Rules {
    fn groups(&self) -> Vec<RuleGroup> {
        let rule = RuleView {
            id: "group/Hot".to_owned(),
            name: "Hot".to_owned(),
            query: "avg_over_time(t[60s]) > 80".to_owned(),
            hold_ms: 120_000,
            keep_firing_ms: 0,
            labels: Labels::new(),
            annotations: Labels::new(),
            last_error: None,
            evaluated_to: Some(crate::stage::START),
        };
        let group = RuleGroup {
            name: "group".to_owned(),
            file: "rules.yml".to_owned(),
            rules: vec![rule],
        };
        vec![group]
    }
}

pub(crate) fn app(process: &Process) -> Router {
    let routing = process.routing.subscribe();
    router(ApiState::new(
        process.journal.clone(),
        routing,
        Arc::new(Rules),
        service::keys::Keys::new(&[KEY.into()]),
    ))
}

pub(crate) async fn send(
    app: &Router,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-api-key", KEY);
    let request = request.header("content-type", "application/json");
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let answer = TowerToHyperService::new(app.clone())
        .call(request.body(body).unwrap())
        .await
        .unwrap();
    let status = answer.status();
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

pub(crate) async fn get(app: &Router, path: &str) -> Value {
    let (status, body) = send(app, "GET", path, None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

#[tokio::test(start_paused = true)]
async fn nobody_reads_without_a_key() {
    let stage = Stage::new().await;
    let app = app(&stage.lead(ROUTES).await);
    for path in [
        "/api/v1/rules",
        "/api/v2/alerts",
        "/api/v2/silences",
        "/api/v1/deliveries",
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = TowerToHyperService::new(app.clone())
            .call(request)
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let (status, body) = send(&app, "POST", "/api/v2/alerts", Some(json!([]))).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{body}");
    assert_eq!(get(&app, "/health").await["status"], "healthy");
    let document = get(&app, "/openapi.json").await;
    assert!(document["paths"]["/api/v2/silence/{silenceID}"]["delete"].is_object());
}

#[tokio::test(start_paused = true)]
async fn rules_and_alerts_have_the_shape_of_prometheus() {
    let stage = Stage::new().await;
    let process = stage.lead(ROUTES).await;
    let app = app(&process);
    process
        .evaluate(
            0,
            vec![
                firing("Hot", "1", 0),
                transition("Hot", "2", State::Pending, 0),
            ],
        )
        .await;
    let rules = get(&app, "/api/v1/rules?type=alert").await;
    let rule = &rules["data"]["groups"][0]["rules"][0];
    assert_eq!(
        (&rules["status"], &rule["state"], &rule["type"]),
        (&json!("success"), &json!("firing"), &json!("alerting"))
    );
    assert_eq!(
        (&rule["duration"], &rule["health"]),
        (&json!(120.0), &json!("ok"))
    );
    let first = json!({
        "labels": {"alertname": "Hot", "n": "1", "severity": "page"}, "annotations": {"summary": "Hot of 1"},
        "state": "firing", "activeAt": "2026-11-27T00:00:00Z", "value": "8.5e+01",
        "episode": "Hot-1", "reason": "condition", "acknowledged": false,
    });
    assert_eq!(rule["alerts"][0], first);
    let alerts = get(&app, "/api/v1/alerts").await;
    assert_eq!(alerts["data"]["alerts"][1]["state"], "pending");
    let (status, _) = send(
        &app,
        "POST",
        "/api/v1/acknowledgements",
        Some(json!({"episode": "Hot-1", "created_by": "me"})),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        get(&app, "/api/v1/alerts").await["data"]["alerts"][0]["acknowledged"],
        true
    );
    let unknown = json!({"episode": "Hot-9", "created_by": "me"});
    let (status, body) = send(&app, "POST", "/api/v1/acknowledgements", Some(unknown)).await;
    assert_eq!(
        (status, &body["error"]["code"]),
        (StatusCode::NOT_FOUND, &json!("not_found"))
    );
}

#[tokio::test(start_paused = true)]
async fn alerts_groups_and_silences_have_the_shape_of_alertmanager() {
    let stage = Stage::new().await;
    let process = stage.lead(ROUTES).await;
    let app = app(&process);
    process
        .evaluate(0, vec![firing("Hot", "1", 0), firing("Hot", "2", 0)])
        .await;
    let silence = json!({
        "matchers": [{"name": "n", "value": "1|9", "isRegex": true, "isEqual": true}],
        "startsAt": "2026-11-26T00:00:00Z", "endsAt": "2026-11-27T02:00:00Z", "createdBy": "me", "comment": "work",
    });
    let (status, set) = send(&app, "POST", "/api/v2/silences", Some(silence.clone())).await;
    assert_eq!(status, StatusCode::OK, "{set}");
    let id = set["silenceID"].as_str().unwrap();
    assert!(
        stage.stored().await.silences.contains_key(id),
        "it is recorded before it is answered"
    );
    let alerts = get(&app, "/api/v2/alerts?filter=alertname%3D%22Hot%22").await;
    assert_eq!(
        alerts[0]["status"],
        json!({"state": "suppressed", "silencedBy": [id], "inhibitedBy": [], "mutedBy": []})
    );
    assert_eq!(alerts[1]["status"]["state"], "active");
    assert_eq!(alerts[1]["receivers"], json!([{"name": "one"}]));
    assert_eq!(alerts[1]["startsAt"], "2026-11-27T00:00:00Z");
    let told = get(&app, "/api/v2/alerts?silenced=false").await;
    assert_eq!(told.as_array().unwrap().len(), 1);
    let groups = get(&app, "/api/v2/alerts/groups").await;
    assert_eq!(groups[0]["labels"], json!({"alertname": "Hot"}));
    assert_eq!(groups[0]["alerts"].as_array().unwrap().len(), 2);
    let path = format!("/api/v2/silence/{id}");
    assert_eq!(get(&app, &path).await["status"]["state"], "active");
    // A longer end keeps the id; other matchers are another silence.
    let mut longer = silence.clone();
    (longer["id"], longer["endsAt"]) = (json!(id), json!("2026-11-27T03:00:00Z"));
    assert_eq!(
        send(&app, "POST", "/api/v2/silences", Some(longer.clone()))
            .await
            .1["silenceID"],
        id
    );
    longer["matchers"][0]["value"] = json!("2");
    assert_ne!(
        send(&app, "POST", "/api/v2/silences", Some(longer)).await.1["silenceID"],
        id
    );
    assert_eq!(get(&app, &path).await["status"]["state"], "expired");
    let silences = get(&app, "/api/v2/silences").await;
    let states: Vec<&Value> = silences
        .as_array()
        .unwrap()
        .iter()
        .map(|silence| &silence["status"]["state"])
        .collect();
    assert_eq!(states, ["active", "expired"]);
    let other = silences[0]["id"].as_str().unwrap();
    assert_eq!(
        send(&app, "DELETE", &format!("/api/v2/silence/{other}"), None)
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(
        send(&app, "DELETE", "/api/v2/silence/none", None).await.0,
        StatusCode::NOT_FOUND
    );
    for (field, value) in [
        ("matchers", json!([])),
        (
            "matchers",
            json!([{"name": "n", "value": ".*", "isRegex": true}]),
        ),
        ("endsAt", json!("2026-11-26T00:00:00Z")),
        ("endsAt", json!("tomorrow")),
    ] {
        let mut wrong = silence.clone();
        wrong[field] = value;
        let (status, body) = send(&app, "POST", "/api/v2/silences", Some(wrong)).await;
        // Errors of Alertmanager are a text.
        assert_eq!(status, StatusCode::BAD_REQUEST, "{field}: {body}");
        assert!(body.is_string(), "{field}: {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn deliveries_show_every_attempt_and_stuck_ones_are_sent_again() {
    let stage = Stage::new().await;
    stage.receivers.behave("one", Manner::StatusEach(410, 1));
    let process = stage.lead(ROUTES).await;
    let app = app(&process);
    process.evaluate(0, vec![firing("Hot", "1", 0)]).await;
    seconds(10).await;
    let stuck = get(&app, "/api/v1/deliveries?status=stuck").await;
    let delivery = &stuck["deliveries"][0];
    assert_eq!(delivery["attempts"][0]["answer"], "410 told");
    assert_eq!(
        (&delivery["channel"], &delivery["why"]),
        (&json!("one/webhook/0"), &json!("first notification"))
    );
    assert_eq!(get(&app, "/health").await["stuck_notifications"], 1);
    stage.receivers.behave("one", Manner::Good);
    let (status, body) = send(&app, "POST", "/api/v1/deliveries/retry", Some(json!({}))).await;
    assert_eq!((status, &body["ids"][0]), (StatusCode::OK, &delivery["id"]));
    seconds(5).await;
    let delivered = get(&app, "/api/v1/deliveries?status=delivered&episode=Hot-1").await;
    assert_eq!(delivered["deliveries"][0]["id"], delivery["id"]);
    assert_eq!(
        stage.receivers.taken()[0].id,
        delivery["id"].as_str().unwrap()
    );
    let (status, _) = send(
        &app,
        "POST",
        "/api/v1/deliveries/retry",
        Some(json!({"ids": ["none"]})),
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn what_is_stuck_because_its_receiver_is_gone_can_be_forgotten() {
    let stage = Stage::new().await;
    stage.receivers.behave("one", Manner::StatusEach(500, 1));
    let process = stage.lead(ROUTES).await;
    let app = app(&process);
    process.evaluate(0, vec![firing("Hot", "1", 0)]).await;
    seconds(10).await;
    let other = "route: { receiver: two }\nreceivers: [{ name: two }]";
    process.routing.send_replace(routing(other));
    process.evaluate(10, vec![resolved("Hot", "1", 10)]).await;
    process
        .until(|state| {
            let mut all = state.notifications.values();
            all.any(|n| n.status == Status::Stuck)
        })
        .await;
    for (route, left) in [("retry", 1), ("forget", 0)] {
        let path = format!("/api/v1/deliveries/{route}");
        let (status, body) = send(&app, "POST", &path, Some(json!({}))).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(body["ids"].as_array().unwrap().len(), 1);
        seconds(10).await;
        assert_eq!(get(&app, "/health").await["stuck_notifications"], left);
    }
    assert!(process.journal.state().alerts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_records_nothing() {
    let stage = Stage::new().await;
    let _first = stage.lead(ROUTES).await;
    let second = stage.start(ROUTES, stage.settings()).await.unwrap();
    let app = app(&second);
    let silence = json!({
        "matchers": [{"name": "n", "value": "1", "isRegex": false}],
        "startsAt": "2026-11-27T00:00:00Z", "endsAt": "2026-11-27T02:00:00Z", "createdBy": "me", "comment": "work",
    });
    let (status, body) = send(&app, "POST", "/api/v2/silences", Some(silence)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.as_str().unwrap().contains("leads"), "{body}");
    let retry = send(&app, "POST", "/api/v1/deliveries/retry", Some(json!({}))).await;
    assert_eq!(retry.0, StatusCode::OK, "there is nothing to record");
    assert_eq!(get(&app, "/health").await["status"], "standing_by");
}

#[tokio::test(start_paused = true)]
async fn silences_are_found_by_what_they_name_as_in_alertmanager() {
    let stage = Stage::new().await;
    let app = app(&stage.lead(ROUTES).await);
    let matcher = |name: &str, value: &str| json!({"name": name, "value": value, "isRegex": false});
    for (comment, matchers) in [
        ("one", json!([matcher("a", "x"), matcher("b", "y")])),
        ("two", json!([matcher("b", "y")])),
    ] {
        let silence = json!({
            "matchers": matchers, "startsAt": "2026-11-27T00:00:00Z", "endsAt": "2026-11-27T02:00:00Z",
            "createdBy": "me", "comment": comment,
        });
        let set = send(&app, "POST", "/api/v2/silences", Some(silence)).await;
        assert_eq!(set.0, StatusCode::OK);
    }
    for (filter, found) in [
        ("a%3Dx", &["one"][..]),
        ("a%21%3Dx", &["two"]),
        ("a%3D%22%22", &["two"]),
        ("b%3D~%22y%7Cz%22", &["one", "two"]),
        ("c%3Dx", &[]),
    ] {
        let silences = get(&app, &format!("/api/v2/silences?filter={filter}")).await;
        let silences = silences.as_array().unwrap().iter();
        let mut comments: Vec<&str> = silences
            .map(|silence| silence["comment"].as_str().unwrap())
            .collect();
        comments.sort_unstable();
        assert_eq!(comments, found, "{filter}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_version_is_told_as_prometheus_and_alertmanager_do() {
    let stage = Stage::new().await;
    let app = app(&stage.lead(ROUTES).await);
    let version = env!("CARGO_PKG_VERSION");
    let info = get(&app, "/api/v1/status/buildinfo").await;
    assert_eq!(
        (&info["status"], &info["data"]["version"]),
        (&json!("success"), &json!(version))
    );
    // Grafana takes whatever has features for Mimir.
    assert!(info["data"].get("features").is_none());
    let status = get(&app, "/api/v2/status").await;
    assert_eq!(status["versionInfo"]["version"], version);
}

#[tokio::test(start_paused = true)]
async fn rules_are_asked_for_by_name_group_and_file() {
    let stage = Stage::new().await;
    let app = app(&stage.lead(ROUTES).await);
    for (query, groups) in [
        ("", 1),
        ("?rule_name[]=Hot&rule_name[]=Cold", 1),
        ("?rule_name=Cold", 0),
        ("?rule_group[]=group&file[]=rules.yml", 1),
        ("?rule_group=other", 0),
        ("?file=other.yml", 0),
        ("?type=record", 0),
    ] {
        let rules = get(&app, &format!("/api/v1/rules{query}")).await;
        let found = rules["data"]["groups"].as_array().unwrap().len();
        assert_eq!(found, groups, "{query}");
    }
}
