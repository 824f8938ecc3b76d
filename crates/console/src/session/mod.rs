//! Who may look: a read key comes in once, and a random cookie stands for it until it ends. Requests of other sites are
//! told from those of the page by `Origin` and `Sec-Fetch-Site`.

mod cookie;
mod origin;
mod routes;
mod sessions;
mod sign_ins;

pub(crate) use cookie::sent_session;
pub(crate) use origin::{check_change, check_read, check_upgrade};
pub(crate) use routes::{MOST_WAITING, csp, login, logout, open, session};
pub(crate) use sessions::{Session, Sessions};
pub(crate) use sign_ins::SignIns;

/// Headers for tests.
#[cfg(test)]
fn headers(all: &[(&'static str, &'static str)]) -> axum::http::HeaderMap {
    let mut headers = axum::http::HeaderMap::new();
    for (name, value) in all {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}
