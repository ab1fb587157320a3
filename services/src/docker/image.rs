//! Images: whether they are there, and getting them.
//!
//! The contract has no bounds for images: who may pull may pull any image that the engine can get
//! without credentials, and who may spawn may use any, since a spawn pulls what is missing.

use bollard::errors::Error as EngineError;
use bollard::query_parameters::CreateImageOptionsBuilder;
use exomonad_schema::effects::docker::{DockerImage, DockerPull, DockerPulled, PullPolicy};
use exomonad_schema::{EffectError, ErrorCode};
use futures_util::StreamExt;

use super::engine::Session;
use super::names;

/// Whether the engine has an image.
pub(super) async fn look(session: &Session, image: &str) -> Result<DockerImage, EffectError> {
    names::image(&session.task, image)?;
    match session.ask(session.client.inspect_image(image)).await {
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

/// Gets an image from its registry.
pub(super) async fn pull(
    session: &Session,
    request: &DockerPull,
) -> Result<DockerPulled, EffectError> {
    let image: &str = &request.image;
    names::image(&session.task, image)?;
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
    session
        .ask_within(limit, done)
        .await
        .map_err(|error| match error.code {
            ErrorCode::Timeout => session.task.error(
                ErrorCode::Timeout,
                format_args!("pulling {image:?} took longer than {limit:?}; try again, the engine keeps what it has"),
            ),
            _ => error,
        })?;

    let found = session.ask(session.client.inspect_image(image)).await?;
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

/// Makes sure that a spawn has its image.
pub(super) async fn provide(
    session: &Session,
    request: &DockerPull,
    policy: PullPolicy,
) -> Result<(), EffectError> {
    let image = &request.image;
    match policy {
        PullPolicy::Always => pull(session, request).await.map(|_| ()),
        PullPolicy::Missing | PullPolicy::Never if look(session, image).await?.present => Ok(()),
        PullPolicy::Missing => pull(session, request).await.map(|_| ()),
        PullPolicy::Never => Err(session.task.error(
            ErrorCode::NotFound,
            format_args!(
                "the engine does not have the image {image:?}, and `pull` is `never`; pull it first"
            ),
        )),
    }
}
