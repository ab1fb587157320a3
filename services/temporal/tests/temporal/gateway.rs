//! A gateway in front of the server, as Temporal Cloud has one: TLS, API keys, and headers that it keeps.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use exomonad_schema::ErrorCode;
use exomonad_schema::effects::temporal::*;
use exomonad_temporal::TemporalConfig;
use exomonad_test_support::TemporalServer;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::service::{API_KEY, ask, call, config, config_with_key, failed, temporal};

/// A gateway, and what it has seen.
struct Gateway {
    address: String,
    /// The key that it lets through; any when absent.
    key: Arc<Mutex<Option<String>>>,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
}

impl Gateway {
    async fn start(server: &TemporalServer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gateway = Self {
            address: listener.local_addr().unwrap().to_string(),
            key: Arc::default(),
            seen: Arc::default(),
        };
        let (key, seen) = (gateway.key.clone(), gateway.seen.clone());
        let upstream = server.address();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (key, seen) = (key.clone(), seen.clone());
                let (upstream, tls) = (upstream.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, upstream, key, seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, upstream, key, seen).await;
                            }
                        }
                    }
                });
            }
        });
        gateway
    }

    fn lets_through(&self, key: &str) {
        *self.key.lock().unwrap() = Some(format!("Bearer {key}"));
    }

    fn last(&self) -> HeaderMap {
        self.seen.lock().unwrap().last().cloned().unwrap()
    }
}

async fn serve<S>(
    stream: S,
    upstream: String,
    key: Arc<Mutex<Option<String>>>,
    seen: Arc<Mutex<Vec<HeaderMap>>>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let client: Client<HttpConnector, Incoming> = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(HttpConnector::new());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (client, upstream) = (client.clone(), upstream.clone());
        seen.lock().unwrap().push(request.headers().clone());
        let wanted = key.lock().unwrap().clone();
        let given = request.headers().get("authorization");
        let given = given
            .and_then(|given| given.to_str().ok())
            .map(str::to_owned);
        async move {
            if wanted.is_some() && wanted != given {
                // The answer repeats what came, as servers in trouble do.
                let refused = Response::builder()
                    .header("content-type", "application/grpc")
                    .header("grpc-status", "16")
                    .header(
                        "grpc-message",
                        format!("bad key {}", given.unwrap_or_default()),
                    )
                    .body(http_body_util::Either::Left(http_body_util::Empty::new()));
                return Ok::<_, hyper_util::client::legacy::Error>(refused.unwrap());
            }
            let path = request.uri().path().to_owned();
            *request.uri_mut() = format!("http://{upstream}{path}").parse().unwrap();
            let answer = client.request(request).await?;
            Ok(answer.map(http_body_util::Either::Right))
        }
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

#[tokio::test]
async fn a_wrong_api_key_is_refused_without_being_shown_and_headers_arrive() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let gateway = Gateway::start(&server, None).await;
    gateway.lets_through("another");
    let settings = TemporalConfig {
        headers: BTreeMap::from([("x-tenant".to_owned(), "seven of 7".to_owned())]),
        ..config_with_key(&gateway.address, API_KEY)
    };
    let refused = temporal(settings.clone());
    assert!(!format!("{refused:?}").contains("PlantedKey"));
    let error = failed(
        ask::<TemporalDescribeNamespace>(&refused, &call(), json!({})).await,
        ErrorCode::Unauthenticated,
    );
    assert!(error.message.contains("`temporal.api_key_file`"), "{error}");
    assert!(error.message.contains("[API key]"), "{error}");
    assert_eq!(gateway.last()["x-tenant"], "seven of 7");
    assert_eq!(gateway.last()["authorization"], format!("Bearer {API_KEY}"));

    gateway.lets_through(API_KEY);
    let found = ask::<TemporalDescribeNamespace>(&refused, &call(), json!({}))
        .await
        .unwrap();
    assert_eq!(found["name"], "default");
    assert!(
        !format!("{refused:?}").contains("PlantedKey"),
        "with an open connection"
    );
    assert_eq!(gateway.last()["temporal-namespace"], "default");
    // The key expires while the connection is open.
    gateway.lets_through("another");
    failed(
        ask::<TemporalDescribeNamespace>(&refused, &call(), json!({})).await,
        ErrorCode::Unauthenticated,
    );
}

/// Runs `openssl req` in a folder.
fn certificate(dir: &Path, name: &str, more: &[&str]) {
    let (key, cert) = (format!("{name}-key.pem"), format!("{name}.pem"));
    let subject = format!("/CN=exomonad {name}");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-subj", &subject])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-keyout", &key, "-out", &cert])
        .args(more)
        .current_dir(dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "openssl: {said}");
}

/// TLS that asks for a client's certificate.
fn acceptor(dir: &Path) -> TlsAcceptor {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    let pem = |name: &str| CertificateDer::from_pem_file(dir.join(name)).unwrap();
    roots.add(pem("ca.pem")).unwrap();
    let clients = WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join("server-key.pem")).unwrap();
    let mut config = ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![pem("server.pem")], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn tls_wants_the_right_authority_name_and_client() {
    let Some(server) = TemporalServer::start().await else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    certificate(dir, "ca", &[]);
    certificate(dir, "other", &[]);
    let signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem"];
    let end = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let name = ["-addext", "subjectAltName=DNS:temporal.test"];
    certificate(dir, "server", &[&signed[..], &end, &name].concat());
    certificate(dir, "client", &[&signed[..], &end].concat());
    let gateway = Gateway::start(&server, Some(acceptor(dir))).await;
    let right = TemporalConfig {
        tls_ca_file: Some(dir.join("ca.pem")),
        tls_cert_file: Some(dir.join("client.pem")),
        tls_key_file: Some(dir.join("client-key.pem")),
        tls_server_name: Some("temporal.test".to_owned()),
        ..config(&gateway.address)
    };
    let found =
        ask::<TemporalDescribeNamespace>(&temporal(right.clone()), &call(), json!({})).await;
    assert_eq!(found.unwrap()["name"], "default");
    for (what, wrong) in [
        (
            "authority",
            TemporalConfig {
                tls_ca_file: Some(dir.join("other.pem")),
                ..right.clone()
            },
        ),
        (
            "name",
            TemporalConfig {
                tls_server_name: Some("else.test".to_owned()),
                ..right.clone()
            },
        ),
        (
            "client",
            TemporalConfig {
                tls_cert_file: None,
                tls_key_file: None,
                ..right.clone()
            },
        ),
        (
            "file",
            TemporalConfig {
                tls_ca_file: Some(dir.join("none.pem")),
                ..right.clone()
            },
        ),
    ] {
        let outcome = ask::<TemporalDescribeNamespace>(&temporal(wrong), &call(), json!({})).await;
        let error = failed(outcome, ErrorCode::Unauthenticated);
        assert!(error.message.contains("temporal"), "{what}: {error}");
    }
    // Plain towards TLS.
    let plain = temporal(config(&gateway.address));
    failed(
        ask::<TemporalDescribeNamespace>(&plain, &call(), json!({})).await,
        ErrorCode::Unavailable,
    );
    drop(TcpStream::connect(&gateway.address).await.unwrap());
}
