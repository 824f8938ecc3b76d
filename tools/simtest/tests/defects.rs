//! Each defect, planted, is found within a thousand seeds, by one that holds without it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use planted::Defect;
use simtest::run::{RunResult, run_of};
use simtest::subject::Subject;
use simtest::trace::Keep;

/// The first seed that finds the defect, and what it says of it.
fn found_by(defect: Defect) -> RunResult {
    found_in(Subject::Pipeline, defect)
}

fn found_in(subject: Subject, defect: Defect) -> RunResult {
    // The defect is in what this thread runs, and each run keeps to one thread.
    planted::plant(Some(defect));
    let found = (1..=1_000)
        .map(|seed| run_of(subject, seed, Keep::Hash).unwrap())
        .find(|result| !result.failures.is_empty());
    planted::plant(None);
    let found = found.unwrap_or_else(|| panic!("{defect:?} is not found"));
    // It is found by what the defect does only if the seed holds without it.
    let without = run_of(subject, found.seed, Keep::Hash).unwrap();
    assert_eq!(without.failures, Vec::<String>::new(), "{}", found.seed);
    println!(
        "{defect:?}: found by seed {}: {}",
        found.seed, found.failures[0]
    );
    found
}

/// What the failures say, in all.
fn words(result: &RunResult) -> String {
    result.failures.join("\n")
}

#[test]
fn a_consumer_that_deletes_before_it_puts_is_found() {
    let found = found_by(Defect::DeleteBeforePut);
    assert!(words(&found).contains("lost"), "{}", words(&found));
}

#[test]
fn a_consumer_that_forgets_dead_letters_is_found() {
    let found = found_by(Defect::ForgetLetters);
    assert!(
        words(&found).contains("dead letters missing"),
        "{}",
        words(&found)
    );
}

#[test]
fn clients_that_ignore_failed_entries_are_found() {
    found_by(Defect::IgnoreFailedEntries);
}

#[test]
fn an_ingest_that_answers_before_it_sends_is_found() {
    let found = found_by(Defect::AcknowledgeBeforeSend);
    assert!(words(&found).contains("lost"), "{}", words(&found));
}

#[test]
fn an_aggregator_that_skips_the_check_of_ids_is_found() {
    let found = found_by(Defect::SkipIdCheck);
    assert!(words(&found).contains("duplicated"), "{}", words(&found));
}

#[test]
fn an_aggregator_that_finishes_intents_under_new_names_is_found() {
    let found = found_by(Defect::FinishUnderNewNames);
    assert!(words(&found).contains("duplicated"), "{}", words(&found));
}

#[test]
fn an_aggregator_that_replaces_aggregates_blindly_is_found() {
    found_by(Defect::ReplaceBlindly);
}

#[test]
fn a_spill_that_loses_its_last_block_is_found() {
    let found = found_by(Defect::LoseLastSpillBlock);
    assert!(words(&found).contains("lost"), "{}", words(&found));
}

#[test]
fn an_aggregator_that_loses_what_it_puts_off_is_found() {
    let found = found_by(Defect::LosePutOff);
    assert!(words(&found).contains("lost"), "{}", words(&found));
}

#[test]
fn an_aggregator_that_goes_on_counting_what_is_forgotten_is_found() {
    let found = found_by(Defect::ForgetRowsAlone);
    assert!(words(&found).contains("gone-1"), "{}", words(&found));
}

#[test]
fn an_aggregator_that_trusts_the_order_of_names_is_found() {
    let found = found_by(Defect::TrustNameOrder);
    assert!(words(&found).contains("lost"), "{}", words(&found));
}

#[test]
fn a_snapshot_that_keeps_rows_of_committed_objects_is_found() {
    let found = found_by(Defect::KeepCommittedRows);
    assert!(words(&found).contains("times"), "{}", words(&found));
}

#[test]
fn alerts_that_are_sent_before_they_are_recorded_are_found() {
    let found = found_in(Subject::Alerts, Defect::SendBeforeRecord);
    assert!(
        words(&found).contains("what is not in the log"),
        "{}",
        words(&found)
    );
}

#[test]
fn a_watermark_that_stands_on_the_clocks_of_devices_is_found() {
    let found = found_in(Subject::Alerts, Defect::TrustDeviceClocks);
    assert!(
        words(&found).contains("was not told of"),
        "{}",
        words(&found)
    );
}

#[test]
fn a_restart_that_begins_the_wait_of_a_rule_again_is_found() {
    found_in(Subject::Alerts, Defect::RestartHold);
}

#[test]
fn every_defect_has_a_test() {
    let tests = include_str!("defects.rs");
    for defect in Defect::ALL {
        let by_alerts = format!("found_in(Subject::Alerts, Defect::{defect:?})");
        assert!(
            tests.contains(&format!("found_by(Defect::{defect:?})")) || tests.contains(&by_alerts),
            "{defect:?}"
        );
    }
}
