//! Accepts connections, and ends without losing a call.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::linger::Linger;
use super::{App, router};

/// A client that does not finish its request's head by then is let go; so is one that keeps a connection
/// and asks nothing more.
const HEAD: Duration = Duration::from_secs(10);
/// How long a request that was sent before the signal to stop may take to arrive.
const LATE: Duration = Duration::from_millis(100);
/// How long calls that are cancelled at the end may take to be gone.
const CANCEL: Duration = Duration::from_secs(1);
/// How long to wait when the machine refuses connections, for want of memory for instance.
const REFUSED: Duration = Duration::from_millis(50);
/// File descriptors that connections leave to the plugin folder, the caches and the services.
const OTHER_DESCRIPTORS: u64 = 512;

/// Serves until `stop` is ready; then lets the requests in flight finish, for at most `grace`.
///
/// HTTP/1.1 only: that is what MCP clients, curl and proxies speak to a plain port.
///
/// Returns whether all of them finished.
pub async fn serve(
    listener: TcpListener,
    app: App,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> bool {
    let router = router(app.clone());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    // Every connection holds a receiver: when all are gone, so are the connections.
    let (stopping, stopped) = watch::channel(false);
    let (cancelling, cancelled) = watch::channel(false);
    let places = Arc::new(Semaphore::new(connections_at_once()));
    let begin = |stream: TcpStream, place| {
        // Answers are small and wanted at once.
        let _ = stream.set_nodelay(true);
        let longest = app.serving().runtime.config.server.request_timeout.get();
        let stream = Linger::new(stream, longest);
        let (http, router, stopped) = (http.clone(), router.clone(), stopped.clone());
        let mut cancelled = cancelled.clone();
        tokio::spawn(async move {
            let _place: Option<OwnedSemaphorePermit> = place;
            tokio::select! {
                ended = converse(&http, router, stream, stopped) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended");
                    }
                }
                // Its calls are dropped here, and recorded as cancelled.
                _ = cancelled.wait_for(|cancelled| *cancelled) => {}
            }
        });
    };
    tokio::pin!(stop);
    loop {
        let accept = async {
            // Whoever finds no place waits in the kernel's queue. The semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accept => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => begin(stream, place),
            Err(error) => pause_after(&error).await,
        }
    }
    // Clients that were connected before the signal, as they see it.
    while let Ok(Ok((stream, _))) = tokio::time::timeout(Duration::ZERO, listener.accept()).await {
        begin(stream, None);
    }
    drop(listener);
    drop(stopped);
    // Fails if every connection is gone already.
    let _ = stopping.send(true);
    if tokio::time::timeout(grace, stopping.closed()).await.is_ok() {
        return true;
    }
    let _ = cancelling.send(true);
    // Dropping a call takes no time; a thread that hangs must not hold up the end.
    let _ = tokio::time::timeout(CANCEL, stopping.closed()).await;
    false
}

/// Answers the requests of one connection.
async fn converse(
    http: &http1::Builder,
    router: Router,
    stream: Linger,
    mut stopped: watch::Receiver<bool>,
) -> hyper::Result<()> {
    // Told to stop, hyper closes a connection that it has read nothing from, though a request may lie in
    // it: so it begins when there is something to read.
    let silent = async {
        let _ = stopped.wait_for(|stopped| *stopped).await;
        tokio::time::sleep(LATE).await;
    };
    let speaks = tokio::select! {
        readable = stream.get_ref().readable() => readable.is_ok(),
        () = tokio::time::sleep(HEAD) => false,
        () = silent => false,
    };
    if !speaks {
        return Ok(());
    }
    let service = TowerToHyperService::new(router);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => return ended,
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// How many connections may be open: what the process may open is raised as far as it is allowed to be.
fn connections_at_once() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // `None` is no limit at all.
    let descriptors = current.unwrap_or(u64::MAX);
    let connections = descriptors
        .saturating_sub(OTHER_DESCRIPTORS)
        .max(descriptors / 2);
    usize::try_from(connections).map_or(Semaphore::MAX_PERMITS, |count| {
        count.min(Semaphore::MAX_PERMITS)
    })
}

async fn pause_after(error: &io::Error) {
    let of_the_client = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !of_the_client {
        tracing::warn!(%error, "a connection cannot be accepted");
        tokio::time::sleep(REFUSED).await;
    }
}
