//! Checks against the machine: files, folders, tokens.

use std::path::Path;

use super::LoadContext;
use super::diagnostic_sink::DiagnosticSink;
use super::rules::roles;
use crate::diagnostic::Code;
use crate::key::KeyPath;
use crate::model::Config;
use exomonad_core::values::PluginRef;
use exomonad_core::{Secret, regular_file};

use exomonad_core::{SecretError, SecretSource};

/// A shorter token can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// Checks all of it.
pub(super) fn check(config: &Config, context: &LoadContext<'_>, sink: &mut DiagnosticSink<'_>) {
    let server = &config.server;
    let (git, github) = (&config.services.git, &config.services.github);
    for (section, kept, file, variable) in [
        ("server", &TOKEN, &server.token_file, &server.token_env),
        ("git", &SERVICE_TOKEN, &git.token_file, &git.token_env),
        (
            "github",
            &SERVICE_TOKEN,
            &github.token_file,
            &github.token_env,
        ),
    ] {
        let places = (file.as_deref(), variable.as_deref());
        check_token(&KeyPath::of([section]), kept, places, context, sink);
    }
    let telemetry = &config.telemetry;
    check_token(
        &KeyPath::of(["telemetry"]),
        &HEADERS,
        (
            telemetry.headers_file.as_deref(),
            telemetry.headers_env.as_deref(),
        ),
        context,
        sink,
    );
    check_temporal(config, context, sink);
    for (key, path, help) in [
        (
            "known_hosts",
            &git.known_hosts,
            "name a file with the keys of ssh servers; `ssh-keyscan HOST` prints them",
        ),
        (
            "signing_key",
            &git.signing_key,
            "name a file with an ssh key; `ssh-keygen -t ed25519 -N '' -f FILE` makes one",
        ),
    ] {
        if let Some(path) = path
            && let Err(error) = regular_file::open(path)
        {
            sink.error(
                KeyPath::of(["git", key]),
                Code::Path,
                format!("{} cannot be read: {error}", path.display()),
                help,
            );
        }
    }
    for (name, secret) in &config.services.secrets {
        let table = KeyPath::of(["secret", name.as_str()]);
        if secret.source().is_none() && !sink.has_failed(&table) {
            sink.error(
                table.clone(),
                Code::Token,
                format!("{} says neither `file` nor `env`", table.as_table()),
                "say where the secret is",
            );
        }
        let places = (secret.file.as_deref(), secret.env.as_deref());
        check_token(&table, &SECRET, places, context, sink);
    }
    for (table, role) in roles(config) {
        let places = (role.token_file.as_deref(), role.token_env.as_deref());
        check_token(&table, &TOKEN, places, context, sink);
        if sink.is_written(&table.key("paths")) && !sink.has_failed(&table.key("paths")) {
            for (index, path) in role.bounds.files.paths.iter().enumerate() {
                check_root(table.key("paths").index(index), path, sink);
            }
        }
        if let Some(PluginRef::File(path)) = &role.plugin
            && sink.is_written(&table.key("plugin"))
            && !path.exists()
        {
            sink.warn(
                table.key("plugin"),
                Code::Path,
                format!("there is no plugin {}", path.display()),
                "the role is served once the file is there",
            );
        }
    }
    let folders = [
        (["plugins", "dir"], &config.plugins.dir),
        (["plugins", "cache_dir"], &config.plugins.cache_dir),
        (["state", "dir"], &config.state.dir),
    ];
    for (key, folder) in folders {
        if folder.exists() && !folder.is_dir() {
            let message = format!("{} is not a folder", folder.display());
            sink.error(
                KeyPath::of(key),
                Code::Path,
                message,
                "name a folder, or a path where one can be made",
            );
        }
    }
}

/// The API key, the keys of payloads and the files for TLS.
fn check_temporal(config: &Config, context: &LoadContext<'_>, sink: &mut DiagnosticSink<'_>) {
    let temporal = &config.services.temporal;
    let table = KeyPath::of(["temporal"]);
    for (spec, file, env) in [
        (&API_KEY, &temporal.api_key_file, &temporal.api_key_env),
        (
            &PAYLOAD_KEYS,
            &temporal.payload_keys_file,
            &temporal.payload_keys_env,
        ),
    ] {
        let places = (file.as_deref(), env.as_deref());
        check_token(&table, spec, places, context, sink);
    }
    for (key, path) in [
        ("tls_ca_file", &temporal.tls_ca_file),
        ("tls_cert_file", &temporal.tls_cert_file),
        ("tls_key_file", &temporal.tls_key_file),
    ] {
        if let Some(path) = path
            && let Err(error) = regular_file::open(path)
        {
            sink.error(
                table.key(key),
                Code::Path,
                format!("{} cannot be read: {error}", path.display()),
                "name a file in PEM",
            );
        }
    }
}

fn check_root(key: KeyPath, path: &Path, sink: &mut DiagnosticSink<'_>) {
    if !path.exists() {
        sink.warn(
            key,
            Code::Path,
            format!("there is no folder {}", path.display()),
            "effects reach it once it is there",
        );
    } else if !path.is_dir() {
        sink.error(
            key,
            Code::Path,
            format!("{} is not a folder", path.display()),
            "name the folder it is in",
        );
    }
}

