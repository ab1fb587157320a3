//! The connection to the server: opened when it is first needed, shared, and closed with the service.

use std::error::Error as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use exomonad_core::regular_file;
use temporalio_client::errors::ClientConnectError;
use temporalio_client::tonic::{Code, Status};
use temporalio_client::{
    ClientTlsOptions, ConnectionOptions, RetryOptions, TlsOptions, Url, tonic,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

pub use temporalio_client::Connection;

use crate::Temporal;
use crate::config::TemporalConfig;

/// The longest file with certificates or a key that is read, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// A connection that is opened by whoever needs it first.
#[derive(Default)]
pub(crate) struct LazyConnection {
    open: RwLock<Option<Connection>>,
    /// Held while one is opened, with the end of the last try if it failed: who has waited for a try meanwhile
    /// takes its outcome, so that a server that is away is not tried by one effect after the other.
    opening: Mutex<Option<Failed>>,
}

/// A try that failed.
struct Failed {
    at: Instant,
    error: Arc<ConnectionError>,
}

impl std::fmt::Debug for LazyConnection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The connection's own `Debug` shows the API key.
        let is_open = self.get().is_some();
        write!(formatter, "LazyConnection {{ is_open: {is_open} }}")
    }
}

impl LazyConnection {
    fn get(&self) -> Option<Connection> {
        self.open
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, connection: Option<Connection>) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = connection;
    }
}

impl Temporal {
    /// The connection, opened now if it is not open. It reconnects by itself when it breaks. Whoever holds a
    /// clone of it, such as a worker, keeps it open.
    ///
    /// # Errors
    /// When there is no server within `temporal.retry_time`, or it refuses the host.
    pub async fn connection(&self) -> Result<Connection, Arc<ConnectionError>> {
        if let Some(open) = self.connection.get() {
            return Ok(open);
        }
        let begun = Instant::now();
        let mut last = self.connection.opening.lock().await;
        if let Some(open) = self.connection.get() {
            return Ok(open);
        }
        if let Some(failed) = last.as_ref().filter(|failed| failed.at >= begun) {
            return Err(failed.error.clone());
        }
        match open(&self.config).await {
            Ok(connection) => {
                *last = None;
                self.connection.set(Some(connection.clone()));
                Ok(connection)
            }
            Err(error) => {
                let error = Arc::new(error);
                *last = Some(Failed {
                    at: Instant::now(),
                    error: error.clone(),
                });
                Err(error)
            }
        }
    }

    /// Closes the connection as soon as no effect uses it. The next effect would open another.
    pub fn close(&self) {
        self.connection.set(None);
    }
}

/// An error in opening the connection. Never holds the API key.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// A file for TLS cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Nobody answers.
    #[error("{0}")]
    Unreachable(String),
    /// The two sides do not agree on who they are.
    #[error("{0}")]
    Tls(String),
    /// The server answers with an error.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// The settings are not those of a server.
    #[error("{0}")]
    Settings(String),
}

impl ConnectionError {
    /// True if trying again may help.
    fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused(status) => matches!(
                status.code(),
                Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled
            ),
            Self::File { .. } | Self::Tls(_) | Self::Settings(_) => false,
        }
    }
}

/// Opens a connection, again and again with growing waits while that may help.
async fn open(config: &TemporalConfig) -> Result<Connection, ConnectionError> {
    let options = options(config)?;
    let retry = RetryOptions::default();
    let until = Instant::now() + config.retry_time.get();
    let mut wait = retry.initial_interval;
    loop {
        let connecting = Connection::connect(options.clone());
        let error = match tokio::time::timeout(config.connect_timeout, connecting).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => connection_error(error),
            Err(_) => ConnectionError::Unreachable(format!(
                "no answer within {:?}",
                config.connect_timeout
            )),
        };
        if !error.is_transient() || Instant::now() + wait >= until {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
        wait = wait.mul_f64(retry.multiplier).min(retry.max_interval);
    }
}

