//! The rules that concern several keys, or more of a key than its form.

use std::collections::BTreeMap;

use super::check::nearest;
use super::diagnostic_sink::DiagnosticSink;
use crate::diagnostic::Code;
use crate::key::KeyPath;
use crate::model::{Config, JournalMode, Role, WorkflowBackend};
use exomonad_core::Ruling;
use exomonad_core::values::{ByteSize, EffectPattern};
use exomonad_schema::{EffectKind, Service};
use exomonad_services::decide;

/// The unit in which a guest's memory grows.
const PAGE: u64 = 64 * 1024;
/// How much address space the sandboxes may reserve together: a quarter of what a 64-bit process
/// has on the usual systems (2^47 bytes).
const ADDRESS_SPACE: u64 = 1 << 45;

/// Checks all of them.
pub(super) fn check(config: &Config, known_effects: &[&str], sink: &mut DiagnosticSink<'_>) {
    check_exposure(config, sink);
    check_hosts(config, sink);
    check_address_space(config, sink);
    check_telemetry(config, sink);
    check_temporal(config, sink);
    check_task_queues(config, sink);
    check_replay(config, sink);
    check_oauth(config, sink);
    if config.defaults.plugin.is_some() {
        sink.error(
            KeyPath::of(["defaults", "plugin"]),
            Code::Conflict,
            "`plugin` in [defaults] would make every role run the same plugin",
            "set it in the [role.<name>] that is meant",
        );
    }
    for (table, role) in roles(config) {
        check_effects(&table, role, known_effects, sink);
        check_bounds(&table, role, config, sink);
        check_secrets(&table, role, config, sink);
        check_limits(&table, role, config, sink);
    }
}

/// `[defaults]` and each role, with the keys of their tables.
pub(super) fn roles(config: &Config) -> impl Iterator<Item = (KeyPath, &Role)> {
    let listed = config
        .roles
        .iter()
        .map(|(name, role)| (KeyPath::of(["role", name.as_str()]), role));
    std::iter::once((KeyPath::of(["defaults"]), &config.defaults)).chain(listed)
}

/// Beyond this machine, every role needs a token.
fn check_exposure(config: &Config, sink: &mut DiagnosticSink<'_>) {
    let server = KeyPath::of(["server"]);
    let listen = server.key("listen");
    let token_keys = ["token_file", "token_env"];
    // A mistake in what this depends on is reported as such; what would follow from it is not.
    let has_failed = ["listen", "token_file", "token_env"]
        .iter()
        .any(|key| sink.has_failed(&server.key(key)));
    let nobody_may = config.server.raw_calls
        && config.server.token_source().is_none()
        && roles(config).any(|(_, role)| role.token_source().is_some());
    if nobody_may && !has_failed {
        sink.error(
            server.key("raw_calls"),
            Code::Conflict,
            "`server.raw_calls` is of no use: with tokens for roles alone, nobody is the operator",
            "set `server.token_file` or `server.token_env`, or turn `raw_calls` off",
        );
    }
    if config.server.listen.is_loopback() || config.server.token_source().is_some() || has_failed {
        return;
    }
    if config.server.raw_calls {
        sink.error(
            server.key("raw_calls"),
            Code::ExposedWithoutToken,
            format!(
                "`server.raw_calls` would let any machine that reaches {} run any plugin",
                config.server.listen
            ),
            "set `server.token_file` or `server.token_env`, or turn `raw_calls` off",
        );
    }
    let open: Vec<String> = roles(config)
        .filter(|(table, _)| config.plugins.unlisted_roles || table.name() != Some("defaults"))
        .filter(|(table, role)| {
            role.token_source().is_none()
                && !role.require_token
                && config.oauth.issuers.is_empty()
                && !token_keys
                    .iter()
                    .any(|key| sink.has_failed(&table.key(key)))
        })
        .map(|(table, _)| table.as_table())
        .collect();
    if !open.is_empty() {
        sink.error(
            listen,
            Code::ExposedWithoutToken,
            format!("other machines can reach {}, and no token is asked for by {}", config.server.listen, open.join(", ")),
            "set `server.token_file` (or EXOMONAD_TOKEN), give each role a token or `require_token`, or listen on 127.0.0.1",
        );
    }
}

