//! An ssh server on loopback: OpenSSH's own `sshd`, one for each connection. And
//! an agent with a key.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{ChildGuard, end_with_parent, required_or_skip};

const SSHD: &str = "/usr/sbin/sshd";

/// How the server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SshServerMode {
    /// Serves who has the key.
    Serves,
    /// Takes the connection and never says a word.
    Silent,
    /// Lets the user in, and then does nothing.
    Hangs,
}

/// A server; it ends with the test's process, and each connection's `sshd` with the connection.
pub struct SshServer {
    /// Where it listens.
    pub port: u16,
    /// How it behaves.
    pub mode: SshServerMode,
    user: String,
    folder: PathBuf,
    connections: Arc<AtomicUsize>,
}

impl SshServer {
    /// Serves whatever the user may reach; its keys are kept in `folder`, which is made. `None` where
    /// there is no `sshd`, which under CI is a failure.
    pub fn start(folder: &Path, mode: SshServerMode) -> Option<Self> {
        let found = Path::new(SSHD)
            .exists()
            .then_some(())
            .ok_or("not installed");
        required_or_skip(SSHD, found)?;
        let user = say(Command::new("id").arg("-un"));
        if user == "root" {
            // Where Debian's service has it made at its start.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        fs::create_dir(folder).unwrap();
        make_key(&folder.join("host_key"));
        make_key(&folder.join("user_key"));
        fs::copy(folder.join("user_key.pub"), folder.join("authorized_keys")).unwrap();
        let shown = folder.display();
        fs::write(
            folder.join("sshd_config"),
            format!(
                "HostKey {shown}/host_key\nAuthorizedKeysFile {shown}/authorized_keys\n\
                 AuthenticationMethods publickey\nUsePAM no\nStrictModes no\nPidFile none\n\
                 PermitRootLogin prohibit-password\nForceCommand /bin/sh {shown}/serve\n"
            ),
        )
        .unwrap();
        let serve = match mode {
            SshServerMode::Hangs => "exec cat >/dev/null",
            _ => "exec sh -c \"$SSH_ORIGINAL_COMMAND\"",
        };
        fs::write(
            folder.join("serve"),
            format!(
                "echo \"$SSH_ORIGINAL_COMMAND\" >>{shown}/asked\nexport HOME=/nonexistent \
                 GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null PATH='{}'\n{serve}\n",
                std::env::var("PATH").unwrap()
            ),
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            mode,
            user,
            folder: folder.to_owned(),
            connections: Arc::default(),
        };
        let (folder, connections) = (folder.to_owned(), server.connections.clone());
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                connections.fetch_add(1, Ordering::Relaxed);
                match mode {
                    SshServerMode::Silent => held.push(stream),
                    _ => serve_one(stream, &folder),
                }
            }
        });
        Some(server)
    }

    /// The URL of a repository at this path.
    #[must_use]
    pub fn url(&self, path: &Path) -> String {
        let (user, port) = (&self.user, self.port);
        format!("ssh://{user}@127.0.0.1:{port}{}", path.display())
    }

    /// The key of the user whom the server lets in.
    #[must_use]
    pub fn user_key(&self) -> PathBuf {
        self.folder.join("user_key")
    }

    /// The line of a file of known hosts that says that this server has this key.
    #[must_use]
    pub fn known_as(&self, key: &Path) -> String {
        let key = fs::read_to_string(key.with_extension("pub")).unwrap();
        format!("[127.0.0.1]:{} {key}", self.port)
    }

    /// The same, and it is true.
    #[must_use]
    pub fn known(&self) -> String {
        self.known_as(&self.folder.join("host_key"))
    }

    /// The commands of those who were let in.
    #[must_use]
    pub fn asked(&self) -> String {
        fs::read_to_string(self.folder.join("asked")).unwrap_or_default()
    }

    /// How many connections there were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// As inetd does it: no port is chosen before it is taken, and nothing outlives the connection.
fn serve_one(stream: TcpStream, folder: &Path) {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let mut command = Command::new(SSHD);
    command
        .args(["-i", "-e", "-f"])
        .arg(folder.join("sshd_config"))
        .stdin(OwnedFd::from(stream.try_clone().unwrap()))
        .stdout(OwnedFd::from(stream))
        .stderr(log);
    let mut child = end_with_parent(&mut command).spawn().unwrap();
    drop(command);
    std::thread::spawn(move || child.wait());
}

/// Makes a key and, beside it, its public half.
pub fn make_key(path: &Path) {
    say(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path));
}

/// Runs a program, which has to succeed; what it says, without the last newline.
fn say(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// An `ssh-agent` with a key. It ends, some seconds later, with the command it was started for, and that
/// with the test's process.
pub struct SshAgent {
    /// Its socket.
    pub socket: PathBuf,
    command: ChildGuard,
}

impl SshAgent {
    /// Starts an agent that has this key.
    #[must_use]
    pub fn with(key: &Path) -> Self {
        let socket = key.with_extension("agent");
        let mut start = Command::new("ssh-agent");
        start
            .arg("-a")
            .arg(&socket)
            .args(["sh", "-c", "ssh-add -q \"$0\" && echo ready && exec cat"])
            .arg(key)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut command = ChildGuard::spawn(&mut start);
        let mut line = String::new();
        let mut said = BufReader::new(command.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self { socket, command }
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        drop(self.command.stdin.take());
        let _ = self.command.wait();
    }
}
