//! Names with `*`, as grants have them, and hosts that are this machine.

use std::net::IpAddr;

/// True if `pattern`, where each `*` stands for any run of characters, matches the whole of `text`.
///
/// Linear in practice and at worst pattern × text: one point to go back to, no recursion.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    let mut back = None;
    while let Some(byte) = text.get(seen) {
        match (pattern.get(at), back) {
            (Some(b'*'), _) => {
                at += 1;
                back = Some((at, seen));
            }
            (Some(same), _) if same == byte => {
                at += 1;
                seen += 1;
            }
            (_, Some((after_star, from))) => {
                at = after_star;
                seen = from + 1;
                back = Some((after_star, seen));
            }
            _ => return false,
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// True if the pattern matches a host, given without port; case does not matter, nor a final dot.
pub fn matches_host(pattern: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    matches(&pattern.to_ascii_lowercase(), &host)
}

/// True if the pattern matches a repository, both as `owner/name`. No `*` reaches across the slash, and
/// case does not matter, as on GitHub.
pub fn matches_repo(pattern: &str, repo: &str) -> bool {
    let (pattern, repo) = (pattern.to_ascii_lowercase(), repo.to_ascii_lowercase());
    match (pattern.split_once('/'), repo.split_once('/')) {
        (Some((owners, names)), Some((owner, name))) => {
            matches(owners, owner) && matches(names, name) && !name.contains('/')
        }
        _ => false,
    }
}

/// True if a host name, or an address with or without the brackets of a URL, is this machine itself.
pub fn is_loopback(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    host.eq_ignore_ascii_case("localhost")
        // `::ffff:127.0.0.1` is loopback too, though `Ipv6Addr::is_loopback` denies it.
        || bare
            .unwrap_or(host)
            .parse()
            .is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_matches_any_run_and_nothing_else_is_special() {
        for (pattern, text) in [
            ("*", "log.write"),
            ("git.get_*", "git.get_branch"),
            ("*.get_*", "git.get_branch"),
            ("a*b*c", "aXXbYYbc"),
            ("", ""),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("git.get_*", "git.status"),
            ("git.status", "git.status2"),
            ("git.status", "git_status"),
            ("log", "log.write"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_host_is_covered_in_any_case_and_nothing_is_added_to_it() {
        for (pattern, host) in [
            ("*.example.com", "a.EXAMPLE.com."),
            ("API.*.com", "api.a.b.com"),
        ] {
            assert!(matches_host(pattern, host), "{pattern} {host}");
        }
        for (pattern, host) in [
            ("*.example.com", "example.com"),
            ("example.com", "example.com.evil"),
            ("a.b", "axb"),
        ] {
            assert!(!matches_host(pattern, host), "{pattern} {host}");
        }
    }

    #[test]
    fn a_star_in_a_repository_stays_within_its_part() {
        for (pattern, repo) in [
            ("Acme/Web", "aCME/wEB"),
            ("acme/*", "acme/.github"),
            ("acme/web-*", "acme/web-"),
            ("acme/*-web", "acme/a-web-web"),
            ("*/*", "a/b"),
            ("a*c*e/x", "abcde/x"),
        ] {
            assert!(matches_repo(pattern, repo), "{pattern} {repo}");
        }
        for (pattern, repo) in [
            ("acme/web", "acme/web2"),
            ("acme/web", "acm/eweb"),
            ("acme/*", "acme2/web"),
            ("acme*", "acme/web"),
            ("*", "acme/web"),
            ("acme/web-*", "acme/web"),
            ("acme/*/x", "acme/x"),
            ("acme/*", "acme/web/x"),
            ("a*/web", "a/b/web"),
            ("", "acme/web"),
        ] {
            assert!(!matches_repo(pattern, repo), "{pattern} {repo}");
        }
    }

    #[test]
    fn loopback_in_every_spelling_is_loopback() {
        for host in [
            "localhost",
            "LocalHost",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "localhost.evil.com",
            "0.0.0.0",
            "10.0.0.1",
            "::",
            "[::1",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_it_is_cut_from(text in "[a-z._]{0,40}", cuts in prop::collection::vec((0_usize..40, 0_usize..40), 0..4)) {
            let mut pattern = text.clone();
            for (from, to) in cuts {
                let from = from.min(pattern.len());
                let to = to.clamp(from, pattern.len());
                pattern.replace_range(from..to, "*");
            }
            prop_assert!(matches(&pattern, &text));
        }
    }
}
