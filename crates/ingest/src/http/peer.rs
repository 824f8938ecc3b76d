//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::Request;
use service::tls::Client;

/// What is known of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    /// Its address, where the connection has one.
    pub(crate) address: Option<SocketAddr>,
    /// What its certificate says; absent where the connection is in clear.
    pub(crate) client: Option<Arc<Client>>,
}

impl Peer {
    /// Says in a request who sent it, for handlers behind the router.
    pub(crate) fn tell<B>(&self, request: &mut Request<B>) {
        if let Some(address) = self.address {
            request.extensions_mut().insert(ConnectInfo(address));
        }
        if let Some(client) = &self.client {
            client.tell(request);
        }
    }

    /// Who sent the request, as [`tell`](Peer::tell) has said.
    pub(crate) fn of<B>(request: &Request<B>) -> Peer {
        let extensions = request.extensions();
        let address = extensions.get().map(|ConnectInfo(address)| *address);
        Peer {
            address,
            client: extensions.get().cloned(),
        }
    }
}
