//! Endpoints other than AWS itself: whether one is valid, on this machine, and safe from others on the way to it.

/// `AWS_ENDPOINT_URL` is set, and is not the URL of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "AWS_ENDPOINT_URL is `{0}`, which is not an http or https URL: set it to one, such as http://127.0.0.1:4566, \
     or unset it for AWS itself"
)]
pub struct NotAnEndpoint(pub String);

/// Compares the endpoint that the SDK took with what the environment asks for.
///
/// # Errors
///
/// [`NotAnEndpoint`] where the SDK took none or one without http, although the environment names one.
#[expect(
    clippy::disallowed_methods,
    reason = "asks for the SDK's own variables, which clap does not read"
)]
pub(crate) fn check_endpoint(taken: Option<&str>) -> Result<(), NotAnEndpoint> {
    let asked = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
    let ignored = std::env::var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_ok();
    let wanted = match taken {
        Some(taken) => taken,
        None if ignored => return Ok(()),
        None => asked.trim(),
    };
    let is_http = ["http://", "https://"]
        .iter()
        .any(|scheme| wanted.starts_with(scheme));
    if wanted.is_empty() || taken.is_some() && is_http {
        Ok(())
    } else {
        Err(NotAnEndpoint(wanted.to_owned()))
    }
}

/// Whether nobody can change a request on its way to the endpoint: TLS protects it, or it stays on this machine.
pub(crate) fn is_private(endpoint: &str) -> bool {
    endpoint.starts_with("https://") || is_loopback(endpoint)
}

/// Whether the endpoint is on this machine.
pub(crate) fn is_loopback(endpoint: &str) -> bool {
    let host = endpoint.split("://").last().unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        // Names below `localhost` are this machine too: RFC 6761, section 6.3.
        || host.ends_with(".localhost")
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{is_loopback, is_private};

    #[test]
    fn only_this_machine_is_loopback() {
        for local in [
            "http://localhost:4566",
            "http://in-process.localhost",
            "http://127.0.0.1:4566/",
            "http://[::1]:4566",
            "http://127.9.9.9",
        ] {
            assert!(is_loopback(local), "{local}");
        }
        for remote in [
            "https://sqs.us-east-1.amazonaws.com",
            "http://localstack:4566",
            "http://localhost.example.com",
        ] {
            assert!(!is_loopback(remote), "{remote}");
        }
    }

    #[test]
    fn what_goes_in_the_clear_to_another_machine_is_not_private() {
        assert!(is_private("http://127.0.0.1:4566"));
        assert!(is_private("https://s3.us-east-1.amazonaws.com"));
        assert!(!is_private("http://localstack:4566"));
    }
}
