//! [`Endpoint`]: where telemetry is sent.

use std::fmt;
use std::str::FromStr;

use super::{FormatError, written_as_text};

/// An `http` or `https` address without credentials and without a query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(String);

impl Endpoint {
    /// The address, without a `/` at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if what is sent there can be read on the way: plain HTTP to another machine.
    pub fn is_plain(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("http://") else {
            return false;
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        let is_loopback = host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback());
        !is_loopback && host != "localhost"
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Endpoint {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        // Someone who puts a password here must not find it in a log: the text is not repeated.
        let problem = |problem: &str| {
            FormatError::new(
                problem,
                "write an address such as \"http://localhost:4317\"; what is secret goes into headers",
            )
        };
        let text = text.trim();
        let scheme = ["http://", "https://"]
            .into_iter()
            .find_map(|scheme| Some((scheme, strip_prefix(text, scheme)?)));
        let Some((scheme, rest)) = scheme else {
            return Err(problem(
                "the address begins neither with http:// nor with https://",
            ));
        };
        let rest = rest.trim_end_matches('/');
        if rest.contains(['@', '?', '#']) {
            return Err(problem(
                "the address has a user, a password or a query in it",
            ));
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let is_host = !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
        let is_path = rest.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_host || !is_port || !is_path {
            return Err(problem("the address has no host, or a port that is none"));
        }
        Ok(Self(format!("{scheme}{rest}")))
    }
}

/// The text behind a prefix, in whichever case that is written.
fn strip_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

written_as_text!(Endpoint, "endpoint");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_without_secrets() {
        for (text, shown) in [
            ("http://localhost:4317", "http://localhost:4317"),
            (
                "HTTPS://otlp.example/prefix/",
                "https://otlp.example/prefix",
            ),
            ("http://[::1]:4318", "http://[::1]:4318"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.as_str(), shown);
        }
        for text in [
            "",
            "localhost:4317",
            "grpc://localhost",
            "http://",
            "http://:4317",
            "http://a:0",
            "http://a:99999",
            "http://a b",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
        for text in ["http://u:hunter2@a", "http://a/?token=hunter2"] {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn plain_http_to_another_machine_can_be_read_on_the_way() {
        let is_plain = |text: &str| {
            text.parse::<Endpoint>()
                .is_ok_and(|endpoint| endpoint.is_plain())
        };
        assert!(is_plain("http://otlp.example:4317"));
        for text in [
            "https://otlp.example",
            "http://localhost:1",
            "http://127.0.0.1",
            "http://[::1]:1/x",
        ] {
            assert!(!is_plain(text), "{text}");
        }
    }
}
