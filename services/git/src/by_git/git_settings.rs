//! Configuration and environment of `git`, which a repository's configuration cannot change.

use std::fmt::Write as _;

use super::script::quoted;
use crate::Author;

/// Settings for every command. Most disable programs that the configuration may
/// name; the rest make answers the same everywhere. In a container this is no protection, since
/// anyone there can run these programs: it makes an effect mean the same as on the host. On the host
/// git reads no configuration of the repository at all, see [`only_git`](crate::only_git).
const SETTINGS: &[(&str, &str)] = &[
    ("safe.directory", "*"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.pager", "cat"),
    ("core.sshCommand", "false"),
    ("core.alternateRefsCommand", ""),
    ("core.quotePath", "true"),
    ("core.filesRefLockTimeout", "1500"),
    ("core.packedRefsTimeout", "1500"),
    ("credential.helper", ""),
    ("protocol.allow", "never"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("tag.forceSignAnnotated", "false"),
    ("log.showSignature", "false"),
    ("submodule.recurse", "false"),
    ("rerere.enabled", "false"),
    ("color.ui", "false"),
    ("diff.noprefix", "false"),
    ("diff.mnemonicPrefix", "false"),
    ("diff.suppressBlankEmpty", "false"),
    ("diff.relative", "false"),
    ("diff.submodule", "short"),
    ("diff.algorithm", "default"),
    ("diff.interHunkContext", "0"),
    ("stash.showIncludeUntracked", "false"),
];

/// The environment of a `git`, besides `PATH`, the marker by which an exec is killed, and what an effect adds.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("HOME", "/dev/null"),
    ("LC_ALL", "C"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_ATTR_NOSYSTEM", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", "false"),
    ("GIT_EDITOR", "false"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_ADVICE", "0"),
];

/// Settings that differ from one effect to the other.
#[derive(Clone, Debug)]
pub(super) struct GitSettings {
    /// True if the effect only reads: it then takes no lock, not even to note
    /// the times of files.
    pub(super) reads: bool,
    /// A larger file is binary in a diff.
    pub(super) max_file_bytes: u64,
    /// The author of what is written.
    pub(super) author: Option<Author>,
    /// The host's `git`; `None` for a container's.
    pub(super) program: Option<String>,
}

/// The functions of a script in a container, where git knows the folders.
const IN_CONTAINER: &str = r#"folders() { g rev-parse --path-format=absolute --git-dir --git-common-dir; }
common_dir() { g rev-parse --path-format=absolute --git-common-dir; }
is_bare() { g --git-dir="$1" rev-parse --is-bare-repository; }
resolve() { (cd -P "$1" 2>/dev/null && pwd -P); }
main_dir() {
    [ "$(g rev-parse --path-format=absolute --git-dir)" = "$1" ] && g rev-parse --show-toplevel 2>/dev/null && return
    top=$(g --git-dir="$1" config --get core.worktree) || { case $1 in */.git) top=${1%/.git} ;; *) top=$1 ;; esac; }
    case $top in /*) ;; *) top=$1/$top ;; esac
    resolve "$top" || printf '%s\n' "$top"
}
"#;

/// Those on the host, where git is told of another common folder than the repository's, and where no
/// link is followed: it may lead out of the role's reach.
const ON_HOST: &str = r#"folders() { g rev-parse --git-dir >/dev/null && printf '%s\n' "$GIT_DIR" "$EXOMONAD_COMMON_DIR"; }
common_dir() { printf '%s\n' "$EXOMONAD_COMMON_DIR"; }
is_bare() { [ -n "$EXOMONAD_MAIN_DIR" ] && echo false || echo true; }
main_dir() { printf '%s\n' "$EXOMONAD_MAIN_DIR"; }
resolve() { printf '%s\n' "$1"; }
"#;

/// Prints HEAD of a git folder. Where references are not files, git leaves a name there that none can have.
const HEAD_OF: &str = r#"head_of() {
    h=$(head -c 8192 "$1/HEAD")
    case $h in
    'ref: refs/heads/.invalid') h=$(g --git-dir="$1" symbolic-ref -q HEAD) && h="ref: $h" ;;
    esac
    printf '%s' "$h"
}
"#;

impl GitSettings {
    /// Defines `g`, which is `git` with all this, and functions that tell where a repository is.
    pub(super) fn define_git(&self, text: &mut String) {
        text.push_str("g() { ");
        match &self.program {
            None => {
                text.push_str("env -i \"EXOMONAD_EXEC=$EXOMONAD_EXEC\" \"PATH=$PATH\" ${index:+\"GIT_INDEX_FILE=$index\"}");
                for (name, value) in self.environment() {
                    let _ = write!(text, " {name}={}", quoted(&value));
                }
                text.push_str(" git");
            }
            // The whole script has this environment.
            Some(program) => text.push_str(&quoted(program)),
        }
        text.push_str(" --no-pager");
        for (key, value) in SETTINGS {
            let _ = write!(text, " -c {}", quoted(&format!("{key}={value}")));
        }
        let _ = writeln!(
            text,
            " -c core.bigFileThreshold={} \"$@\"; }}",
            self.max_file_bytes
        );
        text.push_str(match self.program {
            None => IN_CONTAINER,
            Some(_) => ON_HOST,
        });
        text.push_str(HEAD_OF);
    }

    /// The name by which a shell finds git.
    pub(super) fn program(&self) -> &str {
        self.program.as_deref().unwrap_or("git")
    }

    /// The environment of a `git`.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let fixed = ENVIRONMENT
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let mut variables: Vec<_> = fixed.collect();
        if self.reads {
            variables.push(("GIT_OPTIONAL_LOCKS", "0".to_owned()));
        }
        // A reflog needs an author even where none is known.
        let nobody = Author {
            name: "exomonad".to_owned(),
            email: "exomonad@localhost".to_owned(),
        };
        let author = self.author.as_ref().unwrap_or(&nobody);
        variables.extend([
            ("GIT_AUTHOR_NAME", author.name.clone()),
            ("GIT_AUTHOR_EMAIL", author.email.clone()),
            ("GIT_COMMITTER_NAME", author.name.clone()),
            ("GIT_COMMITTER_EMAIL", author.email.clone()),
        ]);
        variables
    }
}
