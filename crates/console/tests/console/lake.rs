//! The lake to look through: pages, beginnings of objects of every sort and size, and their bytes.

use std::fs::{self, OpenOptions};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use aws::Aws;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header;
use local_aws::LocalAws;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::stage::{Stage, get};

fn routes(stage: &Stage) -> Router {
    console::lake_routes::<()>(stage.lake.clone())
        .split_for_parts()
        .0
}

async fn look(routes: &Router, key: &str) -> Value {
    let key = key.replace('/', "%2F").replace('=', "%3D");
    let answer = get(routes, &format!("/v1/lake/object?key={key}"), &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

fn file(rows: i64) -> Vec<u8> {
    let all = 0..rows;
    let times = TimestampMicrosecondArray::from_iter_values(all.clone().map(|row| row * 1_500_000));
    let columns: [(&str, ArrayRef); 5] = [
        ("time", Arc::new(times.with_timezone("UTC"))),
        (
            "id",
            Arc::new(Int64Array::from_iter_values(
                all.clone().map(|row| row << 50),
            )),
        ),
        (
            "value",
            Arc::new(Float64Array::from_iter_values(
                all.clone().map(|row| row as f64 / 2.0),
            )),
        ),
        (
            "text",
            Arc::new(StringArray::from_iter_values(
                all.clone().map(|row| format!("<b>{row}")),
            )),
        ),
        (
            "flag",
            Arc::new(
                all.map(|row| (row % 2 == 0).then_some(true))
                    .collect::<BooleanArray>(),
            ),
        ),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn a_prefix_is_shown_as_a_folder_page_by_page() {
    let stage = Stage::new().await;
    let routes = routes(&stage);
    for n in 0..3 {
        for key in [
            format!("raw/year=2026/{n}.jsonl"),
            format!("raw/f{n}/x"),
            format!("raw/{n}.txt"),
        ] {
            stage.put(&key, "line\n").await;
        }
    }
    let root = get(&routes, "/v1/lake", &[]).await.json();
    assert_eq!(
        root,
        json!({"prefix": "", "folders": ["raw/"], "objects": [], "next": null})
    );
    let raw = get(&routes, "/v1/lake?prefix=raw/", &[]).await.json();
    assert_eq!(
        raw["folders"],
        json!(["raw/f0/", "raw/f1/", "raw/f2/", "raw/year=2026/"])
    );
    assert_eq!(raw["objects"][0]["key"], "raw/0.txt");
    assert_eq!(raw["objects"][0]["size"], 5);
    assert!(
        raw["objects"][0]["last_modified"]
            .as_str()
            .unwrap()
            .ends_with('Z')
    );
    // A page after a folder goes on after all that is in it.
    let after = get(&routes, "/v1/lake?prefix=raw/&after=raw/f1/", &[])
        .await
        .json();
    assert_eq!(after["folders"], json!(["raw/f2/", "raw/year=2026/"]));
    let mut pages = (Vec::new(), None);
    loop {
        let page = stage
            .lake
            .list_folder("raw/", pages.1.as_deref(), 2)
            .await
            .unwrap();
        pages.0.extend(page.folders);
        pages
            .0
            .extend(page.objects.into_iter().map(|object| object.key));
        pages.1 = page.next;
        if pages.1.is_none() {
            break;
        }
    }
    assert_eq!(pages.0.len(), 7, "{:?}", pages.0);
}

#[tokio::test]
async fn prefixes_that_look_like_paths_lead_nowhere() {
    let stage = Stage::new().await;
    let routes = routes(&stage);
    for wrong in ["../", "raw/../../etc/", "/etc/", "raw/%00", "raw/%0a"] {
        let answer = get(&routes, &format!("/v1/lake?prefix={wrong}"), &[]).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::BAD_REQUEST, "invalid_parameter"),
            "{wrong}"
        );
        for route in ["object", "download"] {
            let answer = get(&routes, &format!("/v1/lake/{route}?key={wrong}"), &[]).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{wrong}");
        }
    }
    let long = "x".repeat(1025);
    assert_eq!(
        get(&routes, &format!("/v1/lake?prefix={long}"), &[])
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        get(&routes, "/v1/lake/object?key=", &[]).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        get(&routes, "/v1/lake/object", &[]).await.code(),
        "invalid_parameter"
    );
    assert_eq!(
        get(&routes, "/v1/lake/object?key=none", &[]).await.code(),
        "no_object"
    );
    assert_eq!(
        get(&routes, "/v1/lake/download?key=none", &[]).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn objects_show_how_they_begin() {
    let stage = Stage::new().await;
    let routes = routes(&stage);
    let lines: String = (0..60).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    stage.put("a.jsonl", lines).await;
    stage.put("empty.json", "").await;
    stage.put("bytes.bin", vec![0, 1, 2]).await;
    stage.put("b.parquet", file(1000)).await;
    stage.put("no-rows.parquet", file(0)).await;
    let shown = look(&routes, "a.jsonl").await;
    assert_eq!(
        (
            shown["form"].as_str(),
            shown["lines"].as_array().unwrap().len()
        ),
        (Some("jsonl"), 50)
    );
    assert_eq!(
        (&shown["error"], &shown["rows"]),
        (&Value::Null, &Value::Null)
    );
    assert!(
        look(&routes, "empty.json").await["error"]
            .as_str()
            .unwrap()
            .contains("empty")
    );
    assert!(
        look(&routes, "bytes.bin").await["error"]
            .as_str()
            .unwrap()
            .contains("no text")
    );
    let shown = look(&routes, "b.parquet").await;
    assert_eq!(
        (&shown["rows"], &shown["error"]),
        (&json!(1000), &Value::Null),
        "{shown}"
    );
    assert_eq!(
        shown["schema"][2],
        json!({"name": "value", "type": "Float64"})
    );
    assert_eq!(shown["first_rows"].as_array().unwrap().len(), 50);
    // Past what a double holds, an integer is a text.
    let row = json!({
        "time": "1970-01-01T00:00:13.500Z", "id": (9_i64 << 50).to_string(), "value": 4.5, "text": "<b>9", "flag": null,
    });
    assert_eq!(shown["first_rows"][9], row);
    let shown = look(&routes, "no-rows.parquet").await;
    assert_eq!(
        (&shown["rows"], shown["schema"].as_array().unwrap().len()),
        (&json!(0), 5)
    );
}

#[tokio::test]
async fn a_broken_parquet_file_gives_an_answer() {
    let stage = Stage::new().await;
    let routes = routes(&stage);
    let whole = file(20_000);
    // Cut off, of zeros, of a footer that claims to be huge, and with bytes changed in the middle and in the footer.
    let mut claims = whole.clone();
    let at = claims.len() - 8;
    claims[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut broken = vec![
        ("cut", whole[..whole.len() / 2].to_vec()),
        ("short", b"PAR1".to_vec()),
        ("zeros", vec![0; 5000]),
        ("claims", claims),
    ];
    for at in (4..whole.len()).step_by(whole.len() / 40) {
        let mut changed = whole.clone();
        changed[at..]
            .iter_mut()
            .take(16)
            .for_each(|byte| *byte = !*byte);
        broken.push(("changed", changed));
    }
    let mut errors = 0;
    for (n, (what, bytes)) in broken.into_iter().enumerate() {
        let key = format!("{n}.parquet");
        stage.put(&key, bytes).await;
        let shown = look(&routes, &key).await;
        let is_error = shown["error"].is_string();
        assert!(is_error || what == "changed", "{what}: {shown}");
        errors += usize::from(is_error);
    }
    assert!(errors > 4, "{errors}");
}

/// Makes the one object of the bucket a gibibyte long, without writing it.
fn plant_size(folder: &std::path::Path, key: &str) {
    let meta = folder.join(".local-aws/s3/lake/meta");
    for record in fs::read_dir(meta).unwrap() {
        let path = record.unwrap().path();
        let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        record["meta"]["size"] = json!(1_u64 << 30);
        fs::write(path, record.to_string()).unwrap();
    }
    let object = OpenOptions::new()
        .write(true)
        .open(folder.join("lake").join(key))
        .unwrap();
    object.set_len(1 << 30).unwrap();
}

#[tokio::test]
async fn an_object_of_a_gibibyte_is_shown_from_a_bounded_part() {
    for key in ["large.jsonl", "large.parquet"] {
        let folder = tempfile::tempdir().unwrap();
        {
            let cloud = LocalAws::builder().folder(folder.path()).build().unwrap();
            let stage = Stage::over(&cloud).await;
            stage.put(key, "{\"n\":1}\n".repeat(100_000)).await;
        }
        plant_size(folder.path(), key);
        let cloud = LocalAws::builder().folder(folder.path()).build().unwrap();
        let aws = Aws::emulated(cloud.http_client(), cloud.endpoint());
        let routes: Router = console::lake_routes::<()>(aws.lake("lake"))
            .split_for_parts()
            .0;
        let before = resident();
        let shown = look(&routes, key).await;
        assert_eq!(shown["size"], 1_u64 << 30);
        if key.ends_with(".jsonl") {
            assert_eq!(shown["lines"].as_array().unwrap().len(), 50);
        } else {
            assert!(
                shown["error"].as_str().unwrap().contains("broken"),
                "{shown}"
            );
        }
        let more = resident().saturating_sub(before);
        assert!(more < 64 << 20, "{more} bytes more");
    }
}

/// Bytes of memory of this process.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn a_download_is_the_bytes_and_never_a_page() {
    let stage = Stage::new().await;
    let routes = routes(&stage);
    let page = "<script>alert(1)</script>".repeat(500_000);
    stage.put("raw/evil.html", page.clone()).await;
    let answer = get(&routes, "/v1/lake/download?key=raw/evil.html", &[]).await;
    assert_eq!(answer.text, page);
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "application/octet-stream"
    );
    assert_eq!(
        answer.headers[header::CONTENT_DISPOSITION],
        "attachment; filename=\"evil.html\""
    );
    assert_eq!(
        answer.headers[header::CONTENT_LENGTH],
        page.len().to_string().as_str()
    );
}
