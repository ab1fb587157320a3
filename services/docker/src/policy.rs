//! Policy: the containers, networks and folders of the host that a role reaches.

use std::collections::BTreeMap;

use exomonad_core::bounds::BoundsMap;
use exomonad_core::no_bounds;
use exomonad_core::policy::{Ruling, Verdict};
use exomonad_core::values::Label;
use exomonad_schema::effects::docker::{DockerSpawn, MountKind};
use exomonad_schema::{Effect, EffectKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::DockerConfig;
use crate::labels::RoleLabels;
use crate::mounts::MountPolicy;

/// The labels by which a role reaches containers, and the networks these may join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DockerBounds {
    /// The labels a container must carry, all of them, for Docker effects to reach it: `key=value`,
    /// or `key` for any value. None means no container.
    pub labels: Vec<Label>,
    /// The Docker networks, by their names, that containers of the role may join, besides networks with
    /// its labels: `bridge` is Docker's default, which leads to the internet, `host` the machine's own. A
    /// container that names none gets none.
    #[schemars(extend("items" = { "type": "string", "format": "network-name" }))]
    pub networks: Vec<String>,
}

/// Labels that the host gives to what one call starts, besides the role's: no guest can ask for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostLabels(pub BTreeMap<String, String>);

no_bounds!(DockerBounds, HostLabels);

/// Decides about a request; without one, about all of its kind.
pub fn decide(
    config: &DockerConfig,
    bounds: &BoundsMap,
    kind: EffectKind,
    request: Option<&Effect>,
) -> Vec<Verdict> {
    if matches!(
        kind,
        EffectKind::DockerImagePresent | EffectKind::DockerPull
    ) {
        // Images have no bounds.
        return Vec::new();
    }
    let docker = bounds.get::<DockerBounds>();
    let mut verdicts = vec![docker.decide_container(request.and_then(container_of))];
    if let Some(Effect::DockerSpawn(request)) = request {
        verdicts.extend(docker.decide_labels(config, request));
        verdicts.push(docker.decide_network(request.network.as_deref()));
        let mounts = MountPolicy::new(config, bounds.get());
        let binds = request
            .mounts
            .iter()
            .filter(|mount| mount.kind == MountKind::Bind);
        verdicts.extend(
            binds.filter_map(|mount| mounts.decide(mount.source.as_deref()?, mount.read_only)),
        );
    }
    verdicts
}

/// The container that a request names.
fn container_of(request: &Effect) -> Option<&str> {
    Some(match request {
        Effect::DockerExec(request) => &request.container,
        Effect::DockerKill(request) => &request.container,
        Effect::DockerStop(request) => &request.container,
        Effect::DockerRemove(request) => &request.container,
        Effect::DockerWait(request) => &request.container,
        Effect::DockerLogs(request) => &request.container,
        Effect::DockerInspect(request) => &request.container,
        _ => return None,
    })
}

impl DockerBounds {
    /// Decides about a container by `labels`; without one, about all.
    pub fn decide_container(&self, container: Option<&str>) -> Verdict {
        let ruling = if self.labels.is_empty() {
            Ruling::Empty("name the labels of the containers that are meant")
        } else if container.is_some() {
            Ruling::AtCall("the labels that the container has".to_owned())
        } else {
            Ruling::Within
        };
        Verdict::new("labels", container, ruling)
    }

    /// The refusal of labels that a spawn asks for.
    fn decide_labels(&self, config: &DockerConfig, request: &DockerSpawn) -> Option<Verdict> {
        let labels = RoleLabels::new(&self.labels)?;
        let refused = labels
            .for_new(request.labels.clone(), &config.reserved_labels)
            .err()?;
        Some(Verdict::new(
            "labels",
            Some(&refused.key),
            Ruling::Refused(refused.to_string()),
        ))
    }

    /// Decides about a network by `networks`.
    pub(crate) fn decide_network(&self, name: Option<&str>) -> Verdict {
        let plain = match name {
            Some("default") => "bridge",
            Some(name) => name,
            None => NO_NETWORK,
        };
        let is_container_s = plain.contains(':');
        let ruling = if plain == NO_NETWORK {
            Ruling::NotConcerned("a container without a network needs none".to_owned())
        } else if !is_container_s && self.networks.iter().any(|granted| granted == plain) {
            Ruling::Within
        } else if is_container_s || matches!(plain, "bridge" | "host") {
            Ruling::Outside
        } else {
            Ruling::AtCall("the labels that the network has".to_owned())
        };
        Verdict::new("networks", Some(name.unwrap_or(NO_NETWORK)), ruling)
    }
}

/// Docker's name for no network at all.
pub(crate) const NO_NETWORK: &str = "none";
