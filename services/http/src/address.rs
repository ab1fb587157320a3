//! Resolution of names to public addresses.

use std::net::SocketAddr;

pub use exomonad_core::address::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names to public addresses only.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicResolver;

/// A name has private addresses only.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} has private addresses only; if it is meant, add it to `private_hosts` of this role in exomonad.toml"
)]
pub(super) struct PrivateAddressError(String);

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
            if public.is_empty() {
                return Err(PrivateAddressError(name.as_str().to_owned()).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}
