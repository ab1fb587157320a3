//! The Docker service: runs containers, and commands in them, on one Docker engine.
//!
//! A role reaches the containers that carry **all** of its labels, and no other:
//!
//! * A container is looked up once, its labels are held against the role's, and the id that was
//!   found is used from there on. A name that is given to another container in between has no
//!   effect.
//! * Other roles' containers are reported as `not_found`, exactly like ones that do not exist. A role
//!   without labels gets `forbidden` before the engine is asked anything. Only a name that is taken
//!   shows when a new container is to have it, since Docker knows each name once.
//! * A spawned container carries the role's labels, and sees no more of the host than the role does.
//!
//! Images have no bounds in the contract: `docker.pull` and `docker.spawn` are the grants.
//!
//! The client is bollard. It connects anew for each request, so that an engine may come, go and come
//! back; nothing is asked of it before the first effect. A request holds a connection and no thread.
//!
//! Environment variables are in no answer, no error and no line that is logged here. bollard itself
//! logs requests and answers under `bollard` at `debug` and `trace`: let the host's filter say
//! `bollard=info`.
//!
//! | module | subject |
//! |---|---|
//! | `config` | the engine's address, and limits |
//! | `engine` | the engine's client, and looking a role's container up |
//! | `policy` | decisions by a role's bounds |
//! | `labels` | the labels of a role |
//! | `names` | validation of names and texts |
//! | `effect_context` | one effect, and its errors |
//! | `exec`, `output` | running a command, and its output |
//! | `container_exec` | programs that other services run in a container |
//! | `kill`, `kill_on_host` | killing a command with everything it has started |
//! | `spawn`, `mounts`, `mount_owner`, `volume`, `resources` | starting a container |
//! | `lifecycle` | signals, stopping, removing, waiting |
//! | `logs`, `inspect`, `list` | reading about containers |
//! | `image` | images |

mod config;
mod container_exec;
mod effect_context;
mod engine;
mod exec;
mod image;
mod inspect;
mod kill;
mod kill_on_host;
mod labels;
mod lifecycle;
mod list;
mod logs;
mod mount_owner;
mod mounts;
mod names;
mod output;
mod policy;
mod resources;
mod spawn;
#[cfg(test)]
mod test_call;
mod volume;

use std::sync::Arc;

use exomonad_core::{CallContext, DockerService};
use exomonad_schema::EffectError;
use exomonad_schema::effect::EffectRequest;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::docker::{
    DockerContainer, DockerContainers, DockerExec, DockerExecResult, DockerExit, DockerImage,
    DockerImagePresent, DockerInspect, DockerKill, DockerList, DockerLogs, DockerOutput,
    DockerPull, DockerPulled, DockerRemove, DockerSpawn, DockerSpawned, DockerStop, DockerWait,
};

pub use config::{DockerConfig, DockerConfigError};
pub use container_exec::{ContainerExec, ExecOutput, ExecRequest};
pub use policy::{DockerBounds, HostLabels, decide};

use engine::{Engine, EngineSession};

/// The Docker service. Cheap to clone; keeps no connection open between effects.
#[derive(Clone, Debug)]
pub struct Docker {
    engine: Arc<Engine>,
}

impl Docker {
    /// Prepares the service. The engine is not asked anything yet, and need not be there.
    ///
    /// # Errors
    /// When a limit is invalid, or `host` is no engine's address.
    pub fn new(config: DockerConfig) -> Result<Self, DockerConfigError> {
        Ok(Self {
            engine: Arc::new(Engine::new(config)?),
        })
    }

    /// Begins an effect on the subject the guest named.
    async fn begin<R: EffectRequest>(
        &self,
        call: &CallContext,
        subject: &str,
    ) -> Result<EngineSession, EffectError> {
        EngineSession::begin(&self.engine, R::KIND, call, subject).await
    }
}

impl DockerService for Docker {
    async fn exec(
        &self,
        call: &CallContext,
        request: DockerExec,
    ) -> Result<DockerExecResult, EffectError> {
        let session = self.begin::<DockerExec>(call, &request.container).await?;
        exec::run(session, call, request).await
    }

    async fn spawn(
        &self,
        call: &CallContext,
        request: DockerSpawn,
    ) -> Result<DockerSpawned, EffectError> {
        let session = self.begin::<DockerSpawn>(call, &request.image).await?;
        spawn::run(session, call, request).await
    }

    async fn kill(&self, call: &CallContext, request: DockerKill) -> Result<Done, EffectError> {
        let session = self.begin::<DockerKill>(call, &request.container).await?;
        lifecycle::kill(session, call, request).await
    }

    async fn stop(&self, call: &CallContext, request: DockerStop) -> Result<Done, EffectError> {
        let session = self.begin::<DockerStop>(call, &request.container).await?;
        lifecycle::stop(session, call, request).await
    }

    async fn remove(&self, call: &CallContext, request: DockerRemove) -> Result<Done, EffectError> {
        let session = self.begin::<DockerRemove>(call, &request.container).await?;
        lifecycle::remove(session, call, request).await
    }

    async fn wait(
        &self,
        call: &CallContext,
        request: DockerWait,
    ) -> Result<DockerExit, EffectError> {
        let session = self.begin::<DockerWait>(call, &request.container).await?;
        lifecycle::wait(session, call, request).await
    }

    async fn logs(
        &self,
        call: &CallContext,
        request: DockerLogs,
    ) -> Result<DockerOutput, EffectError> {
        let session = self.begin::<DockerLogs>(call, &request.container).await?;
        logs::read(session, call, request).await
    }

    async fn inspect(
        &self,
        call: &CallContext,
        request: DockerInspect,
    ) -> Result<DockerContainer, EffectError> {
        let session = self
            .begin::<DockerInspect>(call, &request.container)
            .await?;
        let found = session.container(call, &request.container).await?;
        Ok(inspect::describe(found.inspected))
    }

    async fn list(
        &self,
        call: &CallContext,
        request: DockerList,
    ) -> Result<DockerContainers, EffectError> {
        let session = self.begin::<DockerList>(call, "containers").await?;
        list::list(session, call, request).await
    }

    async fn image_present(
        &self,
        call: &CallContext,
        request: DockerImagePresent,
    ) -> Result<DockerImage, EffectError> {
        let session = self
            .begin::<DockerImagePresent>(call, &request.image)
            .await?;
        image::inspect(&session, &request.image).await
    }

    async fn pull(
        &self,
        call: &CallContext,
        request: DockerPull,
    ) -> Result<DockerPulled, EffectError> {
        let session = self.begin::<DockerPull>(call, &request.image).await?;
        image::pull(&session, &request).await
    }
}