/// Keys that come by plain HTTP could be anybody's, and a token without an audience would be for any resource.
fn check_oauth(config: &Config, sink: &mut DiagnosticSink<'_>) {
    let oauth = &config.oauth;
    let table = KeyPath::of(["oauth"]);
    let issuers = oauth.issuers.iter().enumerate();
    let issuers = issuers.map(|(index, issuer)| (table.key("issuers").index(index), issuer));
    let keys = oauth
        .jwks_url
        .iter()
        .map(|url| (table.key("jwks_url"), url));
    for (key, url) in issuers.chain(keys) {
        if url.is_plain() {
            sink.error(
                key,
                Code::Insecure,
                "keys that come by plain HTTP from another machine could be anybody's",
                "use https, or a server on this machine",
            );
        }
    }
    if oauth.jwks_url.is_some() && oauth.issuers.len() != 1 {
        sink.error(
            table.key("jwks_url"),
            Code::Conflict,
            "`oauth.jwks_url` has the keys of one issuer, and `oauth.issuers` does not name one",
            "name one issuer, or leave `jwks_url` out: issuers say themselves where their keys are",
        );
    }
    let has_audience = oauth.public_url.is_some()
        || !oauth.audience.is_empty()
        || roles(config)
            .filter(|(table, _)| config.plugins.unlisted_roles || table.name() != Some("defaults"))
            .all(|(_, role)| !role.token_audience.is_empty());
    if !oauth.issuers.is_empty() && !has_audience && !sink.has_failed(&table.key("public_url")) {
        sink.error(
            table.key("issuers"),
            Code::Conflict,
            "no token can open a role: nothing says for which audience it has to be",
            "set `oauth.public_url` to the address by which clients reach the host, or `oauth.audience`",
        );
    }
}

fn check_hosts(config: &Config, sink: &mut DiagnosticSink<'_>) {
    for (index, host) in config.server.allowed_hosts.iter().enumerate() {
        if host.is_any() {
            sink.warn(
                KeyPath::of(["server", "allowed_hosts"]).index(index),
                Code::Insecure,
                "`*` accepts any Host header, which lets web pages reach the host by DNS rebinding",
                "name the hosts that clients use",
            );
        }
    }
}

fn check_telemetry(config: &Config, sink: &mut DiagnosticSink<'_>) {
    let telemetry = &config.telemetry;
    let is_plain = telemetry.endpoint.as_ref().is_some_and(|at| at.is_plain());
    if is_plain && telemetry.headers_source().is_some() {
        sink.warn(
            KeyPath::of(["telemetry", "endpoint"]),
            Code::Insecure,
            "the headers for the receiver of telemetry are sent in plain HTTP to another machine",
            "use https, or a receiver on this machine",
        );
    }
}

/// An API key and workflows' data are nobody else's, and a certificate needs its key.
fn check_temporal(config: &Config, sink: &mut DiagnosticSink<'_>) {
    let temporal = &config.services.temporal;
    let table = KeyPath::of(["temporal"]);
    let has_key = temporal.api_key_source().is_some();
    if temporal.is_plain() && has_key && !sink.has_failed(&table.key("address")) {
        sink.warn(
            table.key("address"),
            Code::Insecure,
            "the API key for Temporal is sent unencrypted to another machine",
            "set `temporal.tls = true`",
        );
    }
    let (cert, key) = (&temporal.tls_cert_file, &temporal.tls_key_file);
    for (present, absent) in [
        (("tls_cert_file", cert), ("tls_key_file", key)),
        (("tls_key_file", key), ("tls_cert_file", cert)),
    ] {
        if present.1.is_some() && absent.1.is_none() && !sink.has_failed(&table.key(absent.0)) {
            sink.error(
                table.key(present.0),
                Code::Conflict,
                format!(
                    "`temporal.{}` is of no use without `temporal.{}`",
                    present.0, absent.0
                ),
                "set both or none",
            );
        }
    }
    if !exomonad_core::values::is_sendable_name(&temporal.namespace)
        && !sink.has_failed(&table.key("namespace"))
    {
        sink.error(
            table.key("namespace"),
            Code::InvalidValue,
            "`temporal.namespace` is empty or holds blanks or characters beyond ASCII",
            "write a name such as \"default\"",
        );
    }
}

