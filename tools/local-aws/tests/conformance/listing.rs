//! What S3 promises of listings.

use aws_sdk_s3::types::EncodingType;

use crate::objects::{bucket, put, read};
use crate::target::{Target, md5_hex};

/// All keys and common prefixes of a listing in pages of `most`, in order within each.
pub(crate) async fn walk(
    t: &Target,
    bucket: &str,
    prefix: &str,
    delimiter: Option<&str>,
    most: i32,
) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut prefixes, mut token) = (Vec::new(), Vec::new(), None);
    loop {
        let list =
            t.s3.list_objects_v2()
                .bucket(bucket)
                .prefix(prefix)
                .max_keys(most);
        let list = list.set_delimiter(delimiter.map(str::to_owned));
        let page = list.set_continuation_token(token).send().await.unwrap();
        let count = page.contents().len() + page.common_prefixes().len();
        assert_eq!(page.key_count(), i32::try_from(count).ok());
        assert!(page.key_count() <= Some(most));
        keys.extend(
            page.contents()
                .iter()
                .map(|object| object.key().unwrap().to_owned()),
        );
        prefixes.extend(
            page.common_prefixes()
                .iter()
                .map(|prefix| prefix.prefix().unwrap().to_owned()),
        );
        assert_eq!(
            page.is_truncated(),
            Some(page.next_continuation_token().is_some())
        );
        token = page.next_continuation_token;
        if token.is_none() {
            return (keys, prefixes);
        }
    }
}

pub(crate) async fn pages_list_every_key_once(t: &Target) {
    let bucket = bucket(t).await;
    let expected: Vec<_> = (0..25).map(|n| format!("part-{n:02}")).collect();
    for key in &expected {
        put(t, &bucket, key, "x").await;
    }
    put(t, &bucket, "other", "xyz").await;
    for most in [1, 7, 25, 1_000] {
        assert_eq!(
            walk(t, &bucket, "part-", None, most).await.0,
            expected,
            "pages of {most}"
        );
    }
    let listed =
        t.s3.list_objects_v2()
            .bucket(&bucket)
            .prefix("other")
            .send()
            .await
            .unwrap();
    let object = &listed.contents()[0];
    assert_eq!(object.size(), Some(3));
    assert_eq!(
        object.e_tag(),
        Some(format!("\"{}\"", md5_hex("xyz")).as_str())
    );
    assert!(object.last_modified().unwrap().secs() > 1_600_000_000);
    let none =
        t.s3.list_objects_v2()
            .bucket(&bucket)
            .prefix("no such")
            .send()
            .await
            .unwrap();
    assert_eq!(
        (none.key_count(), none.is_truncated()),
        (Some(0), Some(false))
    );
}

pub(crate) async fn a_delimiter_gives_each_common_prefix_once_over_all_pages(t: &Target) {
    let bucket = bucket(t).await;
    for key in [
        "raw/day=01/hour=00/a",
        "raw/day=01/hour=00/b",
        "raw/day=01/hour=01/a",
        "raw/day=02/hour=00/a",
        "raw/day=03",
        "raw/day=04/hour=00/a",
        "top",
        "zero/one/two",
    ] {
        put(t, &bucket, key, "x").await;
    }
    for most in [1, 2, 3, 100] {
        let (keys, prefixes) = walk(t, &bucket, "raw/", Some("/"), most).await;
        assert_eq!(keys, ["raw/day=03"], "pages of {most}");
        assert_eq!(
            prefixes,
            ["raw/day=01/", "raw/day=02/", "raw/day=04/"],
            "pages of {most}"
        );
        let (keys, prefixes) = walk(t, &bucket, "", Some("/"), most).await;
        assert_eq!(
            (keys, prefixes),
            (
                vec!["top".to_owned()],
                vec!["raw/".to_owned(), "zero/".to_owned()]
            )
        );
    }
    let (keys, prefixes) = walk(t, &bucket, "raw/day=01/", Some("/"), 1).await;
    assert!(keys.is_empty());
    assert_eq!(prefixes, ["raw/day=01/hour=00/", "raw/day=01/hour=01/"]);
    let (_, prefixes) = walk(t, &bucket, "raw/", Some("hour="), 2).await;
    assert_eq!(
        prefixes,
        ["raw/day=01/hour=", "raw/day=02/hour=", "raw/day=04/hour="]
    );
}

pub(crate) async fn a_listing_starts_after_a_key(t: &Target) {
    let bucket = bucket(t).await;
    for key in ["a", "b", "c", "d"] {
        put(t, &bucket, key, "x").await;
    }
    let list = |after: &str| {
        t.s3.list_objects_v2()
            .bucket(&bucket)
            .start_after(after)
            .send()
    };
    let keys = |listed: aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output| {
        listed
            .contents
            .unwrap_or_default()
            .into_iter()
            .map(|object| object.key.unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(list("b").await.unwrap()), ["c", "d"]);
    assert_eq!(keys(list("bb").await.unwrap()), ["c", "d"]);
    assert!(keys(list("d").await.unwrap()).is_empty());
    let first =
        t.s3.list_objects_v2()
            .bucket(&bucket)
            .start_after("a")
            .max_keys(1)
            .send();
    let first = first.await.unwrap();
    let token = first.next_continuation_token.clone().unwrap();
    assert_eq!(keys(first), ["b"]);
    let rest =
        t.s3.list_objects_v2()
            .bucket(&bucket)
            .continuation_token(token)
            .send();
    assert_eq!(keys(rest.await.unwrap()), ["c", "d"]);
}

pub(crate) async fn unusual_keys_survive_writing_listing_and_reading(t: &Target) {
    let bucket = bucket(t).await;
    let keys = [
        "year=2026/hour=07/part.jsonl",
        "with space",
        "plus+sign",
        "per%cent",
        "per%20cent",
        "amp&er<sand>\"'",
        "ünïcödé",
        "emoji 🚗",
        "q?uestion#hash",
        "a//b",
        "tilde~star*",
        "semi;co:lon,comma@$!()",
    ];
    for key in keys {
        put(t, &bucket, key, key.to_owned()).await;
    }
    let mut expected = keys.to_vec();
    expected.sort_unstable();
    assert_eq!(walk(t, &bucket, "", None, 5).await.0, expected);
    let listed =
        t.s3.list_objects_v2()
            .bucket(&bucket)
            .encoding_type(EncodingType::Url);
    let listed = listed.send().await.unwrap();
    let encoded: Vec<_> = listed
        .contents()
        .iter()
        .map(|object| object.key().unwrap())
        .collect();
    assert!(encoded.contains(&"per%25cent"), "{encoded:?}");
    assert!(
        encoded.contains(&"%C3%BCn%C3%AFc%C3%B6d%C3%A9"),
        "{encoded:?}"
    );
    for key in keys {
        assert_eq!(read(t, &bucket, key).await, key);
        t.s3.delete_object()
            .bucket(&bucket)
            .key(key)
            .send()
            .await
            .unwrap();
    }
    assert!(walk(t, &bucket, "", None, 5).await.0.is_empty());
}
