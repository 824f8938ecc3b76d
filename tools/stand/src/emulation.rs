//! SQS and S3 for one run: `local-aws` as a process.

use std::path::Path;

use aws::Aws;

use crate::environment::Variables;
use crate::ports::free_port;
use crate::process::{Process, ProcessSpec};
use crate::program::program;

/// A `local-aws` that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Emulation {
    process: Process,
    endpoint: String,
}

impl Emulation {
    /// Starts `local-aws` on a free port, with further `arguments` such as `--data=FOLDER`, and waits
    /// until it answers. Without `--data` it keeps objects in memory. Its log is in `folder`.
    ///
    /// # Errors
    ///
    /// If its binary is missing, or it does not answer in time.
    pub async fn start(folder: &Path, arguments: &[String]) -> anyhow::Result<Emulation> {
        let listen = format!("127.0.0.1:{}", free_port()?);
        let spec = ProcessSpec {
            name: "local-aws".to_owned(),
            binary: program("local-aws")?,
            arguments: [&[format!("--listen={listen}")], arguments].concat(),
            variables: Variables::new(),
            folder: folder.to_owned(),
        };
        let process = spec.start()?;
        let endpoint = format!("http://{listen}");
        process.ready(&format!("{endpoint}/_local/health")).await?;
        Ok(Emulation { process, endpoint })
    }

    /// The endpoint's URL: `http://127.0.0.1:21234`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Stops it by SIGTERM.
    ///
    /// # Errors
    ///
    /// As [`Process::stop`].
    pub async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await
    }
}

/// Clients of an emulation that speaks plain HTTP at `endpoint`, whatever the environment says.
pub fn aws_at(endpoint: &str) -> Aws {
    let http = aws_smithy_http_client::Builder::new().build_http();
    Aws::emulated(http, endpoint)
}
