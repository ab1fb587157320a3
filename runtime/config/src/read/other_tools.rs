//! Variables that other tools define, and what is taken from them: Docker's and GitHub's as defaults where the
//! file says nothing, OpenTelemetry's as the specification has them.
//!
//! Whoever sets one of them means every program. One that is not honoured is named as such.

use std::io::Read;
use std::path::{Path, PathBuf};

use exomonad_core::regular_file;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::LoadContext;
use super::diagnostic_sink::DiagnosticSink;
use crate::diagnostic::Code;
use crate::key::KeyPath;
use crate::model::Config;

/// Bytes of a file of Docker's that are read.
const LARGEST: u64 = 1 << 20;

/// The engine that Docker's own command would use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DockerEnvironment {
    /// Nothing says where it is.
    Usual,
    /// It is there, in one of the forms that `docker.host` takes.
    Taken {
        /// Where it is.
        host: String,
        /// The folder with its certificates.
        tls_dir: Option<PathBuf>,
        /// The variable or file that says so, such as `DOCKER_HOST`.
        by: String,
    },
    /// It is somewhere that is not taken, such as behind ssh.
    NotTaken {
        /// Where it is.
        host: String,
        /// The variable or file that says so.
        by: String,
    },
}

impl DockerEnvironment {
    /// Looks at `DOCKER_HOST`, else at the context of `DOCKER_CONTEXT` or of Docker's configuration.
    pub fn of(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        if let Some(host) = set("DOCKER_HOST") {
            let tls_dir = set("DOCKER_TLS_VERIFY")
                .and(set("DOCKER_CERT_PATH"))
                .map(PathBuf::from);
            return Self::at(host, tls_dir, "DOCKER_HOST".to_owned());
        }
        let folder = set("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| Some(Path::new(&set("HOME")?).join(".docker")));
        let Some(folder) = folder.filter(|folder| folder.is_absolute()) else {
            return Self::Usual;
        };
        let read = |path: PathBuf| -> Option<Value> {
            serde_json::from_reader(regular_file::open(&path).ok()?.take(LARGEST)).ok()
        };
        let (name, by) = match set("DOCKER_CONTEXT") {
            Some(name) => (name, "DOCKER_CONTEXT".to_owned()),
            None => {
                let config = read(folder.join("config.json"));
                let current = config
                    .as_ref()
                    .and_then(|config| config["currentContext"].as_str());
                let Some(name) = current.filter(|name| !name.is_empty()) else {
                    return Self::Usual;
                };
                (name.to_owned(), format!("Docker's context `{name}`"))
            }
        };
        if name == "default" {
            return Self::Usual;
        }
        let id = Sha256::digest(name.as_bytes());
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let meta = read(folder.join("contexts/meta").join(&id).join("meta.json"));
        let host = meta
            .as_ref()
            .and_then(|meta| meta["Endpoints"]["docker"]["Host"].as_str());
        let Some(host) = host else {
            return Self::NotTaken {
                host: format!("in the context `{name}`, which is not there"),
                by,
            };
        };
        let certificates = folder.join("contexts/tls").join(&id).join("docker");
        let tls_dir = certificates.is_dir().then_some(certificates);
        Self::at(host.to_owned(), tls_dir, by)
    }

    fn at(host: String, tls_dir: Option<PathBuf>, by: String) -> Self {
        let tls_dir = tls_dir.filter(|_| !host.starts_with("unix:"));
        let config = exomonad_services::DockerConfig {
            host: host.clone(),
            tls_dir: tls_dir.clone(),
            ..Default::default()
        };
        match config.check() {
            Ok(()) => Self::Taken { host, tls_dir, by },
            Err(_) => Self::NotTaken { host, by },
        }
    }
}

/// Lays what other tools' variables say over the defaults, below the file.
pub(super) fn defaults(merged: &mut Value, file: &Value, context: &LoadContext<'_>) {
    let says_engine = !file["docker"]["host"].is_null() || !file["docker"]["tls_dir"].is_null();
    if !says_engine
        && let DockerEnvironment::Taken { host, tls_dir, .. } = DockerEnvironment::of(context.env)
    {
        merged["docker"]["host"] = host.into();
        if let Some(tls_dir) = tls_dir.as_deref().and_then(Path::to_str) {
            merged["docker"]["tls_dir"] = tls_dir.into();
        }
    }
    // The name that GitHub's own command prefers; `GITHUB_TOKEN` overrides the file, and so this, too.
    if (context.env)("GH_TOKEN").is_some_and(|token| !token.is_empty()) {
        merged["github"]["token_env"] = "GH_TOKEN".into();
    }
}

/// Lays OpenTelemetry's further variables over everything, as its specification has it.
pub(super) fn overrides(merged: &mut Value, context: &LoadContext<'_>) {
    let set = |name: &str| (context.env)(name).filter(|value| !value.is_empty());
    let telemetry = &mut merged["telemetry"];
    if set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        telemetry["endpoint"] = Value::Null;
    }
    for (name, signal) in EXPORTERS {
        if set(name).is_some_and(|value| value == "none")
            && let Some(signals) = telemetry["signals"].as_array_mut()
        {
            signals.retain(|known| known != signal);
        }
    }
    match set("OTEL_TRACES_SAMPLER").as_deref() {
        Some("always_off" | "parentbased_always_off") => telemetry["sampling"] = "0".into(),
        Some("always_on" | "parentbased_always_on") => telemetry["sampling"] = "1".into(),
        _ => {}
    }
    if let Some(millis) = set("OTEL_EXPORTER_OTLP_TIMEOUT").and_then(|value| timeout(&value)) {
        telemetry["time_limit"] = json!(format!("{millis}ms"));
    }
}

