//! Which layer wins, and what paths are relative to.

use std::path::{Path, PathBuf};

use super::{load, load_in};
use crate::model::{InstanceMode, LogFormat, OtlpProtocol, Signal};
use crate::read::Source;
use exomonad_core::values::{ByteSize, PluginRef, RoleName, TimeSpan};

fn name(text: &str) -> RoleName {
    text.parse().unwrap()
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let text = "[log]\nfilter = 'debug'\nformat = 'json'\n";
    let loaded = load(
        text,
        &[("EXOMONAD_LOG", "trace"), ("EXOMONAD_LOG_FORMAT", "")],
    )
    .unwrap();
    assert_eq!(loaded.config.log.filter, "trace");
    assert_eq!(loaded.config.log.format, LogFormat::Json);
    assert_eq!(
        loaded.sources.of(["log", "filter"]),
        Source::Variable("EXOMONAD_LOG")
    );
    assert_eq!(
        loaded.sources.of(["log", "format"]),
        Source::File { line: 3 }
    );
    assert_eq!(loaded.sources.of(["server", "listen"]), Source::Default);
}

#[test]
fn a_role_begins_with_the_defaults_table_and_overrides_it_key_by_key() {
    let text = "
[defaults]
instance = 'pooled'
config = { a = '1', b = '1' }
limits = { queue = 7, memory = '1MiB' }
[role.tl]
config = { b = '2' }
limits.memory = '2MiB'
";
    let loaded = load(text, &[]).unwrap();
    let role = &loaded.config.roles[&name("tl")];
    assert_eq!(role.instance, InstanceMode::Pooled);
    assert_eq!(role.limits.queue, 7);
    assert_eq!(role.limits.memory, ByteSize::mib(2));
    assert_eq!(role.limits.wall_time, TimeSpan::secs(30));
    assert_eq!(role.config["a"], "1");
    assert_eq!(role.config["b"], "2");
    assert_eq!(
        loaded.sources.of(["role", "tl", "limits", "queue"]),
        Source::File { line: 5 }
    );
    assert_eq!(
        loaded.sources.of(["role", "tl", "limits", "memory"]),
        Source::File { line: 8 }
    );
}

#[test]
fn a_token_takes_the_place_of_one_named_another_way() {
    let text = "[server]\ntoken_file = '/no/such'\n[defaults]\ntoken_env = 'A'\n[role.tl]\ntoken_env = 'B'\n";
    let secret = "0123456789abcdef";
    let variables = [("A", secret), ("B", secret), ("EXOMONAD_TOKEN", secret)];
    let loaded = load(text, &variables);
    // The file that is not there is not needed any more.
    let config = loaded.unwrap().config;
    assert_eq!(config.server.token_file, None);
    assert_eq!(config.server.token_env.as_deref(), Some("EXOMONAD_TOKEN"));
    assert_eq!(config.roles[&name("tl")].token_env.as_deref(), Some("B"));
    assert!(!format!("{config:?}").contains(secret));
}

#[test]
fn relative_paths_are_taken_from_the_files_folder_and_those_in_variables_from_the_current_one() {
    let env = |name: &str| match name {
        "HOME" => Some("/home/u".to_owned()),
        "EXOMONAD_STATE_DIR" => Some("state".to_owned()),
        _ => None,
    };
    let context = crate::read::LoadContext {
        cwd: Path::new("/repo"),
        env: &env,
        known_effects: &[],
        checks_machine: true,
    };
    let text = "[role.tl]\nplugin = './build/tl.wasm'\npaths = ['.', '../other', '/abs', '~/x']\n[role.dev]\n";
    let loaded =
        crate::read::load_text(text, Some(Path::new("etc/exomonad.toml")), &context).unwrap();
    let config = loaded.config;
    assert_eq!(config.plugins.dir, Path::new("/repo/etc/.exomonad/plugins"));
    assert_eq!(
        config.plugins.cache_dir,
        Path::new("/home/u/.cache/exomonad")
    );
    assert_eq!(config.state.dir, Path::new("/repo/state"));
    let tl = &config.roles[&name("tl")];
    let expected = ["/repo/etc", "/repo/etc/../other", "/abs", "/home/u/x"].map(PathBuf::from);
    assert_eq!(tl.bounds.files.paths, expected);
    assert_eq!(
        tl.plugin_for(&name("tl")),
        PluginRef::File("/repo/etc/build/tl.wasm".into())
    );
    assert_eq!(
        config.roles[&name("dev")].plugin_for(&name("dev")),
        PluginRef::Named(name("dev"))
    );
}

