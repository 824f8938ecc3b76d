//! What a run stands on: an endpoint, queues and a bucket of its own, the proxy, the processes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use aws::{Aws, Lake, Queue};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::CrashConfig;
use crate::guarded::{Guarded, Variables, binary, free_ports};
use crate::plan::{Process, Service};
use crate::processes::{Processes, Recipe};
use crate::proxy::Proxy;

/// Longest time for local-aws to answer.
const EMULATION_START: Duration = Duration::from_secs(60);

/// Everything of one run. Dropped in this order: the processes first.
pub(crate) struct Stand {
    pub(crate) processes: Processes,
    pub(crate) proxy: Proxy,
    pub(crate) lake: Lake,
    pub(crate) queue: Queue,
    pub(crate) dead_letters: Queue,
    pub(crate) logs: Logs,
    pub(crate) api_key: SecretString,
    /// For commands of the services: the endpoint and the queues.
    pub(crate) variables: Variables,
    _emulation: Option<Guarded>,
}

/// The folder of logs.
pub(crate) struct Logs {
    pub(crate) folder: PathBuf,
    /// Whether nobody asked for it.
    temporary: bool,
}

impl Logs {
    fn prepare(wanted: Option<&Path>, run: &str) -> anyhow::Result<Logs> {
        let logs = Logs {
            folder: match wanted {
                Some(folder) => folder.to_owned(),
                None => std::env::temp_dir().join(format!("headwater-{run}")),
            },
            temporary: wanted.is_none(),
        };
        std::fs::create_dir_all(&logs.folder)
            .with_context(|| format!("cannot make the folder `{}`", logs.folder.display()))?;
        Ok(logs)
    }

    /// Removes what nobody asked for; to be called when nothing is wrong.
    pub(crate) fn remove_if_temporary(&self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.folder)
        {
            tracing::warn!(event = "logs_stay", folder = %self.folder.display(), %error);
        }
    }
}

impl Stand {
    /// Finds the endpoint and makes queues and bucket; starts the proxy, and no service yet.
    ///
    /// # Errors
    ///
    /// If the endpoint is not on this machine or does not answer, or a binary is missing.
    pub(crate) async fn prepare(config: &CrashConfig, seed: u64) -> anyhow::Result<Stand> {
        // Not from the seed: a run that is repeated must not meet what the first one left.
        let run = format!("crash-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let connected = match config.local_aws {
            true => None,
            false => Some(Aws::connect().await?),
        };
        // Before anything is made.
        connected.as_ref().map(loopback).transpose()?;
        for service in Service::ALL {
            binary(service.binary())?;
        }
        let logs = Logs::prepare(config.logs.as_deref(), &run)?;
        let (aws, emulation) = match connected {
            Some(aws) => (aws, None),
            None => {
                let (aws, emulation) = emulation(&logs.folder).await?;
                (aws, Some(emulation))
            }
        };
        let endpoint = loopback(&aws)?.to_owned();
        let dlq = format!("{run}-dlq");
        let failed = |error: aws::CallError| {
            let advice = aws.advice(&error);
            anyhow::Error::new(error).context(advice)
        };
        aws::setup::create_queues(&aws, &run, &dlq)
            .await
            .map_err(failed)?;
        aws::setup::create_bucket(&aws, &run)
            .await
            .map_err(failed)?;
        let proxy = Proxy::start(&endpoint, seed).await?;
        let api_key = SecretString::from(Uuid::new_v4().simple().to_string());
        let variables = |endpoint: String| {
            vec![
                ("AWS_ENDPOINT_URL", endpoint),
                ("QUEUE_NAME", run.clone()),
                ("DLQ_NAME", dlq.clone()),
                ("LAKE_BUCKET", run.clone()),
                ("CREATE", "false".to_owned()),
            ]
        };
        let processes = Processes::prepare(
            config.counts().all(),
            |service| recipe(service, variables(proxy.url()), &api_key),
            &logs.folder,
        )?;
        Ok(Stand {
            processes,
            proxy,
            lake: aws.lake(&run),
            queue: aws.queue(&run).await?,
            dead_letters: aws.queue(&dlq).await?,
            logs,
            api_key,
            variables: variables(endpoint),
            _emulation: emulation,
        })
    }

