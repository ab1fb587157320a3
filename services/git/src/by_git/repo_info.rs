//! The repository around a folder: its folders and its HEAD.

use exomonad_schema::effects::git::{GitBranch, GitHead};
use exomonad_schema::{EffectError, ErrorCode};

use super::git_error;
use super::script::{Script, Step, StepOutputs};
use crate::effect_context::EffectContext;
use crate::head::short_name;

/// Folders and HEAD of a repository.
#[derive(Clone, Debug)]
pub(super) struct RepoInfo {
    /// The absolute git folder of this worktree.
    pub(super) git_dir: String,
    /// The absolute git folder that all worktrees share.
    pub(super) common_dir: String,
    /// The absolute root of the working tree; `None` when bare.
    pub(super) work_dir: Option<String>,
    /// The full name of the branch that is checked out, `None` when detached.
    pub(super) reference: Option<Vec<u8>>,
    /// The commit that is checked out.
    pub(super) commit: Option<String>,
    pub(super) format: ObjectFormat,
}

/// The hash that names objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectFormat {
    Sha1,
    Sha256,
}

/// The steps that read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RepoInfoQuery {
    folders: Step,
    format: Step,
    top: Step,
    reference: Step,
    commit: Step,
    is_there: Step,
}

/// Succeeds if something that should be a repository is here or above.
const IS_THERE: &str = r#"d=$PWD
while :; do
    [ -e "$d/.git" ] && exit 0
    [ -e "$d/HEAD" ] && [ -d "$d/objects" ] && exit 0
    [ -n "$d" ] || exit 1
    d=${d%/*}
done"#;

impl RepoInfoQuery {
    pub(super) fn add_steps(script: &mut Script) -> Self {
        Self {
            folders: script.shell("folders"),
            format: script.git(["rev-parse", "--show-object-format"]),
            top: script.git(["rev-parse", "--show-toplevel"]),
            reference: script.git(["symbolic-ref", "-q", "HEAD"]),
            commit: script.git(["rev-parse", "--verify", "HEAD"]),
            is_there: script.shell(IS_THERE),
        }
    }

    /// # Errors
    /// `not_found` without a repository, `unsupported` for one that is damaged.
    pub(super) fn read(
        self,
        context: &EffectContext,
        outputs: &StepOutputs,
    ) -> Result<RepoInfo, EffectError> {
        let output = &outputs[self.folders];
        if !output.is_success() {
            let is_none = output.stderr.contains("not a git repository");
            return Err(match (is_none, outputs[self.is_there].is_success()) {
                (true, false) => context.error(
                    ErrorCode::NotFound,
                    format_args!(
                        "no git repository here or above, {}; run `git init`, or name a folder in a repository",
                        context.place()
                    ),
                ),
                (true, true) => context
                    .damaged("there is a git folder, but no valid HEAD, objects and refs in it"),
                _ => git_error::from_output(context, output),
            });
        }
        let folders = output.line();
        let (Some((git_dir, common_dir)), true) =
            (folders.split_once('\n'), folders.lines().count() == 2)
        else {
            return Err(context.error(
                ErrorCode::Unsupported,
                "the path of the repository holds a line's end; move it elsewhere",
            ));
        };
        let format = outputs[self.format].line();
        let Some(format) = ObjectFormat::of(&format) else {
            return Err(context.error(
                ErrorCode::Unsupported,
                format_args!(
                    "the repository's object format is {format:?}; sha1 and sha256 are supported"
                ),
            ));
        };
        let top = &outputs[self.top];
        let work_dir = match top.code {
            0 => Some(top.line()),
            _ if top.stderr.contains("must be run in a work tree") => None,
            _ => return Err(git_error::from_output(context, top)),
        };
        let reference = match &outputs[self.reference] {
            output if output.is_success() => Some(output.stdout.trim_ascii_end().to_vec()),
            output if output.code == 1 => None,
            output => return Err(git_error::from_output(context, output)),
        };
        let commit = &outputs[self.commit];
        let commit = match commit.code {
            0 => Some(commit.line()),
            _ if commit.stderr.contains("broken") => {
                return Err(context.damaged("the branch that is checked out holds no commit's id"));
            }
            _ => None,
        };
        if reference.is_none() && commit.is_none() {
            return Err(context.damaged("HEAD is missing"));
        }
        Ok(RepoInfo {
            git_dir: git_dir.to_owned(),
            common_dir: common_dir.to_owned(),
            work_dir,
            reference,
            commit,
            format,
        })
    }
}

impl ObjectFormat {
    fn of(name: &str) -> Option<Self> {
        match name {
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            _ => None,
        }
    }

    /// The tree with nothing in it, which git knows without storing it.
    pub(super) fn empty_tree(self) -> &'static str {
        match self {
            Self::Sha1 => "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
            Self::Sha256 => "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
        }
    }

    /// A null id: a reference that is not there.
    pub(super) fn absent(self) -> &'static str {
        const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
        match self {
            Self::Sha1 => &ZEROS[..40],
            Self::Sha256 => ZEROS,
        }
    }
}

impl RepoInfo {
    /// HEAD, as an answer.
    pub(super) fn head(&self) -> GitBranch {
        GitBranch {
            head: match (&self.reference, &self.commit) {
                (None, _) => GitHead::Detached,
                (Some(_), Some(_)) => GitHead::Branch,
                (Some(_), None) => GitHead::Unborn,
            },
            branch: self.reference.as_deref().map(short_name),
            commit: self.commit.clone(),
        }
    }

    /// The root of the working tree.
    ///
    /// # Errors
    /// `unsupported` when the repository is bare.
    pub(super) fn work_dir(&self, context: &EffectContext) -> Result<&str, EffectError> {
        self.work_dir.as_deref().ok_or_else(|| context.bare())
    }

    /// # Errors
    /// `unsupported` for another object format, of which the host's part of push and fetch knows nothing.
    pub(super) fn check_sha1(&self, context: &EffectContext) -> Result<(), EffectError> {
        match self.format {
            ObjectFormat::Sha1 => Ok(()),
            ObjectFormat::Sha256 => Err(context.error(
                ErrorCode::Unsupported,
                "the repository has sha256 for its ids, and the host pushes and fetches objects with sha1 \
                 ids only; use git itself",
            )),
        }
    }

    /// True for a worktree made by `git worktree add`.
    pub(super) fn is_linked(&self) -> bool {
        self.git_dir != self.common_dir
    }
}
