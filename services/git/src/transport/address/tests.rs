//! Valid and invalid addresses.

use exomonad_schema::EffectKind;

use super::*;
use exomonad_core::Secret;

fn checked(raw: &str) -> Result<RemoteAddress, ErrorCode> {
    let config = GitConfig {
        token: Some(Secret::new("hunter2")),
        token_hosts: vec!["github.com".into(), "127.0.0.1:8080".into()],
        ..GitConfig::default()
    };
    let context = EffectContext::for_tests(EffectKind::GitPush);
    parse(&context, raw, &config, &Roots::new(&[])).map_err(|error| {
        assert!(!error.message.contains("hunter2"), "{error}");
        error.code
    })
}

#[test]
fn the_token_goes_to_exactly_its_hosts() {
    for (raw, url, token_for) in [
        (
            "https://github.com/o/r.git",
            "https://github.com/o/r.git",
            Some("https://github.com/"),
        ),
        (
            "https://GitHub.com:443/o/r",
            "https://github.com/o/r",
            Some("https://github.com/"),
        ),
        (
            "https://u:hunter2@github.com/o/r?a#b",
            "https://github.com/o/r",
            Some("https://github.com/"),
        ),
        (
            "https://github.com:8443/o/r",
            "https://github.com:8443/o/r",
            None,
        ),
        (
            "https://github.com.evil.example/o",
            "https://github.com.evil.example/o",
            None,
        ),
        (
            "https://github.com@evil.example/o",
            "https://evil.example/o",
            None,
        ),
        (
            "http://127.0.0.1:8080/o",
            "http://127.0.0.1:8080/o",
            Some("http://127.0.0.1:8080/"),
        ),
        ("http://[::1]:8080/o", "http://[::1]:8080/o", None),
    ] {
        let address = checked(raw).unwrap();
        assert_eq!(address.url, url);
        assert_eq!(address.token_for.as_deref(), token_for, "{raw}");
    }
}

#[test]
fn ssh_addresses_keep_their_user_and_lose_a_password() {
    for (raw, url) in [
        ("git@github.com:o/r.git", "git@github.com:o/r.git"),
        ("github.com:o/r", "github.com:o/r"),
        (
            "ssh://git:hunter2@github.com:22/o/r",
            "ssh://git@github.com:22/o/r",
        ),
        ("ssh://github.com/~a/r", "ssh://github.com/~a/r"),
    ] {
        let address = checked(raw).unwrap();
        assert_eq!((address.url.as_str(), address.protocol), (url, "ssh"));
        assert_eq!(address.token_for, None);
    }
}

#[test]
fn addresses_that_run_programs_or_look_like_options_are_refused() {
    for (raw, code) in [
        ("ext::sh -c id", ErrorCode::InvalidInput),
        ("ext::sh%20-c", ErrorCode::Unsupported),
        ("fd::17", ErrorCode::Unsupported),
        ("git://github.com/o/r", ErrorCode::Unsupported),
        ("ftp://github.com/o/r", ErrorCode::Unsupported),
        ("http://github.com/o/r", ErrorCode::Forbidden),
        ("--upload-pack=id", ErrorCode::InvalidInput),
        ("-oProxyCommand=id:path", ErrorCode::InvalidInput),
        ("ssh://-oProxyCommand=id/path", ErrorCode::InvalidInput),
        ("ssh://-l@host/path", ErrorCode::InvalidInput),
        ("host:-oPath", ErrorCode::InvalidInput),
        ("https://", ErrorCode::InvalidInput),
        ("https://a b/c", ErrorCode::InvalidInput),
        ("https://host:port/c", ErrorCode::InvalidInput),
        ("https://ho\nst/c", ErrorCode::InvalidInput),
        ("", ErrorCode::InvalidInput),
        ("/srv/git/r", ErrorCode::Forbidden),
        ("../r", ErrorCode::Forbidden),
        ("file:///srv/git/r", ErrorCode::Forbidden),
    ] {
        assert_eq!(checked(raw), Err(code), "{raw:?}");
    }
}

#[test]
fn a_host_that_is_not_listed_is_refused_with_the_key() {
    let config = GitConfig {
        remote_hosts: vec!["*.example.com".into(), "github.com".into()],
        ..GitConfig::default()
    };
    let context = EffectContext::for_tests(EffectKind::GitPush);
    let checked = |raw| parse(&context, raw, &config, &Roots::new(&[]));
    assert!(checked("https://git.example.com/r").is_ok());
    assert!(checked("git@github.com:o/r").is_ok());
    for raw in [
        "https://example.org/r",
        "https://badexample.com/r",
        "git@evil:r",
    ] {
        let error = checked(raw).unwrap_err();
        assert_eq!(error.code, ErrorCode::Forbidden);
        assert!(error.message.contains("`git.remote_hosts`"), "{error}");
    }
}
