//! The console of one service: its routes, and the task that follows what is new for the live stream.

use std::sync::Arc;

use aws::{Clock, Meter};
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::{any, get, post};
use engine::Engine;
use engine::snapshot::Arrivals;
use service::keys::Keys;
use service::metrics::{RequestMetrics, count_request};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::alerts_api::AlertsApi;
use crate::assets::Assets;
use crate::live::{Hub, Sources, follow, routes as live_routes};
use crate::page::guard;
use crate::session::{Sessions, SignIns};
use crate::settings::ConsoleSettings;
use crate::shared::Shared;
use crate::{gateway, page, session};

/// How requests are counted.
const REQUESTS: RequestMetrics = RequestMetrics {
    total: "headwater_console_requests_total",
    seconds: "headwater_console_request_seconds",
};

/// What a console is made of.
#[derive(Debug)]
pub struct Parts {
    /// What reads the lake.
    pub engine: Arc<Engine>,
    /// The objects that its snapshot takes in.
    pub arrivals: Arrivals,
    /// The time of day.
    pub clock: Clock,
    /// The keys that open the console.
    pub keys: Keys,
    /// The requests that are told as the process's.
    pub meters: Vec<Meter>,
    /// The routes of the query service, which let in whom the console vouches for.
    pub query: Router,
    /// Whether they answer SQL.
    pub has_sql: bool,
    /// The API of alerts.
    pub alerts: AlertsApi,
}

/// The console of one service; clones are the same.
#[derive(Clone)]
pub struct Console(Arc<Shared>);

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

impl Console {
    /// Nothing is followed before [`run`](Console::run).
    ///
    /// # Errors
    ///
    /// If a setting is wrong, or the program was built without a page.
    pub fn new(parts: Parts, settings: &ConsoleSettings) -> anyhow::Result<Console> {
        settings.check()?;
        let sources = Sources {
            engine: parts.engine,
            arrivals: parts.arrivals,
            clock: parts.clock,
            meters: parts.meters,
            query: parts.query.clone(),
            alerts: parts.alerts.clone(),
        };
        Ok(Console(Arc::new(Shared {
            assets: Assets::load()?,
            keys: parts.keys,
            sessions: Sessions::new(
                parts.clock,
                settings.session(),
                settings.max_sessions as usize,
            ),
            sign_ins: SignIns::default(),
            failures: Semaphore::new(session::MOST_WAITING),
            report_logged: std::sync::Mutex::new(None),
            query: parts.query,
            has_sql: parts.has_sql,
            alerts: parts.alerts,
            hub: Arc::new(Hub::new(sources, settings)?),
        })))
    }

    /// Follows what is new while the live stream has clients, until `stop`; then the clients are told to go.
    pub async fn run(&self, stop: &CancellationToken) {
        follow(self.0.hub.clone(), stop).await;
        self.close();
    }

    /// Ends the live stream of every client: a server that drains its connections would wait for them.
    pub fn close(&self) {
        self.0.hub.close();
    }

    /// A token that opens the console once, for [`/console/open`](Console::routes).
    ///
    /// # Errors
    ///
    /// If the system gives no random bytes.
    pub fn one_time_token(&self) -> anyhow::Result<String> {
        self.0.sessions.link()
    }

    /// The page, the sign-in, and what the page asks for, all under `/console`.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new()
            .route("/console", get(async || Redirect::permanent("/console/")))
            .route("/console/", get(page::page))
            .route("/console/{view}", get(page::view))
            .route("/console/assets/{hash}/{*file}", get(page::asset))
            .route("/console/open", get(session::open))
            .route("/console/login", post(session::login))
            .route("/console/logout", post(session::logout))
            .route("/console/session", get(session::session))
            .route("/console/csp", post(session::csp))
            .route("/console/api/{*path}", any(gateway::query))
            .route("/console/alerts/{*path}", any(gateway::alerts))
            .route_layer(from_fn_with_state(REQUESTS, count_request))
            .route_layer(from_fn(guard))
            .with_state(self.0.clone())
    }

    /// The live stream, with its part of the OpenAPI document.
    pub fn live_routes<S: Clone + Send + Sync + 'static>(&self) -> OpenApiRouter<S> {
        OpenApiRouter::new()
            .routes(routes!(live_routes::live))
            .with_state(self.0.clone())
    }
}
