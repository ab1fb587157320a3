//! Images: looked up and pulled.
//!
//! The contract has no bounds for images: `docker.pull` pulls any image that the engine can get
//! without credentials, and `docker.spawn` uses any, since it pulls a missing one.

use bollard::errors::Error as EngineError;
use bollard::query_parameters::CreateImageOptionsBuilder;
use exomonad_schema::effects::docker::{DockerImage, DockerPull, DockerPulled, PullPolicy};
use exomonad_schema::{EffectError, ErrorCode};
use futures_util::StreamExt;

use super::engine::EngineSession;
use super::names;

/// Looks an image up.
pub(super) async fn inspect(
    session: &EngineSession,
    image: &str,
) -> Result<DockerImage, EffectError> {
    names::image(&session.context, image)?;
    match session.request(session.client.inspect_image(image)).await {
        Ok(found) => Ok(DockerImage {
            present: true,
            id: found.id,
            size_bytes: found.size.and_then(|size| u64::try_from(size).ok()),
        }),
        Err(error) if error.code == ErrorCode::NotFound => Ok(DockerImage {
            present: false,
            id: None,
            size_bytes: None,
        }),
        Err(error) => Err(error),
    }
}

/// Pulls an image from its registry.
pub(super) async fn pull(
    session: &EngineSession,
    request: &DockerPull,
) -> Result<DockerPulled, EffectError> {
    let image: &str = &request.image;
    names::image(&session.context, image)?;
    let (name, tag) = names::name_and_tag(image);
    let mut options = CreateImageOptionsBuilder::new().from_image(name);
    if let Some(tag) = tag {
        options = options.tag(tag);
    }
    if let Some(platform) = &request.platform {
        options = options.platform(platform);
    }
    let mut progress = session
        .client
        .create_image(Some(options.build()), None, None);
    let done = async {
        while let Some(step) = progress.next().await {
            step?;
        }
        Ok::<_, EngineError>(())
    };
    let limit = session.engine.config.pull_time_limit;
    session.request_within(limit, done)
        .await
        .map_err(|error| match error.code {
            ErrorCode::Timeout => session.context.error(
                ErrorCode::Timeout,
                format_args!("pulling {image:?} took longer than {limit:?}; try again, the engine keeps what it has"),
            ),
            _ => error,
        })?;

    let found = session.request(session.client.inspect_image(image)).await?;
    let repository = name.split('@').next().unwrap_or(name);
    let digest = found
        .repo_digests
        .unwrap_or_default()
        .iter()
        .filter_map(|known| known.split_once('@'))
        .find(|(known, _)| repository.ends_with(known) || known.ends_with(repository))
        .map(|(_, digest)| digest.to_owned());
    Ok(DockerPulled {
        id: found.id.unwrap_or_default(),
        digest,
    })
}

/// Pulls the image of a spawn, as its policy has it.
pub(super) async fn ensure(
    session: &EngineSession,
    request: &DockerPull,
    policy: PullPolicy,
) -> Result<(), EffectError> {
    let image = &request.image;
    match policy {
        PullPolicy::Always => pull(session, request).await.map(|_| ()),
        PullPolicy::Missing | PullPolicy::Never if inspect(session, image).await?.present => Ok(()),
        PullPolicy::Missing => pull(session, request).await.map(|_| ()),
        PullPolicy::Never => Err(session.context.error(
            ErrorCode::NotFound,
            format_args!(
                "the engine does not have the image {image:?}, and `pull` is `never`; pull it first"
            ),
        )),
    }
}
