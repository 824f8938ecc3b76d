//! From which site a request comes: browsers say so in `Origin` and `Sec-Fetch-Site`, which no page can forge.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};

use crate::refusal::Refusal;

/// Whether a request with a session may read: if the browser says where it comes from, that is this host.
pub(crate) fn check_read(headers: &HeaderMap) -> Result<(), Refusal> {
    let site = text(headers, "sec-fetch-site");
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(Refusal::ForeignOrigin);
    }
    match text(headers, header::ORIGIN.as_str()) {
        Some(origin) if !is_own(origin, headers) => Err(Refusal::ForeignOrigin),
        _ => Ok(()),
    }
}

/// Whether a request may change something for the session that it carries.
pub(crate) fn check_change(headers: &HeaderMap) -> Result<(), Refusal> {
    check_read(headers)?;
    if headers.contains_key(header::ORIGIN) {
        Ok(())
    } else {
        Err(Refusal::NoOrigin)
    }
}

/// Whether a request with a session may open a WebSocket. Browsers let any site ask for that, cookies and all.
pub(crate) fn check_upgrade(headers: &HeaderMap) -> Result<(), Refusal> {
    check_change(headers)
}

/// Whether the browser reached this host by https, as far as the request tells: by its `Origin`, or by what a proxy
/// adds.
pub(crate) fn is_https(headers: &HeaderMap) -> bool {
    let origin = text(headers, header::ORIGIN.as_str());
    origin.is_some_and(|origin| origin.starts_with("https://"))
        || text(headers, "x-forwarded-proto")
            .is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}

/// Whether an origin such as `https://host:port` is the host that was asked.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let parse = |text: &str| {
        let authority: Authority = text.parse().ok()?;
        let port = authority.port_u16().unwrap_or(default);
        let plain = !text.contains('@');
        plain.then(|| (authority.host().to_ascii_lowercase(), port))
    };
    let own = text(headers, header::HOST.as_str()).and_then(parse);
    own.is_some() && own == parse(authority)
}

/// The one value of a header; an empty one, which fits nothing, where there are several.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() {
        return Some("");
    }
    Some(first.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::headers;
    use super::*;

    #[test]
    fn only_the_own_host_may_change_something() {
        let host = ("host", "lake.example:8443");
        for own in ["https://lake.example:8443", "http://LAKE.example:8443"] {
            assert!(
                check_change(&headers(&[host, ("origin", own)])).is_ok(),
                "{own}"
            );
        }
        for foreign in [
            "https://evil.example",
            "https://lake.example",
            "https://lake.example:8443.evil.example",
            "https://a@lake.example:8443",
            "ftp://lake.example:8443",
            "null",
            "",
        ] {
            let checked = check_change(&headers(&[host, ("origin", foreign)]));
            assert!(matches!(checked, Err(Refusal::ForeignOrigin)), "{foreign}");
        }
        let twice = [
            host,
            ("origin", "https://lake.example:8443"),
            ("origin", "https://evil.example"),
        ];
        assert!(check_change(&headers(&twice)).is_err());
        assert!(matches!(
            check_change(&headers(&[host])),
            Err(Refusal::NoOrigin)
        ));
        assert!(check_change(&headers(&[("origin", "https://lake.example:8443")])).is_err());
        let default = [
            ("host", "lake.example"),
            ("origin", "https://lake.example:443"),
        ];
        assert!(check_change(&headers(&default)).is_ok());
    }

    #[test]
    fn what_other_sites_fetch_is_refused_though_browsers_name_no_origin() {
        let host = ("host", "lake.example");
        let site = |site| headers(&[host, ("sec-fetch-site", site)]);
        assert!(check_read(&site("same-origin")).is_ok() && check_read(&site("none")).is_ok());
        assert!(
            check_read(&site("cross-site")).is_err() && check_read(&site("same-site")).is_err()
        );
        assert!(check_read(&headers(&[host])).is_ok());
    }
}
