//! Creates tags.

use exomonad_schema::EffectError;
use exomonad_schema::effects::git::GitTag;
use git2::{ObjectType, Oid, Signature};

use super::refs::{self, ExpectedOld};
use super::sign::Signer;
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
            let settings = ["tag.gpgSign", "tag.forceSignAnnotated"];
            let signer = Signer::wanted(writer, &settings, "tags")?;
            let message = commit::message(writer.context(), message)?;
            let tagger = author::signature(writer)?;
            let repository = writer.git2();
            let made = match signer {
                Some(signer) => {
                    let mut content = content(tagged, tag, &tagger, &message);
                    content += &signer.sign(content.as_bytes())?;
                    let objects = repository.odb();
                    objects.and_then(|objects| objects.write(ObjectType::Tag, content.as_bytes()))
                }
                None => repository.find_object(tagged, None).and_then(|object| {
                    repository.tag_annotation_create(tag, &object, &tagger, &message)
                }),
            };
            made.map_err(|error| writer.git_error(&error))?
        }
    };
    refs::set(writer, &name, ExpectedOld::Absent, id, "tag: Created")?;
    Ok(GitTag {
        tag: tag.to_owned(),
        id: id.to_string(),
        commit: tagged.to_string(),
    })
}

/// An annotated tag of a commit, as git stores it.
fn content(tagged: Oid, tag: &str, tagger: &Signature<'_>, message: &str) -> String {
    let when = tagger.when();
    let (sign, offset) = (when.sign(), when.offset_minutes().abs());
    format!(
        "object {tagged}\ntype commit\ntag {tag}\ntagger {} <{}> {} {sign}{:02}{:02}\n\n{message}",
        String::from_utf8_lossy(tagger.name_bytes()),
        String::from_utf8_lossy(tagger.email_bytes()),
        when.seconds(),
        offset / 60,
        offset % 60,
    )
}