/// A task queue is one role's: the other one would get its tasks, with other grants.
fn check_task_queues(config: &Config, sink: &mut DiagnosticSink<'_>) {
    let mut queues = BTreeMap::new();
    for (name, role) in &config.roles {
        if role.workflow_backend != WorkflowBackend::Temporal {
            continue;
        }
        if let Some(other) = queues.insert(role.task_queue(name), name) {
            sink.error(
                KeyPath::of(["role", name.as_str()]).key("workflow_backend"),
                Code::Conflict,
                format!(
                    "the workflows of roles `{other}` and `{name}` have one task queue, `{}`",
                    role.task_queue(name)
                ),
                "set another `temporal_task_queue` for one of them",
            );
        }
    }
}

/// Calls that did not fail are replayed, and these are recorded only where all calls are.
fn check_replay(config: &Config, sink: &mut DiagnosticSink<'_>) {
    let replays = config.plugins.replay_before_swap > 0;
    if replays && roles(config).all(|(_, role)| role.journal != JournalMode::All) {
        sink.warn(
            KeyPath::of(["plugins", "replay_before_swap"]),
            Code::Ineffective,
            "no role records the calls that succeed, so there is nothing to replay",
            "set `journal = \"all\"` under [defaults] or a role",
        );
    }
}

fn check_effects(
    table: &KeyPath,
    role: &Role,
    known_effects: &[&str],
    sink: &mut DiagnosticSink<'_>,
) {
    let list = table.key("effects");
    // A list with a mistake has lost an item, and with it the positions of those after it.
    if known_effects.is_empty() || !sink.is_written(&list) || sink.has_failed(&list) {
        return;
    }
    for (index, pattern) in role.effects.iter().enumerate() {
        if !known_effects.iter().any(|effect| pattern.matches(effect)) {
            let message = format!("the pattern \"{pattern}\" matches no effect");
            sink.error(
                list.index(index),
                Code::UnknownEffect,
                message,
                suggest_effect(pattern, known_effects),
            );
        }
    }
}

/// The likely meaning of a pattern that matches nothing: an effect, all of a service, or else a list of services.
fn suggest_effect(pattern: &EffectPattern, known_effects: &[&str]) -> String {
    let mut services: Vec<&str> = known_effects
        .iter()
        .filter_map(|effect| effect.split_once('.'))
        .map(|(service, _)| service)
        .collect();
    services.dedup();
    let written = pattern.as_str();
    let of_service = match written.split_once('.') {
        Some((service, _)) => services.contains(&service).then_some(service),
        None => services.contains(&written).then_some(written),
    };
    if let Some(near) = nearest(written, known_effects.iter().copied()) {
        format!("did you mean \"{near}\"?")
    } else if let Some(service) = of_service {
        let effects: Vec<&str> = known_effects
            .iter()
            .copied()
            .filter(|effect| effect.split('.').next() == Some(service))
            .collect();
        format!(
            "\"{service}.*\" grants all of {service}: {}",
            effects.join(", ")
        )
    } else {
        let families: Vec<String> = services
            .iter()
            .map(|service| format!("{service}.*"))
            .collect();
        match nearest(written, families.iter().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("there are {}", families.join(", ")),
        }
    }
}

/// Granting what is then bounded to nothing is allowed, but hardly meant.
fn check_bounds(table: &KeyPath, role: &Role, config: &Config, sink: &mut DiagnosticSink<'_>) {
    let bounds = role.bounds.to_map();
    for service in Service::ALL {
        let prefix = format!("{}.", service.name());
        let names_service = role
            .effects
            .iter()
            .any(|pattern| pattern.as_str().starts_with(&prefix));
        let mut verdicts = EffectKind::ALL
            .iter()
            .filter(|kind| kind.service() == *service)
            .flat_map(|kind| decide(&config.services, &bounds, *kind, None));
        let empty = verdicts.find_map(|verdict| match verdict.ruling {
            Ruling::Empty(help) => Some((verdict.key, help)),
            _ => None,
        });
        let Some((bound, help)) = empty.filter(|_| names_service) else {
            continue;
        };
        // A bound in a table of its own has the table's name before it.
        let bound = bound
            .split('.')
            .fold(table.clone(), |table, name| table.key(name));
        let effects = table.key("effects");
        if sink.has_failed(&bound) || !(sink.is_written(&effects) || sink.is_written(&bound)) {
            continue;
        }
        let message =
            format!("{prefix}* effects are granted, but `{bound}` is empty: they reach nothing");
        let key = if sink.is_written(&bound) {
            bound
        } else {
            effects
        };
        sink.warn(key, Code::UselessGrant, message, help);
    }
}

