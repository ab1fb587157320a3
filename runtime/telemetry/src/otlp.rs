//! The exporters: OTLP by gRPC or by HTTP.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use exomonad_config::{OtlpProtocol, TelemetryConfig};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig,
    WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::LogExporter as _;
use opentelemetry_sdk::trace::SpanExporter as _;

use super::StartError;

/// The most that is read of a collector's answer, in bytes.
const ANSWER: usize = 64 << 10;

/// The exporters to a collector: its address, its headers and how it is spoken to.
pub struct OtlpExporters {
    endpoint: String,
    time_limit: Duration,
    headers: Vec<(String, String)>,
    /// By HTTP; by gRPC if there is none.
    client: Option<Client>,
}

impl OtlpExporters {
    /// The exporters for the collector that the configuration names, if it does. `client` makes the HTTP
    /// client. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// If its headers cannot be read, or there can be no TLS.
    pub fn of(
        config: &TelemetryConfig,
        env: impl Fn(&str) -> Option<String>,
        client: impl FnOnce() -> Result<reqwest::Client, String>,
    ) -> Result<Option<Self>, StartError> {
        let Some(endpoint) = config.endpoint.as_ref() else {
            return Ok(None);
        };
        let headers = config
            .headers_source()
            .map(|source| source.resolve_headers(env));
        let client = match config.protocol {
            OtlpProtocol::Grpc => None,
            OtlpProtocol::Http => {
                Some(Client(client().map_err(|reason| StartError::Exporter {
                    endpoint: endpoint.to_string(),
                    reason,
                })?))
            }
        };
        Ok(Some(Self {
            endpoint: endpoint.to_string(),
            time_limit: config.time_limit.get(),
            headers: headers
                .transpose()?
                .map(|kept| exomonad_config::header_pairs(&kept))
                .unwrap_or_default(),
            client,
        }))
    }

    /// Sends spans.
    pub fn spans(&self, resource: &Resource) -> Result<SpanExporter, StartError> {
        let exporter = match &self.client {
            None => self.grpc(SpanExporter::builder().with_tonic()).build(),
            Some(client) => self
                .http(SpanExporter::builder().with_http(), client, "traces")
                .build(),
        };
        let mut exporter = exporter.map_err(|error| self.unusable(&error))?;
        exporter.set_resource(resource);
        Ok(exporter)
    }

    /// Sends lines of the log.
    pub fn logs(&self, resource: &Resource) -> Result<LogExporter, StartError> {
        let exporter = match &self.client {
            None => self.grpc(LogExporter::builder().with_tonic()).build(),
            Some(client) => self
                .http(LogExporter::builder().with_http(), client, "logs")
                .build(),
        };
        let mut exporter = exporter.map_err(|error| self.unusable(&error))?;
        exporter.set_resource(resource);
        Ok(exporter)
    }

    /// Sends metrics.
    pub fn metrics(&self) -> Result<MetricExporter, StartError> {
        let exporter = match &self.client {
            None => self.grpc(MetricExporter::builder().with_tonic()).build(),
            Some(client) => self
                .http(MetricExporter::builder().with_http(), client, "metrics")
                .build(),
        };
        exporter.map_err(|error| self.unusable(&error))
    }

    fn grpc<B: WithTonicConfig + WithExportConfig>(&self, builder: B) -> B {
        let headers: HeaderMap = self
            .headers
            .iter()
            .filter_map(|(name, value)| {
                let name = HeaderName::try_from(name.as_str()).ok()?;
                let mut value = HeaderValue::try_from(value.as_str()).ok()?;
                value.set_sensitive(true);
                Some((name, value))
            })
            .collect();
        let builder = builder
            .with_endpoint(self.endpoint.as_str())
            .with_timeout(self.time_limit)
            .with_metadata(MetadataMap::from_headers(headers));
        match self.endpoint.starts_with("https:") {
            true => builder.with_tls_config(ClientTlsConfig::new().with_native_roots()),
            false => builder,
        }
    }

    fn http<B: WithHttpConfig + WithExportConfig>(
        &self,
        builder: B,
        client: &Client,
        signal: &str,
    ) -> B {
        let headers: HashMap<_, _> = self.headers.iter().cloned().collect();
        builder
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/{signal}", self.endpoint))
            .with_timeout(self.time_limit)
            .with_headers(headers)
            .with_http_client(client.clone())
    }

    fn unusable(&self, error: &ExporterBuildError) -> StartError {
        StartError::Exporter {
            endpoint: self.endpoint.clone(),
            reason: error.to_string(),
        }
    }
}

/// The host's own HTTP client, as the exporters want it. Its time limit is that of whoever waits for it.
#[derive(Clone, Debug)]
struct Client(reqwest::Client);

impl HttpClient for Client {
    // As `async_trait` would write it.
    fn send_bytes<'s, 'f>(
        &'s self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let sent = self
                .0
                .request(head.method, head.uri.to_string())
                .headers(head.headers)
                .body(body);
            let mut answer = sent.send().await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                headers.extend(std::mem::take(answer.headers_mut()));
            }
            let mut content = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                let room = ANSWER.saturating_sub(content.len()).min(chunk.len());
                content.extend_from_slice(&chunk[..room]);
                if room < chunk.len() {
                    break;
                }
            }
            Ok(response.body(Bytes::from(content))?)
        })
    }
}
