//! Repositories on GitHub, by the URLs of their remotes.

use exomonad_schema::value::RepoName;

use crate::GitConfig;
use crate::transport::address::{self, RemoteHost};

/// The repository that a remote's URL leads to, if that is on the configured GitHub server.
pub(super) fn repo_of_url(config: &GitConfig, url: &str) -> Option<RepoName> {
    let (host, path) = address::host_and_path(url)?;
    if is_github(config, &host) {
        repo_of_path(&path)
    } else {
        None
    }
}

/// True for a host by which the repositories of the configured GitHub server are reached.
pub(super) fn is_github(config: &GitConfig, host: &RemoteHost) -> bool {
    let Some(github) = &config.github_host else {
        return false;
    };
    // The port is the web server's, and ssh has another.
    let (name, port) = match github.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (github.as_str(), None),
    };
    names(name)
        .iter()
        .any(|known| known.eq_ignore_ascii_case(&host.name))
        && (host.is_ssh || port.is_none_or(|port| port == host.port.to_string()))
}

/// The names of the hosts by which the repositories of a GitHub server are reached.
pub(super) fn names(github: &str) -> [String; 3] {
    [
        github.to_owned(),
        format!("ssh.{github}"),
        format!("www.{github}"),
    ]
}

/// `owner/name`, from the path of a URL.
pub(super) fn repo_of_path(path: &str) -> Option<RepoName> {
    let path = path.trim_matches('/');
    path.strip_suffix(".git").unwrap_or(path).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo_on(github: &str, url: &str) -> Option<String> {
        let config = GitConfig {
            github_host: Some(github.to_owned()),
            ..GitConfig::default()
        };
        repo_of_url(&config, url).map(|repo| repo.to_string())
    }

    #[test]
    fn every_spelling_of_a_github_url_names_its_repository() {
        for url in [
            "https://github.com/octocat/hello.world",
            "https://github.com/octocat/hello.world.git",
            "https://GitHub.com/octocat/hello.world/",
            "https://github.com./octocat/hello.world",
            "https://octocat@github.com/octocat/hello.world.git",
            "git@github.com:octocat/hello.world.git",
            "github.com:octocat/hello.world",
            "github.com:/octocat/hello.world",
            "ssh://git@github.com/octocat/hello.world.git",
            "ssh://git@ssh.github.com:443/octocat/hello.world.git",
            "git://github.com/octocat/hello.world.git",
            "https://www.github.com/octocat/hello.world",
        ] {
            let repo = repo_on("github.com", url);
            assert_eq!(repo.as_deref(), Some("octocat/hello.world"), "{url}");
        }
    }

    #[test]
    fn other_urls_name_no_repository() {
        for url in [
            "",
            "/srv/git/hello.git",
            "https://gitlab.com/octocat/hello",
            "https://github.com.evil.example/octocat/hello",
            "https://evil.example/@github.com/octocat/hello",
            "https://github.com/octocat",
            "https://github.com/octocat/hello/issues",
            "https://github.com:notaport/octocat/hello",
            "git@github.com:.git",
            "ext::sh -c github.com:octocat/hello",
            "file://github.com/octocat/hello",
        ] {
            assert_eq!(repo_on("github.com", url), None, "{url}");
        }
    }

    #[test]
    fn an_enterprise_server_is_github_and_github_com_is_not() {
        for (github, url) in [
            ("ghe.example", "git@ghe.example:acme/widgets.git"),
            ("ghe.example", "https://GHE.example/acme/widgets"),
            ("ghe.example:8443", "https://ghe.example:8443/acme/widgets"),
            ("ghe.example:8443", "git@ghe.example:acme/widgets"),
            ("[::1]:8443", "https://[::1]:8443/acme/widgets"),
            ("[::1]", "https://[::1]/acme/widgets"),
        ] {
            let repo = repo_on(github, url);
            assert_eq!(repo.as_deref(), Some("acme/widgets"), "{url} on {github}");
        }
        for (github, url) in [
            ("ghe.example", "git@github.com:acme/widgets.git"),
            ("ghe.example:8443", "https://ghe.example/acme/widgets"),
        ] {
            assert_eq!(repo_on(github, url), None, "{url} on {github}");
        }
    }
}
