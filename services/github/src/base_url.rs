//! The base URL of GitHub's API.

use http::Uri;
use http::uri::{Authority, Scheme};

/// The beginning of every URL that is requested, and of every one a redirect may lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    path: String,
}

/// An error in a base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// It does not parse.
    #[error("is not a URL")]
    NotAUrl,
    /// It is no `http` or `https` URL with a host.
    #[error("is not an https URL with a host")]
    NotHttp,
    /// It holds a user or a password.
    #[error("holds a user or a password, which belong in the token")]
    Credentials,
    /// It holds a query.
    #[error("holds a query")]
    Query,
}

impl BaseUrl {
    pub(super) fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let uri: Uri = text.parse().map_err(|_| BaseUrlError::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(BaseUrlError::NotHttp);
        };
        if ![Scheme::HTTP, Scheme::HTTPS].contains(scheme) || authority.host().is_empty() {
            return Err(BaseUrlError::NotHttp);
        }
        if authority.as_str().contains('@') {
            return Err(BaseUrlError::Credentials);
        }
        if uri.query().is_some() {
            return Err(BaseUrlError::Query);
        }
        Ok(Self {
            scheme: scheme.clone(),
            authority: authority.clone(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// True if connections are encrypted.
    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host, without its port.
    pub(super) fn host(&self) -> &str {
        self.authority.host()
    }

    /// The host, with its port where that is not the scheme's own.
    pub(super) fn host_and_port(&self) -> String {
        let default_port = if self.is_https() { 443 } else { 80 };
        match self.authority.port_u16() {
            Some(port) if port != default_port => format!("{}:{port}", self.host()),
            _ => self.host().to_owned(),
        }
    }

    /// `https://HOST`, for the host's log and the client.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// The URL of a path with its query, which begins with `/`; `None` when it is too long.
    pub(super) fn url(&self, path_and_query: &str) -> Option<Uri> {
        self.with_path(&format!("{}{path_and_query}", self.path))
    }

    /// The target of a redirect's `Location`, if that is still GitHub's API.
    pub(super) fn redirect(&self, location: &str) -> Option<Uri> {
        let target: Uri = location.parse().ok()?;
        let same_origin = match (target.scheme(), target.authority()) {
            (Some(scheme), Some(authority)) => {
                *scheme == self.scheme && *authority == self.authority
            }
            (None, None) => true,
            _ => false,
        };
        let path = target.path();
        let stays = path
            .strip_prefix(self.path.as_str())
            .is_some_and(|rest| rest.starts_with("/repos/") || rest.starts_with("/repositories/"));
        let climbs = path.split('/').any(|part| matches!(part, "." | ".."));
        if same_origin && stays && !climbs {
            self.with_path(target.path_and_query()?.as_str())
        } else {
            None
        }
    }

    fn with_path(&self, path_and_query: &str) -> Option<Uri> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path_and_query)
            .build()
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_base_url_is_kept() {
        for base in ["https://ghe.example/api/v3", "https://ghe.example/api/v3/"] {
            let base = BaseUrl::parse(base).unwrap();
            let url = base.url("/repos/a/b?page=2").unwrap();
            assert_eq!(url, "https://ghe.example/api/v3/repos/a/b?page=2");
        }
        let github = BaseUrl::parse("https://api.github.com").unwrap();
        assert_eq!(
            github.url("/repos/a/b").unwrap(),
            "https://api.github.com/repos/a/b"
        );
        assert!(github.is_https());
        assert_eq!(github.host(), "api.github.com");
        assert_eq!(BaseUrl::parse("http://[::1]:4010").unwrap().host(), "[::1]");
    }

    #[test]
    fn texts_that_are_no_base_url_are_refused() {
        for (text, why) in [
            ("", BaseUrlError::NotAUrl),
            ("/api/v3", BaseUrlError::NotHttp),
            ("api.github.com", BaseUrlError::NotHttp),
            ("ftp://api.github.com", BaseUrlError::NotHttp),
            ("https://token@api.github.com", BaseUrlError::Credentials),
            ("https://api.github.com?token=x", BaseUrlError::Query),
        ] {
            assert_eq!(BaseUrl::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_redirect_stays_on_the_host_and_in_the_api() {
        let base = BaseUrl::parse("https://ghe.example/api/v3").unwrap();
        for good in [
            "https://ghe.example/api/v3/repositories/7/issues?page=2",
            "https://GHE.example/api/v3/repos/a/new",
            "/api/v3/repositories/7",
        ] {
            assert!(base.redirect(good).is_some(), "{good}");
        }
        for bad in [
            "https://evil.example/api/v3/repositories/7",
            "http://ghe.example/api/v3/repositories/7",
            "https://ghe.example:8443/api/v3/repositories/7",
            "https://ghe.example/login/oauth",
            "https://ghe.example/api/v3/user",
            "https://ghe.example/api/v3/repos/../user",
            "//evil.example/api/v3/repos/a/b",
            "",
        ] {
            assert_eq!(base.redirect(bad), None, "{bad}");
        }
    }
}
