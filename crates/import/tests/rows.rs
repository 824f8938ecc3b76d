//! What becomes of each row: none vanishes without a count, and the first of each fault is named.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array};
use arrow::record_batch::RecordBatch;
use common::{Folder, Ran, any_age};

/// Rows of `t,rpm,note`.
const SQL: &str = "
    SELECT row, 'car-7' AS vehicle_id, '0x7E8' AS can_id, instant(t) AS timestamp, number(rpm) AS engine_rpm, note
    FROM input";

fn folder(sql: &str) -> Folder {
    let folder = Folder::new(sql);
    std::fs::create_dir(folder.path().join("kinds")).unwrap();
    folder.file("kinds/vehicle.toml", any_age());
    folder
}

fn dry_run(folder: &Folder, files: &[&str]) -> Ran {
    folder.import(&[files, &["--dry-run", "--contracts", "kinds"]].concat())
}

/// `count` rows a second apart, of which `odd` makes others.
fn rows(count: usize, odd: impl Fn(usize) -> Option<&'static str>) -> String {
    let mut text = "t,rpm,note\n".to_owned();
    for row in 1..=count {
        match odd(row) {
            Some(odd) => writeln!(text, "{odd}").unwrap(),
            None => writeln!(
                text,
                "2025-07-04T08:{:02}:{:02}Z,{},x",
                row / 60,
                row % 60,
                900 + row
            )
            .unwrap(),
        }
    }
    text
}

#[test]
fn a_stray_quote_costs_its_own_row() {
    let folder = folder(SQL);
    folder.file(
        "a.csv",
        rows(199, |row| {
            (row == 50).then_some("2025-07-04T09:00:00Z,1,\"Clouds")
        }),
    );
    let ran = dry_run(&folder, &["a.csv"]);
    ran.said(
        1,
        &[
            "199 rows read, 198 events, 198 sent, 198 sound",
            "not read 1 unclosed_quote: row 50",
            "Clouds",
        ],
    );
    folder.file(
        "a.csv",
        rows(199, |row| {
            (row == 50).then_some("2025-07-04T09:00:00Z,1,\"Clo\"uds\"")
        }),
    );
    dry_run(&folder, &["a.csv"]).said(
        1,
        &[
            "199 rows read, 198 events",
            "not read 1 stray_quote: row 50",
        ],
    );
}

#[test]
fn a_text_over_several_lines_is_one_row() {
    let folder = folder(SQL);
    folder.file(
        "a.csv",
        rows(3, |row| {
            (row == 2).then_some("2025-07-04T09:00:00Z,1,\"two\n\nlines\"")
        }),
    );
    let ran = folder.import(&["a.csv", "--print", "0"]);
    ran.said(0, &["\"note\":\"two\\n\\nlines\""]);
    assert_eq!(ran.out.lines().count(), 3);
}

#[test]
fn rows_with_other_numbers_of_cells_are_counted() {
    let folder = folder(SQL);
    let odd = |row| match row {
        2 => Some("2025-07-04T09:00:00Z,1"),
        3 => Some("2025-07-04T09:00:01Z,1,x,,"),
        4 => Some("2025-07-04T09:00:02Z,1,x,y"),
        _ => None,
    };
    folder.file("a.csv", rows(5, odd));
    dry_run(&folder, &["a.csv"]).said(
        1,
        &[
            "5 rows read, 3 events",
            "not read 1 too_few_cells: row 2",
            "not read 1 too_many_cells: row 4",
        ],
    );
    dry_run(&folder, &["a.csv", "--ragged"]).said(1, &["5 rows read, 4 events, 4 sent, 4 sound"]);
}

#[test]
fn a_dry_run_names_code_row_and_value_of_what_would_be_refused() {
    let folder = folder(SQL);
    let odd = |row| match row {
        7 | 9 => Some("2025-07-04T09:00:00Z,30000,x"),
        11 => Some("04.07.2025 09:00,900,x"),
        _ => None,
    };
    folder.file("a.csv", rows(20, odd));
    dry_run(&folder, &["a.csv"]).said(
        1,
        &[
            "20 rows read, 20 events, 20 sent, 17 sound, 3 refused",
            "refused 2 out_of_range: row 7, `payload.engine_rpm` is 30000",
            "refused 1 missing_field: row 11",
            "not readable, taken as NULL: 1 instant: by row 20, 04.07.2025 09:00",
            "nothing was sent",
        ],
    );
}

#[test]
fn a_format_that_fits_no_row_is_a_failure_with_a_sample() {
    let folder = folder(&SQL.replace("instant(t)", "instant(t, '%d.%m.%Y')"));
    folder.file("a.csv", rows(3, |_| None));
    let ran = dry_run(&folder, &["a.csv"]);
    ran.said(
        1,
        &[
            "0 sound, 3 refused",
            "taken as NULL: 3 instant: by row 3, 2025-07-04T08:00:01Z",
        ],
    );
}

