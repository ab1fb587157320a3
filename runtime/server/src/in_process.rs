//! The endpoints without a connection, for a command that is its own server.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use exomonad_mcp::stdio::{Exchange, Exchanged};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

/// All endpoints, called as functions.
pub struct InProcess(TowerToHyperService<Router>);

impl InProcess {
    /// The endpoints of this router.
    pub fn new(router: Router) -> Self {
        Self(TowerToHyperService::new(router))
    }
}

impl Exchange for InProcess {
    fn exchange(&self, request: Request<Bytes>) -> Exchanged<'_> {
        let answered = self.0.call(request.map(Body::from));
        Box::pin(async {
            match answered.await {
                Ok(response) => Ok(response),
                Err(never) => match never {},
            }
        })
    }
}
