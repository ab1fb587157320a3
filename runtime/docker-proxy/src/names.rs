//! The names by which a client calls the proxy.
//!
//! A web page can make the browser of whoever runs the proxy send requests to it, and by rebinding a name of
//! its own to this address read the answers. Such a name is one of the internet's, with a dot in it; a page
//! cannot be served from an address of this machine or under the name of a container.

use hyper::header::{HOST, ORIGIN};
use hyper::http::request::Parts;

/// Checks the names in a request's head.
pub fn check(request: &Parts, allowed: &[String]) -> Result<(), String> {
    if request.headers.contains_key(ORIGIN) {
        return Err("docker-proxy answers no web page".to_owned());
    }
    let header = || {
        request
            .headers
            .get(HOST)
            .and_then(|value| value.to_str().ok())
    };
    let host = request
        .uri
        .authority()
        .map(|authority| authority.as_str())
        .or_else(header);
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        return Err("docker-proxy wants a `Host`".to_owned());
    };
    // A connection over a socket has a name that is none.
    let name = name(host);
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    if is_address
        || !name.contains('.')
        || allowed.iter().any(|other| other.eq_ignore_ascii_case(name))
    {
        return Ok(());
    }
    Err(format!(
        "docker-proxy is not called `{name}`; DOCKER_PROXY_ALLOWED_HOSTS lists further names"
    ))
}

/// The host without its port; IPv6 without its brackets.
fn name(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(address, _)| address);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn checked(headers: &[(&str, &str)]) -> Result<(), String> {
        let request = Request::get("/containers/json");
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        check(
            &request.body(()).unwrap().into_parts().0,
            &["engine.internal".to_owned()],
        )
    }

    #[test]
    fn names_of_the_internet_and_web_pages_are_refused() {
        for host in [
            "localhost:2375",
            "docker-proxy:2375",
            "127.0.0.1:2375",
            "[::1]:2375",
            "10.1.2.3",
            "Engine.Internal:1",
        ] {
            assert_eq!(checked(&[("host", host)]), Ok(()), "{host}");
        }
        for host in [
            "evil.example:2375",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "",
        ] {
            assert!(checked(&[("host", host)]).is_err(), "{host}");
        }
        assert!(checked(&[]).is_err());
        assert!(checked(&[("host", "localhost"), ("origin", "http://localhost")]).is_err());
    }
}
