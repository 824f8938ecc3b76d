//! The `dlq` commands: what the library found, printed.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws::{Aws, CallError, Queue};
use batch_consumer::dlq::{self, Filter, Letter, Listing, Looked};
use chrono::Utc;
use contract::Kinds;
use service::stop;
use service::terminal::{self, printable};
use tokio_util::sync::CancellationToken;

use crate::cli::{Dlq, Queues, USAGE, table};

/// Columns of the table that `list` prints.
#[rustfmt::skip]
const COLUMNS: [&str; 8] = ["MESSAGE ID", "REASON", "KIND", "ENTITY", "EVENTS", "AGE", "RECEIVES", "DETAIL"];

/// Exit code of a command that could not look at all letters.
const INCOMPLETE: u8 = 3;

/// Executes the command. Exit codes: 0 done; 1 something failed, was not found or was stopped; 2 not understood; 3 not
/// all letters could be looked at.
pub(crate) async fn execute(command: Dlq) -> anyhow::Result<ExitCode> {
    let stop = stop::on_signal().context("cannot listen for signals")?;
    match command {
        Dlq::List { queues, only, json } => {
            let kinds = kinds(&queues)?;
            let dlq = queue(&queues.dlq.dlq_name).await?;
            let filter = only.filter(&kinds, false)?;
            let listing = dlq::list(&dlq, &kinds, &filter, &stop).await?;
            print_list(&listing, &dlq, json)
        }
        Dlq::Show { queues, id, json } => {
            let kinds = kinds(&queues)?;
            let dlq = queue(&queues.dlq.dlq_name).await?;
            let shown = dlq::show(&dlq, &kinds, &id, &stop).await?;
            if let Some(letter) = &shown.letter {
                return print_letter(letter, json);
            }
            eprintln!(
                "batch-consumer: there is no letter `{}` in `{}`, or another look hides it just now{}",
                printable(&id),
                dlq.name(),
                rest(shown.looked)
            );
            Ok(ExitCode::FAILURE)
        }
        Dlq::Replay {
            queues,
            only,
            id,
            dry_run,
        } => {
            let kinds = kinds(&queues)?;
            let dlq = queue(&queues.dlq.dlq_name).await?;
            let queue = queue(&queues.queue.queue_name).await?;
            let filter = Filter {
                ids: id,
                // Letters that a consumer sends meanwhile are for the next run: this one would not end.
                sent_before: Some(Utc::now()),
                ..only.filter(&kinds, false)?
            };
            replay(&dlq, &queue, &filter, dry_run, &stop).await
        }
        Dlq::Purge { queues, only, yes } => {
            let kinds = kinds(&queues)?;
            let dlq = queue(&queues.dlq.dlq_name).await?;
            let filter = only.filter(&kinds, true)?;
            let purged = dlq::purge(&dlq, &filter, !yes, &stop).await?;
            let looked = purged.looked;
            if !yes {
                let would = match (looked.incomplete, filter.is_everything()) {
                    (false, _) => letters(purged.matched),
                    // Each letter that is deleted makes room for a look at another.
                    (true, true) => format!("about {}", letters(looked.all)),
                    (true, false) => format!("at least {}", letters(purged.matched)),
                };
                eprintln!(
                    "batch-consumer: would delete {would} for good: add `--yes` to do it{}",
                    rest(looked)
                );
                return Ok(ExitCode::from(USAGE));
            }
            println!(
                "{} deleted, {} failed{}{}",
                letters(purged.deleted),
                purged.undeleted,
                early(purged.stopped),
                rest(looked)
            );
            finish(purged.failure, purged.stopped, looked)
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

fn kinds(queues: &Queues) -> anyhow::Result<Arc<Kinds>> {
    let kinds = Kinds::load(queues.contracts.as_deref());
    Ok(Arc::new(kinds.context("CONTRACTS cannot be read")?))
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
    let ended = format!("{}{}", early(replayed.stopped), rest(replayed.looked));
    if dry_run {
        println!(
            "{} would be sent to `{}`{ended}",
            letters(replayed.matched - replayed.cut),
            queue.name()
        );
    } else {
        println!(
            "{} sent to `{}`, {} failed, {} sent but not deleted{ended}",
            letters(replayed.sent),
            queue.name(),
            replayed.unsent,
            replayed.undeleted
        );
    }
    if replayed.cut > 0 {
        eprintln!(
            "batch-consumer: {} cannot be sent: the queue holds only the beginning of each, and the lake the whole, \
             at the key in attribute `whole_body`",
            letters(replayed.cut)
        );
    }
    let failed = replayed.stopped || replayed.cut > 0;
    finish(replayed.failure, failed, replayed.looked)
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
            printable(&letter.message_id),
            table::short(&letter.reason, 40),
            table::short(letter.kind.as_deref().unwrap_or("-"), 24),
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
        "{} listed of {} looked at in `{}`{partial}{}",
        letters(listing.letters.len()),
        listing.looked.seen,
        dlq.name(),
        rest(listing.looked)
    );
    finish(None, false, listing.looked)
}

fn print_letter(letter: &Letter, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string(letter)?);
        return Ok(ExitCode::SUCCESS);
    }
    let summary = &letter.summary;
    let mut rows = vec![
        ["message id".to_owned(), printable(&summary.message_id)],
        ["reason".to_owned(), printable(&summary.reason)],
        ["sent".to_owned(), contract::format_millis(summary.sent_at)],
        ["receives".to_owned(), summary.receives.to_string()],
        ["events".to_owned(), summary.events.to_string()],
        ["bytes".to_owned(), summary.bytes.to_string()],
    ];
    if let Some(error) = &letter.unreadable {
        rows.push(["unreadable".to_owned(), error.clone()]);
    }
    for (name, value) in &letter.attributes {
        rows.push([format!("attribute {name}"), printable(value)]);
    }
    print!("{}", table::aligned(&rows));
    println!("\n{}", printable(letter.body.trim_end()));
    Ok(ExitCode::SUCCESS)
}

fn finish(failure: Option<CallError>, failed: bool, looked: Looked) -> anyhow::Result<ExitCode> {
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else if looked.incomplete {
        ExitCode::from(INCOMPLETE)
    } else {
        ExitCode::SUCCESS
    })
}

/// What to add where not all letters could be looked at.
fn rest(looked: Looked) -> String {
    if !looked.incomplete {
        return String::new();
    }
    format!(
        "; looked at {} of about {}: SQS gives no others while so many are looked at, or another look hides them",
        looked.seen, looked.all
    )
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
