//! Decoding the request of an effect.

use serde::Serialize;

use crate::effect::EffectRequest;
use crate::error::EffectError;
use crate::nulls::without_nulls;

/// Decodes the request of one effect. An optional field that is `null` is as if absent.
///
/// # Errors
/// `invalid_input`, whose message names the effect and the JSON path, and whose
/// details are `{"effect":…,"path":…}`.
pub fn decode<R: EffectRequest>(request: &[u8]) -> Result<R, EffectError> {
    serde_json::from_slice(request).or_else(|error| match without_nulls::<R>(request) {
        Some(mended) => {
            serde_json::from_str(&mended).map_err(|error| locate::<R>(mended.as_bytes(), &error))
        }
        None => Err(locate::<R>(request, &error)),
    })
}

#[cold]
fn locate<R: EffectRequest>(request: &[u8], error: &serde_json::Error) -> EffectError {
    #[derive(Serialize)]
    struct Where<'a> {
        effect: &'a str,
        path: &'a str,
    }
    let effect = R::KIND.name();
    let mut deserializer = serde_json::Deserializer::from_slice(request);
    let path = match serde_path_to_error::deserialize::<_, R>(&mut deserializer) {
        Err(located) => shortened(located.path().to_string()),
        Ok(_) => ".".to_owned(),
    };
    EffectError::invalid_input(format!(
        "{}: the request does not fit at `{path}`: {}",
        R::KIND,
        shortened(error.to_string())
    ))
    .with_details(&Where {
        effect,
        path: &path,
    })
}

/// The beginning and the end of a text that repeats the request, which may be megabytes.
fn shortened(text: String) -> String {
    const PART: usize = 400;
    if text.len() <= 2 * PART {
        return text;
    }
    let begin = &text[..text.floor_char_boundary(PART)];
    let end = &text[text.ceil_char_boundary(text.len() - PART)..];
    format!("{begin}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::clock::Sleep;
    use crate::effects::git::GitGetRecentCommits;
    use crate::error::ErrorCode;

    #[test]
    fn a_request_that_does_not_fit_names_the_effect_and_the_path() {
        let error = decode::<GitGetRecentCommits>(br#"{"limit":"ten"}"#).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidInput);
        assert!(
            error.message.starts_with("git.get_recent_commits: "),
            "{error}"
        );
        assert!(error.message.contains("`limit`"), "{error}");
        assert_eq!(
            error.details.unwrap().get(),
            r#"{"effect":"GitGetRecentCommits","path":"limit"}"#
        );
    }

    #[test]
    fn an_error_repeats_only_the_beginning_and_the_end_of_what_is_long() {
        let request = format!(r#"{{"{}":1}}"#, "ö".repeat(100_000));
        let error = decode::<Sleep>(request.as_bytes()).unwrap_err();
        assert!(error.message.len() < 2000, "{} bytes", error.message.len());
        assert!(error.message.contains("expected `millis`"), "{error}");
        assert!(error.details.unwrap().get().len() < 1000);
    }

    #[test]
    fn an_unknown_field_trailing_text_and_an_empty_request_are_refused() {
        for request in [
            &br#"{"millis":1,"seconds":1}"#[..],
            br#"{"millis":1}x"#,
            b"",
            b"\xff",
        ] {
            assert_eq!(
                decode::<Sleep>(request).unwrap_err().code,
                ErrorCode::InvalidInput
            );
        }
    }
}