/// A secret that is granted exists.
fn check_secrets(table: &KeyPath, role: &Role, config: &Config, sink: &mut DiagnosticSink<'_>) {
    let list = table.key("secrets");
    if !sink.is_written(&list) || sink.has_failed(&list) {
        return;
    }
    for (index, name) in role.bounds.http.secrets.iter().enumerate() {
        if config.services.secrets.contains_key(name) {
            continue;
        }
        let help = match nearest(name, config.services.secrets.keys().map(String::as_str)) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => {
                format!("add a [secret.{name}] that says where it is and which hosts it is for")
            }
        };
        let message = format!("there is no secret {name:?}");
        sink.error(list.index(index), Code::UnknownKey, message, help);
    }
}

fn check_limits(table: &KeyPath, role: &Role, config: &Config, sink: &mut DiagnosticSink<'_>) {
    let limits = table.key("limits");
    let memory = role.limits.memory.get();
    if sink.is_written(&limits.key("memory")) && !memory.is_multiple_of(PAGE) {
        let below = ByteSize::bytes(memory / PAGE * PAGE);
        let above = ByteSize::bytes(memory.div_ceil(PAGE) * PAGE);
        sink.error(
            limits.key("memory"),
            Code::InvalidValue,
            format!(
                "`{}` must be a multiple of 64KiB, but it is {}",
                limits.key("memory"),
                role.limits.memory
            ),
            format!("write \"{below}\" or \"{above}\""),
        );
    }
    let concurrent = limits.key("concurrent_calls");
    if sink.is_written(&concurrent) && role.limits.concurrent_calls > config.engine.sandboxes {
        sink.warn(
            concurrent,
            Code::Ineffective,
            format!(
                "{} calls at once need as many sandboxes, and there are {}",
                role.limits.concurrent_calls, config.engine.sandboxes
            ),
            "raise `engine.sandboxes` or lower this limit",
        );
    }
    let wall_time = limits.key("wall_time");
    if sink.is_written(&wall_time) && role.limits.wall_time > config.server.request_timeout {
        sink.warn(
            wall_time,
            Code::Ineffective,
            format!(
                "a call over HTTP ends after `server.request_timeout`, which is {}",
                config.server.request_timeout
            ),
            "raise `server.request_timeout` or lower this limit",
        );
    }
    let input = limits.key("input");
    if sink.is_written(&input) && role.limits.input > config.server.max_body {
        sink.warn(
            input,
            Code::Ineffective,
            format!(
                "a request has at most `server.max_body`, which is {}",
                config.server.max_body
            ),
            "raise `server.max_body` or lower this limit",
        );
    }
}

/// Each sandbox reserves the largest memory and stack of all roles.
fn check_address_space(config: &Config, sink: &mut DiagnosticSink<'_>) {
    let largest = |of: fn(&Role) -> ByteSize| {
        roles(config)
            .map(|(_, role)| of(role).get())
            .max()
            .unwrap_or_default()
    };
    let slot = largest(|role| role.limits.memory).saturating_add(largest(|role| role.limits.stack));
    let sandboxes = u64::from(config.engine.sandboxes);
    if slot.saturating_mul(sandboxes) > ADDRESS_SPACE {
        let fitting = ADDRESS_SPACE / slot.max(1);
        sink.error(
            KeyPath::of(["engine", "sandboxes"]),
            Code::OutOfRange,
            format!("{sandboxes} sandboxes, each with room for the largest role's memory and stack, need more than 32TiB of address space"),
            format!("with these limits there is room for {fitting}: lower `engine.sandboxes`, or the roles' `limits.memory`"),
        );
    }
}
