//! Volumes of the role's own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::VolumeCreateRequest;
use exomonad_schema::{EffectError, ErrorCode};

use super::engine::Session;
use super::labels::Labels;

/// Makes a volume with the role's labels, or makes sure that one there is has them. The engine does
/// both in one step, so that no other can come in between.
pub(super) async fn provide(
    session: &Session,
    labels: &Labels,
    name: &str,
) -> Result<(), EffectError> {
    let own = labels.with(&session.task, BTreeMap::new(), &BTreeSet::new())?;
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        driver: Some("local".to_owned()),
        labels: Some(own),
        ..VolumeCreateRequest::default()
    };
    let carried: Option<HashMap<String, String>> =
        match session.ask(session.client.create_volume(request)).await {
            Ok(volume) => Some(volume.labels),
            // There is one of another driver.
            Err(error) if error.code == ErrorCode::Conflict => None,
            Err(error) => return Err(error),
        };
    if labels.are_carried_by(carried.as_ref()) {
        return Ok(());
    }
    Err(session.task.forbidden(format_args!(
        "the volume {name:?} does not carry the role's labels, which are {labels}; use another name"
    )))
}
