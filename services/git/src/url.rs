//! Removes credentials from URLs.

/// A remote's URL without user, password, query and fragment.
///
/// All four can hold a token (`https://ghp_…@github.com/…`, `?private_token=…`).
/// Text that git takes for a path stays as it is.
pub(super) fn without_credentials(url: &str) -> String {
    if let Some((scheme, rest)) = url.split_once("://") {
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_end);
        let kept = match authority.rsplit_once('@') {
            Some((_, host)) => format!("{host}{}", &rest[authority_end..end.max(authority_end)]),
            // A password with an unescaped `/`, `?` or `#`: what looks like the
            // port is its beginning, and the host comes after the last `@`.
            None if !has_valid_port(authority) && path.contains('@') => {
                let host = rest.rsplit('@').next().unwrap_or_default();
                host.split(['?', '#']).next().unwrap_or_default().to_owned()
            }
            None => rest[..end].to_owned(),
        };
        return format!("{scheme}://{kept}");
    }
    // `user@host:path`, unless a `/` before the colon makes it a path.
    let host_end = url.find('/').unwrap_or(url.len());
    let host = &url[..host_end];
    match (host.find(':'), host.rfind('@')) {
        (Some(_), Some(at)) => url[at + 1..].to_owned(),
        _ => url.to_owned(),
    }
}

fn has_valid_port(authority: &str) -> bool {
    // The colons of an IPv6 address stand in brackets.
    let after_address = authority.rsplit(']').next().unwrap_or_default();
    after_address
        .split_once(':')
        .is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_password_or_token_is_left_in_a_url() {
        for (url, summary) in [
            ("https://github.com/o/r.git", "https://github.com/o/r.git"),
            (
                "https://user:secret@github.com/o/r",
                "https://github.com/o/r",
            ),
            ("https://secret@github.com/o/r", "https://github.com/o/r"),
            ("https://a:secret@b@host:8443/o/r", "https://host:8443/o/r"),
            (
                "https://host/o/r?private_token=secret#secret",
                "https://host/o/r",
            ),
            ("https://host?token=secret", "https://host"),
            ("https://u:secret@host?token=secret", "https://host"),
            ("https://u:sec/ret@host/o/r", "https://host/o/r"),
            ("https://u:sec?ret@host/o/r?secret", "https://host/o/r"),
            ("https://u:sec#ret@host/o/r", "https://host/o/r"),
            ("ssh://git@host:22/o/r", "ssh://host:22/o/r"),
            ("ssh://[::1]:22/o@r", "ssh://[::1]:22/o@r"),
            ("git@github.com:o/r.git", "github.com:o/r.git"),
            ("helper::https://u:secret@host/r", "helper::https://host/r"),
            ("/srv/a@b:c/r", "/srv/a@b:c/r"),
            ("../r", "../r"),
            ("file:///srv/r", "file:///srv/r"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(url), summary, "{url}");
        }
    }
}