    /// Where ingest is.
    pub(crate) fn ingest_url(&self) -> anyhow::Result<String> {
        let ingest = Process {
            service: Service::Ingest,
            number: 1,
        };
        self.processes.url(ingest).context("there is no ingest")
    }
}

/// The endpoint, if it is one on this machine that speaks plain HTTP.
fn loopback(aws: &Aws) -> anyhow::Result<&str> {
    const INSTEAD: &str = "set AWS_ENDPOINT_URL to LocalStack or local-aws on this machine, such as \
                           http://127.0.0.1:4566, or give --local-aws";
    match aws.endpoint() {
        Some(endpoint) if aws.is_loopback() && endpoint.starts_with("http://") => Ok(endpoint),
        Some(endpoint) => bail!(
            "will not run against {endpoint}: crash rounds make queues and a bucket and break \
             things on purpose; {INSTEAD}"
        ),
        None => bail!(
            "will not run against AWS itself: crash rounds make queues and a bucket and break \
             things on purpose; {INSTEAD}"
        ),
    }
}

/// Starts local-aws on a free port.
async fn emulation(logs: &Path) -> anyhow::Result<(Aws, Guarded)> {
    let port = free_ports(1)?.pop().context("there is no free port")?;
    let listen = format!("127.0.0.1:{port}");
    let mut process = Guarded::start(
        &binary("local-aws")?,
        &["--listen", &listen],
        &[],
        &logs.join("local-aws.log"),
    )?;
    let endpoint = format!("http://{listen}");
    let http = reqwest::Client::builder().no_proxy().build()?;
    let deadline = Instant::now() + EMULATION_START;
    while http
        .get(format!("{endpoint}/_local/health"))
        .send()
        .await
        .is_err()
    {
        if process.ended()?.is_some() || Instant::now() >= deadline {
            bail!(
                "local-aws does not answer at {endpoint}: see `{}`",
                logs.join("local-aws.log").display()
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let http = aws_smithy_http_client::Builder::new().build_http();
    Ok((Aws::emulated(http, &endpoint), process))
}

fn recipe(service: Service, mut variables: Variables, api_key: &SecretString) -> Recipe {
    let mut set = |name, value: &str| variables.push((name, value.to_owned()));
    match service {
        Service::Ingest => set("API_KEYS", api_key.expose_secret()),
        Service::Consumer => {
            // What a killed consumer held comes again within a round or two.
            set("VISIBILITY_TIMEOUT", "8s");
            set("BATCH_MAX_WAIT", "1s");
            set("POLL_WAIT", "2s");
        }
        Service::Aggregator => set("INTERVAL", "2s"),
    }
    Recipe {
        arguments: match service {
            Service::Ingest => &[],
            Service::Consumer => &["run"],
            Service::Aggregator => &["watch"],
        },
        variables,
        listen: match service {
            Service::Ingest => "LISTEN",
            Service::Consumer | Service::Aggregator => "METRICS_LISTEN",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_endpoint_on_this_machine_is_taken() {
        let emulated = |endpoint| {
            let http = aws_smithy_http_client::Builder::new().build_http();
            Aws::emulated(http, endpoint)
        };
        let local = emulated("http://127.0.0.1:4566");
        assert_eq!(loopback(&local).unwrap(), "http://127.0.0.1:4566");
        for other in [
            "https://sqs.us-east-1.amazonaws.com",
            "http://localstack:4566",
        ] {
            let error = loopback(&emulated(other)).unwrap_err().to_string();
            assert!(
                error.contains(other) && error.contains("--local-aws"),
                "{error}"
            );
        }
    }
}
