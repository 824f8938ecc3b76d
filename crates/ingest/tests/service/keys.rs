//! Keys with names: what they may send, how much of it, and what changes while the service runs.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::time::{Instant, sleep};

use crate::harness::{CELL, Service, VEHICLE};

/// An entry of the key `the key of NAME`.
pub(crate) fn entry(name: &str, more: &str) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(format!("the key of {name}"));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[key]]\nname = \"{name}\"\nhash = \"sha256:{hex}\"\n{more}\n")
}

const ALL: &str = "may = [\"write\"]";

pub(crate) struct Stage {
    folder: tempfile::TempDir,
    pub(crate) service: Service,
}

impl Stage {
    pub(crate) async fn new(text: &str) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        std::fs::write(&path, text).unwrap();
        let flag = format!("--keys-file={}", path.display());
        Stage {
            service: Service::with(&[&flag]).await,
            folder,
        }
    }

    fn write(&self, text: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.folder.path().join("keys.toml")).unwrap();
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &str) -> crate::harness::Answer {
        let key = format!("the key of {key}");
        let headers = [("x-api-key", &*key)];
        self.service
            .post_without_key(path, &headers, body.to_owned())
            .await
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_sends_the_kinds_and_entities_of_its_scope_and_no_others() {
    let scope = "may = [\"write\"]\nwrite_kinds = [\"vehicle\"]\nwrite_entities = [\"veh-001*\"]";
    let reads = entry("reader", "may = [\"read\"]");
    let stage = Stage::new(&format!("{}{reads}", entry("fleet", scope))).await;
    let good = stage.post("/v1/events", "fleet", VEHICLE).await;
    assert_eq!(good.status, StatusCode::ACCEPTED, "{}", good.text);
    for (path, key, body, may) in [
        (
            "/v1/events/cell",
            "fleet",
            CELL,
            "events of vehicle from veh-001*",
        ),
        (
            "/v1/events",
            "fleet",
            CELL,
            "events of vehicle from veh-001*",
        ),
        (
            "/v1/events",
            "fleet",
            &*VEHICLE.replace("veh-00123", "veh-9"),
            "from veh-001*",
        ),
        (
            "/metrics",
            "fleet",
            "{\"name\":\"a\",\"value\":1}",
            "events of vehicle",
        ),
        ("/v1/events", "reader", VEHICLE, "it may read"),
    ] {
        let refused = stage.post(path, key, body).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
        assert_eq!(refused.error_code(), "forbidden");
        assert!(
            refused.text.contains(may) && refused.text.contains(key),
            "{}",
            refused.text
        );
    }
    let bulk = format!(
        "[{VEHICLE},{CELL},{}]",
        VEHICLE.replace("veh-00123", "veh-9")
    );
    let partial = stage.post("/v1/events", "fleet", &bulk).await;
    assert_eq!(partial.status, StatusCode::ACCEPTED, "{}", partial.text);
    assert_eq!(partial.json()["accepted"], 1);
    let expected = [(1, "kind"), (2, "vehicle_id")]
        .map(|(index, field)| (index, "not_permitted".to_owned(), Some(field.to_owned())));
    assert_eq!(partial.rejected(), expected);
    let queued = stage.service.queued();
    assert_eq!(queued.len(), 2);
    assert!(
        queued.iter().all(|event| event["sender"] == "fleet"),
        "{queued:?}"
    );
    let metrics = stage.service.admin("/metrics").await.text;
    let counted = "headwater_key_refusals_total{key=\"fleet\",code=\"forbidden\"}";
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains("headwater_key_events_total{key=\"fleet\"}"));
}

