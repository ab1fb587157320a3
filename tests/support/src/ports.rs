//! Ports of the loopback interface for programs that take one as an argument.

use std::net::{SocketAddr, TcpListener};

/// Ports that the kernel gives to nobody by itself: below its range for outgoing connections.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A port that is free, and stays so unless another program is given the same one.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    for _ in 0..100 {
        let random = getrandom::u32().expect("the system has randomness");
        let port = PORTS.start + (random % u32::from(PORTS.end - PORTS.start)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("there is no free port in {PORTS:?}");
}

/// An address that refuses connections for as long as this lives: nobody else can listen there.
pub struct RefusingAddress {
    _socket: tokio::net::TcpSocket,
    address: SocketAddr,
}

impl RefusingAddress {
    /// Takes a port without listening on it.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn new() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket
            .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .expect("a free port");
        let address = socket.local_addr().expect("its address");
        Self {
            _socket: socket,
            address,
        }
    }

    /// Where nobody answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Default for RefusingAddress {
    fn default() -> Self {
        Self::new()
    }
}
