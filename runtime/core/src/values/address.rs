//! Where the server listens, and which web pages may call it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use super::{FormatError, written_as_text};

/// An IP address and a port to listen on, written `"127.0.0.1:7432"` or `"[::1]:7432"`.
///
/// `localhost:PORT` is accepted and means `127.0.0.1:PORT`: other names would need a resolver, and
/// what they resolve to may change. Port 0 lets the system choose one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress(SocketAddr);

impl ListenAddress {
    /// The address for the socket.
    pub fn get(self) -> SocketAddr {
        self.0
    }

    /// True if only this machine can reach the address.
    pub fn is_loopback(self) -> bool {
        // `::ffff:127.0.0.1` is loopback too, though `Ipv6Addr::is_loopback` denies it.
        self.0.ip().to_canonical().is_loopback()
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for ListenAddress {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let shown = text.escape_debug();
        if let Some(port) = text.strip_prefix("localhost:") {
            return format!("127.0.0.1:{port}").parse().map(Self).map_err(|_| {
                FormatError::new(
                    format!("`{shown}` has no valid port"),
                    "a port is a number from 0 to 65535",
                )
            });
        }
        let (problem, help) = if text.parse::<std::net::IpAddr>().is_ok() {
            (
                "has no port",
                "add one, such as \"127.0.0.1:7432\" or \"[::1]:7432\"",
            )
        } else if text.starts_with(':') || text.bytes().all(|byte| byte.is_ascii_digit()) {
            (
                "has no address",
                "write \"127.0.0.1:7432\" for this machine only, \"0.0.0.0:7432\" for every network",
            )
        } else if text.contains("://") {
            (
                "is a URL",
                "write the address and the port only, such as \"127.0.0.1:7432\"",
            )
        } else {
            (
                "is not an IP address with a port",
                "write one such as \"127.0.0.1:7432\" or \"[::1]:7432\"",
            )
        };
        Err(FormatError::new(format!("`{shown}` {problem}"), help))
    }
}

written_as_text!(ListenAddress, "listen-address");

/// The origin of a web page as browsers send it: `scheme://host` with `:port` if it is not the usual one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// The origin in lower case, to compare with a request's `Origin` in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Origin {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let is_scheme = |scheme: &str| {
            !scheme.is_empty()
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        };
        let is_host = |host: &str| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
        };
        match text.split_once("://") {
            Some((scheme, host)) if is_scheme(scheme) && is_host(host) => {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err(FormatError::new(
                format!("`{}` is not an origin", text.escape_debug()),
                "write scheme and host without a path, such as \"https://example.com\" or \"http://localhost:3000\"",
            )),
        }
    }
}

written_as_text!(Origin, "origin");

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        text.parse::<ListenAddress>()
            .map_or_else(|error| error.problem, |address| address.to_string())
    }

    #[test]
    fn an_address_that_lacks_something_says_what() {
        assert_eq!(problem("localhost:80"), "127.0.0.1:80");
        assert_eq!(problem("127.0.0.1"), "`127.0.0.1` has no port");
        assert_eq!(problem("::1"), "`::1` has no port");
        assert_eq!(problem(":7432"), "`:7432` has no address");
        assert_eq!(problem("7432"), "`7432` has no address");
        assert_eq!(
            problem("http://127.0.0.1:1"),
            "`http://127.0.0.1:1` is a URL"
        );
        assert_eq!(
            problem("127.0.0.1:70000"),
            "`127.0.0.1:70000` is not an IP address with a port"
        );
        assert_eq!(
            problem("localhost:http"),
            "`localhost:http` has no valid port"
        );
    }

    #[test]
    fn loopback_in_every_spelling_is_loopback() {
        let loopback = |text: &str| {
            text.parse::<ListenAddress>()
                .is_ok_and(ListenAddress::is_loopback)
        };
        assert!(loopback("127.9.9.9:1"));
        assert!(loopback("[::1]:1"));
        assert!(loopback("[::ffff:127.0.0.1]:1"));
        assert!(!loopback("0.0.0.0:1"));
        assert!(!loopback("[::]:1"));
    }

    #[test]
    fn an_origin_has_no_path() {
        assert!(
            "https://Example.com"
                .parse::<Origin>()
                .is_ok_and(|o| o.as_str() == "https://example.com")
        );
        assert!("http://[::1]:3000".parse::<Origin>().is_ok());
        for bad in [
            "example.com",
            "https://example.com/",
            "null",
            "://x",
            "https://",
            "*",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
