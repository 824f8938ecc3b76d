//! The `dlq` commands: what the library found, printed.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use aws::{Aws, CallError, Queue};
use batch_consumer::dlq::{self, Filter, Letter, Listing};
use chrono::Utc;
use contract::Kinds;
use service::{stop, terminal};
use tokio_util::sync::CancellationToken;

use crate::cli::{Dlq, Queues, USAGE, table};

/// Columns of the table that `list` prints.
#[rustfmt::skip]
const COLUMNS: [&str; 8] = ["MESSAGE ID", "REASON", "KIND", "ENTITY", "EVENTS", "AGE", "RECEIVES", "DETAIL"];

/// Executes the command. Exit codes: 0 done; 1 something failed, was not found or was stopped; 2 not understood.
pub(crate) async fn execute(command: Dlq) -> anyhow::Result<ExitCode> {
    let stop = stop::on_signal().context("cannot listen for signals")?;
    match command {
        Dlq::List { queues, only, json } => {
            let kinds = kinds(&queues)?;
            let dlq = queue(&queues.dlq.dlq_name).await?;
            let listing = dlq::list(&dlq, &kinds, &only.filter(), &stop).await?;
            print_list(&listing, &dlq, json)
        }
        Dlq::Show { queues, id, json } => {
            let kinds = kinds(&queues)?;
            let dlq = queue(&queues.dlq.dlq_name).await?;
            match dlq::show(&dlq, &kinds, &id, &stop).await? {
                Some(letter) => print_letter(&letter, json),
                None => {
                    eprintln!(
                        "batch-consumer: there is no letter `{id}` in `{}`, or another look hides it just now",
                        dlq.name()
                    );
                    Ok(ExitCode::FAILURE)
                }
            }
        }
        Dlq::Replay {
            queues,
            only,
            id,
            dry_run,
        } => {
            let dlq = queue(&queues.dlq.dlq_name).await?;
            let queue = queue(&queues.queue.queue_name).await?;
            let filter = Filter {
                ids: id,
                // Letters that a consumer sends meanwhile are for the next run: this one would not end.
                sent_before: Some(Utc::now()),
                ..only.filter()
            };
            replay(&dlq, &queue, &filter, dry_run, &stop).await
        }
        Dlq::Purge { queues, only, yes } => {
            let dlq = queue(&queues.dlq.dlq_name).await?;
            let purged = dlq::purge(&dlq, &only.filter(), !yes, &stop).await?;
            if !yes {
                eprintln!(
                    "batch-consumer: would delete {} for good: add `--yes` to do it",
                    letters(purged.matched)
                );
                return Ok(ExitCode::from(USAGE));
            }
            let stopped = early(purged.stopped);
            println!(
                "{} deleted, {} failed{stopped}",
                letters(purged.deleted),
                purged.undeleted
            );
            finish(purged.failure, purged.stopped)
        }
    }
}

async fn queue(name: &str) -> anyhow::Result<Queue> {
    let aws = Aws::connect().await?;
    // The commands make no queue: letters are where the pipeline put them.
    let missing = "set DLQ_NAME and QUEUE_NAME as for the consumer";
    let endpoint = aws.endpoint().unwrap_or("AWS");
    let found = aws.queue(name).await;
    found
        .map_err(|error| aws.explain(error).if_missing(missing))
        .with_context(|| format!("cannot find `{name}` at {endpoint}"))
}

fn kinds(queues: &Queues) -> anyhow::Result<Kinds> {
    Kinds::load(queues.contracts.as_deref()).context("CONTRACTS cannot be read")
}

async fn replay(
    dlq: &Queue,
    queue: &Queue,
    filter: &Filter,
    dry_run: bool,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let bar = terminal::bar("sending", 0, "letters");
    let replayed = dlq::replay(dlq, queue, filter, dry_run, stop, |done, all| {
        bar.set_length(all.max(done) as u64);
        bar.set_position(done as u64);
    })
    .await;
    bar.finish_and_clear();
    let replayed = replayed?;
    let stopped = early(replayed.stopped);
    if dry_run {
        println!(
            "{} would be sent to `{}`{stopped}",
            letters(replayed.matched),
            queue.name()
        );
    } else {
        println!(
            "{} sent to `{}`, {} failed, {} sent but not deleted{stopped}",
            letters(replayed.sent),
            queue.name(),
            replayed.unsent,
            replayed.undeleted
        );
    }
    finish(replayed.failure, replayed.stopped)
}

fn print_list(listing: &Listing, dlq: &Queue, json: bool) -> anyhow::Result<ExitCode> {
    let now = Utc::now();
    let mut rows = Vec::new();
    for letter in &listing.letters {
        if json {
            println!("{}", serde_json::to_string(letter)?);
            continue;
        }
        rows.push([
            letter.message_id.clone(),
            letter.reason.clone(),
            letter.kind.as_deref().unwrap_or("-").to_owned(),
            table::short(letter.entity.as_deref().unwrap_or("-"), 24),
            letter.events.to_string(),
            age((now - letter.received_at).to_std().unwrap_or_default()),
            letter.receives.to_string(),
            table::short(letter.detail.as_deref().unwrap_or("-"), 80),
        ]);
    }
    if !rows.is_empty() {
        rows.insert(0, COLUMNS.map(str::to_owned));
        print!("{}", table::aligned(&rows));
    }
    let partial = if listing.partial { ", not all" } else { "" };
    eprintln!(
        "{} listed of {} looked at in `{}`{partial}",
        letters(listing.letters.len()),
        listing.seen,
        dlq.name()
    );
    Ok(ExitCode::SUCCESS)
}

fn print_letter(letter: &Letter, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string(letter)?);
        return Ok(ExitCode::SUCCESS);
    }
    let summary = &letter.summary;
    let mut rows = vec![
        ["message id".to_owned(), summary.message_id.clone()],
        ["reason".to_owned(), summary.reason.clone()],
        ["sent".to_owned(), contract::format_millis(summary.sent_at)],
        ["receives".to_owned(), summary.receives.to_string()],
        ["events".to_owned(), summary.events.to_string()],
        ["bytes".to_owned(), summary.bytes.to_string()],
    ];
    if let Some(error) = &letter.unreadable {
        rows.push(["unreadable".to_owned(), error.clone()]);
    }
    for (name, value) in &letter.attributes {
        rows.push([format!("attribute {name}"), table::printable(value)]);
    }
    print!("{}", table::aligned(&rows));
    println!("\n{}", table::printable(letter.body.trim_end()));
    Ok(ExitCode::SUCCESS)
}

fn finish(failure: Option<CallError>, stopped: bool) -> anyhow::Result<ExitCode> {
    match failure {
        Some(failure) => Err(failure.into()),
        None if stopped => Ok(ExitCode::FAILURE),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn letters(count: usize) -> String {
    format!("{count} letter{}", if count == 1 { "" } else { "s" })
}

fn early(stopped: bool) -> &'static str {
    if stopped {
        "; stopped before the end"
    } else {
        ""
    }
}

/// The age in its two largest units: `3h 12m`.
fn age(age: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(age.as_secs())).to_string();
    text.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ")
}