#[test]
fn a_file_with_other_columns_among_good_ones_is_named_before_anything_is_sent() {
    let folder = folder(SQL);
    folder.file("a.csv", rows(3, |_| None));
    folder.file("b.csv", "t,speed\n2025-07-04T08:00:00Z,5\n");
    let ran = folder.import(&[
        "*.csv",
        "--api-key",
        "k",
        "--ingest-url",
        "http://127.0.0.1:1",
    ]);
    ran.said(2, &["nothing was sent", "`b.csv`: map.sql:2:", "rpm"]);
}

#[test]
fn broken_sql_says_where_and_writes_are_refused() {
    let here = |sql: &str, words: &[&str]| {
        let folder = folder(sql);
        folder.file("a.csv", rows(1, |_| None));
        dry_run(&folder, &["a.csv"]).said(2, words);
    };
    here("SELECT 1\nFROM input\nWHERE ) 2", &["Line: 3, Column: 7"]);
    here("SELECT\n  nosuch(t) FROM input", &["nosuch"]);
    here("DROP TABLE input", &["DDL"]);
    here(
        "SELECT t AS timestamp, '0x1' AS can_id, 1 AS x FROM input",
        &["gives no column `vehicle_id`"],
    );
    here(
        "SELECT t AS timestamp, '0x1' AS can_id, 'v' AS vehicle_id FROM input",
        &["gives no signal"],
    );
    here(
        "SELECT t AS timestamp, '0x1' AS can_id, 'v' AS vehicle_id, [1] AS x FROM input",
        &["column `x`", "CAST"],
    );
}

#[test]
fn sql_that_fails_on_a_row_ends_its_file_alone() {
    let folder = folder(&SQL.replace("number(rpm)", "CAST(rpm AS DOUBLE)"));
    folder.file(
        "a.csv",
        rows(3, |row| (row == 2).then_some("2025-07-04T09:00:00Z,fast,x")),
    );
    folder.file("b.csv", rows(3, |_| None));
    let ran = dry_run(&folder, &["a.csv", "b.csv"]);
    ran.said(
        1,
        &[
            "a.csv: 3 rows read, 0 events",
            "failed: `a.csv`: the SQL failed",
            "fast",
            "b.csv: 3 rows read, 3 events",
        ],
    );
}

#[test]
fn rows_of_one_content_are_told_and_an_id_by_row_keeps_them_apart() {
    let same = |row| (row > 1).then_some("2025-07-04T08:00:00Z,900,x");
    let folder = folder(SQL);
    folder.file("a.csv", rows(4, same));
    dry_run(&folder, &["a.csv"]).said(0, &["repeats, of which one lands: 2 same_content: row 3"]);
    folder.file(
        "map.sql",
        SQL.replace("SELECT row,", "SELECT row, file || ':' || row AS event_id,"),
    );
    let ran = dry_run(&folder, &["a.csv"]);
    ran.said(0, &["4 events, 4 sent, 4 sound"]);
    assert!(!ran.out.contains("repeats"), "{}", ran.out);
}

#[test]
fn integers_keep_their_digits_and_are_refused_as_over_http() {
    let folder = folder(&SQL.replace("number(rpm)", "CAST(rpm AS BIGINT)"));
    folder.file(
        "a.csv",
        rows(2, |row| {
            (row == 2).then_some("2025-07-04T09:00:00Z,9007199254740993,x")
        }),
    );
    dry_run(&folder, &["a.csv"]).said(
        1,
        &[
            "1 sound, 1 refused",
            "out_of_range: row 2",
            "9007199254740993",
        ],
    );
}

#[test]
fn texts_of_other_encodings_are_read_and_bytes_of_none_cost_their_line() {
    let folder = folder(SQL);
    let text = "t,rpm,note\r\n2025-07-04T08:00:00Z,900,grün\r\n";
    let utf16 =
        |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    folder.file(
        "le.csv",
        [vec![0xff, 0xfe], utf16(u16::to_le_bytes)].concat(),
    );
    folder.file("be.csv", utf16(u16::to_be_bytes));
    let latin: Vec<u8> = text
        .chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap())
        .collect();
    folder.file("latin.csv", &latin);
    folder.file("bom.csv", format!("\u{feff}{text}"));
    for (file, encoding) in [
        ("le.csv", "utf-8"),
        ("be.csv", "utf-16be"),
        ("latin.csv", "latin1"),
        ("bom.csv", "utf-8"),
    ] {
        let ran = folder.import(&[file, "--print", "0", "--encoding", encoding]);
        ran.said(
            0,
            &[
                "\"timestamp\":\"2025-07-04T08:00:00Z\"",
                "\"note\":\"grün\"",
            ],
        );
    }
    dry_run(&folder, &["latin.csv"]).said(
        1,
        &["1 rows read, 0 events", "not read 1 wrong_encoding: row 1"],
    );
    folder
        .import(&["latin.csv", "--print", "0", "--encoding", "klingon"])
        .said(2, &["`klingon` is no encoding"]);
}

