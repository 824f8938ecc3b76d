//! Each example of docs/import.md: the file, the SQL, and the events that come of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;

use common::Folder;

/// The fenced blocks of a page: what stands behind the fence, and the text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix("```") {
            let text = lines.by_ref().take_while(|line| !line.starts_with("```"));
            blocks.push((
                info.to_owned(),
                text.map(|line| format!("{line}\n")).collect(),
            ));
        }
    }
    blocks
}

#[test]
fn each_documented_mapping_makes_the_events_that_stand_below_it() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/import.md"))
            .unwrap();
    let blocks = blocks(&page);
    let mut tried = 0;
    for example in blocks.windows(3) {
        let [(file, rows), (sql_is, sql), (events_are, events)] = example else {
            unreachable!()
        };
        let (Some((_, name)), "sql", "json") =
            (file.split_once(' '), sql_is.as_str(), events_are.as_str())
        else {
            continue;
        };
        let folder = Folder::new(sql);
        folder.file(name, rows);
        let ran = folder.import(&[name, "--print", "0"]);
        ran.said(0, &[]);
        assert_eq!(ran.out, *events, "{name}");
        tried += 1;
    }
    assert_eq!(tried, 9);
}
