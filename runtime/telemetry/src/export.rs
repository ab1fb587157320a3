//! Export from the queues to the collector: one task a signal. Each outage is logged once.
//!
//! A task takes what there is every so often, and as soon as there is a batch. A collector that is
//! away costs the queues' memory and one line in the log; another line tells when it is back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exomonad_config::{Signal, TelemetryConfig};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::metrics::Metrics;
use super::queue::{self, DropCounters, Line, Lines, QueueReceiver, Spans};

/// A collector that comes and goes is spoken of no more often.
const QUIET: Duration = Duration::from_secs(60);
/// How much of what a collector says is logged, in characters.
const WORDS: usize = 300;

/// The tasks that send, and how to end them.
pub struct Export {
    endpoint: String,
    interval: Duration,
    time_limit: Duration,
    queue: usize,
    drops: Arc<DropCounters>,
    health: Arc<Health>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Export {
    pub fn new(config: &TelemetryConfig) -> Self {
        let endpoint = config.endpoint.as_ref().map(ToString::to_string);
        Self {
            endpoint: endpoint.unwrap_or_default(),
            interval: config.interval.get(),
            time_limit: config.time_limit.get(),
            queue: config.queue as usize,
            drops: Arc::default(),
            health: Arc::default(),
            tasks: JoinSet::new(),
            stop: watch::Sender::new(false),
        }
    }

    /// How many were dropped so far.
    pub fn drops(&self) -> Arc<DropCounters> {
        self.drops.clone()
    }

    /// Sends spans from now on.
    pub fn spans(&mut self, exporter: SpanExporter) -> Spans {
        let (queue, waiting) = queue::new(self.queue, &self.drops, |drops| &drops.spans);
        let send = async move |batch: Vec<SpanData>| exporter.export(batch).await;
        self.tasks
            .spawn(empty(waiting, self.worker(Signal::Traces), send));
        Spans::into(queue)
    }

    /// Sends lines of the log from now on.
    pub fn lines(&mut self, exporter: LogExporter) -> Lines {
        let (queue, waiting) = queue::new(self.queue, &self.drops, |drops| &drops.lines);
        let send = async move |batch: Vec<Line>| {
            let batch: Vec<_> = batch.iter().map(|line| (&line.0, &line.1)).collect();
            exporter.export(LogBatch::new(&batch)).await
        };
        self.tasks
            .spawn(empty(waiting, self.worker(Signal::Logs), send));
        Lines::into(queue)
    }

    /// Sends metrics from now on.
    pub fn metrics(&mut self, exporter: MetricExporter, metrics: Arc<Metrics>) {
        let mut worker = self.worker(Signal::Metrics);
        self.tasks.spawn(async move {
            loop {
                let is_last = worker.pause(None).await;
                let metrics = metrics.clone();
                // Collecting looks into folders.
                let collected = tokio::task::spawn_blocking(move || metrics.collect()).await;
                if let Ok(Some(collected)) = collected {
                    worker.send(exporter.export(&collected)).await;
                }
                if is_last {
                    return;
                }
            }
        });
    }

    /// Sends what there is, for at most so long, and ends.
    pub async fn finish(mut self, within: Duration) {
        let _ = self.stop.send(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(within, ended).await.is_err() {
            tracing::warn!(
                endpoint = self.endpoint,
                "the last telemetry could not be sent in time"
            );
        }
    }

    fn worker(&self, signal: Signal) -> ExportWorker {
        ExportWorker {
            signal,
            endpoint: self.endpoint.clone(),
            interval: self.interval,
            // The exporter has the same limit, and tries again within it.
            time_limit: self.time_limit + Duration::from_secs(1),
            health: self.health.clone(),
            stop: self.stop.subscribe(),
        }
    }
}

/// Sends batches until it is told to stop, and then the rest.
///
/// While the collector is away, one batch goes to it every so often, be it an empty one: what else there is
/// stays in the queue, and that it is back is noticed on a quiet host, too.
async fn empty<T>(
    mut waiting: QueueReceiver<T>,
    mut worker: ExportWorker,
    send: impl AsyncFn(Vec<T>) -> OTelSdkResult,
) {
    loop {
        let was_away = worker.is_away();
        let filled = (!was_away).then(|| waiting.filled());
        let is_last = worker.pause(filled).await;
        if is_last {
            waiting.close();
        }
        let mut asks = was_away && !is_last;
        loop {
            let batch = waiting.batch();
            let count = batch.len();
            if count == 0 && !asks {
                break;
            }
            asks = false;
            if !worker.send(send(batch)).await {
                waiting.drop(count);
                break;
            }
        }
        if is_last {
            return;
        }
    }
}

/// The state of one exporting task.
struct ExportWorker {
    signal: Signal,
    endpoint: String,
    interval: Duration,
    time_limit: Duration,
    health: Arc<Health>,
    stop: watch::Receiver<bool>,
}

impl ExportWorker {
    /// Waits until there is something to do, and says whether that is for the last time.
    async fn pause(&mut self, filled: Option<&Notify>) -> bool {
        let filled = async {
            match filled {
                Some(filled) => filled.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(self.interval) => false,
            () = filled => false,
            _ = self.stop.wait_for(|stop| *stop) => true,
        }
    }

    /// True if the last try failed.
    fn is_away(&self) -> bool {
        self.health.is_failing(self.signal)
    }

    /// Sends, and says whether that was done. What stands in the way is logged if it is news.
    async fn send(&self, sending: impl Future<Output = OTelSdkResult>) -> bool {
        let result = match tokio::time::timeout(self.time_limit, sending).await {
            Ok(result) => result,
            Err(_) => Err(OTelSdkError::Timeout(self.time_limit)),
        };
        let endpoint = &self.endpoint;
        match &result {
            Ok(()) => {
                if self.health.recovered(self.signal) {
                    tracing::info!(endpoint, "telemetry is sent again");
                }
            }
            Err(error) => {
                if self.health.note_failure(self.signal) {
                    let reason = shortened(&error.to_string());
                    tracing::warn!(
                        endpoint,
                        reason,
                        "telemetry cannot be sent; what finds no place in the queue is dropped, and this is said once"
                    );
                }
            }
        }
        result.is_ok()
    }
}

/// Text of others on its way to a log.
fn shortened(text: &str) -> String {
    let letters = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    letters.take(WORDS).collect()
}

/// Which signals do not get through, and what was said about it.
#[derive(Default)]
struct Health(Mutex<State>);

#[derive(Default)]
struct State {
    failing: Vec<Signal>,
    /// True if the log's last line about it is that something does not get through.
    is_said: bool,
    said_at: Option<Instant>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the last try of this one failed.
    fn is_failing(&self, signal: Signal) -> bool {
        self.state().failing.contains(&signal)
    }

    /// Notes that this one does not get through; true if that is to be said.
    fn note_failure(&self, signal: Signal) -> bool {
        let mut state = self.state();
        if !state.failing.contains(&signal) {
            state.failing.push(signal);
        }
        let is_quiet = state.said_at.is_some_and(|at| at.elapsed() < QUIET);
        let says = !state.is_said && !is_quiet;
        if says {
            state.is_said = true;
            state.said_at = Some(Instant::now());
        }
        says
    }

    /// Notes that this one gets through; true if all do again, and that is to be said.
    fn recovered(&self, signal: Signal) -> bool {
        let mut state = self.state();
        state.failing.retain(|other| *other != signal);
        state.failing.is_empty() && std::mem::take(&mut state.is_said)
    }
}
