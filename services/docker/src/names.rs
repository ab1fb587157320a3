//! Validates names and texts of requests, as the engine's API needs them.
//!
//! Names go into the path of a request, where `../` or `?` would lead to another one. The alphabets
//! are Docker's own.

use std::collections::BTreeMap;

use exomonad_schema::EffectError;

use super::effect_context::EffectContext;

/// The environment variable that marks the processes of an exec.
pub(super) const EXEC_MARKER: &str = "EXOMONAD_EXEC";

/// Checks a container's name or id, or a volume's or a network's.
pub(super) fn container(context: &EffectContext, name: &str) -> Result<(), EffectError> {
    if is_name(name) {
        return Ok(());
    }
    Err(context.invalid(format_args!(
        "{name:?} is no name or id; use letters, digits, `_`, `.` and `-`, beginning with a letter \
         or digit"
    )))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// Checks an image's name, with registry, tag or digest, or its id.
pub(super) fn image(context: &EffectContext, name: &str) -> Result<(), EffectError> {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric())
            && part.bytes().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b':' | b'@')
            })
    };
    if name.split('/').all(is_part) {
        return Ok(());
    }
    Err(context.invalid(
        "this is no image; write it as `debian:bookworm-slim` or `registry.example/team/name:tag`",
    ))
}

/// Splits an image's name for a pull: the name, and the tag if it is not in the name.
pub(super) fn name_and_tag(image: &str) -> (&str, Option<&str>) {
    if image.contains('@') {
        return (image, None);
    }
    let last = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[last..].find(':') {
        Some(colon) => (&image[..last + colon], Some(&image[last + colon + 1..])),
        // Without a tag the engine would pull every one there is.
        None => (image, Some("latest")),
    }
}

/// Checks a signal, such as `SIGTERM`, `TERM` or `15`.
pub(super) fn signal(context: &EffectContext, name: &str) -> Result<(), EffectError> {
    let fits = (1..=16).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-'));
    if fits {
        return Ok(());
    }
    Err(context.invalid(format_args!(
        "{name:?} is no signal; write its name, such as `SIGTERM`"
    )))
}

/// Checks a program and its arguments.
pub(super) fn command<'a>(
    context: &EffectContext,
    words: impl IntoIterator<Item = &'a String>,
) -> Result<(), EffectError> {
    if words.into_iter().any(|word| word.contains('\0')) {
        return Err(
            context.invalid("the command holds a NUL character, which no program can be given")
        );
    }
    Ok(())
}

/// Checks the user and the working directory of a program.
pub(super) fn user_and_workdir(
    context: &EffectContext,
    user: Option<&str>,
    workdir: Option<&str>,
) -> Result<(), EffectError> {
    if user.is_some_and(|user| user.is_empty() || user.contains(['\0', '/'])) {
        return Err(context.invalid("`user` is a name or an id, with a group after `:`"));
    }
    if workdir.is_some_and(|workdir| !workdir.starts_with('/') || workdir.contains('\0')) {
        return Err(context.invalid("`workdir` is an absolute path in the container"));
    }
    Ok(())
}

/// Checks environment variables and joins them as the engine takes them. No error holds a value.
pub(super) fn environment(
    context: &EffectContext,
    variables: &BTreeMap<String, String>,
) -> Result<Vec<String>, EffectError> {
    for (name, value) in variables {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(context.invalid(format_args!(
                "{name:?} is no environment variable; its name is not empty and holds no `=`, and \
                 neither name nor value holds a NUL character"
            )));
        }
        if name == EXEC_MARKER {
            return Err(context.invalid(format_args!(
                "the environment variable {EXEC_MARKER} is the host's own; choose another name"
            )));
        }
    }
    let assign = |(name, value): (&String, &String)| format!("{name}={value}");
    Ok(variables.iter().map(assign).collect())
}

#[cfg(test)]
mod tests {
    use exomonad_schema::EffectKind;

    use super::*;
    use crate::test_call::call;

    fn context() -> EffectContext {
        EffectContext::new(EffectKind::DockerExec, &call("tl"), "web")
    }

    #[test]
    fn a_name_cannot_change_the_request_s_path() {
        for good in ["web", "0a1b", "a_b.c-d"] {
            assert!(container(&context(), good).is_ok(), "{good}");
        }
        for bad in [
            "", ".", "..", "../x", "a/b", "a?b", "a#b", "a%2fb", "a b", "é", "/web",
        ] {
            assert!(container(&context(), bad).is_err(), "{bad}");
        }
        for good in [
            "debian:bookworm-slim",
            "debian",
            "r.example:5000/a/b:1",
            "a@sha256:00ff",
            "sha256:00ff",
        ] {
            assert!(image(&context(), good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "../containers/x",
            "a/../b",
            "a//b",
            "/a",
            "a/",
            "a?b",
            "a b",
            "a%2fb",
        ] {
            assert!(image(&context(), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pull_asks_for_one_tag() {
        assert_eq!(name_and_tag("debian"), ("debian", Some("latest")));
        assert_eq!(name_and_tag("debian:12"), ("debian", Some("12")));
        assert_eq!(name_and_tag("r:5000/a"), ("r:5000/a", Some("latest")));
        assert_eq!(name_and_tag("r:5000/a:1"), ("r:5000/a", Some("1")));
        assert_eq!(name_and_tag("a@sha256:0f"), ("a@sha256:0f", None));
    }

    #[test]
    fn no_error_holds_a_variable_s_value() {
        let variables = |name: &str, value: &str| {
            let map = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            environment(&context(), &map)
        };
        assert_eq!(variables("A", "b=c").unwrap(), ["A=b=c"]);
        for (name, value) in [
            ("", "s3cret"),
            ("A=B", "s3cret"),
            ("A", "s3cret\0"),
            (EXEC_MARKER, "s3cret"),
        ] {
            let error = variables(name, value).unwrap_err();
            assert!(!error.message.contains("s3cret"), "{error}");
        }
    }
}
