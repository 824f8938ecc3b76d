//! A seed decides a run: the same seed gives the same trace, line by line.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use simtest::run::{run, run_of};
use simtest::subject::Subject;
use simtest::trace::Keep;

#[test]
fn the_same_seed_gives_the_same_trace() {
    give_the_same_trace(Subject::Pipeline, 1..=25);
}

#[test]
fn the_same_seed_gives_the_same_trace_of_alerts() {
    give_the_same_trace(Subject::Alerts, 1..=12);
}

fn give_the_same_trace(subject: Subject, seeds: std::ops::RangeInclusive<u64>) {
    for seed in seeds {
        // On threads of their own, beside each other: neither the thread nor its neighbours count.
        let traces = std::thread::scope(|scope| {
            let run = move || run_of(subject, seed, Keep::Lines).unwrap().trace;
            let runs = [(); 2].map(|()| scope.spawn(run));
            runs.map(|run| run.join().unwrap())
        });
        let [one, two] = traces;
        assert!(one.len() > 50, "seed {seed}: {} lines", one.len());
        let lines = one.iter().zip(&two).enumerate();
        for (number, (one, two)) in lines {
            assert_eq!(one, two, "seed {seed}, line {number}");
        }
        assert_eq!(one.len(), two.len(), "seed {seed}");
    }
}

#[test]
fn other_seeds_give_other_runs() {
    let digests: std::collections::BTreeSet<u64> = (1..=10)
        .map(|seed| run(seed, Keep::Hash).unwrap().digest)
        .collect();
    assert_eq!(digests.len(), 10);
}

#[test]
fn another_process_gives_the_same_trace_too() {
    let trace = || {
        let output = Command::new(env!("CARGO_BIN_EXE_simtest"))
            .args(["--seed", "7"])
            .env_remove("RUST_LOG")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (one, two) = (trace(), trace());
    assert!(one.ends_with("seeds 1, failures 0\n"), "{one}");
    assert_eq!(one, two);
}

#[test]
fn many_seeds_end_in_one_line_that_says_how_it_went() {
    let output = Command::new(env!("CARGO_BIN_EXE_simtest"))
        .args(["--seeds", "5", "--from", "100", "--attacks=false"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().last(), Some("seeds 5, failures 0"));
}
