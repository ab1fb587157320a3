//! Whether a role may reach a repository.

use exomonad_schema::Bounds;
use exomonad_schema::value::RepoName;

/// Whether one of the role's patterns fits. Case does not matter, as on GitHub.
pub(crate) fn allow(bounds: &Bounds, repo: &RepoName) -> bool {
    bounds.repos.iter().any(|pattern| {
        pattern.split_once('/').is_some_and(|(owner, name)| {
            fits(owner.as_bytes(), repo.owner().as_bytes())
                && fits(name.as_bytes(), repo.name().as_bytes())
        })
    })
}

/// Whether `text` is what `pattern` says, where `*` stands for any text.
///
/// On a mismatch the last `*` takes one byte more: at most the product of both
/// lengths in steps.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut in_pattern, mut in_text) = (0, 0);
    let mut last_star = None;
    while let Some(byte) = text.get(in_text) {
        match pattern.get(in_pattern) {
            Some(b'*') => {
                last_star = Some((in_pattern, in_text));
                in_pattern += 1;
            }
            Some(wanted) if wanted.eq_ignore_ascii_case(byte) => {
                in_pattern += 1;
                in_text += 1;
            }
            _ => {
                let Some((star, began)) = last_star else {
                    return false;
                };
                last_star = Some((star, began + 1));
                in_pattern = star + 1;
                in_text = began + 1;
            }
        }
    }
    pattern
        .get(in_pattern..)
        .is_none_or(|rest| rest.iter().all(|byte| *byte == b'*'))
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
