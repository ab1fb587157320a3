//! Queues of bounded length between whoever has something to tell and the task that sends it.
//!
//! Whoever ends a span or writes a line puts it into a queue, or drops it when the queue is full: nobody
//! waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::{Notify, mpsc};

/// Spans, or lines, that go in one request.
const BATCH: usize = 512;

/// How many were dropped, by signal.
#[derive(Debug, Default)]
pub struct DropCounters {
    /// Spans.
    pub spans: AtomicU64,
    /// Lines of the log.
    pub lines: AtomicU64,
}

/// Which of the counters is meant.
type Count = fn(&DropCounters) -> &AtomicU64;

/// Both ends of a queue for so many.
pub fn new<T>(
    length: usize,
    drops: &Arc<DropCounters>,
    count: Count,
) -> (Queue<T>, QueueReceiver<T>) {
    let (sender, inbox) = mpsc::channel(length);
    let filled = Arc::new(Notify::new());
    let queue = Queue {
        sender,
        filled: filled.clone(),
        drops: drops.clone(),
        count,
    };
    let waiting = QueueReceiver {
        inbox,
        filled,
        drops: drops.clone(),
        count,
    };
    (queue, waiting)
}

/// Where spans or lines are put.
pub struct Queue<T> {
    sender: mpsc::Sender<T>,
    /// Wakes the task when there is a batch; it is not woken for each.
    filled: Arc<Notify>,
    drops: Arc<DropCounters>,
    count: Count,
}

impl<T> Queue<T> {
    fn put(&self, one: T) {
        if self.sender.try_send(one).is_err() {
            (self.count)(&self.drops).fetch_add(1, Ordering::Relaxed);
        }
        if self.sender.max_capacity() - self.sender.capacity() >= BATCH {
            self.filled.notify_one();
        }
    }
}

/// Where they are taken from.
pub struct QueueReceiver<T> {
    inbox: mpsc::Receiver<T>,
    filled: Arc<Notify>,
    drops: Arc<DropCounters>,
    count: Count,
}

impl<T> QueueReceiver<T> {
    /// Ready when there is a batch.
    pub fn filled(&self) -> &Notify {
        &self.filled
    }

    /// The items that wait, up to a batch.
    pub fn batch(&mut self) -> Vec<T> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Ok(one) = self.inbox.try_recv()
        {
            batch.push(one);
        }
        batch
    }

    /// Counts what could not be sent.
    pub fn drop(&self, count: usize) {
        (self.count)(&self.drops).fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Takes nothing more.
    pub fn close(&mut self) {
        self.inbox.close();
    }
}

/// Takes spans that have ended.
pub struct Spans(Queue<SpanData>);

impl Spans {
    /// Into this queue.
    pub fn into(queue: Queue<SpanData>) -> Self {
        Self(queue)
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.put(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A line of the log with where it comes from.
pub type Line = Box<(SdkLogRecord, InstrumentationScope)>;

/// Takes lines of the log.
pub struct Lines(Queue<Line>);

impl Lines {
    /// Into this queue.
    pub fn into(queue: Queue<Line>) -> Self {
        Self(queue)
    }
}

impl LogProcessor for Lines {
    fn emit(&self, line: &mut SdkLogRecord, scope: &InstrumentationScope) {
        self.0.put(Box::new((line.clone(), scope.clone())));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Spans")
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Lines")
    }
}
