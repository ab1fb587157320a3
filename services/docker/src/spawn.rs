//! Starts a container that cannot reach further than its role.
//!
//! Whatever a request says: no privileged mode, no added capabilities, no device nodes, no new
//! privileges by setuid programs, no namespace of the host's, ports on the loopback address alone,
//! the role's labels, and limits on memory, processor time and processes. [`mounts`](super::mounts)
//! has the rest.
//!
//! **Networks.** `none` is the default, and open to all. Any other is named in the role's `networks`,
//! or carries the role's labels and is then used by its id. Another container's never is.
//!
//! A call that is cancelled on the way leaves no container behind, nor does one that does not start.
//! An image that was pulled and a volume that was created stay.

use std::collections::HashMap;

use bollard::Docker as Client;
use bollard::errors::Error as EngineError;
use bollard::models::{
    ContainerCreateBody, HostConfig, PortBinding as EnginePort, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptions, CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};
use exomonad_core::CallContext;
use exomonad_core::policy::Ruling;
use exomonad_schema::effects::docker::{
    DockerPull, DockerSpawn, DockerSpawned, PortBinding, PortProtocol,
};
use exomonad_schema::{EffectError, ErrorCode};
use tokio::sync::oneshot;

use super::engine::EngineSession;
use super::inspect::plain_name;
use super::labels::RoleLabels;
use super::policy::{DockerBounds, HostLabels, NO_NETWORK};
use super::{image, mounts, names, resources};

/// Creates and starts a container.
pub(super) async fn run(
    session: EngineSession,
    call: &CallContext,
    mut request: DockerSpawn,
) -> Result<DockerSpawned, EffectError> {
    let context = &session.context;
    let labels = RoleLabels::of(context, &call.bounds)?;
    let name = request.name.take();
    if let Some(name) = &name {
        names::container(context, name)?;
    }
    names::image(context, &request.image)?;
    names::command(
        context,
        request
            .command
            .iter()
            .chain(request.entrypoint.iter().flatten()),
    )?;
    names::user_and_workdir(context, request.user.as_deref(), request.workdir.as_deref())?;
    let env = names::environment(context, &request.env)?;
    let asked = std::mem::take(&mut request.labels);
    if asked.keys().any(|key| key.is_empty() || key.contains('=')) {
        return Err(context.invalid("a label's key is empty or holds `=`; give it a name"));
    }
    let mut own_labels = labels
        .for_new(asked, &session.engine.config.reserved_labels)
        .map_err(|error| context.forbidden(error))?;
    own_labels.extend(call.bounds.get::<HostLabels>().0.clone());
    let (exposed, bindings) = ports(&session, &request.ports)?;
    let mut host = HostConfig {
        port_bindings: Some(bindings),
        publish_all_ports: Some(false),
        privileged: Some(false),
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        cap_drop: Some(vec!["MKNOD".to_owned()]),
        ipc_mode: Some("private".to_owned()),
        readonly_rootfs: Some(request.read_only),
        auto_remove: Some(request.auto_remove),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        ..HostConfig::default()
    };
    resources::limit(context, &session.engine.config, &request, &mut host)?;
    let network = network(&session, call, &labels, request.network.as_deref()).await?;
    if network == NO_NETWORK && !request.ports.is_empty() {
        return Err(context.invalid("there are `ports` and no network; name one in `network`"));
    }
    host.network_mode = Some(network);
    let pull = DockerPull {
        image: request.image.clone(),
        platform: None,
    };
    // Mounts come after the pull: the less time between looking and mounting, the better.
    image::ensure(&session, &pull, request.pull).await?;
    let prepared = mounts::prepare(&session, call, &labels, request.mounts).await?;
    host.mounts = Some(prepared.mounts);
    let user = match prepared.mount_owner {
        Some(mount_owner) => {
            Some(mount_owner.run_as(context, request.user.as_deref(), &mut own_labels)?)
        }
        None => request.user,
    };

    let body = ContainerCreateBody {
        image: Some(String::from(request.image)),
        cmd: Some(request.command).filter(|command| !command.is_empty()),
        entrypoint: request.entrypoint,
        env: Some(env),
        labels: Some(own_labels),
        user,
        working_dir: request.workdir,
        exposed_ports: Some(exposed),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    };
    let options = name.map(|name| CreateContainerOptionsBuilder::new().name(&name).build());
    start(session, options, body).await
}

