//! A web server for guests to reach.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A server on loopback.
pub struct WebServer {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
}

impl WebServer {
    /// A server whose every answer has this body.
    #[must_use]
    pub fn answering(body: &str) -> Self {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        Self::start(move |_| answer.clone())
    }

    /// A server that sends every request on to this URL.
    #[must_use]
    pub fn redirecting(url: &str) -> Self {
        let answer = format!(
            "HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        Self::start(move |_| answer.clone())
    }

    /// A server that answers a request, its head and its body, with a media type and a body.
    #[must_use]
    pub fn replying(
        reply: impl Fn(&str) -> (&'static str, String) + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |request| {
            let (media_type, body) = reply(request);
            let length = body.len();
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
        })
    }

    /// Starts a server with these answers. Its threads end with the test's process: each connection has one, since
    /// some clients open connections in advance.
    fn start(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let last = Arc::new(Mutex::new(String::new()));
        let noted = last.clone();
        let serve = Arc::new(move |mut stream: TcpStream| {
            counted.fetch_add(1, Ordering::SeqCst);
            let request = read_request(&mut stream).unwrap_or_default();
            let answer = answer(&request);
            if let Ok(mut last) = noted.lock() {
                *last = request;
            }
            let _ = stream.write_all(answer.as_bytes());
        });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = serve.clone();
                thread::spawn(move || serve(stream));
            }
        });
        Self {
            address,
            requests,
            last,
        }
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The last request that has reached it.
    #[must_use]
    pub fn last(&self) -> String {
        self.last
            .lock()
            .map(|last| last.clone())
            .unwrap_or_default()
    }

    /// How many requests have reached it.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Reads a request to its end: a connection that is closed with bytes unread is reset, and the answer lost.
fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
        request.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request.push_str("\r\n");
    request.push_str(&String::from_utf8_lossy(&body));
    Ok(request)
}
