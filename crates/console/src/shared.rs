//! What the handlers share.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::HeaderMap;
use service::keys::Keys;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::alerts_api::AlertsApi;
use crate::assets::Assets;
use crate::live::Hub;
use crate::refusal::Refusal;
use crate::session::{Session, Sessions, SignIns, check_read, sent_session};

/// What the handlers share.
pub(crate) struct Shared {
    pub(crate) assets: Assets,
    pub(crate) keys: Keys,
    pub(crate) sessions: Sessions,
    pub(crate) sign_ins: SignIns,
    /// Failed sign-ins that wait to be answered.
    pub(crate) failures: Semaphore,
    pub(crate) report_logged: Mutex<Option<Instant>>,
    /// The query service's routes, which ask for a key.
    pub(crate) query: Router,
    pub(crate) has_sql: bool,
    pub(crate) alerts: AlertsApi,
    pub(crate) hub: Arc<Hub>,
}

impl Shared {
    /// The session of a request, which comes from this host.
    ///
    /// # Errors
    ///
    /// If there is none, or another site makes the browser send it.
    pub(crate) fn session(&self, headers: &HeaderMap) -> Result<Session, Refusal> {
        check_read(headers)?;
        let session = sent_session(headers).and_then(|cookie| self.sessions.find(cookie));
        session.ok_or(Refusal::NoSession)
    }
}