/// Creates and starts the container in a task of its own: when the caller is dropped, the container
/// is removed, however far it has come.
async fn start(
    session: EngineSession,
    options: Option<CreateContainerOptions>,
    body: ContainerCreateBody,
) -> Result<DockerSpawned, EffectError> {
    let (answer, answered) = oneshot::channel();
    let kind = session.context.kind();
    tokio::spawn(async move {
        let mut id = None;
        let started = create_and_start(&session, options, body, &mut id).await;
        let has_failed = started.is_err();
        let is_unwanted = answer.send(started).is_err();
        if let Some(id) = id
            && (has_failed || is_unwanted)
        {
            discard(&session.client, &id).await;
        }
    });
    answered.await.unwrap_or_else(|_| {
        Err(EffectError::internal(format!(
            "{kind}: starting the container failed in the host"
        )))
    })
}

async fn create_and_start(
    session: &EngineSession,
    options: Option<CreateContainerOptions>,
    body: ContainerCreateBody,
    id: &mut Option<String>,
) -> Result<DockerSpawned, EffectError> {
    let client = &session.client;
    let created = session
        .request(client.create_container(options, body))
        .await?;
    let id = &*id.insert(created.id);
    session.request(client.start_container(id, None)).await?;
    // Its name, where Docker has made it up. One that removes itself may be gone already.
    let name = match session.request(client.inspect_container(id, None)).await {
        Ok(inspected) => plain_name(inspected.name.as_deref().unwrap_or_default()),
        Err(error) if error.code == ErrorCode::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    Ok(DockerSpawned {
        id: id.clone(),
        name,
        warnings: created.warnings,
    })
}

async fn discard(client: &Client, id: &str) {
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    match client.remove_container(id, Some(options)).await {
        // It removes itself, or is being removed.
        Ok(())
        | Err(EngineError::DockerResponseServerError {
            status_code: 404 | 409,
            ..
        }) => {}
        Err(error) => tracing::warn!(
            container = id,
            %error,
            "a container that was not to be could not be removed",
        ),
    }
}

/// Checks the network; returns its name or id for the engine.
async fn network(
    session: &EngineSession,
    call: &CallContext,
    labels: &RoleLabels,
    name: Option<&str>,
) -> Result<String, EffectError> {
    let context = &session.context;
    let verdict = call.bounds.get::<DockerBounds>().decide_network(name);
    let name = match name {
        None => NO_NETWORK,
        Some("default") => "bridge",
        Some(name) => name,
    };
    // The network of a container is `container:web`.
    if !name.contains(':') {
        names::container(context, name)?;
    }
    if matches!(verdict.ruling, Ruling::Within | Ruling::NotConcerned(_)) {
        return Ok(name.to_owned());
    }
    if verdict.is_refusal() {
        return Err(context.forbidden(format_args!(
            "role `{role}` is not granted the network {name:?}; leave it out for none at all, use one \
             with the role's labels, or add a network to `{key}` in exomonad.toml",
            role = context.role(),
            key = context.key("networks")
        )));
    }
    let found = match session
        .request(session.client.inspect_network(name, None))
        .await
    {
        Ok(found) => Some(found),
        Err(error) if error.code == ErrorCode::NotFound => None,
        Err(error) => return Err(error),
    };
    // Another role's network looks like one that does not exist.
    found
        .filter(|network| labels.matches(network.labels.as_ref()))
        .filter(|network| network.driver.as_deref() != Some("host"))
        .and_then(|network| network.id)
        .ok_or_else(|| {
            context.error(
                ErrorCode::NotFound,
                format_args!(
                    "there is no network {name:?} with the role's labels, which are {labels}, and \
                     `{}` does not name it",
                    context.key("networks")
                ),
            )
        })
}

type Bindings = HashMap<String, Option<Vec<EnginePort>>>;

/// Ports on the host's loopback address.
fn ports(
    session: &EngineSession,
    ports: &[PortBinding],
) -> Result<(Vec<String>, Bindings), EffectError> {
    let mut bindings = Bindings::new();
    for port in ports {
        if port.container == 0 || port.host == Some(0) {
            return Err(session
                .context
                .invalid("0 is no port; leave `host` out to get any free one"));
        }
        let protocol = match port.protocol {
            PortProtocol::Tcp => "tcp",
            PortProtocol::Udp => "udp",
        };
        bindings
            .entry(format!("{}/{protocol}", port.container))
            .or_default()
            .get_or_insert_default()
            .push(EnginePort {
                host_ip: Some("127.0.0.1".to_owned()),
                host_port: Some(port.host.map_or_else(String::new, |port| port.to_string())),
            });
    }
    Ok((bindings.keys().cloned().collect(), bindings))
}
