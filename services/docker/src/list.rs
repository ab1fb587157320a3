//! Lists the containers a role reaches.

use std::collections::HashMap;

use bollard::models::{ContainerSummary as Listed, ContainerSummaryStateEnum};
use bollard::query_parameters::ListContainersOptionsBuilder;
use exomonad_core::CallContext;
use exomonad_schema::EffectError;
use exomonad_schema::effects::docker::{
    ContainerState, ContainerSummary, DockerContainers, DockerList,
};

use super::engine::EngineSession;
use super::inspect::{plain_name, sorted};
use super::labels::RoleLabels;

/// Lists containers, newest first.
///
/// The engine filters by labels, to send less; its answer is checked again. Its own `limit`
/// would count containers of others and its `name` is a regular expression, so both are applied
/// here.
pub(super) async fn list(
    session: EngineSession,
    call: &CallContext,
    request: DockerList,
) -> Result<DockerContainers, EffectError> {
    let own = RoleLabels::of(&session.context, &call.bounds)?;
    let asked = request
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    let labels: Vec<String> = own.filters().chain(asked).collect();
    let options = ListContainersOptionsBuilder::new()
        .all(request.all)
        .filters(&HashMap::from([("label", labels)]))
        .build();
    let listed = session
        .request(session.client.list_containers(Some(options)))
        .await?;

    let carries_asked = |labels: Option<&HashMap<String, String>>| {
        request
            .labels
            .iter()
            .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
    };
    let mut containers: Vec<ContainerSummary> = listed
        .into_iter()
        .filter(|container| own.matches(container.labels.as_ref()))
        .filter(|container| carries_asked(container.labels.as_ref()))
        .map(summary)
        .filter(|container| {
            let part = request.name.as_deref().unwrap_or_default();
            container.name.contains(part)
        })
        .collect();
    containers.sort_by_key(|container| std::cmp::Reverse(container.created_unix_millis));
    containers.truncate(usize::try_from(request.limit.get()).unwrap_or(usize::MAX));
    Ok(DockerContainers { containers })
}

fn summary(listed: Listed) -> ContainerSummary {
    // Names of links have a second `/`.
    let names = listed.names.unwrap_or_default();
    let own_name = names.iter().map(|name| plain_name(name));
    ContainerSummary {
        id: listed.id.unwrap_or_default(),
        name: own_name
            .into_iter()
            .find(|name| !name.contains('/'))
            .unwrap_or_default(),
        image: listed.image.unwrap_or_default(),
        state: state_of(listed.state),
        status: listed.status.unwrap_or_default(),
        labels: sorted(listed.labels),
        created_unix_millis: listed.created.unwrap_or_default().saturating_mul(1000),
    }
}

fn state_of(state: Option<ContainerSummaryStateEnum>) -> ContainerState {
    use ContainerSummaryStateEnum as State;
    match state {
        Some(State::RUNNING | State::STOPPING) => ContainerState::Running,
        Some(State::PAUSED) => ContainerState::Paused,
        Some(State::RESTARTING) => ContainerState::Restarting,
        Some(State::REMOVING) => ContainerState::Removing,
        Some(State::EXITED) => ContainerState::Exited,
        Some(State::DEAD) => ContainerState::Dead,
        Some(State::CREATED | State::EMPTY) | None => ContainerState::Created,
    }
}
