//! New tags.

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::GitTag;

use super::refs::{self, Before};
use super::{Writing, author, branch, commit};

/// Tags a commit: with a message by a tag object, without by a mere name.
///
/// # Errors
/// `conflict` when there is such a tag already, `not_configured` when a message
/// needs an author and there is none.
pub(in crate::git) fn create(
    writing: &Writing<'_>,
    tag: &str,
    target: Option<&str>,
    message: Option<&str>,
) -> Result<GitTag, EffectError> {
    let name = refs::full_name(writing, "refs/tags/", tag)?;
    let tagged = branch::start_commit(writing, target)?;
    let id = match message {
        None => tagged,
        Some(message) => {
            let message = commit::message(writing.task(), message)?;
            let tagger = author::signature(writing)?;
            let repository = writing.repository();
            repository
                .find_object(tagged, None)
                .and_then(|object| {
                    repository.tag_annotation_create(tag, &object, &tagger, &message)
                })
                .map_err(|error| writing.git_error(&error))?
        }
    };
    refs::set(writing, &name, Before::Absent, id, "tag: Created")?;
    Ok(GitTag {
        tag: tag.to_owned(),
        id: id.to_string(),
        commit: tagged.to_string(),
    })
}
