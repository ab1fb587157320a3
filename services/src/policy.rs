//! Policy of all services: decisions about a request by the bounds of its role.

use exomonad_core::bounds::BoundsMap;
use exomonad_core::policy::Verdict;
use exomonad_schema::{Effect, EffectKind, Service};

use crate::ServicesConfig;

/// Decides about a request of an effect, in the order in which the service does; without a request, about
/// all of its kind. An empty list means that nothing bounds the effect.
///
/// These are the decisions that the services make when they are called. Where one needs more than the
/// request and the configuration, it is [`AtCall`](exomonad_core::policy::Ruling::AtCall).
pub fn decide(
    config: &ServicesConfig,
    bounds: &BoundsMap,
    kind: EffectKind,
    request: Option<&Effect>,
) -> Vec<Verdict> {
    match kind.service() {
        Service::Git => exomonad_git::decide(bounds, request),
        Service::GitHub => exomonad_github::decide(bounds, request),
        Service::Docker => exomonad_docker::decide(&config.docker, bounds, kind, request),
        Service::Http => exomonad_http::decide(&config.secrets, bounds, request),
        Service::Log | Service::Kv | Service::Clock | Service::Random => Vec::new(),
    }
}
