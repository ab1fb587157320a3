//! Signals, stops, removes and awaits containers.

use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::query_parameters::{
    KillContainerOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use exomonad_core::CallContext;
use exomonad_schema::effects::Done;
use exomonad_schema::effects::docker::{
    DockerExit, DockerKill, DockerRemove, DockerStop, DockerWait,
};
use exomonad_schema::{EffectError, ErrorCode};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::engine::EngineSession;
use super::names;

pub(super) async fn kill(
    session: EngineSession,
    call: &CallContext,
    request: DockerKill,
) -> Result<Done, EffectError> {
    let signal = request.signal.as_deref().unwrap_or("SIGKILL");
    let found = session.container(call, &request.container).await?;
    names::signal(&session.context, signal)?;
    let options = KillContainerOptionsBuilder::new().signal(signal).build();
    session
        .request(session.client.kill_container(&found.id, Some(options)))
        .await?;
    Ok(Done {})
}

pub(super) async fn stop(
    session: EngineSession,
    call: &CallContext,
    request: DockerStop,
) -> Result<Done, EffectError> {
    let found = session.container(call, &request.container).await?;
    let grace = request.grace_millis.get().div_ceil(1000);
    let seconds = i32::try_from(grace).unwrap_or(i32::MAX);
    let options = StopContainerOptionsBuilder::new().t(seconds).build();
    // The engine answers when it has stopped.
    let limit = Duration::from_secs(grace).saturating_add(session.engine.config.time_limit.get());
    session
        .request_within(
            limit,
            session.client.stop_container(&found.id, Some(options)),
        )
        .await?;
    Ok(Done {})
}

pub(super) async fn remove(
    session: EngineSession,
    call: &CallContext,
    request: DockerRemove,
) -> Result<Done, EffectError> {
    let found = session.container(call, &request.container).await?;
    let options = RemoveContainerOptionsBuilder::new()
        .force(request.force)
        .v(request.volumes)
        .build();
    session
        .request(session.client.remove_container(&found.id, Some(options)))
        .await?;
    Ok(Done {})
}

pub(super) async fn wait(
    session: EngineSession,
    call: &CallContext,
    request: DockerWait,
) -> Result<DockerExit, EffectError> {
    let found = session.container(call, &request.container).await?;
    let options = WaitContainerOptionsBuilder::new()
        .condition("not-running")
        .build();
    let mut answers = session.client.wait_container(&found.id, Some(options));
    let answer = match request.timeout_millis {
        None => answers.next().await,
        Some(millis) => {
            let limit = Duration::from_millis(millis.get());
            timeout(limit, answers.next()).await.map_err(|_| {
                session.context.error(
                    ErrorCode::Timeout,
                    format_args!(
                        "the container still runs after {limit:?}; wait again, or stop it"
                    ),
                )
            })?
        }
    };
    let code = match answer {
        Some(Ok(answer)) => answer.status_code,
        // The client makes every code but 0 an error; only one with words is.
        Some(Err(EngineError::DockerContainerWaitError { error, code })) if error.is_empty() => {
            code
        }
        Some(Err(error)) => return Err(session.effect_error(&error)),
        None => {
            return Err(session.context.unreachable(
                &session.engine.config.host,
                "it closed the connection while the container ran",
            ));
        }
    };
    Ok(DockerExit {
        exit_code: i32::try_from(code).unwrap_or(i32::MAX),
    })
}
