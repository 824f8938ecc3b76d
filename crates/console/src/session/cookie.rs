//! The cookie that stands for a session.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

use super::origin::is_https;

/// The name of the cookie over plain http, as on this machine: browsers take no `__Host-` cookie there.
const PLAIN: &str = "headwater_session";
/// Its name over https: no other host of the domain, and no plain http, can set it.
const SECURE: &str = "__Host-headwater_session";

/// What cookies with these names say, as the request sent them.
pub(crate) fn sent_session(headers: &HeaderMap) -> Option<&str> {
    let lists = headers.get_all(header::COOKIE).iter();
    let cookies = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(';'));
    let mut found = cookies.filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        let own = name.strip_suffix(&port_suffix(headers)).unwrap_or(name);
        (own == SECURE || own == PLAIN).then_some(value)
    });
    found.next()
}

/// The header that sets the cookie for `lasts`; for no time where the session is over.
pub(crate) fn set(asked: &HeaderMap, value: &str, lasts: Duration) -> Option<HeaderValue> {
    let (name, secure) = if is_https(asked) {
        (SECURE, "; Secure")
    } else {
        (PLAIN, "")
    };
    let (port, seconds) = (port_suffix(asked), lasts.as_secs());
    let text = format!(
        "{name}{port}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}"
    );
    HeaderValue::try_from(text).ok()
}

/// Browsers do not tell cookies by the port: two services of one machine would sign each other out.
fn port_suffix(asked: &HeaderMap) -> String {
    let host = asked.get(header::HOST).and_then(|host| host.to_str().ok());
    let port = host
        .and_then(|host| host.rsplit_once(':'))
        .map(|(_, port)| port);
    let is_port = |port: &&str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    port.filter(is_port)
        .map(|port| format!("_{port}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::headers;
    use super::*;

    #[test]
    fn the_cookie_is_secure_where_the_browser_is_on_https() {
        let hour = Duration::from_secs(3600);
        let plain = headers(&[
            ("host", "127.0.0.1:3000"),
            ("origin", "http://127.0.0.1:3000"),
        ]);
        let set_plain = set(&plain, "abc", hour).unwrap();
        assert_eq!(
            set_plain,
            "headwater_session_3000=abc; HttpOnly; SameSite=Strict; Path=/; Max-Age=3600"
        );
        let https = headers(&[("host", "lake.example"), ("origin", "https://lake.example")]);
        let set_https = set(&https, "abc", hour).unwrap();
        let expected =
            "__Host-headwater_session=abc; HttpOnly; SameSite=Strict; Path=/; Max-Age=3600; Secure";
        assert_eq!(set_https, expected);
    }

    #[test]
    fn the_cookie_is_found_among_others_and_not_that_of_another_port() {
        let sent = |cookie: &'static str| {
            let sent = headers(&[("host", "127.0.0.1:3000"), ("cookie", cookie)]);
            sent_session(&sent).map(str::to_owned)
        };
        assert_eq!(
            sent("a=1; headwater_session_3000=x; b=2").as_deref(),
            Some("x")
        );
        assert_eq!(sent("headwater_session_3002=x"), None);
        assert_eq!(sent("xheadwater_session_3000=x"), None);
        assert_eq!(sent(""), None);
    }
}
