//! Signs commits and tags where the repository asks for it, with the operator's ssh key.
//!
//! As `git` does with `gpg.format = ssh`, by `ssh-keygen -Y sign -n git`: `git verify-commit` tells such a
//! signature by itself. The key stays in the program's file or in the agent, and is never read here.

use std::path::Path;

use exomonad_schema::{EffectError, ErrorCode};
use tokio::process::Command;

use super::RepoWriter;
use crate::child_process::{self, ProcessLimits};

/// The namespace of git's signatures.
const NAMESPACE: &str = "git";

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "-----END SSH SIGNATURE-----\n";

/// Bytes of a signature, or of a complaint; the longest key's signature has a few thousand.
const OUTPUT: usize = 64 << 10;

/// Bytes of memory that the program may take.
const MEMORY: u64 = 256 << 20;

/// The key that a repository's commits or tags are signed with.
pub(super) struct Signer<'w> {
    writer: &'w RepoWriter<'w>,
    key: &'w Path,
}

impl<'w> Signer<'w> {
    /// The key, if one of these settings of the repository wants `what` signed.
    ///
    /// # Errors
    /// `unsupported` when it does and the operator has named no key.
    pub(super) fn wanted(
        writer: &'w RepoWriter<'w>,
        settings: &[&str],
        what: &str,
    ) -> Result<Option<Self>, EffectError> {
        let config = writer
            .git2()
            .config()
            .map_err(|error| writer.git_error(&error))?;
        let is_set = |key: &&&str| config.get_bool(key).unwrap_or(false);
        let Some(setting) = settings.iter().find(is_set) else {
            return Ok(None);
        };
        match &writer.config.signing_key {
            Some(key) => Ok(Some(Self { writer, key })),
            None => Err(writer.context().error(
                ErrorCode::Unsupported,
                format_args!(
                    "the repository wants its {what} signed (`{setting}`), and the host has no key to sign them \
                     with; set `git.signing_key` in exomonad.toml, use git itself, or set `{setting}` to false there"
                ),
            )),
        }
    }

    /// The signature of an object's content, a line's end at its end.
    ///
    /// # Errors
    /// `unavailable` when `ssh-keygen` does not sign, `timeout`.
    pub(super) fn sign(&self, content: &[u8]) -> Result<String, EffectError> {
        let mut command = Command::new("ssh-keygen");
        command
            .args(["-Y", "sign", "-n", NAMESPACE, "-f"])
            .arg(self.key)
            .current_dir("/")
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("LC_ALL", "C")
            // A passphrase is asked of nobody.
            .env("SSH_ASKPASS", "false")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("DISPLAY", "none");
        if let Some(socket) = &self.writer.config.ssh_agent {
            command.env("SSH_AUTH_SOCK", socket);
        }
        let limits = ProcessLimits {
            time: self.writer.config.time_limit.get(),
            memory: MEMORY,
            stdout: OUTPUT,
            stderr: OUTPUT,
            file: None,
            ends_when_cut: false,
        };
        let check = || self.writer.job.check(self.writer.context());
        let ran = child_process::run_on_this_thread(command, content.to_vec(), limits, check)?;
        let output = ran.map_err(|error| self.failed(&error.to_string()))?;
        let output = output.ok_or_else(|| self.failed("it took longer than it may"))?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            return Err(self.failed(said(&output.stderr).trim()));
        }
        let signature = said(&output.stdout);
        let is_signature = signature.starts_with(BEGIN) && signature.ends_with(END);
        match is_signature {
            true => Ok(signature),
            false => Err(self.failed("what it says is no signature")),
        }
    }

    /// The error. The program's own words may name files of the host, and go to its log alone.
    fn failed(&self, reason: &str) -> EffectError {
        let context = self.writer.context();
        tracing::warn!(kind = %context.kind(), role = %context.role(), reason, "`ssh-keygen` does not sign with `git.signing_key`");
        context.error(
            ErrorCode::Unavailable,
            "`ssh-keygen` does not sign with the operator's key (`git.signing_key`); the host's log says why",
        )
    }
}
