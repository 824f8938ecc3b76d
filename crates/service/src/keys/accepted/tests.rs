use std::time::Duration;

use super::super::settings::tests::{entry, hash_line};
use super::*;

fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in all {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn keys() -> Keys {
    Keys::new(&["the-old-key".into(), "the-new-key".into()])
}

fn named(text: &str) -> anyhow::Result<Keys> {
    let source = Source {
        unnamed: vec!["the-old-key".into()],
        file: None,
        text: Some(text.into()),
    };
    Keys::load(&source, || "2026-11-27T12:00:00Z".parse().unwrap())
}

#[test]
fn any_of_the_keys_is_taken_and_nothing_else() {
    let check = |sent: &[(&'static str, &'static str)]| keys().check(&headers(sent)).err();
    assert_eq!(check(&[(HEADER, "the-old-key")]), None);
    assert_eq!(check(&[(HEADER, "the-new-key")]), None);
    assert_eq!(check(&[(HEADER, "the-new-ke")]), Some(KeyError::Wrong));
    assert_eq!(check(&[(HEADER, "")]), Some(KeyError::Wrong));
    assert_eq!(check(&[]), Some(KeyError::Missing));
    let two = [(HEADER, "the-old-key"), (HEADER, "the-new-key")];
    assert_eq!(check(&two), Some(KeyError::Several));
}

#[test]
fn a_bearer_is_taken() {
    let check = |sent: &[(&'static str, &'static str)]| keys().check(&headers(sent)).err();
    assert_eq!(check(&[("authorization", "Bearer the-old-key")]), None);
    assert_eq!(check(&[("authorization", "bearer  the-new-key")]), None);
    assert_eq!(check(&[(HEADER, "the-new-key")]), None);
    assert_eq!(
        check(&[("authorization", "Bearer no-key")]),
        Some(KeyError::Wrong)
    );
    assert_eq!(
        check(&[("authorization", "Basic the-old-key")]),
        Some(KeyError::Missing)
    );
    assert_eq!(
        check(&[("authorization", "Bearer")]),
        Some(KeyError::Missing)
    );
    let both = [
        ("authorization", "Bearer the-old-key"),
        (HEADER, "the-old-key"),
    ];
    assert_eq!(check(&both), Some(KeyError::Several));
}

#[tokio::test(start_paused = true)]
async fn a_key_does_what_its_scope_says_and_is_told_what_that_is() {
    let keys = named(&entry(
        "reader",
        "may = [\"read\"]\nrequests_per_second = 1\nrequests_burst = 2",
    ))
    .unwrap();
    let sent = headers(&[(HEADER, "the key of reader")]);
    let admit = async |access| keys.admit(&sent, &Extensions::new(), access).await;
    assert_eq!(admit(Access::Read).await.unwrap().name(), "reader");
    let refused = admit(Access::Admin).await.unwrap_err();
    assert_eq!(refused.status(), axum::http::StatusCode::FORBIDDEN);
    assert_eq!(
        refused.to_string(),
        "the key `reader` may not do what needs `admin`; it may read"
    );
    admit(Access::Read).await.unwrap();
    let limited = admit(Access::Read).await.unwrap_err();
    assert_eq!(
        (limited.code(), limited.retry_after()),
        ("rate_limited", Some(2))
    );
    tokio::time::advance(Duration::from_secs(2)).await;
    admit(Access::Read).await.unwrap();
    let mut vouched = Extensions::new();
    vouched.insert(Key::own());
    let own = keys.admit(&HeaderMap::new(), &vouched, Access::Admin).await;
    assert!(!own.unwrap().is_named());
}

#[test]
fn senders_of_metrics_have_two_ways_more() {
    let check =
        |sent: &[(&'static str, &'static str)]| keys().check_of_sender(&headers(sent)).err();
    // `any:the-old-key`, and without a colon.
    let (basic, none) = ("Basic YW55OnRoZS1vbGQta2V5", "Basic dGhlLW9sZC1rZXk=");
    for (sent, expected) in [
        ("Token the-old-key", None),
        ("Bearer the-new-key", None),
        (basic, None),
        (none, Some(KeyError::Wrong)),
        ("Basic ????", Some(KeyError::Wrong)),
        ("Digest x", Some(KeyError::Missing)),
    ] {
        assert_eq!(check(&[("authorization", sent)]), expected, "{sent}");
    }
    let both = [("authorization", basic), (HEADER, "the-old-key")];
    assert_eq!(check(&both), Some(KeyError::Several));
}

#[test]
fn an_expired_key_is_refused_as_one_that_is_not_known() {
    let keys = named(&format!(
        "{}{}",
        entry("old", "may = [\"read\"]\nexpires = 2026-11-27T12:00:00Z"),
        entry("young", "may = [\"read\"]\nexpires = 2026-11-27T12:00:01Z"),
    ))
    .unwrap();
    assert_eq!(
        keys.check(&headers(&[(HEADER, "the key of old")])).err(),
        Some(KeyError::Wrong)
    );
    assert!(keys.find("the key of young").is_some());
}

#[test]
fn what_is_taken_out_or_changed_is_told_to_who_uses_it_and_what_it_used_stays() {
    let (a, b) = (
        entry("a", "may = [\"read\"]"),
        entry("b", "may = [\"read\"]"),
    );
    let c = "may = [\"write\"]\nevents_per_second = 1\nevents_burst = 10";
    let keys = named(&format!("{a}{b}{}", entry("c", c))).unwrap();
    let find = |name: &str| keys.find(&format!("the key of {name}"));
    let (old_a, old_b, old_c) = (find("a").unwrap(), find("b").unwrap(), find("c").unwrap());
    old_c.use_events(11);
    let c = c.replace("[\"write\"]", "[\"write\", \"read\"]");
    let after = format!("{a}{}", entry("c", &c));
    keys.accept(KeysFile::parse(&after).unwrap()).unwrap();
    assert!(Arc::ptr_eq(&old_a, &find("a").unwrap()) && !old_a.revoked().is_cancelled());
    assert!(find("b").is_none() && old_b.revoked().is_cancelled());
    let new_c = find("c").unwrap();
    assert!(old_c.revoked().is_cancelled() && new_c.number() == old_c.number());
    assert!(new_c.begin(keys.now()).is_err(), "its debt stays");
    assert!(keys.find("the-old-key").is_some());
}

#[test]
fn a_key_has_one_scope() {
    let both = format!(
        "[[key]]\nname = \"a\"\n{}\nmay = [\"read\"]\n",
        hash_line("the-old-key")
    );
    let complaint = named(&both).unwrap_err().to_string();
    assert!(
        complaint.contains("the key `a` is also one of those without a name"),
        "{complaint}"
    );
    let source = Source::default();
    assert!(Keys::load(&source, Utc::now).is_err());
}

#[test]
fn metrics_tell_a_bounded_number_of_names_apart() {
    let text: String = (0..250)
        .map(|number| entry(&format!("key-{number:03}"), "may = [\"read\"]"))
        .collect();
    let keys = named(&text).unwrap();
    let label = |name: &str| {
        keys.find(&format!("the key of {name}"))
            .unwrap()
            .label()
            .to_owned()
    };
    assert_eq!(label("key-007"), "key-007");
    assert_eq!(label("key-249"), "other");
}
