//! A process ends at every place where it can: between the record, the send and the record of its delivery.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::receivers::Manner;
use crate::stage::{ROUTES, Stage, firing, resolved};

/// A future that is polled a number of times at most, and says whether it ended by then.
struct AtMost<F> {
    future: F,
    polls: u32,
}

impl<F: Future + Unpin> Future for AtMost<F> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        if self.polls == 0 {
            return Poll::Ready(false);
        }
        self.polls -= 1;
        Pin::new(&mut self.future).poll(context).map(|_| true)
    }
}

/// Runs a process for so many polls and then another one to the end; says whether the first one came to the end.
async fn die_after(polls: u32, manner: Manner) -> bool {
    let stage = Stage::new().await;
    stage.receivers.behave("one", manner);
    let script = [
        (10, vec![firing("Hot", "1", 10), firing("Cold", "1", 10)]),
        (40, vec![resolved("Hot", "1", 40)]),
        (50, vec![resolved("Cold", "1", 50)]),
    ];
    let future = pin!(stage.whole(ROUTES, &script));
    let ended = AtMost { future, polls }.await;
    if !ended {
        stage.whole(ROUTES, &script).await;
    }
    let mut told: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for taken in stage.receivers.taken() {
        let name = taken.body["groupLabels"]["alertname"]
            .as_str()
            .unwrap()
            .to_owned();
        let status = taken.status().to_owned();
        told.entry(name).or_default().push((status, taken.id));
    }
    for (name, mut told) in told.clone() {
        // A repeat follows its first and has the same id.
        let repeats = told.len() - 2;
        assert!(
            repeats <= 1 || manner != Manner::Good,
            "{polls} polls, {name}: {told:?}"
        );
        told.dedup();
        let statuses: Vec<&str> = told.iter().map(|(status, _)| status.as_str()).collect();
        assert_eq!(
            statuses,
            ["firing", "resolved"],
            "{polls} polls, {name}: {told:?}"
        );
    }
    assert_eq!(told.len(), 2, "{polls} polls: {told:?}");
    ended
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_loses_nothing_and_repeats_with_the_same_id() {
    let mut polls = 0;
    while !die_after(polls, Manner::Good).await {
        polls += 1;
    }
    assert!(polls > 50, "{polls} places to crash");
}

#[tokio::test(start_paused = true)]
async fn a_crash_among_attempts_that_fail_loses_nothing() {
    let mut polls = 0;
    while !die_after(polls, Manner::StatusEach(500, 2)).await {
        polls += 3;
    }
}
