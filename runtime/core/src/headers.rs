//! Headers in one line of text, as `OTEL_EXPORTER_OTLP_HEADERS` has them.

/// The headers of `name=value,name=value`, each value percent-encoded; `None` if it is something else,
/// or something that an HTTP header cannot hold.
pub(crate) fn parse(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text.split(',').map(str::trim);
    let headers = parts.filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=')?;
        let (name, value) = (name.trim(), decode(value.trim())?);
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        let is_value = value.chars().all(|c| c == ' ' || c.is_ascii_graphic());
        (is_name && is_value).then(|| (name.to_ascii_lowercase(), value))
    });
    headers.collect()
}

/// The text that a percent-encoded one stands for; `None` if it stands for none.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_separated_by_commas_and_their_values_decoded() {
        let pairs = |text| parse(text).unwrap_or_default();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs("Authorization=Bearer%20a%2Cb==, x-tenant = 7,"),
            [pair("authorization", "Bearer a,b=="), pair("x-tenant", "7")]
        );
    }

    #[test]
    fn what_no_header_can_hold_is_refused() {
        for text in [
            "token", "=x", "a b=x", "a=%0a", "a=%", "a=%zz", "a=%ff", "ä=x",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
