//! `[docker]`: configuration of the Docker service.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exomonad_core::values::{ByteSize, TimeSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Docker engine, and what a container that a guest starts may have at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DockerConfig {
    /// Where the engine listens: `unix:///var/run/docker.sock`, `tcp://host:port` for plain HTTP, or
    /// `https://host:port` with `tls_dir`.
    pub host: String,
    /// The folder with `ca.pem`, `cert.pem` and `key.pem`, as `docker --tlsverify` has it.
    #[schemars(extend("format" = "path"), example = &"/run/secrets/docker-tls")]
    pub tls_dir: Option<PathBuf>,
    /// How long the engine may take to answer what it can answer at once.
    #[schemars(extend("x-minimum" = "1ms", "x-maximum" = "1h"))]
    pub time_limit: TimeSpan,
    /// How much memory a container may have, swap included; it gets as much when its request names none.
    #[schemars(extend("x-minimum" = "6MiB", "x-maximum" = "1TiB"))]
    pub max_memory: ByteSize,
    /// How much processor time a container may have, in thousandths of a processor.
    #[schemars(range(min = 10, max = 1_000_000))]
    pub max_cpu_millis: u32,
    /// How many processes a container may have.
    #[schemars(range(min = 1, max = 4_000_000))]
    pub max_processes: u32,
    /// Number of effects that work at once; the rest wait, holding neither thread nor connection.
    #[serde(skip)]
    pub max_concurrent: usize,
    /// Time limit of one pull, also of the one a spawn begins with.
    #[serde(skip)]
    pub pull_time_limit: Duration,
    /// Time limit for killing the command of an exec that timed out or was cancelled.
    #[serde(skip)]
    pub kill_time_limit: Duration,
    /// Bytes of each output that an answer may hold, whatever its request asks for.
    #[serde(skip)]
    pub max_output_bytes: u64,
    /// The keys of labels by which roles reach their containers: a role gives none but its own.
    #[serde(skip)]
    pub reserved_labels: BTreeSet<String>,
}

impl Default for DockerConfig {
    fn default() -> Self {
        Self {
            host: "unix:///var/run/docker.sock".to_owned(),
            tls_dir: None,
            time_limit: TimeSpan::secs(30),
            max_memory: ByteSize::mib(2048),
            max_cpu_millis: 2000,
            max_processes: 1024,
            max_concurrent: 256,
            pull_time_limit: Duration::from_secs(600),
            kill_time_limit: Duration::from_secs(15),
            max_output_bytes: 16 << 20,
            reserved_labels: BTreeSet::new(),
        }
    }
}

/// The engine's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// A socket of this machine.
    Unix(PathBuf),
    /// Plain HTTP.
    Tcp,
    /// HTTPS with the certificates of a folder.
    Tls(PathBuf),
}

