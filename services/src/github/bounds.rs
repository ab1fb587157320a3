//! The repositories that a role may reach.

use exomonad_core::Bounds;
use exomonad_core::patterns::matches_repo;
use exomonad_schema::value::RepoName;

/// True if one of the role's patterns fits. Case does not matter, as on GitHub.
pub(crate) fn allow(bounds: &Bounds, repo: &RepoName) -> bool {
    let repo = repo.to_string();
    bounds
        .repos
        .iter()
        .any(|pattern| matches_repo(pattern, &repo))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(patterns: &[&str], repo: &str) -> bool {
        let bounds = Bounds {
            repos: patterns
                .iter()
                .map(|pattern| (*pattern).to_owned())
                .collect(),
            ..Bounds::default()
        };
        allow(&bounds, &repo.parse().unwrap())
    }

    #[test]
    fn a_star_matches_within_one_part_and_case_does_not_matter() {
        for (pattern, repo) in [
            ("acme/web", "acme/web"),
            ("Acme/Web", "aCME/wEB"),
            ("acme/*", "acme/.github"),
            ("acme/web-*", "acme/web-"),
            ("acme/*-web", "acme/a-web-web"),
            ("*/*", "a/b"),
            ("a*c*e/x", "abcde/x"),
        ] {
            assert!(allowed(&[pattern], repo), "{pattern} {repo}");
        }
        for (pattern, repo) in [
            ("acme/web", "acme/web2"),
            ("acme/web", "acm/eweb"),
            ("acme/*", "acme2/web"),
            ("acme*", "acme/web"),
            ("*", "acme/web"),
            ("acme/web-*", "acme/web"),
            ("acme/*/x", "acme/x"),
            ("", "acme/web"),
        ] {
            assert!(!allowed(&[pattern], repo), "{pattern} {repo}");
        }
        assert!(!allowed(&[], "acme/web"));
        assert!(allowed(&["other/*", "acme/web"], "acme/web"));
    }
}
