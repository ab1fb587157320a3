//! The environment of the host's `git`, and in it the
//! only configuration it has.

use std::ffi::OsString;

use super::address::RemoteAddress;
use super::scratch_repo::ScratchRepo;
use super::token;
use crate::GitConfig;

/// The ssh command: with the host's keys and agent, without prompts, for known
/// servers only. A connection shared with others would outlive the effect, and may
/// have been opened with other options.
const SSH: &str = "ssh -oBatchMode=yes -oStrictHostKeyChecking=yes -oForwardAgent=no \
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
    address: Option<&RemoteAddress>,
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
    let protocol = address.map_or("none", |address| address.protocol);
    set("GIT_ALLOW_PROTOCOL", &protocol);
    let mut ssh = SSH.to_owned();
    if let Some(known_hosts) = &config.known_hosts {
        ssh.push_str(KNOWN_HOSTS);
        set("EXOMONAD_KNOWN_HOSTS", known_hosts);
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

/// The only configuration git has, handed over in its environment: a command
/// line could be read by anyone on the machine.
fn settings(config: &GitConfig, address: Option<&RemoteAddress>) -> Vec<(String, String)> {
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
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let base = address.and_then(|address| address.token_for.as_ref());
    if let (Some(base), Some(token)) = (base, &config.token) {
        settings.push((
            format!("http.{base}.extraHeader"),
            format!("Authorization: {}", token::basic(token, &config.token_user)),
        ));
    }
    settings
}
