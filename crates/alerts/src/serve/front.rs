//! The API in front of the time at the log that goes on now.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use service::keys::Key;
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

    async fn answer(&self, mut request: Request) -> Response {
        let now = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(mut routes) = now else {
            return Refusal::NotLeader.into_response();
        };
        // What the router before has made of the path would be taken for a part of it here.
        let extensions = request.extensions_mut();
        let (key, peer) = (extensions.remove(), extensions.remove());
        extensions.clear();
        if let Some(key) = key {
            extensions.insert::<Arc<Key>>(key);
        }
        if let Some(peer) = peer {
            extensions.insert::<ConnectInfo<SocketAddr>>(peer);
        }
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

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::extract::Path;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn parts_of_the_path_are_those_of_the_routes_behind() {
        let front = Front::default();
        let mut router = Router::new().route("/api/{*rest}", front.route());
        let ask = async |router: &mut Router| {
            let request = Request::get("/api/v2/silence/s-1").body(Body::empty());
            let Ok(response) = router.call(request.unwrap()).await;
            let status = response.status();
            let body = to_bytes(response.into_body(), 1024).await.unwrap();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(ask(&mut router).await.0, StatusCode::SERVICE_UNAVAILABLE);
        let silence = get(async |Path(id): Path<String>| id);
        let open = front.open(Router::new().route("/api/v2/silence/{id}", silence));
        let (status, id) = ask(&mut router).await;
        assert_eq!((status, id.as_str()), (StatusCode::OK, "s-1"));
        drop(open);
        assert_eq!(ask(&mut router).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
}
