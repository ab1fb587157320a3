//! A disk that is soon full.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Starts a shell that may mount what nobody else sees.
const UNSHARE: &[&str] = &["unshare", "--map-root-user", "--mount", "sh"];

/// Mounts a disk of `$2` KiB on `$1` and becomes the command that follows.
const MOUNT: &str = r#"mount -t tmpfs -o size="$2"k none "$1" && shift 2 && exec "$@""#;

/// Where mounting is not permitted: no file may grow beyond `$2` KiB. The signal that would end the
/// process is ignored, so that writing fails as on a full disk. The unit is 512 bytes in dash, 1024 in bash.
const LIMIT: &str = r#"unit=2; [ -n "$BASH_VERSION" ] && unit=1
trap '' XFSZ; ulimit -f $(($2 * unit)); shift 2; exec "$@""#;

/// A folder whose disk is small for one process.
pub(crate) struct SmallDisk {
    folder: PathBuf,
    kib: u32,
}

impl SmallDisk {
    pub(crate) fn new(folder: PathBuf, kib: u32) -> Self {
        fs::create_dir_all(&folder).expect("a new folder");
        Self { folder, kib }
    }

    /// The command that runs a program with this disk.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut probe = self.through(UNSHARE, MOUNT);
        let probed = probe
            .arg("true")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let mut command = match probed.is_ok_and(|status| status.success()) {
            true => self.through(UNSHARE, MOUNT),
            false => self.through(&["sh"], LIMIT),
        };
        command.arg(program);
        command
    }

    /// A shell, started by these words, that runs the script and then what is added to it.
    fn through(&self, words: &[&str], script: &str) -> Command {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["-c", script, "sh"]);
        command.arg(&self.folder).arg(self.kib.to_string());
        command
    }
}
