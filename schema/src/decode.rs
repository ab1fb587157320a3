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
        Err(located) => located.path().to_string(),
        Ok(_) => ".".to_owned(),
    };
    EffectError::invalid_input(format!(
        "{}: the request does not fit at `{path}`: {error}",
        R::KIND
    ))
    .with_details(&Where {
        effect,
        path: &path,
    })
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
