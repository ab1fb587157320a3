//! An engine behind TLS that asks for a client's certificate, as `dockerd --tlsverify` does.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use exomonad_core::DockerService;
use exomonad_core::values::TimeSpan;
use exomonad_docker::{Docker, DockerConfig};
use exomonad_schema::ErrorCode;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;

use crate::stage::{SOCKET, request, stage_with};

/// Runs `openssl req` in a folder.
fn certificate(dir: &Path, name: &str, more: &[&str]) {
    let (key, cert) = (format!("{name}-key.pem"), format!("{name}.pem"));
    let subject = format!("/CN=exomonad {name}");
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-subj", &subject])
        .args(curve)
        .args(["-keyout", &key, "-out", &cert])
        .args(more)
        .current_dir(dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "openssl: {said}");
}

/// A folder as `docker.tls_dir` is, with a server's certificate beside it.
fn certificates(dir: &Path) {
    certificate(dir, "ca", &[]);
    let signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem"];
    let end = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let server = ["-addext", "subjectAltName=IP:127.0.0.1"];
    certificate(dir, "server", &[&signed[..], &end, &server].concat());
    certificate(dir, "cert", &[&signed[..], &end].concat());
    std::fs::rename(dir.join("cert-key.pem"), dir.join("key.pem")).unwrap();
}

/// TLS in front of the engine's socket; its address.
async fn front(dir: &Path) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = CertificateDer::from_pem_file(dir.join("ca.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(ca).unwrap();
    let clients = WebPkiClientVerifier::builder(Arc::new(roots))
        .build()
        .unwrap();
    let config = ServerConfig::builder()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(dir.join("server.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(dir.join("server-key.pem")).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(stream).await else {
                    return;
                };
                let mut engine = UnixStream::connect(SOCKET).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut engine).await;
            });
        }
    });
    format!("https://{address}")
}

#[tokio::test]
async fn an_engine_behind_tls_is_reached_with_the_right_certificates_only() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(dir.path());
    certificates(other.path());
    let host = front(dir.path()).await;
    let config = |dir: &Path| DockerConfig {
        host: host.clone(),
        tls_dir: Some(dir.to_owned()),
        ..DockerConfig::default()
    };
    let Some(stage) = stage_with(config(dir.path())) else {
        return;
    };
    let id = stage.sleeper().await;
    let input = "x".repeat(100_000);
    let result = stage
        .exec(&id, &["cat"], json!({ "stdin": input }))
        .await
        .unwrap();
    assert!(result.output.stdout == input);
    let error = stage
        .exec(&id, &["sleep", "1001"], json!({ "timeoutMillis": 2000 }))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Timeout);
    assert!(error.message.contains("was killed"), "{error}");

    // Certificates of another authority: it does not know the server, nor the server them.
    let stranger = Docker::new(DockerConfig {
        time_limit: TimeSpan::secs(10),
        ..config(other.path())
    })
    .unwrap();
    let error = stranger
        .list(&stage.call(), request(json!({})))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
    assert!(error.message.contains("certificate"), "{error}");
}
