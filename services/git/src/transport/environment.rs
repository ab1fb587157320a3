//! The environment of the host's `git`, and in it the
//! only configuration it has.

use std::ffi::OsString;

use super::address::RemoteAddress;
use super::reach::Pinned;
use super::scratch_repo::ScratchRepo;
use super::token;
use crate::GitConfig;

/// The ssh command: with the host's keys and agent, without prompts, for known
/// servers only. The user's `~/.ssh/config` has no say: it could give a host another name, or have a
/// program run. A connection shared with others would outlive the effect, and may
/// have been opened with other options.
const SSH: &str = "ssh -F none -oConnectTimeout=20 -oServerAliveInterval=15 -oServerAliveCountMax=4 \
                   -oBatchMode=yes -oStrictHostKeyChecking=yes -oForwardAgent=no \
                   -oClearAllForwardings=yes -oPermitLocalCommand=no -oControlMaster=no \
                   -oControlPath=none";

/// Options added where the host's configuration names the servers' keys. ssh itself
/// fills in the variable, after it has taken the option apart: neither the shell that
/// git starts ssh by nor ssh finds anything in the path to obey.
const KNOWN_HOSTS: &str =
    " -oUserKnownHostsFile='${EXOMONAD_KNOWN_HOSTS}' -oGlobalKnownHostsFile=/dev/null";

/// Variables of the host's own environment that git is given: where programs, a proxy and
/// certificates are.
const PASSED_ON: &[&str] = &[
    "PATH",
    "TMPDIR",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The environment of a `git` in a scratch repository; without an address it connects to nothing.
pub(super) fn of(
    config: &GitConfig,
    scratch: &ScratchRepo,
    address: Option<&(&RemoteAddress, Pinned)>,
) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = PASSED_ON
        .iter()
        .filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)))
        .collect();
    let mut set = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        variables.push((name.into(), value.as_ref().to_owned()));
    };
    // The user's home has a `.netrc`, whose passwords curl would send; ssh does
    // not look at this variable.
    set("HOME", &scratch.git_dir());
    set("LC_ALL", &"C");
    set("GIT_DIR", &scratch.git_dir());
    set("GIT_OBJECT_DIRECTORY", &scratch.objects());
    set("GIT_CONFIG_NOSYSTEM", &"1");
    set("GIT_CONFIG_GLOBAL", &"/dev/null");
    set("GIT_ATTR_NOSYSTEM", &"1");
    set("GIT_TERMINAL_PROMPT", &"0");
    set("GIT_ASKPASS", &"false");
    let protocol = address.map_or("none", |(address, _)| address.protocol);
    set("GIT_ALLOW_PROTOCOL", &protocol);
    let mut ssh = SSH.to_owned();
    if let Some(known_hosts) = &config.known_hosts {
        ssh.push_str(KNOWN_HOSTS);
        set("EXOMONAD_KNOWN_HOSTS", known_hosts);
    }
    if let Some((address, pinned)) = address {
        ssh.push_str(&connect_to(address, pinned));
    }
    if let Some(socket) = &config.ssh_agent {
        set("SSH_AUTH_SOCK", socket);
    }
    set("GIT_SSH_COMMAND", &ssh);
    set("GIT_SSH_VARIANT", &"ssh");
    let settings = settings(config, address);
    set("GIT_CONFIG_COUNT", &settings.len().to_string());
    for (number, (key, value)) in settings.iter().enumerate() {
        set(&format!("GIT_CONFIG_KEY_{number}"), key);
        set(&format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    variables
}

/// The option by which ssh connects to an address that was checked, and still knows the server by its name.
fn connect_to(address: &RemoteAddress, pinned: &Pinned) -> String {
    let (Some(host), Some(to)) = (&address.host, pinned.first()) else {
        return String::new();
    };
    let name = match host.port {
        22 => host.name.clone(),
        port => format!("[{}]:{port}", host.name),
    };
    format!(" -oHostName={} -oHostKeyAlias='{name}'", to.ip())
}

/// The setting by which curl does the same.
fn resolve_to(address: &RemoteAddress, pinned: &Pinned) -> Option<String> {
    let host = address.host.as_ref().filter(|_| !pinned.is_empty())?;
    let addresses: Vec<_> = pinned
        .iter()
        .map(|to| match to.ip() {
            std::net::IpAddr::V4(to) => to.to_string(),
            std::net::IpAddr::V6(to) => format!("[{to}]"),
        })
        .collect();
    Some(format!(
        "{}:{}:{}",
        host.name,
        host.port,
        addresses.join(",")
    ))
}

/// The only configuration git has, handed over in its environment: a command
/// line could be read by anyone on the machine.
fn settings(
    config: &GitConfig,
    address: Option<&(&RemoteAddress, Pinned)>,
) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = [
        // A redirect could lead the token, or the host's reach, elsewhere.
        ("http.followRedirects", "false"),
        ("credential.helper", ""),
        ("core.hooksPath", "/dev/null"),
        ("core.abbrev", "40"),
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
        ("fetch.recurseSubmodules", "false"),
        ("push.recurseSubmodules", "no"),
        ("transfer.bundleURI", "false"),
        ("advice.pushUpdateRejected", "false"),
        // A server that takes the connection and says nothing is given up.
        ("http.lowSpeedLimit", "1"),
        ("http.lowSpeedTime", "60"),
        // These files name packs and vouch for commits, and an agent can write them.
        ("core.multiPackIndex", "false"),
        ("core.commitGraph", "false"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    if let Some((address, pinned)) = address
        && let Some(resolve) = resolve_to(address, pinned)
    {
        settings.push(("http.curloptResolve".to_owned(), resolve));
    }
    let base = address.and_then(|(address, _)| address.token_for.as_ref());
    if let (Some(base), Some(token)) = (base, &config.token) {
        settings.push((
            format!("http.{base}.extraHeader"),
            format!("Authorization: {}", token::basic(token, &config.token_user)),
        ));
    }
    settings
}
