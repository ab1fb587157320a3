//! The parameters of a path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use exomonad_host::HostError;

use crate::error::RequestError;

/// The parameters of a path. Ones that are not text are a problem like any other.
pub struct PathParams<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for PathParams<T> {
    type Rejection = RequestError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, RequestError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Self(names)),
            Err(rejection) => Err(HostError::InvalidRequest(format!(
                "the path cannot be read: {rejection}"
            ))
            .into()),
        }
    }
}
