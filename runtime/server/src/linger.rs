//! Closes a connection so that the client can still read the last answer.
//!
//! An answer may be complete before its request is: a body that is too large, a token that is wrong. To
//! close then, with bytes of the client's unread, makes the kernel send a reset, and that throws away
//! what the client has not read yet. So the sending side is closed first, and what still comes is read
//! and dropped for a moment.
//!
//! A client that does not read its answer, or does so too slowly, would keep its place among the connections and
//! the answer in memory: it is let go.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// A client that sends nothing for so long has seen the end.
const QUIET: Duration = Duration::from_millis(100);
/// However much it sends, it is not listened to for longer.
const AT_MOST: Duration = Duration::from_secs(2);

/// A client that reads nothing of its answer for so long is gone.
const UNREAD: Duration = Duration::from_secs(30);

/// A stream that is closed with patience.
pub struct Linger {
    stream: TcpStream,
    closing: Option<Closing>,
    /// How long the client may take to read what there is.
    longest: Duration,
    /// When what is written now began to wait for the client.
    waiting_since: Option<Instant>,
    /// Runs while the client reads nothing.
    unread: Option<Pin<Box<Sleep>>>,
}

struct Closing {
    quiet: Pin<Box<Sleep>>,
    latest: Instant,
}

impl Linger {
    /// A stream whose client may take so long to read one answer, or one part of a stream of events.
    pub fn new(stream: TcpStream, longest: Duration) -> Self {
        Self {
            stream,
            closing: None,
            longest,
            waiting_since: None,
            unread: None,
        }
    }

    /// The stream itself.
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// The result of a write, unless the client has read nothing for too long, or takes too long for all of it.
    fn watched<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.unread = None;
            return written;
        }
        let now = Instant::now();
        let latest = *self.waiting_since.get_or_insert(now) + self.longest;
        let unread = self
            .unread
            .get_or_insert_with(|| Box::pin(sleep_until(latest.min(now + UNREAD))));
        ready!(unread.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Linger {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Linger {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watched(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watched(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Asked for when everything is written.
        self.waiting_since = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(context))?;
        }
        let closing = this.closing.get_or_insert_with(|| Closing {
            quiet: Box::pin(sleep(QUIET)),
            latest: Instant::now() + AT_MOST,
        });
        let mut dropped = [0; 16 << 10];
        loop {
            let mut buffer = ReadBuf::new(&mut dropped);
            match Pin::new(&mut this.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    let quiet = (Instant::now() + QUIET).min(closing.latest);
                    closing.quiet.as_mut().reset(quiet);
                }
                // The client has closed, too, or is gone.
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return closing.quiet.as_mut().poll(context).map(Ok),
            }
            if Instant::now() >= closing.latest {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
