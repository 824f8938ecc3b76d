//! Who may ask over a socket: no page of a web site, and nobody under a name that another's DNS leads here.
//!
//! Signatures are not checked, so whoever reaches the port may do everything, and a page in a developer's browser
//! reaches loopback: by a request across sites, which carries `Origin` or `Sec-Fetch-Site`
//! (<https://www.w3.org/TR/fetch-metadata/>), or under a name of its own that it has made to point here (DNS
//! rebinding), which `Host` then tells.

use std::net::IpAddr;

use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Response, StatusCode, header};

use crate::http_bodies::ResponseBody;
use crate::s3::S3Error;
use crate::sqs::{SqsError, TARGET_PREFIX};

/// Why a request is not looked at.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stranger {
    #[error(
        "the request is of a page in a browser, and pages have no business here: programs send no Origin"
    )]
    Page,
    #[error("HTTP/1.1 asks for one header Host, which says a name and a port")]
    NoHost,
    #[error(
        "the name `{0}` is not one of this server: call it by its address or by a name without dots, or start it with \
         --allow-hosts {0}"
    )]
    Name(String),
}

/// Holds a request against the rules. `hosts` are further names of the server.
pub(crate) fn check(parts: &Parts, hosts: &[String]) -> Result<(), Stranger> {
    let headers = &parts.headers;
    // An address that somebody types or opens, such as a presigned URL, comes with `none`.
    let site = headers.get("sec-fetch-site");
    if headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none") {
        return Err(Stranger::Page);
    }
    let host = one_host(headers).ok_or(Stranger::NoHost)?;
    // What stands in the first line of a request to a proxy counts more than `Host` (RFC 9112, 3.2.2).
    for name in [parts.uri.host(), Some(host.host())].into_iter().flatten() {
        if !is_ours(name, hosts) {
            return Err(Stranger::Name(name.to_owned()));
        }
    }
    Ok(())
}

fn one_host(headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

/// Whether no foreign DNS can have led here: an address; a name without dots, as containers have; a name of the domains
/// that are nobody's (`localhost`, RFC 6761; `internal`, reserved by ICANN in 2024); or one of `hosts`, or below it.
fn is_ours(name: &str, hosts: &[String]) -> bool {
    let name = name.to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let below = |domain: &str| {
        let rest = name.strip_suffix(domain);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    address.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || below("localhost")
        || below("internal")
        || hosts.iter().any(|host| below(&host.to_ascii_lowercase()))
}

/// The answer: 403, in the form of the service that was asked.
pub(crate) fn refusal(parts: &Parts, stranger: &Stranger) -> Response<ResponseBody> {
    let is_sqs = parts
        .headers
        .get("x-amz-target")
        .is_some_and(|target| target.as_bytes().starts_with(TARGET_PREFIX.as_bytes()));
    if is_sqs {
        return SqsError::denied(stranger.to_string()).into_response();
    }
    let error = S3Error::new(StatusCode::FORBIDDEN, "AccessDenied", stranger.to_string());
    error.into_response(parts.uri.path(), parts.method == http::Method::HEAD)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn checked(headers: &[(&str, &str)]) -> Result<(), Stranger> {
        let request = headers.iter().fold(Request::get("/"), |request, header| {
            request.header(header.0, header.1)
        });
        check(
            &request.body(()).unwrap().into_parts().0,
            &["lake.example.com".into()],
        )
    }

    #[test]
    fn addresses_and_names_that_nobody_else_can_have_are_ours() {
        for host in [
            "127.0.0.1:4566",
            "10.0.0.7",
            "[::1]:4566",
            "localhost:4566",
            "lake.localhost:4566",
            "local-aws:4566",
            "host.docker.internal:4566",
            "lake.example.com",
            "bucket.LAKE.example.com:80",
        ] {
            assert_eq!(checked(&[("host", host)]), Ok(()), "{host}");
        }
    }

    #[test]
    fn a_name_that_foreign_dns_may_lead_here_is_refused() {
        for host in [
            "evil.example",
            "evil-lake.example.com",
            "127.0.0.1.evil.example:4566",
            "notlocalhost.com",
        ] {
            let name = host.split(':').next().unwrap().to_owned();
            assert_eq!(checked(&[("host", host)]), Err(Stranger::Name(name)));
        }
        let inner = Request::get("http://evil.example/lake").header("host", "127.0.0.1");
        let parts = inner.body(()).unwrap().into_parts().0;
        assert!(matches!(check(&parts, &[]), Err(Stranger::Name(_))));
    }

    #[test]
    fn one_host_is_needed() {
        for hosts in [
            &[][..],
            &[("host", "localhost"), ("host", "localhost")][..],
            &[("host", "a b")][..],
        ] {
            assert_eq!(checked(hosts), Err(Stranger::NoHost), "{hosts:?}");
        }
    }

    #[test]
    fn a_page_is_refused_and_an_address_that_somebody_opens_is_not() {
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:4566"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-origin"),
        ] {
            let answer = checked(&[("host", "127.0.0.1:4566"), (name, value)]);
            assert_eq!(answer, Err(Stranger::Page), "{name}: {value}");
        }
        let opened = [("host", "127.0.0.1:4566"), ("sec-fetch-site", "none")];
        assert_eq!(checked(&opened), Ok(()));
    }
}
