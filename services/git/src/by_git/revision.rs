//! Revisions: names of commits.

use exomonad_schema::{EffectError, ErrorCode};
use git2::Reference;

use super::script::{Script, Step, StepOutputs};
use crate::effect_context::EffectContext;
use crate::revision::{ambiguous, check, is_no, malformed, unknown};

/// The kind of object a name has to lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Commit,
    Tree,
}

/// The steps that resolve a name.
#[derive(Clone, Debug)]
pub(super) struct RevisionQuery {
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

impl RevisionQuery {
    /// # Errors
    /// `invalid_input` and `unsupported` for names that git is not asked about.
    pub(super) fn add_steps(
        context: &EffectContext,
        script: &mut Script,
        name: &str,
        wanted: Wanted,
    ) -> Result<Self, EffectError> {
        check(context, name)?;
        // A range, or no name at all; a `-` would make it an option.
        if name.contains('\0') || name.contains("..") || name.starts_with(['-', '^']) {
            return Err(malformed(context, name));
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

    /// The full id of the object.
    pub(super) fn read(
        &self,
        context: &EffectContext,
        outputs: &StepOutputs,
    ) -> Result<String, EffectError> {
        let (plain, peeled) = (&outputs[self.plain], &outputs[self.peeled]);
        if peeled.is_success() {
            return id(context, &peeled.line());
        }
        if plain.stderr.contains("ambiguous") && plain.stderr.contains("short object ID") {
            return Err(ambiguous(context, &self.name));
        }
        if !plain.is_success() {
            return Err(if is_well_formed(&self.name) {
                unknown(context, &self.name)
            } else {
                malformed(context, &self.name)
            });
        }
        let kind = outputs[self.kind].line();
        Err(match (outputs[self.kind].is_success(), kind.as_str()) {
            (true, "blob" | "tree") => is_no(context, &self.name, self.wanted.name()),
            // A tag of something else.
            (true, "tag") if !peeled.stderr.contains("missing") => {
                is_no(context, &self.name, self.wanted.name())
            }
            (false, _) if self.name.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                unknown(context, &self.name)
            }
            _ => context.damaged(format_args!("what {:?} leads to is missing", self.name)),
        })
    }
}

/// Checks a full id.
pub(super) fn id(context: &EffectContext, text: &str) -> Result<String, EffectError> {
    if matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_owned());
    }
    Err(context.error(
        ErrorCode::Unsupported,
        "git names an object by what is no id",
    ))
}

/// True if this could name something: a name git allows, then `~`, `^`, `@{…}` or a path.
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
    fn well_formed_names_are_recognized() {
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
