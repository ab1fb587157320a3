//! A disk that is soon full, or cannot be written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Starts a shell that may mount what nobody else sees.
const UNSHARE: &[&str] = &["unshare", "--map-root-user", "--mount", "sh"];

/// Mounts a disk of `$2` KiB on `$1` and becomes the command that follows.
const MOUNT: &str = r#"mount -t tmpfs -o size="$2"k none "$1" && shift 2 && exec "$@""#;

/// Makes the folder `$1` read-only and becomes the command that follows.
const READ_ONLY: &str =
    r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift 1 && exec "$@""#;

/// Where mounting is not permitted: no file may grow beyond `$2` KiB. The signal that would end the
/// process is ignored, so that writing fails as on a full disk. The unit is 512 bytes in dash, 1024 in bash.
const LIMIT: &str = r#"unit=2; [ -n "$BASH_VERSION" ] && unit=1
trap '' XFSZ; ulimit -f $(($2 * unit)); shift 2; exec "$@""#;

/// A folder whose disk is another one for a process.
pub(crate) struct OtherDisk {
    folder: PathBuf,
    /// Its size; `None` for the folder as it is, but read-only.
    kib: Option<u32>,
}

impl OtherDisk {
    /// An empty disk of this size.
    pub(crate) fn small(folder: PathBuf, kib: u32) -> Self {
        fs::create_dir_all(&folder).expect("a new folder");
        let kib = Some(kib);
        Self { folder, kib }
    }

    /// The folder as it is, read-only; an error where mounting is not permitted.
    pub(crate) fn read_only(folder: PathBuf) -> Result<Self, &'static str> {
        let disk = Self { folder, kib: None };
        match disk.can_mount(READ_ONLY) {
            true => Ok(disk),
            false => Err("mounting is not permitted"),
        }
    }

    /// The command that runs a program with this disk.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = match self.kib {
            None => self.through(UNSHARE, READ_ONLY),
            Some(_) if self.can_mount(MOUNT) => self.through(UNSHARE, MOUNT),
            Some(_) => self.through(&["sh"], LIMIT),
        };
        command.arg(program);
        command
    }

    /// Lets a process that was started with this disk write to it.
    pub(crate) fn make_writable(&self, process: u32) {
        let made = Command::new("nsenter")
            .args(["--preserve-credentials", "--user", "--mount", "--target"])
            .arg(process.to_string())
            .args(["mount", "-o", "remount,bind,rw"])
            .arg(&self.folder)
            .status();
        assert!(made.expect("nsenter is there").success());
    }

    /// The command that runs a program in this folder, where a process that was started with this disk sees it; an
    /// error where mounting is not permitted.
    pub(crate) fn command_beside(
        &self,
        process: u32,
        folder: &Path,
        program: &Path,
    ) -> Result<Command, &'static str> {
        if !self.can_mount(MOUNT) {
            return Err("mounting is not permitted");
        }
        let mut command = Command::new("nsenter");
        command
            .args(["--preserve-credentials", "--user", "--mount", "--target"])
            .arg(process.to_string())
            // Entering leads to the root of what is seen there.
            .args(["sh", "-c", r#"cd "$1" && shift && exec "$@""#, "sh"])
            .arg(folder)
            .arg(program);
        Ok(command)
    }

    fn can_mount(&self, script: &str) -> bool {
        let mut probe = self.through(UNSHARE, script);
        let probed = probe
            .arg("true")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        probed.is_ok_and(|status| status.success())
    }

    /// A shell, started by these words, that runs the script and then what is added to it.
    fn through(&self, words: &[&str], script: &str) -> Command {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).args(["-c", script, "sh"]);
        command.arg(&self.folder);
        command.args(self.kib.map(|kib| kib.to_string()));
        command
    }
}
