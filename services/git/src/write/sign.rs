//! Signs commits and tags where the repository asks for it, with the operator's ssh key.
//!
//! As `git` does with `gpg.format = ssh`, by `ssh-keygen -Y sign -n git`: `git verify-commit` tells such a
//! signature by itself. The key stays in the program's file or in the agent, and is never read here.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use exomonad_schema::{EffectError, ErrorCode};

use super::RepoWriter;

/// The namespace of git's signatures.
const NAMESPACE: &str = "git";

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----\n";
const END: &str = "-----END SSH SIGNATURE-----\n";

/// Bytes of a signature; the longest key's has a few thousand.
const MAX_SIGNATURE: u64 = 64 << 10;

/// Time between two looks at whether the program has ended.
const PAUSE: Duration = Duration::from_millis(5);

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
            .env("DISPLAY", "none")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(socket) = &self.writer.config.ssh_agent {
            command.env("SSH_AUTH_SOCK", socket);
        }
        let child = command
            .spawn()
            .map_err(|error| self.failed(&format!("it cannot be started: {error}")))?;
        let signature = self.output(Killed(child), content)?;
        let is_signature = signature.starts_with(BEGIN) && signature.ends_with(END);
        match is_signature {
            true => Ok(signature),
            false => Err(self.failed("what it says is no signature")),
        }
    }

    fn output(&self, mut child: Killed, content: &[u8]) -> Result<String, EffectError> {
        let lost = |error: std::io::Error| self.failed(&format!("it was lost: {error}"));
        if let Some(mut stdin) = child.0.stdin.take() {
            // It says why when it does not read all of it.
            let _ = stdin.write_all(content);
        }
        let status = loop {
            match child.0.try_wait().map_err(lost)? {
                Some(status) => break status,
                None => self.writer.job.check(self.writer.context())?,
            }
            std::thread::sleep(PAUSE);
        };
        let read = |stream: Option<&mut dyn Read>| {
            let mut bytes = Vec::new();
            if let Some(stream) = stream {
                let _ = stream.take(MAX_SIGNATURE).read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let stdout = read(
            child
                .0
                .stdout
                .as_mut()
                .map(|stream| stream as &mut dyn Read),
        );
        if status.success() {
            return Ok(stdout);
        }
        let stderr = read(
            child
                .0
                .stderr
                .as_mut()
                .map(|stream| stream as &mut dyn Read),
        );
        Err(self.failed(stderr.trim()))
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

/// A program that is killed when it is not waited for.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
