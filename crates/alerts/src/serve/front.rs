//! The API in front of the time at the log that goes on now.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use tower_service::Service;

use crate::api::Refusal;

/// Answers by the routes of the time at the log that goes on now, and with 503 between two of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Front(Arc<RwLock<Option<Router>>>);

/// Its routes answer for as long as it lives.
#[derive(Debug)]
pub(super) struct Open<'f>(&'f Front);

impl Front {
    pub(super) fn open(&self, routes: Router) -> Open<'_> {
        self.set(Some(routes));
        Open(self)
    }

    /// Answers whatever path it is asked for.
    pub(super) fn route(&self) -> MethodRouter {
        let front = self.clone();
        any(async move |request: Request| front.answer(request).await)
    }

    async fn answer(&self, request: Request) -> Response {
        let now = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(mut routes) = now else {
            return Refusal::NotLeader.into_response();
        };
        routes.call(request).await.into_response()
    }

    fn set(&self, routes: Option<Router>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}