impl DockerConfig {
    /// Checks the settings. Nothing is looked for on disk or network: an engine that is
    /// not there is an error of the first effect.
    ///
    /// # Errors
    /// When a limit is zero or beyond what the engine's API can say, or `host` is none.
    pub fn check(&self) -> Result<(), DockerConfigError> {
        let zero = [
            ("max_concurrent", self.max_concurrent == 0),
            ("time_limit", self.time_limit.get().is_zero()),
            ("pull_time_limit", self.pull_time_limit.is_zero()),
            ("kill_time_limit", self.kill_time_limit.is_zero()),
            ("max_output_bytes", self.max_output_bytes == 0),
            ("max_memory", self.max_memory.get() == 0),
            ("max_cpu_millis", self.max_cpu_millis == 0),
            ("max_processes", self.max_processes == 0),
        ];
        if let Some((name, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(DockerConfigError::Zero(name));
        }
        let memory = self.max_memory.get();
        if memory < MIN_MEMORY_BYTES || i64::try_from(memory).is_err() {
            return Err(DockerConfigError::Memory(memory));
        }
        if self.max_cpu_millis < MIN_CPU_MILLIS {
            return Err(DockerConfigError::Cpu(self.max_cpu_millis));
        }
        self.endpoint().map(|_| ())
    }

    /// The engine's address, parsed.
    pub(super) fn endpoint(&self) -> Result<Endpoint, DockerConfigError> {
        let host = || DockerConfigError::Host(self.host.clone());
        let (scheme, rest) = self.host.split_once("://").ok_or_else(host)?;
        let endpoint = match (scheme, &self.tls_dir) {
            ("unix", _) if Path::new(rest).is_absolute() => Endpoint::Unix(rest.into()),
            ("tcp", None) if is_address(rest) => Endpoint::Tcp,
            // `tcp` with certificates is TLS, as DOCKER_TLS_VERIFY has it.
            ("tcp" | "https", Some(dir)) if is_address(rest) => Endpoint::Tls(dir.clone()),
            ("https", None) if is_address(rest) => return Err(DockerConfigError::NoCertificates),
            _ => return Err(host()),
        };
        Ok(endpoint)
    }
}

/// The least memory Docker gives a container.
pub(super) const MIN_MEMORY_BYTES: u64 = 6 << 20;

/// The least processor time the kernel can count: a millisecond of every hundred.
pub(super) const MIN_CPU_MILLIS: u32 = 10;

/// `host:port` and nothing more; the port may not be left out, since none is right for both.
fn is_address(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    text.rsplit_once(':').is_some_and(|(name, port)| {
        !name.is_empty()
            && is_port(port)
            && !name.contains(['/', '?', '#', '@', '%'])
            && !name.contains(char::is_whitespace)
    })
}

/// An error in the Docker service's configuration.
#[derive(Debug, thiserror::Error)]
pub enum DockerConfigError {
    /// A limit that would let nothing through.
    #[error(
        "the Docker service's `{0}` is zero, which lets no effect through; set it to 1 or more"
    )]
    Zero(&'static str),
    /// Not where an engine can be.
    #[error(
        "the Docker service's `host` is `{0}`, which is no engine's address; write \
         unix:///path/to/docker.sock, tcp://host:port or https://host:port"
    )]
    Host(String),
    /// TLS without certificates.
    #[error(
        "the Docker service's `host` is https, and no `tls_dir` is set; set it to the folder with \
         ca.pem, cert.pem and key.pem"
    )]
    NoCertificates,
    /// A ceiling Docker cannot set.
    #[error(
        "the Docker service's `max_memory` is {0}; set it between 6291456 (Docker's least) and \
         9223372036854775807"
    )]
    Memory(u64),
    /// A ceiling the kernel cannot count.
    #[error("the Docker service's `max_cpu_millis` is {0}; set it to 10 or more")]
    Cpu(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, tls_dir: Option<&str>) -> Result<Endpoint, DockerConfigError> {
        let config = DockerConfig {
            host: host.to_owned(),
            tls_dir: tls_dir.map(PathBuf::from),
            ..DockerConfig::default()
        };
        config.check().and_then(|()| config.endpoint())
    }

    #[test]
    fn an_engine_listens_on_a_socket_tcp_or_tls() {
        let unix = at("unix:///var/run/docker.sock", None).unwrap();
        assert_eq!(unix, Endpoint::Unix("/var/run/docker.sock".into()));
        assert_eq!(at("tcp://127.0.0.1:2375", None).unwrap(), Endpoint::Tcp);
        assert_eq!(at("tcp://[::1]:2375", None).unwrap(), Endpoint::Tcp);
        let tls = Endpoint::Tls("/certs".into());
        assert_eq!(at("https://engine:2376", Some("/certs")).unwrap(), tls);
        assert_eq!(at("tcp://engine:2376", Some("/certs")).unwrap(), tls);
    }

    #[test]
    fn an_invalid_address_is_refused_with_the_valid_forms() {
        for bad in [
            "",
            "/var/run/docker.sock",
            "unix://docker.sock",
            "tcp://engine",
            "tcp://:2375",
            "tcp://a:0",
            "tcp://a:2375/path",
            "tcp://a b:2375",
            "ssh://a:22",
        ] {
            let message = at(bad, None).unwrap_err().to_string();
            assert!(message.contains("tcp://host:port"), "{bad}: {message}");
        }
        let message = at("https://engine:2376", None).unwrap_err().to_string();
        assert!(message.contains("`tls_dir`"), "{message}");
    }

    #[test]
    fn a_limit_of_zero_is_refused_by_name() {
        let config = DockerConfig {
            max_processes: 0,
            ..DockerConfig::default()
        };
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains("`max_processes` is zero"), "{message}");
        assert!(DockerConfig::default().check().is_ok());
    }
}