/// Reads a variable.
type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

/// A secret in a file or a variable, and the keys that say in which.
struct SecretSpec {
    file: &'static str,
    env: &'static str,
    resolve: fn(&SecretSource, Environment<'_>) -> Result<Secret, SecretError>,
    /// True if the operator makes it, and so can make a better one.
    is_made_here: bool,
    in_file: &'static str,
    in_variable: &'static str,
}

const TOKEN: SecretSpec = SecretSpec {
    file: "token_file",
    env: "token_env",
    resolve: |source, env| source.resolve(env),
    is_made_here: true,
    in_file: "the file holds nothing but the token; `openssl rand -hex 32` makes one",
    in_variable: "the variable holds nothing but the token; `openssl rand -hex 32` makes one",
};

/// A token that somebody else has made.
const SERVICE_TOKEN: SecretSpec = SecretSpec {
    is_made_here: false,
    in_file: "the file holds the token and nothing else",
    in_variable: "the variable holds the token and nothing else",
    ..TOKEN
};

const API_KEY: SecretSpec = SecretSpec {
    file: "api_key_file",
    env: "api_key_env",
    in_file: "the file holds the API key and nothing else",
    in_variable: "the variable holds the API key and nothing else",
    ..SERVICE_TOKEN
};

const PAYLOAD_KEYS: SecretSpec = SecretSpec {
    file: "payload_keys_file",
    env: "payload_keys_env",
    resolve: |source, env| source.resolve_keys(env),
    is_made_here: false,
    in_file: "the file holds `NAME=KEY`, separated by commas; `openssl rand -base64 32` makes a key",
    in_variable: "the variable holds `NAME=KEY`, separated by commas; `openssl rand -base64 32` makes a key",
};

const SECRET: SecretSpec = SecretSpec {
    file: "file",
    env: "env",
    resolve: |source, env| source.resolve_text(env),
    is_made_here: false,
    in_file: "the file holds the secret and nothing else",
    in_variable: "the variable holds the secret and nothing else",
};

const HEADERS: SecretSpec = SecretSpec {
    file: "headers_file",
    env: "headers_env",
    resolve: |source, env| source.resolve_headers(env),
    is_made_here: false,
    in_file: "the file holds `name=value`, separated by commas, each value percent-encoded",
    in_variable: "the variable holds `name=value`, separated by commas, each value percent-encoded",
};

fn check_token(
    table: &KeyPath,
    kept: &SecretSpec,
    (file, variable): (Option<&Path>, Option<&str>),
    context: &LoadContext<'_>,
    sink: &mut DiagnosticSink<'_>,
) {
    if file.is_some() && variable.is_some() {
        sink.error(
            table.key(kept.env),
            Code::Conflict,
            format!(
                "{} has both `{}` and `{}`",
                table.as_table(),
                kept.file,
                kept.env
            ),
            "keep the one that holds it",
        );
        return;
    }
    let Some(source) = SecretSource::of(file, variable) else {
        return;
    };
    let key = table.key(if file.is_some() { kept.file } else { kept.env });
    // A role that inherits its token is not the place to complain about it.
    if !sink.is_written(&key) {
        return;
    }
    match (kept.resolve)(&source, &context.env) {
        Err(error) => {
            let help = match &source {
                SecretSource::File(_) => kept.in_file,
                SecretSource::Variable(_) => kept.in_variable,
            };
            sink.error(key, Code::Token, error.to_string(), help);
        }
        Ok(secret) => {
            if kept.is_made_here && secret.expose().len() < SHORTEST_TOKEN {
                sink.warn(
                    key.clone(),
                    Code::Insecure,
                    format!("the token has fewer than {SHORTEST_TOKEN} characters"),
                    "make a longer one: `openssl rand -hex 32`",
                );
            }
            if let SecretSource::File(path) = &source {
                check_permissions(key, path, sink);
            }
        }
    }
}

/// A user who may write the file can let himself in; one who may read it knows the token. The latter is how
/// Docker mounts secrets, within a container where it matters little, so it is a warning only.
#[cfg(unix)]
fn check_permissions(key: KeyPath, path: &Path, sink: &mut DiagnosticSink<'_>) {
    use std::os::unix::fs::PermissionsExt;

    let Ok(metadata) = path.metadata() else {
        return;
    };
    let mode = metadata.permissions().mode();
    let shown = path.display();
    let help = format!("chmod 600 {shown}");
    if mode & 0o022 != 0 {
        sink.error(
            key,
            Code::Token,
            format!("other users can write the token file {shown}"),
            help,
        );
    } else if mode & 0o044 != 0 && !path.starts_with("/run/secrets") {
        sink.warn(
            key,
            Code::Insecure,
            format!("other users can read the token file {shown}"),
            help,
        );
    }
}

#[cfg(not(unix))]
fn check_permissions(_: KeyPath, _: &Path, _: &mut DiagnosticSink<'_>) {}