fn options(config: &TemporalConfig) -> Result<ConnectionOptions, ConnectionError> {
    let scheme = if config.uses_tls() { "https" } else { "http" };
    let target = Url::parse(&format!("{scheme}://{}", config.address))
        .map_err(|error| ConnectionError::Settings(error.to_string()))?;
    let tls = config.uses_tls().then(|| tls(config)).transpose()?;
    let headers = config.headers.clone().into_iter().collect();
    Ok(ConnectionOptions::new(target)
        .identity("exomonad")
        .connect_timeout(config.connect_timeout)
        .retry_options(
            RetryOptions::builder()
                .max_elapsed_time(Some(config.retry_time.get()))
                // Without a bound of its own; the time is one.
                .max_retries(0)
                .build(),
        )
        .headers(headers)
        .maybe_api_key(config.api_key.as_ref().map(|key| key.expose().to_owned()))
        .maybe_tls_options(tls)
        // A name is resolved anew whenever the connection is opened. Balancing would hide why none can be.
        .dns_load_balancing(None)
        .build())
}

fn tls(config: &TemporalConfig) -> Result<TlsOptions, ConnectionError> {
    let read = |path: &Option<PathBuf>| path.as_deref().map(read_pem).transpose();
    let identity = match (read(&config.tls_cert_file)?, read(&config.tls_key_file)?) {
        (Some(cert), Some(key)) => Some(
            ClientTlsOptions::builder()
                .client_cert(cert)
                .client_private_key(key)
                .build(),
        ),
        _ => None,
    };
    Ok(TlsOptions::builder()
        .maybe_server_root_ca_cert(read(&config.tls_ca_file)?)
        .maybe_domain(config.tls_server_name.clone())
        .maybe_client_tls_options(identity)
        .build())
}

fn read_pem(path: &Path) -> Result<Vec<u8>, ConnectionError> {
    let mut text = Vec::new();
    regular_file::open(path)
        .and_then(|file| file.take(LONGEST_FILE).read_to_end(&mut text))
        .map_err(|source| ConnectionError::File {
            path: path.to_owned(),
            source,
        })?;
    Ok(text)
}

fn connection_error(error: ClientConnectError) -> ConnectionError {
    match error {
        ClientConnectError::TonicTransportError(error) => transport_error(&error),
        ClientConnectError::SystemInfoCallError(status) => status_error(status),
        ClientConnectError::InvalidHeaders(_) => {
            ConnectionError::Settings("a header of `temporal.headers` cannot be sent".to_owned())
        }
        other => ConnectionError::Settings(other.to_string()),
    }
}

/// A handshake of TLS 1.3 fails for a client's certificate only when the first answer is read.
fn status_error(status: Status) -> ConnectionError {
    match status.source().and_then(tls_cause) {
        Some(cause) => ConnectionError::Tls(cause),
        None => ConnectionError::Refused(Box::new(status)),
    }
}

fn transport_error(error: &tonic::transport::Error) -> ConnectionError {
    match tls_cause(error) {
        Some(cause) => ConnectionError::Tls(cause),
        None => ConnectionError::Unreachable(causes(error)),
    }
}

/// The error of TLS among the causes, if there is one.
pub(crate) fn tls_cause(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            if let Some(inner) = io.get_ref()
                && inner.is::<rustls::Error>()
            {
                return Some(inner.to_string());
            }
        } else if cause.is::<rustls::Error>() {
            return Some(cause.to_string());
        }
        next = cause.source();
    }
    // HTTP/2 hides its causes, and tells them in words.
    let words = causes(error);
    words.contains("received fatal alert").then_some(words)
}

/// The causes of an error, the last of which says most.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// The time that is left until a deadline; at least a millisecond.
pub(crate) fn time_left(deadline: Instant) -> Duration {
    deadline
        .saturating_duration_since(Instant::now())
        .max(Duration::from_millis(1))
}
