//! The page on cost shows what the calculator says, and the calculator prints it.

use std::fmt::Write;
use std::process::{Command as Process, Stdio};

use clap::Parser;
use headwater::{Bill, Cli, Command, Table, compare};

fn bills(rate: &str, batch: &str) -> [Bill; 4] {
    let cli = Cli::parse_from(["headwater", "cost", "--rate", rate, "--batch", batch]);
    let Command::Cost(config) = cli.command() else {
        panic!("not the calculator")
    };
    config.check().expect("the defaults work");
    compare(&config)
}

#[test]
fn the_tables_of_the_page_are_the_calculators() {
    let mut text = String::new();
    for (rate, shown) in [
        ("100", "100"),
        ("10000", "10,000"),
        ("1000000", "1,000,000"),
    ] {
        let single = bills(rate, "1");
        let mark = if single[0].needs_lanes() {
            format!(", which need {} lanes", single[0].lanes)
        } else {
            String::new()
        };
        writeln!(
            text,
            "\n### {shown} events a second{mark}\n\nOne event a post:\n"
        )
        .unwrap();
        writeln!(
            text,
            "{}\n500 a post:\n\n{}",
            Table(&single),
            Table(&bills(rate, "500"))
        )
        .unwrap();
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cost.md");
    let page = std::fs::read_to_string(page).unwrap();
    let between = page.split_once("<!-- tables -->\n").unwrap().1;
    let there = between.split_once("<!-- /tables -->").unwrap().0;
    assert_eq!(
        there.trim(),
        text.trim(),
        "docs/cost.md should hold\n{text}"
    );
}

#[test]
fn the_page_says_what_posts_of_many_events_save() {
    let [single, plain, ..] = bills("100", "1");
    let [bulk, ..] = bills("100", "500");
    let said = format!(
        "${:.2} a month rather than ${:.2}, and the plain plan without packs takes ${:.2}",
        bulk.total, single.total, plain.total
    );
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cost.md");
    let page = std::fs::read_to_string(page).unwrap().replace('\n', " ");
    assert!(page.contains(&said), "docs/cost.md should hold {said}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut cost = Process::new(env!("CARGO_BIN_EXE_headwater"))
        .arg("cost")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(cost.stdout.take());
    let ended = cost.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.is_empty(), "{said}");
}
