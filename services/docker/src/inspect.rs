//! Describes a container, without its environment.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, MountPoint, PortMap};
use exomonad_schema::effects::docker::{
    ContainerState, DockerContainer, Mount, MountKind, PortBinding, PortProtocol,
};

/// The engine's time for a moment that has not been.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Converts the engine's description to the contract's.
pub(super) fn describe(inspected: ContainerInspectResponse) -> DockerContainer {
    let config = inspected.config.unwrap_or_default();
    let state = inspected.state.unwrap_or_default();
    let networks = inspected.network_settings.unwrap_or_default();
    let status = state_of(state.status);
    let has_ended = matches!(status, ContainerState::Exited | ContainerState::Dead);
    let moment = |time: Option<String>| time.filter(|time| !time.is_empty() && time != NEVER);

    let mut command = vec![inspected.path.unwrap_or_default()];
    command.extend(inspected.args.unwrap_or_default());
    DockerContainer {
        id: inspected.id.unwrap_or_default(),
        name: plain_name(inspected.name.as_deref().unwrap_or_default()),
        image: config.image.unwrap_or_default(),
        image_id: inspected.image.unwrap_or_default(),
        command,
        state: status,
        exit_code: state
            .exit_code
            .filter(|_| has_ended)
            .and_then(|code| i32::try_from(code).ok()),
        is_oom_killed: state.oom_killed.unwrap_or(false),
        health: state
            .health
            .and_then(|health| health.status)
            .map(|status| status.to_string())
            .filter(|status| !status.is_empty() && status != "none"),
        labels: sorted(config.labels),
        mounts: inspected
            .mounts
            .unwrap_or_default()
            .into_iter()
            .filter_map(mount)
            .collect(),
        ports: ports(networks.ports.unwrap_or_default()),
        addresses: networks
            .networks
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, network)| {
                Some((
                    name,
                    network.ip_address.filter(|address| !address.is_empty())?,
                ))
            })
            .collect(),
        created_at: inspected.created.unwrap_or_default(),
        started_at: moment(state.started_at),
        finished_at: moment(state.finished_at),
    }
}

/// The engine writes `/web`.
pub(super) fn plain_name(name: &str) -> String {
    name.strip_prefix('/').unwrap_or(name).to_owned()
}

pub(super) fn sorted(labels: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    labels.unwrap_or_default().into_iter().collect()
}

fn state_of(status: Option<ContainerStateStatusEnum>) -> ContainerState {
    use ContainerStateStatusEnum as Status;
    match status {
        Some(Status::RUNNING | Status::STOPPING) => ContainerState::Running,
        Some(Status::PAUSED) => ContainerState::Paused,
        Some(Status::RESTARTING) => ContainerState::Restarting,
        Some(Status::REMOVING) => ContainerState::Removing,
        Some(Status::EXITED) => ContainerState::Exited,
        Some(Status::DEAD) => ContainerState::Dead,
        Some(Status::CREATED | Status::EMPTY) | None => ContainerState::Created,
    }
}

/// Kinds the contract does not have, such as an image, are left out.
fn mount(point: MountPoint) -> Option<Mount> {
    let (kind, source) = match point.typ?.as_str() {
        "bind" => (MountKind::Bind, point.source),
        "volume" => (MountKind::Volume, point.name),
        "tmpfs" => (MountKind::Tmpfs, None),
        _ => return None,
    };
    Some(Mount {
        kind,
        source,
        target: point.destination?,
        read_only: point.rw == Some(false),
    })
}

fn ports(map: PortMap) -> Vec<PortBinding> {
    let mut ports = Vec::new();
    for (port, bindings) in map {
        let Some((number, protocol)) = port.split_once('/') else {
            continue;
        };
        let protocol = match protocol {
            "tcp" => PortProtocol::Tcp,
            "udp" => PortProtocol::Udp,
            _ => continue,
        };
        let Ok(container) = number.parse() else {
            continue;
        };
        for binding in bindings.unwrap_or_default() {
            ports.push(PortBinding {
                container,
                host: binding.host_port.and_then(|port| port.parse().ok()),
                protocol,
            });
        }
    }
    // One port bound to IPv4 and IPv6 alike is listed twice.
    ports.sort_by_key(|port| (port.container, port.protocol as u8, port.host));
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use bollard::models::PortBinding as EnginePort;

    use super::*;

    #[test]
    fn only_bound_ports_are_listed_and_each_once() {
        let bound = |ip: &str| EnginePort {
            host_ip: Some(ip.to_owned()),
            host_port: Some("8080".to_owned()),
        };
        let map = PortMap::from([
            (
                "80/tcp".to_owned(),
                Some(vec![bound("0.0.0.0"), bound("::")]),
            ),
            ("81/tcp".to_owned(), None),
            ("82/sctp".to_owned(), Some(vec![bound("::")])),
        ]);
        let expected = PortBinding {
            container: 80,
            host: Some(8080),
            protocol: PortProtocol::Tcp,
        };
        assert_eq!(ports(map), [expected]);
    }

    #[test]
    fn an_answer_of_the_engine_without_any_field_is_accepted() {
        let container = describe(ContainerInspectResponse::default());
        assert_eq!(container.state, ContainerState::Created);
        assert_eq!(container.started_at, None);
    }
}
