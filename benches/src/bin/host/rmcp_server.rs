//! The candidate of MCP: the official Rust SDK's server with the tool `echo`, without any plugin.

use axum::Router;
use axum::routing::get;
use exomonad_test_support::RmcpEcho;

/// Serves on a free port, and says on standard error which.
pub fn serve() -> Result<(), String> {
    let service = RmcpEcho::service();
    super::native::serve_router(
        Router::new()
            .route("/ready", get(async || ""))
            .fallback_service(service),
    )
}