#[test]
fn packed_files_and_json_are_the_same_rows() {
    let folder = folder(SQL);
    let plain = rows(3, |_| None);
    folder.file("a.csv", &plain);
    folder.file("b.csv.zst", zstd::encode_all(plain.as_bytes(), 1).unwrap());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, plain.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    folder.file("c.csv.gz", &gzip);
    let objects: Vec<String> = plain
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!(
                r#"{{"t":"{}","rpm":{},"note":"{}"}}"#,
                cells[0], cells[1], cells[2]
            )
        })
        .collect();
    folder.file("d.ndjson", objects.join("\n"));
    folder.file("e.json", format!("[{}]", objects.join(",")));
    let wanted = folder.import(&["a.csv", "--print", "0"]).out;
    assert_eq!(wanted.lines().count(), 3);
    for file in ["b.csv.zst", "c.csv.gz", "d.ndjson", "e.json"] {
        assert_eq!(folder.import(&[file, "--print", "0"]).out, wanted, "{file}");
    }
    // Cut off: what was read is told, and that it is not all.
    folder.file("cut.csv.gz", &gzip[..gzip.len() - 9]);
    dry_run(&folder, &["cut.csv.gz"]).said(1, &["failed:", "cannot read `cut.csv.gz`"]);
    folder.file("f.ndjson", format!("{}\n{{\"t\":\n[1]\n", objects[0]));
    dry_run(&folder, &["f.ndjson"]).said(
        1,
        &[
            "3 rows read, 1 events",
            "not read 1 invalid_json: row 2",
            "not read 1 not_an_object: row 3",
        ],
    );
}

#[test]
fn parquet_is_read_with_its_types() {
    let folder = folder(
        "SELECT row, 'car-7' AS vehicle_id, '0x7E8' AS can_id, to_timestamp_millis(ms) AS timestamp, rpm AS engine_rpm
         FROM input WHERE row > 1",
    );
    let columns: [(&str, ArrayRef); 2] = [
        (
            "ms",
            Arc::new(Int64Array::from(vec![1_751_616_000_000, 1_751_616_001_500])),
        ),
        ("rpm", Arc::new(Float64Array::from(vec![900.5, 901.25]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    for (name, packed) in [
        ("a.parquet", parquet::basic::Compression::SNAPPY),
        ("b.parquet", parquet::basic::Compression::UNCOMPRESSED),
    ] {
        let properties = parquet::file::properties::WriterProperties::builder()
            .set_compression(packed)
            .build();
        let file = std::fs::File::create(folder.path().join(name)).unwrap();
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let ran = folder.import(&[name, "--print", "0"]);
        let event = r#"{"vehicle_id":"car-7","can_id":"0x7E8","timestamp":"2025-07-04T08:00:01.500Z","payload":{"engine_rpm":901.25}}"#;
        assert_eq!(ran.out.trim_end(), event, "{}", ran.err);
    }
    folder.file("c.parquet", "no such thing");
    folder
        .import(&["c.parquet", "--print", "0"])
        .said(2, &["cannot read `c.parquet` as Parquet"]);
}

#[test]
fn the_first_events_are_printed_and_bounds_hold_over_files() {
    let folder = folder(SQL);
    folder.file("a.csv", rows(3, |_| None));
    folder.file("b.csv", rows(3, |_| None));
    let lines = |arguments: &[&str]| folder.import(arguments).out.lines().count();
    assert_eq!(lines(&["a.csv", "b.csv", "--print", "2"]), 2);
    assert_eq!(
        lines(&["a.csv", "b.csv", "--print", "0", "--limit", "4"]),
        4
    );
    assert_eq!(
        lines(&["a.csv", "b.csv", "--print", "0", "--from", "b.csv:2"]),
        2
    );
    folder
        .import(&["a.csv", "--print", "0", "--from", "x.csv:2"])
        .said(2, &["`x.csv` is none of the files"]);
    folder
        .import(&["none*.csv", "--print", "0"])
        .said(2, &["no file `none*.csv`"]);
    folder.file("empty.csv", "");
    folder
        .import(&["empty.csv", "--print", "0"])
        .said(2, &["it is empty"]);
}
