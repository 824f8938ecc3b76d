//! A whole run: states, storm, kills, and the count.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Context, bail};
use contract::Kinds;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use stand::{
    Emulation, POLL, Process, ProcessSpec, Variables, aws_at, free_ports, http_client, program,
};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::config::AlertsConfig;
use super::receivers::{CHANNELS, Receivers, STUCK};
use super::states::{Api, KEY, States, are_there, stuck_id};
use super::{feed, settings};
use crate::logs::Logs;

/// Longest time for the alerts to come to their states, and for a process to lead.
const SETTLE: Duration = Duration::from_secs(120);

/// Longest life of a process while nothing more arrives, as when all that is left waits.
const LONGEST_LIFE: Duration = Duration::from_secs(40);

/// Longest time without a message after the last kill: a receiver that failed is tried each five minutes.
const QUIET: Duration = Duration::from_secs(400);

/// Most repeats: one of a hundred.
const MOST_REPEATS: usize = 100;

/// Longest that an answer of the API may take, on a machine that builds something else meanwhile.
const PROBE: Duration = Duration::from_secs(30);

/// All of a run. The process is dropped first.
struct Stage {
    process: Option<Process>,
    spec: ProcessSpec,
    api: Api,
    admin: String,
    receivers: Receivers,
    _states: AbortOnDropHandle<anyhow::Result<()>>,
    lake: aws::Lake,
    _emulation: Emulation,
}

/// Runs it, and says whether nothing is wrong.
///
/// # Errors
///
/// If a program is missing, or `alerts` does not come to what the run begins with.
pub(crate) async fn run(
    config: &AlertsConfig,
    seed: u64,
    logs: &Logs,
    stop: &CancellationToken,
) -> anyhow::Result<bool> {
    let mut stage = Stage::prepare(logs).await?;
    tokio::select! {
        biased;
        () = stop.cancelled() => {
            eprintln!("chaos: stopped before a verdict");
            Ok(false)
        }
        ended = stage.go_through(config, seed) => ended,
    }
}

