//! A server on a loopback port that answers as a test wants, and records the requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// Its method.
    pub method: String,
    /// With its query.
    pub path: String,
    /// The request line and the headers.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl ReceivedRequest {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// The value of a header in the head of a request or an answer.
#[must_use]
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The treatment of a request.
pub enum MockResponse {
    /// Answers.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// Announces more than it sends, and closes.
    CutOff(String),
    /// Closes without a word.
    Close,
    /// Says nothing for so long, then answers `{}`.
    Late(Duration),
    /// Asks another server, and passes on what that says.
    Forward(std::net::SocketAddr),
}

impl MockResponse {
    /// A response 200 with this body.
    pub fn ok(body: impl Into<String>) -> Self {
        Self::Whole(200, Vec::new(), body.into())
    }

    /// A response with this status, and a message as GitHub has it.
    #[must_use]
    pub fn status(status: u16, message: &str) -> Self {
        Self::Whole(status, Vec::new(), format!(r#"{{"message":"{message}"}}"#))
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        if let Self::Whole(_, headers, _) = &mut self {
            headers.push((name, value.to_string()));
        }
        self
    }
}

/// Requests, each with the head of the response that another server gave to it.
type Exchanges = Arc<Mutex<Vec<(ReceivedRequest, String)>>>;

/// A running server; it ends with the test's runtime.
pub struct MockServer {
    /// Its base URL.
    pub url: String,
    exchanges: Exchanges,
}

impl MockServer {
    /// Answers the `n`th request, from 0, with `answer(request, n)`.
    pub async fn start(
        answer: impl Fn(&ReceivedRequest, usize) -> MockResponse + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let exchanges = Exchanges::default();
        let (kept, answer) = (exchanges.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, kept.clone(), answer.clone()));
            }
        });
        Self { url, exchanges }
    }

    /// The requests so far, in order.
    #[must_use]
    pub fn seen(&self) -> Vec<ReceivedRequest> {
        let exchanges = self.exchanges.lock().unwrap();
        exchanges.iter().map(|(seen, _)| seen.clone()).collect()
    }

    /// The requests since this was last called, and the heads of forwarded responses.
    #[must_use]
    pub fn take(&self) -> Vec<(ReceivedRequest, String)> {
        std::mem::take(&mut self.exchanges.lock().unwrap())
    }
}

async fn serve(
    mut stream: TcpStream,
    exchanges: Exchanges,
    answer: Arc<impl Fn(&ReceivedRequest, usize) -> MockResponse + Send + Sync>,
) {
    let Some(seen) = read_request(&mut stream).await else {
        return;
    };
    let number = {
        let mut exchanges = exchanges.lock().unwrap();
        exchanges.push((seen.clone(), String::new()));
        exchanges.len() - 1
    };
    let bytes = match answer(&seen, number) {
        MockResponse::Whole(status, headers, body) => whole(status, &headers, &body),
        MockResponse::CutOff(body) => format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len() + 100
        )
        .into_bytes(),
        MockResponse::Close => return,
        MockResponse::Late(wait) => {
            tokio::time::sleep(wait).await;
            whole(200, &[], "{}")
        }
        MockResponse::Forward(to) => {
            let bytes = forward(&seen, to).await;
            let head = String::from_utf8_lossy(&bytes);
            let head = head.split("\r\n\r\n").next().unwrap_or_default().to_owned();
            exchanges.lock().unwrap()[number].1 = head;
            bytes
        }
    };
    // The client may have gone away; that is its right.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}

fn whole(status: u16, headers: &[(&str, String)], body: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Test\r\n");
    if !headers.iter().any(|(name, _)| *name == "connection") {
        head.push_str("connection: close\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if status == 304 {
        return format!("{head}\r\n").into_bytes();
    }
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn forward(seen: &ReceivedRequest, to: std::net::SocketAddr) -> Vec<u8> {
    let mut other = TcpStream::connect(to).await.unwrap();
    let head = seen.head.trim_end();
    other
        .write_all(format!("{head}\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    other.write_all(&seen.body).await.unwrap();
    let mut bytes = Vec::new();
    other.read_to_end(&mut bytes).await.unwrap();
    bytes
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<ReceivedRequest> {
    let mut bytes = Vec::new();
    let body_at = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        // It speaks TLS, and would wait for an answer in kind.
        if !bytes.first().is_some_and(u8::is_ascii_uppercase) {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..body_at].to_vec()).unwrap();
    let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < body_at + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let mut words = head.split(' ');
    Some(ReceivedRequest {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        body: bytes[body_at..].to_vec(),
        head,
    })
}
