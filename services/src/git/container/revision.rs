//! Names of commits.

use exomonad_schema::{EffectError, ErrorCode};
use git2::Reference;

use super::script::{Answers, Script, Step};
use crate::git::revision::{ambiguous, check, is_no, malformed, unknown};
use crate::git::task::Task;

/// What a name is to lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Commit,
    Tree,
}

/// The steps that look a name up.
#[derive(Clone, Debug)]
pub(super) struct AskedRevision {
    name: String,
    wanted: Wanted,
    plain: Step,
    kind: Step,
    peeled: Step,
}

impl Wanted {
    fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
        }
    }
}

impl AskedRevision {
    /// # Errors
    /// `invalid_input` and `unsupported` for what git is not asked at all.
    pub(super) fn ask(
        task: &Task,
        script: &mut Script,
        name: &str,
        wanted: Wanted,
    ) -> Result<Self, EffectError> {
        check(task, name)?;
        // A range, or no name at all; a `-` would make it an option.
        if name.contains('\0') || name.contains("..") || name.starts_with(['-', '^']) {
            return Err(malformed(task, name));
        }
        let peeled = format!("{name}^{{{}}}", wanted.name());
        Ok(Self {
            name: name.to_owned(),
            wanted,
            plain: script.git(["rev-parse", "--verify", name]),
            kind: script.git(["cat-file", "-t", name]),
            peeled: script.git(["rev-parse", "--verify", &peeled]),
        })
    }

    /// The full id of what it leads to.
    pub(super) fn read(&self, task: &Task, answers: &Answers) -> Result<String, EffectError> {
        let (plain, peeled) = (&answers[self.plain], &answers[self.peeled]);
        if peeled.is_success() {
            return id(task, &peeled.line());
        }
        if plain.stderr.contains("ambiguous") && plain.stderr.contains("short object ID") {
            return Err(ambiguous(task, &self.name));
        }
        if !plain.is_success() {
            return Err(if is_well_formed(&self.name) {
                unknown(task, &self.name)
            } else {
                malformed(task, &self.name)
            });
        }
        let kind = answers[self.kind].line();
        Err(match (answers[self.kind].is_success(), kind.as_str()) {
            (true, "blob" | "tree") => is_no(task, &self.name, self.wanted.name()),
            // A tag of something else.
            (true, "tag") if !peeled.stderr.contains("missing") => {
                is_no(task, &self.name, self.wanted.name())
            }
            (false, _) if self.name.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                unknown(task, &self.name)
            }
            _ => task.damaged(format_args!("what {:?} leads to is missing", self.name)),
        })
    }
}

/// A full id as git writes it.
pub(super) fn id(task: &Task, text: &str) -> Result<String, EffectError> {
    if text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_owned());
    }
    Err(task.error(
        ErrorCode::Unsupported,
        "git in the container names an object by what is no SHA-1 id; other formats are not supported",
    ))
}

/// Whether this could name something: a name git allows, then `~`, `^`, `@{…}` or a path.
fn is_well_formed(name: &str) -> bool {
    let end = name
        .find(['~', '^', ':'])
        .or_else(|| name.find("@{"))
        .unwrap_or(name.len());
    let end = name.find("@{").map_or(end, |at| at.min(end));
    let (base, rest) = name.split_at(end);
    let is_name =
        base.is_empty() || base == "@" || Reference::is_valid_name(&format!("refs/{base}"));
    let is_balanced = rest.matches('{').count() == rest.matches('}').count();
    is_name && is_balanced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_there_is_told_from_one_that_cannot() {
        for (name, is_good) in [
            ("main", true),
            ("topic/a~3", true),
            ("HEAD^{tree}", true),
            ("main@{1}", true),
            ("@~1", true),
            ("v1.0^2:dir/file", true),
            ("HEAD^{", false),
            ("a b", false),
            ("x.lock", false),
        ] {
            assert_eq!(is_well_formed(name), is_good, "{name}");
        }
    }
}