impl Stage {
    async fn prepare(logs: &Logs) -> anyhow::Result<Stage> {
        let binary = program("alerts")?;
        let emulation = Emulation::start(&logs.folder, &[]).await?;
        let aws = aws_at(emulation.endpoint());
        let name = format!("alerts-{}", &Uuid::new_v4().simple().to_string()[..12]);
        aws::setup::create_queues(&aws, &name, &format!("{name}-dlq")).await?;
        aws::setup::create_bucket(&aws, &name).await?;
        let receivers = Receivers::start().await?;
        let rules = logs.folder.join("rules");
        std::fs::create_dir_all(&rules)?;
        settings::write(&rules, &receivers)?;
        let ports = free_ports(2)?;
        let [listen, metrics] = [ports[0], ports[1]].map(|port| format!("127.0.0.1:{port}"));
        let variables: Variables = [
            ("AWS_ENDPOINT_URL", emulation.endpoint()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("QUEUE_NAME", &name),
            ("LAKE_BUCKET", &name),
            ("READ_KEYS", KEY),
            ("LISTEN", &listen),
            ("METRICS_LISTEN", &metrics),
            ("RULES", &rules.display().to_string()),
            ("ANOMALY_THRESHOLD", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let lake = aws.lake(&name);
        Ok(Stage {
            process: None,
            spec: ProcessSpec {
                name: "alerts".to_owned(),
                binary,
                arguments: Vec::new(),
                variables,
                folder: logs.folder.clone(),
            },
            api: Api {
                http: http_client(PROBE)?,
                url: format!("http://{listen}"),
            },
            admin: format!("http://{metrics}/livez"),
            receivers,
            _states: AbortOnDropHandle::new(tokio::spawn(feed::states(lake.clone()))),
            lake,
            _emulation: emulation,
        })
    }

    async fn go_through(&mut self, config: &AlertsConfig, seed: u64) -> anyhow::Result<bool> {
        let (began, mut chance) = (Instant::now(), StdRng::seed_from_u64(seed));
        let mut wrong: Vec<String> = Vec::new();
        self.start().await?;
        self.until_leads().await?;
        self.api.silence().await.context("cannot set the silence")?;
        let states = self.settle().await?;
        println!(
            "the five alerts are in their states, {} s",
            began.elapsed().as_secs()
        );

        let kinds = Kinds::builtin();
        feed::land(&self.lake, &kinds, &feed::storm(config.episodes(), 7_000.0)).await?;
        let ends = Instant::now() + Duration::from_secs(15);
        let (lake, readings) = (self.lake.clone(), feed::storm(config.episodes(), 2_000.0));
        let ending = AbortOnDropHandle::new(tokio::spawn(async move {
            sleep_until(ends).await;
            feed::land(&lake, &kinds, &readings).await
        }));
        for kill in 0..config.kills {
            if kill == config.kills / 3 {
                self.receivers.come_back();
            }
            let share = (kill + 1) as f64 / f64::from(config.kills + 1);
            let target = (share * config.notifications as f64) as usize;
            self.live(target, chance.random_range(0..250)).await?;
            self.compare(
                &states,
                format_args!("before kill {}", kill + 1),
                &mut wrong,
            )
            .await;
            self.process = None;
            let taken = *self.receivers.taken().borrow();
            println!(
                "kill {:>3}/{}  {taken:>6} messages taken",
                kill + 1,
                config.kills
            );
            self.start().await?;
            self.compare(&states, format_args!("after kill {}", kill + 1), &mut wrong)
                .await;
        }
        ending.await.context("the storm broke off")??;
        self.until_all_is_told(config.notifications).await;
        self.retry(&states, &mut wrong).await?;
        Ok(self.report(config, began.elapsed(), wrong))
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        let process = self.spec.start()?;
        process.ready(&self.admin).await?;
        self.process = Some(process);
        Ok(())
    }

    async fn until_leads(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SETTLE;
        while !self.api.leads().await {
            if Instant::now() > deadline {
                bail!("alerts does not lead after {}s", SETTLE.as_secs());
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    async fn settle(&self) -> anyhow::Result<States> {
        let deadline = Instant::now() + SETTLE;
        loop {
            let states = self.api.states().await?;
            if are_there(&states) {
                return Ok(states);
            }
            if Instant::now() > deadline {
                bail!("the five alerts do not come to their states: {states:#?}");
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Lets the process live until `target` messages have been taken, and at least one since it started; then some
    /// milliseconds more.
    async fn live(&self, target: usize, more: u64) -> anyhow::Result<()> {
        let mut taken = self.receivers.taken();
        let before = *taken.borrow();
        let reached = taken.wait_for(|taken| *taken >= target && *taken > before);
        // Whatever is left may wait for a receiver.
        let _ = timeout(LONGEST_LIFE, reached).await;
        sleep(Duration::from_millis(more)).await;
        match &self.process {
            Some(process) if process.has_ended()? => bail!("alerts ended\n{}", process.log_end()),
            _ => Ok(()),
        }
    }

    async fn compare(&self, states: &States, when: impl Display, wrong: &mut Vec<String>) {
        match self.api.states().await {
            Err(error) => wrong.push(format!("{when}: {error:#}")),
            Ok(now) => {
                let names = states
                    .keys()
                    .filter(|name| states.get(*name) != now.get(*name));
                wrong.extend(names.map(|name| {
                    format!("{when}, {name}: {:?} was {:?}", now.get(name), states[name])
                }));
            }
        }
    }

    async fn until_all_is_told(&self, notifications: usize) {
        let mut taken = self.receivers.taken();
        while self.receivers.tally().counts().delivered < notifications {
            if !timeout(QUIET, taken.changed())
                .await
                .is_ok_and(|told| told.is_ok())
            {
                return;
            }
        }
    }

    /// Mends the receiver that took nothing, and sends again what is stuck, by the command.
    async fn retry(&mut self, states: &States, wrong: &mut Vec<String>) -> anyhow::Result<()> {
        self.receivers.mend();
        self.until_leads().await?;
        let command = ProcessSpec {
            name: "retry".to_owned(),
            arguments: vec!["retry".to_owned()],
            ..self.spec.clone()
        };
        let printed = command.start()?.finish(SETTLE, |_| {}).await?;
        let id = stuck_id(states).context("nothing is stuck")?;
        let deadline = Instant::now() + PROBE;
        while !self.receivers.tally().has_other(STUCK, id) {
            if Instant::now() > deadline {
                wrong.push(format!("`alerts retry` did not send {id}: {printed}"));
                break;
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    fn report(&self, config: &AlertsConfig, took: Duration, wrong: Vec<String>) -> bool {
        let counts = self.receivers.tally().counts();
        let lost = config.notifications.saturating_sub(counts.delivered);
        println!(
            "{} kills, {} s\ndelivered {}, lost {lost}, repeats {} ({:.2} %), of which {} by the receiver that cuts; \
             with another id {}, out of order {}",
            config.kills,
            took.as_secs(),
            counts.delivered,
            counts.repeats,
            counts.repeats as f64 * 100.0 / config.notifications as f64,
            counts.by_cuts,
            counts.other_ids,
            counts.out_of_order,
        );
        println!(
            "pending, firing, kept, silenced and stuck alerts looked at {} times: {} differences",
            2 * config.kills,
            wrong.len()
        );
        wrong.iter().for_each(|wrong| println!("  {wrong}"));
        // In a small run each kill may meet all that can be under way: two messages of each receiver.
        let under_way = 2 * CHANNELS.len() * config.kills.min(3) as usize;
        let few = counts.repeats <= (config.notifications / MOST_REPEATS).max(under_way);
        wrong.is_empty() && lost == 0 && counts.other_ids == 0 && counts.out_of_order == 0 && few
    }
}
