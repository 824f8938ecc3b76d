//! What carries messages: the network and the console, or a test.

use std::fmt::Debug;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::Full;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::{ExposeSecret, SecretString};
use sender::{HttpClient, Trust};
use service::errors::chain;
use service::terminal::ProgressBar;

/// Longest time for one attempt.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Most bytes of an answer that are read; the rest says nothing that is kept.
const MOST_ANSWER: usize = 64 * 1024;

/// Codes of a mail server that wants to know who writes, or not like that: no fault of the mail (RFC 4954, 6).
const NOT_LET_IN: [u16; 4] = [530, 534, 535, 538];

/// The port of SMTP that begins with TLS.
const SMTPS: u16 = 465;

/// A mail server.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name that it is greeted with; the machine's where there is none.
    pub hello: Option<String>,
    /// Name and password; none where it asks for none.
    pub user: Option<(String, SecretString)>,
    /// Whether nothing is sent without TLS. Port 465 always begins with TLS.
    pub require_tls: bool,
}

/// An answer, or why there is none.
pub type HttpReply = Result<Response<Bytes>, String>;

/// The words of a mail server that has taken a mail, or why there are none.
pub type MailReply = Result<String, MailFailure>;

/// A mail that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFailure {
    /// Whether the server says that it never takes this mail, and would take others.
    pub is_permanent: bool,
    /// In words.
    pub reason: String,
}

/// Carries messages. Attempts end within [`ATTEMPT_TIMEOUT`].
pub trait Transport: Debug + Send + Sync {
    /// Sends a request.
    fn http(&self, request: Request<Bytes>) -> BoxFuture<'_, HttpReply>;

    /// Sends a mail by a server.
    fn mail<'t>(&'t self, smtp: &'t Smtp, mail: lettre::Message) -> BoxFuture<'t, MailReply>;

    /// Prints a line.
    fn print(&self, line: &str);
}

/// The network and the standard output of the process.
#[derive(Debug)]
pub struct Network {
    http: HttpClient,
    /// Why there is no TLS; none where there is.
    no_tls: Option<String>,
    /// What is taken off the terminal while a line is printed.
    status: ProgressBar,
}

impl Network {
    /// Trusts the certificates of the system, or of the file that `SSL_CERT_FILE` names. If there are none, receivers
    /// with `https` fail with these words, and others work.
    ///
    /// # Errors
    ///
    /// If the TLS library cannot be set up.
    pub fn new() -> std::io::Result<Network> {
        let (http, no_tls) = match HttpClient::new(ATTEMPT_TIMEOUT, Some(&Trust::default())) {
            Ok(http) => (http, None),
            Err(error) => {
                let reason = format!("no certificates to check the receiver by: {error}");
                (HttpClient::new(ATTEMPT_TIMEOUT, None)?, Some(reason))
            }
        };
        Ok(Network {
            http: http.reading_at_most(MOST_ANSWER),
            no_tls,
            status: ProgressBar::hidden(),
        })
    }

    /// Prints its lines above this one.
    pub fn printing_above(mut self, status: ProgressBar) -> Network {
        self.status = status;
        self
    }
}

impl Transport for Network {
    fn http(&self, request: Request<Bytes>) -> BoxFuture<'_, HttpReply> {
        Box::pin(async move {
            if request.uri().scheme_str() == Some("https")
                && let Some(reason) = &self.no_tls
            {
                return Err(reason.clone());
            }
            let answer = self
                .http
                .send(request.map(Full::new))
                .await
                .map_err(|error| chain(&error))?;
            let mut response = Response::new(Bytes::from(answer.text));
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(response)
        })
    }

    fn mail<'t>(&'t self, smtp: &'t Smtp, mail: lettre::Message) -> BoxFuture<'t, MailReply> {
        Box::pin(async move {
            let sent = async { mailer(smtp)?.send(mail).await };
            let sent = tokio::time::timeout(ATTEMPT_TIMEOUT, sent).await;
            let Ok(sent) = sent else {
                let reason = format!(
                    "no answer within {}",
                    humantime::format_duration(ATTEMPT_TIMEOUT)
                );
                return Err(MailFailure {
                    is_permanent: false,
                    reason,
                });
            };
            let words = |response: lettre::transport::smtp::response::Response| {
                let lines: Vec<&str> = response.message().collect();
                format!("{} {}", response.code(), lines.join(" "))
            };
            sent.map(words).map_err(|error| {
                let is_about_us = error
                    .status()
                    .is_some_and(|code| NOT_LET_IN.contains(&code.into()));
                MailFailure {
                    is_permanent: error.is_permanent() && !is_about_us,
                    reason: chain(&error),
                }
            })
        })
    }

    fn print(&self, line: &str) {
        // Nobody reads an output that is closed.
        let print = || writeln!(std::io::stdout().lock(), "{line}");
        let _ = self.status.suspend(print);
    }
}

fn mailer(
    smtp: &Smtp,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, lettre::transport::smtp::Error> {
    let parameters = || TlsParameters::new(smtp.host.clone());
    let tls = if smtp.port == SMTPS {
        Tls::Wrapper(parameters()?)
    } else if smtp.require_tls {
        Tls::Required(parameters()?)
    } else {
        Tls::Opportunistic(parameters()?)
    };
    let mut mailer = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&smtp.host)
        .port(smtp.port)
        .tls(tls)
        .timeout(Some(ATTEMPT_TIMEOUT));
    if let Some(hello) = &smtp.hello {
        mailer = mailer.hello_name(ClientId::Domain(hello.clone()));
    }
    if let Some((user, password)) = &smtp.user {
        mailer = mailer.credentials(Credentials::new(
            user.clone(),
            password.expose_secret().to_owned(),
        ));
    }
    Ok(mailer.build())
}
