//! Creates tags.

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::GitTag;

use super::refs::{self, ExpectedOld};
use super::{RepoWriter, author, branch, commit};

/// Tags a commit: an annotated tag with a message, a lightweight one without.
///
/// # Errors
/// `conflict` when there is such a tag already, `not_configured` when a message
/// needs an author and there is none.
pub(crate) fn create(
    writer: &RepoWriter<'_>,
    tag: &str,
    target: Option<&str>,
    message: Option<&str>,
) -> Result<GitTag, EffectError> {
    let name = refs::full_name(writer, "refs/tags/", tag)?;
    let tagged = branch::start_commit(writer, target)?;
    let id = match message {
        None => tagged,
        Some(message) => {
            author::check_no_signing(writer, "tag.gpgSign", "tags")?;
            let message = commit::message(writer.context(), message)?;
            let tagger = author::signature(writer)?;
            let repository = writer.git2();
            repository
                .find_object(tagged, None)
                .and_then(|object| {
                    repository.tag_annotation_create(tag, &object, &tagger, &message)
                })
                .map_err(|error| writer.git_error(&error))?
        }
    };
    refs::set(writer, &name, ExpectedOld::Absent, id, "tag: Created")?;
    Ok(GitTag {
        tag: tag.to_owned(),
        id: id.to_string(),
        commit: tagged.to_string(),
    })
}
