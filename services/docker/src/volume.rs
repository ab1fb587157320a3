//! Volumes of the role's own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::VolumeCreateRequest;
use exomonad_schema::{EffectError, ErrorCode};

use super::engine::EngineSession;
use super::labels::RoleLabels;

/// Creates a volume with the role's labels, or checks that an existing one has them. The engine does
/// both in one step, so that there is no race.
pub(super) async fn ensure(
    session: &EngineSession,
    labels: &RoleLabels,
    name: &str,
) -> Result<(), EffectError> {
    let own = labels
        .for_new(BTreeMap::new(), &BTreeSet::new())
        .map_err(|error| session.context.forbidden(error))?;
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        driver: Some("local".to_owned()),
        labels: Some(own),
        ..VolumeCreateRequest::default()
    };
    let carried: Option<HashMap<String, String>> =
        match session.request(session.client.create_volume(request)).await {
            Ok(volume) => Some(volume.labels),
            // There is one of another driver.
            Err(error) if error.code == ErrorCode::Conflict => None,
            Err(error) => return Err(error),
        };
    if labels.matches(carried.as_ref()) {
        return Ok(());
    }
    Err(session.context.forbidden(format_args!(
        "the volume {name:?} does not carry the role's labels, which are {labels}; use another name"
    )))
}