/// Milliseconds, within what `telemetry.time_limit` takes.
fn timeout(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|millis| (10..=600_000).contains(millis))
}

const EXPORTERS: [(&str, &str); 3] = [
    ("OTEL_TRACES_EXPORTER", "traces"),
    ("OTEL_METRICS_EXPORTER", "metrics"),
    ("OTEL_LOGS_EXPORTER", "logs"),
];

/// Variables of the specification that are not honoured, with the key that does what they do, if one does.
const IGNORED: &[(&str, Option<&str>)] = &[
    (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        Some("telemetry.endpoint"),
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
        Some("telemetry.endpoint"),
    ),
    (
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
        Some("telemetry.endpoint"),
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        Some("telemetry.protocol"),
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        Some("telemetry.protocol"),
    ),
    (
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
        Some("telemetry.protocol"),
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        Some("telemetry.headers_env"),
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
        Some("telemetry.headers_env"),
    ),
    (
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
        Some("telemetry.headers_env"),
    ),
    (
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        Some("telemetry.time_limit"),
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
        Some("telemetry.time_limit"),
    ),
    (
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
        Some("telemetry.time_limit"),
    ),
    ("OTEL_BSP_SCHEDULE_DELAY", Some("telemetry.interval")),
    ("OTEL_BSP_EXPORT_TIMEOUT", Some("telemetry.time_limit")),
    ("OTEL_BSP_MAX_QUEUE_SIZE", Some("telemetry.queue")),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", None),
    ("OTEL_BLRP_SCHEDULE_DELAY", Some("telemetry.interval")),
    ("OTEL_BLRP_EXPORT_TIMEOUT", Some("telemetry.time_limit")),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", Some("telemetry.queue")),
    ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", None),
    ("OTEL_METRIC_EXPORT_INTERVAL", Some("telemetry.interval")),
    ("OTEL_METRIC_EXPORT_TIMEOUT", Some("telemetry.time_limit")),
    ("OTEL_METRICS_EXEMPLAR_FILTER", None),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", None),
    ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", None),
    ("OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", None),
    ("OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", None),
    ("OTEL_EXPORTER_OTLP_INSECURE", None),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", None),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", None),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", None),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", None),
    (
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        None,
    ),
    ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", None),
    ("OTEL_ATTRIBUTE_COUNT_LIMIT", None),
    ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", None),
    ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", None),
    ("OTEL_SPAN_EVENT_COUNT_LIMIT", None),
    ("OTEL_SPAN_LINK_COUNT_LIMIT", None),
    ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", None),
    ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", None),
    ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", None),
    ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", None),
    ("OTEL_LOG_LEVEL", Some("log.filter")),
    ("OTEL_ENTITIES", None),
    ("OTEL_CONFIG_FILE", None),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", None),
];

