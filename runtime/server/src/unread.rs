//! Answers that their clients have not read: their memory is held from a bound until the kernel has the last byte.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use exomonad_host::Role;
use exomonad_host::answer_memory::{AnswerMemory, HeldMemory};
use http_body::{Frame, SizeHint};

/// Whose memory an answer takes; that of the host if its response does not say.
#[derive(Clone)]
pub enum Unread {
    /// That of a role, whose call it answers.
    Role(Arc<Role>),
    /// None: it is there in any case.
    Nobody,
}

/// Bytes of answers that are of no role.
const OF_HOST: u64 = 64 << 20;

/// The memory for answers that are of no role.
pub fn of_host() -> AnswerMemory {
    AnswerMemory::new(OF_HOST)
}

/// Waits until there is room for a response, which it holds until it is read. One without a known size holds
/// none: a stream makes its next part when the client has taken the last.
pub async fn hold(of_host: &AnswerMemory, mut response: Response) -> Response {
    let unread = response.extensions_mut().remove::<Unread>();
    let Some(bytes) = response.body().size_hint().exact() else {
        return response;
    };
    let held = match unread {
        Some(Unread::Nobody) => None,
        Some(Unread::Role(role)) => role.admission.answers.hold(bytes).await,
        None => of_host.hold(bytes).await,
    };
    match held {
        None => response,
        Some(held) => response.map(|body| {
            Body::new(HeldBody {
                body,
                held: Arc::new(held),
            })
        }),
    }
}

/// A body that holds memory. hyper takes a whole body at once and writes it as the client reads, so that the bytes
/// hold the memory, not the body alone.
struct HeldBody {
    body: Body,
    held: Arc<HeldMemory>,
}

/// Bytes that hold memory while any of them is referred to.
struct HeldBytes {
    bytes: Bytes,
    #[expect(dead_code, reason = "it is held, not read")]
    held: Arc<HeldMemory>,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let held = || self.held.clone();
        Poll::Ready(frame.map(|frame| {
            let held = |bytes| HeldBytes {
                bytes,
                held: held(),
            };
            frame.map(|frame| frame.map_data(|bytes| Bytes::from_owner(held(bytes))))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
