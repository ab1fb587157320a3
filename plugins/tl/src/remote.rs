//! Conversion of a remote's URL to the repository on GitHub.

/// `owner/name`, from any GitHub URL that git accepts; `None` for
/// another host.
pub fn github_repo(url: &str) -> Option<String> {
    let path = match url.split_once("://") {
        Some((_scheme, rest)) => {
            let (authority, path) = rest.split_once('/')?;
            is_github(authority.split(':').next()?).then_some(path)?
        }
        // `git@github.com:owner/name.git`
        None => {
            let (authority, path) = url.split_once(':')?;
            is_github(authority).then_some(path)?
        }
    };
    let path = path.trim_matches('/');
    let (owner, name) = path.strip_suffix(".git").unwrap_or(path).split_once('/')?;
    let complete = !owner.is_empty() && !name.is_empty() && !name.contains('/');
    complete.then(|| format!("{owner}/{name}"))
}

/// True if `[user@]host` is GitHub, including SSH on port 443.
fn is_github(authority: &str) -> bool {
    let host = authority
        .rsplit('@')
        .next()
        .unwrap_or(authority)
        .to_ascii_lowercase();
    matches!(
        host.as_str(),
        "github.com" | "www.github.com" | "ssh.github.com"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_github_url_names_its_repository() {
        for url in [
            "https://github.com/octocat/hello.world",
            "https://github.com/octocat/hello.world.git",
            "https://GitHub.com/octocat/hello.world/",
            "https://octocat@github.com/octocat/hello.world.git",
            "git@github.com:octocat/hello.world.git",
            "github.com:octocat/hello.world",
            "ssh://git@github.com/octocat/hello.world.git",
            "ssh://git@ssh.github.com:443/octocat/hello.world.git",
            "git://github.com/octocat/hello.world.git",
        ] {
            assert_eq!(
                github_repo(url).as_deref(),
                Some("octocat/hello.world"),
                "{url}"
            );
        }
    }

    #[test]
    fn other_urls_name_no_repository() {
        for url in [
            "",
            "/srv/git/hello.git",
            "https://gitlab.com/octocat/hello",
            "https://github.com.evil.example/octocat/hello",
            "https://github.com/octocat",
            "https://github.com/octocat/hello/issues",
            "git@github.com:.git",
        ] {
            assert_eq!(github_repo(url), None, "{url}");
        }
    }
}