/// Names what is set and not honoured.
pub(super) fn check(config: &Config, context: &LoadContext<'_>, sink: &mut DiagnosticSink<'_>) {
    let set = |name: &str| (context.env)(name).filter(|value| !value.is_empty());
    let mut warn = |name: &str, what: &str, key: Option<&str>| {
        let help = match key {
            Some(key) => format!("`{key}` does what it would"),
            None => "unset it, or leave it to the other programs that honour it".to_owned(),
        };
        sink.warn(
            KeyPath::of(["telemetry"]),
            Code::Ineffective,
            format!("the environment variable {name} {what}"),
            help,
        );
    };
    let is_on = config.telemetry.endpoint.is_some();
    for (name, key) in IGNORED {
        // Of a signal's own endpoint: telemetry is meant, and off.
        if set(name).is_some() && (is_on || name.ends_with("_ENDPOINT")) {
            warn(name, "is not honoured", *key);
        }
    }
    if !is_on {
        return;
    }
    for (name, _) in EXPORTERS {
        if let Some(value) = set(name).filter(|value| !["none", "otlp"].contains(&value.as_str())) {
            warn(
                name,
                &format!("is `{value}`; `otlp` and `none` are honoured"),
                Some("telemetry.signals"),
            );
        }
    }
    if let Some(value) = set("OTEL_TRACES_SAMPLER") {
        let known = [
            "always_on",
            "always_off",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ];
        if !known.contains(&value.as_str()) {
            warn(
                "OTEL_TRACES_SAMPLER",
                &format!("is `{value}`, which is not honoured"),
                Some("telemetry.sampling"),
            );
        }
    }
    if set("OTEL_EXPORTER_OTLP_TIMEOUT").is_some_and(|value| timeout(&value).is_none()) {
        warn(
            "OTEL_EXPORTER_OTLP_TIMEOUT",
            "is no number of milliseconds from 10 to 600000",
            Some("telemetry.time_limit"),
        );
    }
    let foreign = |value: &String| {
        value
            .split(',')
            .any(|name| !["tracecontext", "baggage", ""].contains(&name.trim()))
    };
    if set("OTEL_PROPAGATORS").is_some_and(|value| foreign(&value)) {
        warn(
            "OTEL_PROPAGATORS",
            "names something else than `tracecontext`, which is honoured",
            None,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::read::tests::load;

    use super::*;

    fn environment(variables: &[(&str, &str)]) -> DockerEnvironment {
        DockerEnvironment::of(&|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_engine_of_docker_host_is_the_default_and_the_file_comes_first() {
        let host = |text: &str, variables: &[(&str, &str)]| {
            load(text, variables).unwrap().config.services.docker.host
        };
        let rootless = ("DOCKER_HOST", "unix:///run/user/1000/docker.sock");
        assert_eq!(host("", &[rootless]), rootless.1);
        assert_eq!(
            host("[docker]\nhost = 'tcp://a:1'\n", &[rootless]),
            "tcp://a:1"
        );
        for usual in ["", "ssh://a", "npipe:////./pipe/docker"] {
            assert_eq!(
                host("", &[("DOCKER_HOST", usual)]),
                "unix:///var/run/docker.sock"
            );
        }
        let tls = [
            ("DOCKER_HOST", "tcp://a:2376"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", "/certs"),
        ];
        let docker = load("", &tls).unwrap().config.services.docker;
        assert_eq!(
            (docker.host.as_str(), docker.tls_dir.as_deref()),
            ("tcp://a:2376", Some(Path::new("/certs")))
        );
        let ssh = environment(&[("DOCKER_HOST", "ssh://a")]);
        assert!(matches!(ssh, DockerEnvironment::NotTaken { by, .. } if by == "DOCKER_HOST"));
    }

    #[test]
    fn the_engine_of_a_context_is_found_as_dockers_command_finds_it() {
        let home = tempfile::tempdir().unwrap();
        let id: String = Sha256::digest(b"colima")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let folder = home.path().join(".docker/contexts/meta").join(id);
        fs::create_dir_all(&folder).unwrap();
        let meta = r#"{"Name":"colima","Endpoints":{"docker":{"Host":"unix:///home/u/.colima/docker.sock"}}}"#;
        fs::write(folder.join("meta.json"), meta).unwrap();
        let home_text = home.path().to_str().unwrap();
        let at = |variables: &[(&str, &str)]| {
            let mut all = vec![("HOME", home_text)];
            all.extend(variables);
            match environment(&all) {
                DockerEnvironment::Taken { host, by, .. } => format!("{host} by {by}"),
                other => format!("{other:?}"),
            }
        };
        assert_eq!(at(&[]), "Usual");
        let found = "unix:///home/u/.colima/docker.sock by";
        assert_eq!(
            at(&[("DOCKER_CONTEXT", "colima")]),
            format!("{found} DOCKER_CONTEXT")
        );
        assert_eq!(
            at(&[("DOCKER_CONTEXT", "colima"), ("DOCKER_HOST", "tcp://a:1")]),
            "tcp://a:1 by DOCKER_HOST"
        );
        fs::write(
            home.path().join(".docker/config.json"),
            r#"{"currentContext":"colima"}"#,
        )
        .unwrap();
        assert_eq!(at(&[]), format!("{found} Docker's context `colima`"));
        assert_eq!(at(&[("DOCKER_CONTEXT", "default")]), "Usual");
        assert!(at(&[("DOCKER_CONTEXT", "gone")]).starts_with("NotTaken"));
    }

    #[test]
    fn gh_token_is_taken_where_nothing_else_says_which() {
        let source = |text: &str, variables: &[(&str, &str)]| {
            load(text, variables)
                .unwrap()
                .config
                .services
                .github
                .token_env
        };
        let token = "0123456789abcdef0123";
        assert_eq!(
            source("", &[("GH_TOKEN", token)]).as_deref(),
            Some("GH_TOKEN")
        );
        let both = [
            ("GH_TOKEN", token),
            ("GITHUB_TOKEN", token),
            ("MINE", token),
        ];
        assert_eq!(source("", &both).as_deref(), Some("GITHUB_TOKEN"));
        let file = "[github]\ntoken_env = 'MINE'\n";
        let own = [both[0], both[2]];
        assert_eq!(source(file, &own).as_deref(), Some("MINE"));
    }

    #[test]
    fn variables_of_opentelemetry_are_honoured_or_named() {
        let on = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318");
        let telemetry = |variables: &[(&str, &str)]| {
            let mut all = vec![on];
            all.extend(variables);
            let loaded = load("", &all).unwrap();
            let warnings: Vec<String> = loaded
                .warnings
                .into_iter()
                .map(|warning| warning.message)
                .collect();
            (loaded.config.telemetry, warnings)
        };
        assert_eq!(telemetry(&[("OTEL_SDK_DISABLED", "true")]).0.endpoint, None);
        assert_eq!(
            telemetry(&[
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_LOGS_EXPORTER", "none")
            ])
            .0
            .signals,
            [crate::Signal::Metrics]
        );
        assert_eq!(
            telemetry(&[("OTEL_TRACES_SAMPLER", "always_off")])
                .0
                .sampling
                .to_string(),
            "0"
        );
        assert_eq!(
            telemetry(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "2500")])
                .0
                .time_limit,
            crate::TimeSpan::millis(2500)
        );
        for (name, value) in [
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:1"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ] {
            let warnings = telemetry(&[(name, value)]).1;
            assert!(
                warnings.iter().any(|warning| warning.contains(name)),
                "{name}: {warnings:?}"
            );
        }
        assert_eq!(
            telemetry(&[("OTEL_PROPAGATORS", "tracecontext,baggage")]).1,
            [""; 0]
        );
    }
}
