//! The pipeline of one run: an endpoint, queues and a bucket of its own, the proxy, the processes.

use std::path::Path;

use anyhow::{Context, bail};
use aws::{Aws, Lake, Queue};
use secrecy::{ExposeSecret, SecretString};
use simulator::Trust;
use stand::{Authority, Emulation, ProcessSpec, Variables, aws_at, inherited, program};
use uuid::Uuid;

use crate::config::Config;
use crate::instance::{Instance, Service};
use crate::logs::Logs;
use crate::processes::Processes;
use crate::proxy::Proxy;

/// Everything of one run. The fields are dropped in this order: the processes first.
pub(crate) struct Deployment {
    pub(crate) processes: Processes,
    pub(crate) proxy: Proxy,
    pub(crate) lake: Lake,
    pub(crate) queue: Queue,
    pub(crate) dead_letters: Queue,
    pub(crate) logs: Logs,
    pub(crate) api_key: SecretString,
    /// How ingest's certificate is trusted, and what it is shown; none where it speaks http.
    pub(crate) trust: Option<Trust>,
    /// Environment of commands that reach the endpoint without the proxy.
    variables: Variables,
    _emulation: Option<Emulation>,
}

impl Deployment {
    /// Finds the endpoint and makes queues and bucket; starts the proxy, and no service yet.
    pub(crate) async fn prepare(config: &Config, seed: u64) -> anyhow::Result<Deployment> {
        // Not from the seed: a run that is repeated must not meet what the first one left.
        let run = format!("crash-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let connected = if config.local_aws {
            None
        } else {
            Some(Aws::connect().await?)
        };
        // Before anything is made.
        connected.as_ref().map(loopback).transpose()?;
        for service in Service::ALL {
            program(service.binary())?;
        }
        let logs = Logs::prepare(config.logs.as_deref(), &run)?;
        let (aws, emulation) = match connected {
            Some(aws) => (aws, None),
            None => {
                let emulation = Emulation::start(&logs.folder, &[]).await?;
                (aws_at(emulation.endpoint()), Some(emulation))
            }
        };
        let endpoint = loopback(&aws)?.to_owned();
        let dlq = format!("{run}-dlq");
        let failed = |error| aws.explain(error);
        aws::setup::create_queues(&aws, &run, &dlq)
            .await
            .map_err(failed)?;
        aws::setup::create_bucket(&aws, &run)
            .await
            .map_err(failed)?;
        let proxy = Proxy::start(&endpoint, seed).await?;
        let api_key = SecretString::from(Uuid::new_v4().simple().to_string());
        let (tls, trust) = match config.tls {
            true => {
                let (tls, trust) = certificates(&logs.folder)?;
                (tls, Some(trust))
            }
            false => (Variables::new(), None),
        };
        let variables = |endpoint: String| variables(endpoint, &run);
        let processes = Processes::prepare(config.counts().all(), |instance, ports| {
            let mut variables = variables(proxy.url());
            let mut set = |name: &str, value: &str| variables.push((name.into(), value.into()));
            set("METRICS_LISTEN", &format!("127.0.0.1:{}", ports.admin));
            let arguments = match instance.service {
                Service::Ingest => {
                    set("LISTEN", &format!("127.0.0.1:{}", ports.clients));
                    set("API_KEYS", api_key.expose_secret());
                    variables.extend(tls.iter().cloned());
                    vec![]
                }
                Service::Consumer => {
                    // What a killed consumer held comes again within a round or two.
                    set("VISIBILITY_TIMEOUT", "8s");
                    set("BATCH_MAX_WAIT", "1s");
                    set("POLL_WAIT", "2s");
                    vec!["run".to_owned()]
                }
                Service::Aggregator => {
                    set("INTERVAL", "2s");
                    set("COMMIT_MAX_AGE", "0s");
                    vec!["watch".to_owned()]
                }
            };
            Ok(ProcessSpec {
                name: instance.to_string().replace(' ', "-"),
                binary: program(instance.service.binary())?,
                arguments,
                variables,
                folder: logs.folder.clone(),
            })
        })?;
        Ok(Deployment {
            processes,
            proxy,
            lake: aws.lake(&run),
            queue: aws.queue(&run).await?,
            dead_letters: aws.queue(&dlq).await?,
            logs,
            api_key,
            trust,
            variables: variables(endpoint),
            _emulation: emulation,
        })
    }

    /// Where ingest is.
    pub(crate) fn ingest_url(&self) -> anyhow::Result<String> {
        let ingest = Instance {
            service: Service::Ingest,
            number: 1,
        };
        let address = self.processes.address(ingest);
        let scheme = if self.trust.is_some() {
            "https"
        } else {
            "http"
        };
        Ok(format!(
            "{scheme}://{}",
            address.context("there is no ingest")?
        ))
    }

    /// How `batch-consumer dlq` is started with these arguments.
    pub(crate) fn dlq(&self, arguments: &[&str]) -> anyhow::Result<ProcessSpec> {
        let all = ["dlq"].iter().chain(arguments);
        Ok(ProcessSpec {
            name: "dlq".to_owned(),
            binary: program("batch-consumer")?,
            arguments: all.map(ToString::to_string).collect(),
            variables: self.variables.clone(),
            folder: self.logs.folder.clone(),
        })
    }
}

/// Certificates of an authority of the run's own: the variables of ingest that name them, and how a client is set up.
fn certificates(folder: &Path) -> anyhow::Result<(Variables, Trust)> {
    let authority = Authority::new("chaos")?;
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, authority.pem()).context("cannot write the CA")?;
    let server = authority.issue("ingest", &["127.0.0.1"])?;
    let [cert, key] = server.write(folder, "ingest-tls")?;
    let client = authority.issue("load", &[])?;
    let [client_cert, client_key] = client.write(folder, "load-tls")?;
    let named = [
        ("TLS_CERT", &cert),
        ("TLS_KEY", &key),
        ("TLS_CLIENT_CA", &ca),
    ];
    let named = named.map(|(name, path)| (name.to_owned(), path.display().to_string()));
    let trust = Trust {
        ca_file: Some(ca),
        client_cert: Some(client_cert),
        client_key: Some(client_key),
    };
    Ok((named.into(), trust))
}

/// The environment of a service or command that uses `endpoint`, and the queues and bucket of `run`.
fn variables(endpoint: String, run: &str) -> Variables {
    let mut variables = inherited(|name| {
        // No way around the proxy.
        let aws = name.starts_with("AWS_") && !name.starts_with("AWS_ENDPOINT_URL");
        aws || name == "RUST_LOG" || name == "RUST_BACKTRACE"
    });
    let fixed = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("QUEUE_NAME", run.to_owned()),
        ("DLQ_NAME", format!("{run}-dlq")),
        ("LAKE_BUCKET", run.to_owned()),
        ("CREATE", "false".to_owned()),
    ];
    variables.extend(fixed.map(|(name, value)| (name.to_owned(), value)));
    variables
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_endpoint_on_this_machine_is_taken() {
        let local = aws_at("http://127.0.0.1:4566");
        assert_eq!(loopback(&local).unwrap(), "http://127.0.0.1:4566");
        for other in [
            "https://sqs.us-east-1.amazonaws.com",
            "http://localstack:4566",
        ] {
            let error = loopback(&aws_at(other)).unwrap_err().to_string();
            assert!(
                error.contains(other) && error.contains("--local-aws"),
                "{error}"
            );
        }
    }
}
