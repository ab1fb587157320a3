//! Bytes on a socket, for clients that don't behave.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Host, PATIENCE};

/// A connection that sends any bytes, HTTP or not.
pub struct Connection(TcpStream);

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// If the host does not listen.
    pub async fn open(host: &Host) -> Self {
        let stream = TcpStream::connect(host.address()).await;
        Self(stream.unwrap_or_else(|error| panic!("{}: {error}", host.address())))
    }

    /// Sends bytes, and tells if the other end has closed.
    ///
    /// # Errors
    /// If it has.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref()).await
    }

    /// Sends the head of a request with a JSON body of this length.
    ///
    /// # Errors
    /// If the other end has closed.
    pub async fn send_head(&mut self, path: &str, length: usize) -> io::Result<()> {
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
        self.send(head).await
    }

    /// The first bytes that come.
    ///
    /// # Panics
    /// If nothing does.
    pub async fn read(&mut self) -> String {
        let mut bytes = vec![0; 16 << 10];
        let read = timeout(PATIENCE, self.0.read(&mut bytes)).await;
        match read {
            Ok(Ok(length)) if length > 0 => String::from_utf8_lossy(&bytes[..length]).into_owned(),
            other => panic!("nothing came: {other:?}"),
        }
    }

    /// Reads what there is, 16 KiB at most; `None` when the other end has closed.
    ///
    /// # Panics
    /// If nothing comes.
    pub async fn read_some(&mut self) -> Option<usize> {
        let mut bytes = vec![0; 16 << 10];
        match timeout(PATIENCE, self.0.read(&mut bytes)).await {
            Ok(Ok(0) | Err(_)) => None,
            Ok(Ok(length)) => Some(length),
            Err(_) => panic!("nothing came"),
        }
    }

    /// Everything that comes until the other end closes.
    ///
    /// # Panics
    /// If it does not close.
    pub async fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset is an end, too.
        let read = timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await;
        assert!(
            read.is_ok(),
            "the connection stays open; it said: {}",
            String::from_utf8_lossy(&bytes)
        );
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