#[test]
fn the_cache_follows_the_xdg_variable_unless_it_is_relative() {
    let cache = |value| {
        load("", &[("XDG_CACHE_HOME", value)])
            .unwrap()
            .config
            .plugins
            .cache_dir
    };
    assert_eq!(cache("/var/cache"), Path::new("/var/cache/exomonad"));
    assert_eq!(cache("cache"), Path::new("/repo/~/.cache/exomonad"));
}

#[test]
fn a_role_may_have_as_many_calls_at_once_as_there_are_sandboxes() {
    let loaded = load("[engine]\nsandboxes = 10\n[role.tl]\n", &[]).unwrap();
    assert_eq!(loaded.config.roles[&name("tl")].limits.concurrent_calls, 10);
}

#[test]
fn lists_in_variables_are_separated_by_commas() {
    let loaded = load_in(
        Path::new("/repo"),
        "",
        &[("EXOMONAD_ALLOWED_HOSTS", "a.org, b.org,")],
    )
    .unwrap();
    let hosts: Vec<&str> = loaded
        .config
        .server
        .allowed_hosts
        .iter()
        .map(|host| host.as_str())
        .collect();
    assert_eq!(hosts, ["a.org", "b.org"]);
}

#[test]
fn the_standard_variables_of_opentelemetry_set_up_telemetry() {
    let secret = "authorization=Bearer%20hunter2";
    let loaded = load(
        "[telemetry]\nheaders_file = '/no/such'\nservice_name = 'written'\n",
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318/"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", secret),
            ("OTEL_SERVICE_NAME", "named"),
            ("OTEL_RESOURCE_ATTRIBUTES", "team=web,place=a%2Cb"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ],
    );
    let config = loaded.unwrap().config;
    let telemetry = &config.telemetry;
    let endpoint = telemetry.endpoint.as_ref().map(ToString::to_string);
    assert_eq!(endpoint.as_deref(), Some("http://localhost:4318"));
    assert_eq!(telemetry.protocol, OtlpProtocol::Http);
    assert_eq!(telemetry.service_name, "named");
    assert_eq!(telemetry.sampling.get(), 0.25);
    let values: Vec<&str> = telemetry
        .resource_attributes
        .iter()
        .map(|attribute| attribute.value.as_str())
        .collect();
    assert_eq!(values, ["web", "a,b"]);
    // The file that is not there is not needed any more, and the secret is named, not held.
    assert_eq!(telemetry.headers_file, None);
    assert_eq!(
        telemetry.headers_env.as_deref(),
        Some("OTEL_EXPORTER_OTLP_HEADERS")
    );
    assert!(!format!("{config:?}").contains("hunter2"));
    let headers = telemetry.headers_source().map(|source| {
        let read = source.resolve_headers(|_| Some(secret.to_owned()));
        exomonad_core::header_pairs(&read.unwrap())
    });
    let bearer = ("authorization".to_owned(), "Bearer hunter2".to_owned());
    assert_eq!(headers, Some(vec![bearer]));
}

#[test]
fn without_an_endpoint_no_signal_is_sent() {
    let sends = |text: &str, signal| {
        let telemetry = load(text, &[]).unwrap().config.telemetry;
        telemetry.sends(signal)
    };
    assert!(!sends("", Signal::Traces));
    let some = "[telemetry]\nendpoint = 'http://h:1'\nsignals = ['logs']\n";
    assert!(sends(some, Signal::Logs) && !sends(some, Signal::Traces));
}

#[test]
fn a_key_that_only_the_defaults_set_is_named_as_theirs() {
    let file = "[defaults]\npaths = ['.']\nlimits = { memory = '32MiB', output = '1MiB' }\n[role.tl]\nlimits = { memory = '16MiB' }\n[role.dev]\npaths = ['.']\n";
    let config = load(file, &[]).unwrap().config;
    for (role, field, key) in [
        ("tl", "paths", "defaults.paths"),
        ("tl", "repos", "role.tl.repos"),
        ("tl", "limits.memory", "role.tl.limits.memory"),
        ("tl", "limits.output", "defaults.limits.output"),
        ("dev", "paths", "role.dev.paths"),
    ] {
        assert_eq!(config.role_key(&name(role), field), key);
    }
}
