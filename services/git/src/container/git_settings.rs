//! Configuration and environment of a container's `git`, which its repository's configuration cannot change.

use std::fmt::Write as _;

use super::script::quoted;
use crate::Author;

/// Settings for every command. Most disable programs that the configuration may
/// name; the rest make answers the same everywhere. This is no protection, since
/// anyone in the container can run these programs: it makes an effect mean the
/// same there as on the host.
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

/// The whole environment of a `git`, besides `PATH` and the marker by which an exec
/// is killed.
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
}

impl GitSettings {
    /// Defines `g`, which is `git` with all this.
    pub(super) fn define_git(&self, text: &mut String) {
        text.push_str("g() { env -i \"EXOMONAD_EXEC=$EXOMONAD_EXEC\" \"PATH=$PATH\" ${index:+\"GIT_INDEX_FILE=$index\"}");
        for (name, value) in ENVIRONMENT {
            let _ = write!(text, " {name}={}", quoted(value));
        }
        if self.reads {
            text.push_str(" GIT_OPTIONAL_LOCKS=0");
        }
        // A reflog needs an author even where none is known.
        let nobody = Author {
            name: "exomonad".to_owned(),
            email: "exomonad@localhost".to_owned(),
        };
        let author = self.author.as_ref().unwrap_or(&nobody);
        for who in ["AUTHOR", "COMMITTER"] {
            let (name, email) = (quoted(&author.name), quoted(&author.email));
            let _ = write!(text, " GIT_{who}_NAME={name} GIT_{who}_EMAIL={email}");
        }
        text.push_str(" git --no-pager");
        for (key, value) in SETTINGS {
            let _ = write!(text, " -c {}", quoted(&format!("{key}={value}")));
        }
        let _ = writeln!(
            text,
            " -c core.bigFileThreshold={} \"$@\"; }}",
            self.max_file_bytes
        );
    }
}