#[tokio::test(start_paused = true)]
async fn whoever_sends_more_than_it_may_is_told_when_to_come_back() {
    let requests = entry(
        "often",
        &format!("{ALL}\nrequests_per_second = 1\nrequests_burst = 2"),
    );
    let events = entry(
        "much",
        &format!("{ALL}\nevents_per_second = 2\nevents_burst = 4"),
    );
    let bytes = entry("long", &format!("{ALL}\nbytes_per_day = 200"));
    let stage = Stage::new(&format!("{requests}{events}{bytes}")).await;
    let status = async |key: &str, body: &str| stage.post("/v1/events", key, body).await;
    let bulk = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
    for _ in 0..2 {
        assert_eq!(status("often", VEHICLE).await.status, StatusCode::ACCEPTED);
    }
    let limited = status("often", VEHICLE).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.error_code(), "rate_limited");
    let wait: u64 = limited.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    sleep(Duration::from_secs(wait)).await;
    assert_eq!(status("often", VEHICLE).await.status, StatusCode::ACCEPTED);
    // Events that are refused cost as much as good ones.
    assert_eq!(
        status("much", &bulk(4)).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let limited = status("much", VEHICLE).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        limited.text.contains("2 events a second, and 4 at once"),
        "{}",
        limited.text
    );
    sleep(Duration::from_secs(2)).await;
    let too_many = status("much", &bulk(5)).await;
    assert_eq!(too_many.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(
        too_many.text.contains("more than 4 events"),
        "{}",
        too_many.text
    );
    // The day ends at midnight, three hours after the clock's start.
    for expected in [
        StatusCode::ACCEPTED,
        StatusCode::ACCEPTED,
        StatusCode::TOO_MANY_REQUESTS,
    ] {
        assert_eq!(status("long", VEHICLE).await.status, expected);
    }
    let limited = status("long", VEHICLE).await;
    let wait: u64 = limited.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((3 * 3600 - 60..=3 * 3600).contains(&wait), "{wait}");
    sleep(Duration::from_secs(wait)).await;
    assert_eq!(status("long", VEHICLE).await.status, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_rotated_under_load_and_no_good_request_is_refused() {
    let (old, new, other) = (
        entry("old", ALL),
        entry("new", ALL),
        entry("other-one", ALL),
    );
    let stage = Stage::new(&format!("{old}{other}")).await;
    let followed = stage.service.app();
    tokio::spawn(async move { followed.follow_keys().await });
    let start = Instant::now();
    let added = Duration::from_secs(5);
    let revoked = Duration::from_secs(15);
    let (mut wrote, mut first_new, mut last_old) = (0, None, None);
    while start.elapsed() < Duration::from_secs(25) {
        let now = start.elapsed();
        if wrote == 0 && now >= added {
            stage.write(&format!("{old}{new}{other}"));
            wrote = 1;
        }
        if wrote == 1 && now >= revoked {
            stage.write(&format!("{new}{other}"));
            wrote = 2;
        }
        let other = stage.post("/v1/events", "other-one", VEHICLE).await;
        assert_eq!(
            other.status,
            StatusCode::ACCEPTED,
            "at {now:?}: {}",
            other.text
        );
        let new = stage.post("/v1/events", "new", VEHICLE).await;
        match new.status {
            StatusCode::ACCEPTED => first_new = first_new.or(Some(now)),
            StatusCode::UNAUTHORIZED => assert!(first_new.is_none(), "at {now:?}"),
            status => panic!("{status}"),
        }
        let old = stage.post("/v1/events", "old", VEHICLE).await;
        match old.status {
            StatusCode::ACCEPTED => last_old = Some(now),
            StatusCode::UNAUTHORIZED => assert!(now >= revoked, "at {now:?}"),
            status => panic!("{status}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
    let (first_new, last_old) = (first_new.unwrap(), last_old.unwrap());
    assert!(first_new < added + Duration::from_secs(5), "{first_new:?}");
    assert!(last_old < revoked + Duration::from_secs(5), "{last_old:?}");
    assert!(
        last_old >= revoked - Duration::from_millis(200),
        "{last_old:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn guesses_are_counted_and_slowed_and_others_are_not() {
    let stage = Stage::new(&entry("good", ALL)).await;
    let start = Instant::now();
    for _ in 0..3 {
        let wrong = stage.post("/v1/events", "nobody", VEHICLE).await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    }
    assert!(
        start.elapsed() >= Duration::from_millis(600),
        "{:?}",
        start.elapsed()
    );
    let start = Instant::now();
    assert_eq!(
        stage.post("/v1/events", "good", VEHICLE).await.status,
        StatusCode::ACCEPTED
    );
    assert!(
        start.elapsed() < Duration::from_millis(100),
        "{:?}",
        start.elapsed()
    );
    let metrics = stage.service.admin("/metrics").await.text;
    assert!(
        metrics.contains("headwater_refused_keys_total{code=\"wrong_api_key\"}"),
        "{metrics}"
    );
}
