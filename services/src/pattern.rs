//! Patterns with `*`, as grants have them.

/// Whether one of the patterns covers this host name; case does not matter, nor a final dot.
pub(crate) fn any_covers_host(patterns: &[String], host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let covers_host =
        |pattern: &String| covers(pattern.to_ascii_lowercase().as_bytes(), host.as_bytes());
    patterns.iter().any(covers_host)
}

/// Whether `pattern`, where each `*` stands for any run of bytes, covers the whole of `text`.
///
/// At worst pattern × text steps: one point to go back to, no recursion.
fn covers(pattern: &[u8], text: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_covers_any_run_and_nothing_else_is_special() {
        let host = |pattern: &str, host: &str| any_covers_host(&[pattern.to_owned()], host);
        assert!(host("*", "example.com") && host("*.example.com", "a.EXAMPLE.com."));
        assert!(host("api.*.com", "api.a.b.com") && host("a*b*c", "aXXbYYbc"));
        assert!(!host("*.example.com", "example.com") && !host("example.com", "example.com.evil"));
        assert!(!host("", "a") && host("", "") && !host("a.b", "axb"));
        assert!(!any_covers_host(&[], "example.com"));
    }
}
