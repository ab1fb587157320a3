//! The requests that pass: those of the Docker service, and no others.

use super::Labels;

/// A condition on a request beside its method and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    None,
    /// The container has_label a label.
    Container,
    /// So does the container that the exec runs in.
    Exec,
    /// So does the container, and what is to run in it gets no more than its processes have.
    CreateExec,
    /// Of the answer, those containers pass that carry a label.
    List,
    /// So does the network.
    Network,
    /// The new container is confined; see [`body`](super::body).
    CreateContainer,
    /// The new volume is one of Docker's own, with a label.
    CreateVolume,
    /// The image comes from a registry.
    Pull,
}

/// The mode in which a rule holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Spawning,
}

/// Method, path, when, condition. `{id}` stands for a name or an id, `{image}` for an image's name.
const RULES: &[(&str, &str, When, Condition)] = &[
    ("GET", "/containers/json", When::Always, Condition::List),
    (
        "GET",
        "/containers/{id}/json",
        When::Always,
        Condition::Container,
    ),
    (
        "GET",
        "/containers/{id}/logs",
        When::Always,
        Condition::Container,
    ),
    (
        "POST",
        "/containers/{id}/kill",
        When::Always,
        Condition::Container,
    ),
    (
        "POST",
        "/containers/{id}/stop",
        When::Always,
        Condition::Container,
    ),
    (
        "POST",
        "/containers/{id}/wait",
        When::Always,
        Condition::Container,
    ),
    (
        "DELETE",
        "/containers/{id}",
        When::Always,
        Condition::Container,
    ),
    (
        "POST",
        "/containers/{id}/exec",
        When::Always,
        Condition::CreateExec,
    ),
    ("POST", "/exec/{id}/start", When::Always, Condition::Exec),
    ("GET", "/exec/{id}/json", When::Always, Condition::Exec),
    ("GET", "/images/{image}/json", When::Always, Condition::None),
    (
        "POST",
        "/containers/create",
        When::Spawning,
        Condition::CreateContainer,
    ),
    (
        "POST",
        "/containers/{id}/start",
        When::Spawning,
        Condition::Container,
    ),
    (
        "POST",
        "/volumes/create",
        When::Spawning,
        Condition::CreateVolume,
    ),
    ("GET", "/networks/{id}", When::Spawning, Condition::Network),
    ("POST", "/images/create", When::Spawning, Condition::Pull),
];

/// The rule that a request matches.
#[derive(Debug, PartialEq, Eq)]
pub enum RuleMatch<'a> {
    /// It passes under a condition on what its path names.
    If(Condition, &'a str),
    /// It would pass if containers could be started.
    NoSpawning,
    /// It never passes.
    Never,
}

/// Finds the rule for a request. Paths pass as they stand: no escapes, no `..`, no version before them, so
/// that the engine cannot read them in another way.
pub fn match_rule<'a>(method: &str, path: &'a str, spawning: bool) -> RuleMatch<'a> {
    for (of, template, when, condition) in RULES {
        let Some(path_parameter) = path_parameter(template, path).filter(|_| *of == method) else {
            continue;
        };
        return match when {
            When::Spawning if !spawning => RuleMatch::NoSpawning,
            _ => RuleMatch::If(*condition, path_parameter),
        };
    }
    RuleMatch::Never
}

/// The part of the path at the template's parameter; empty if it has none.
fn path_parameter<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, rest)) = template.split_once('{') else {
        return (template == path).then_some("");
    };
    let (kind, after) = rest.split_once('}')?;
    let name = path.strip_prefix(before)?.strip_suffix(after)?;
    match kind {
        "image" => is_image(name),
        _ => is_name(name),
    }
    .then_some(name)
}

/// A name or an id of a container, an exec, a network or a volume.
pub fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.len() <= 255
        && text
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_alphanumeric)
        && text.bytes().all(is_plain)
}

/// `registry:5000/group/name:tag@sha256:…`
fn is_image(text: &str) -> bool {
    let is_part = |part: &str| is_name(&part.replace([':', '@'], "-"));
    text.len() <= 1024 && text.split('/').all(is_part)
}

/// True if a pull names an image of a registry and nothing else: an image could also be imported from
/// any address.
pub fn is_pull(query: &str) -> bool {
    query.split('&').all(|pair| {
        let key = pair.split('=').next().unwrap_or_default();
        ["fromImage", "tag", "platform"].contains(&key)
    })
}

/// True if a container is created with a name and for a platform, and nothing more.
pub fn is_creation(query: &str) -> bool {
    query.is_empty()
        || query.split('&').all(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "name" => value.is_empty() || is_name(value),
                "platform" => true,
                _ => false,
            }
        })
}

/// True if these labels, as the engine has them in JSON, hold one of those that are wanted.
pub fn has_label(labels: &Labels, carried: &serde_json::Value) -> bool {
    labels.0.iter().any(|label| match label.split_once('=') {
        Some((key, value)) => carried[key] == value,
        None => carried[label.as_str()].is_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_docker_service_asks_passes() {
        for (method, path, condition, path_parameter) in [
            ("GET", "/containers/json", Condition::List, ""),
            (
                "GET",
                "/containers/ci_1.x/json",
                Condition::Container,
                "ci_1.x",
            ),
            ("POST", "/containers/ci/exec", Condition::CreateExec, "ci"),
            ("POST", "/exec/0a1b/start", Condition::Exec, "0a1b"),
            ("DELETE", "/containers/ci", Condition::Container, "ci"),
            (
                "GET",
                "/images/r:5000/a/b:1@sha256:0a/json",
                Condition::None,
                "r:5000/a/b:1@sha256:0a",
            ),
        ] {
            assert_eq!(
                match_rule(method, path, false),
                RuleMatch::If(condition, path_parameter),
                "{path}"
            );
        }
    }

    #[test]
    fn what_starts_containers_passes_when_that_is_on() {
        for path in [
            "/containers/create",
            "/volumes/create",
            "/images/create",
            "/containers/a/start",
        ] {
            assert_eq!(
                match_rule("POST", path, false),
                RuleMatch::NoSpawning,
                "{path}"
            );
            assert!(
                matches!(match_rule("POST", path, true), RuleMatch::If(..)),
                "{path}"
            );
        }
    }

    #[test]
    fn nothing_else_passes() {
        for (method, path) in [
            ("POST", "/containers/json"),
            ("GET", "/containers/a/archive"),
            ("PUT", "/containers/a/archive"),
            ("POST", "/containers/a/update"),
            ("POST", "/containers/a/attach"),
            ("GET", "/containers/a/export"),
            ("POST", "/containers/prune"),
            ("POST", "/build"),
            ("POST", "/commit"),
            ("GET", "/info"),
            ("GET", "/events"),
            ("GET", "/v1.41/containers/json"),
            ("GET", "//containers/json"),
            ("GET", "/containers/json/"),
            ("GET", "/containers//json"),
            ("GET", "/containers/a/b/json"),
            ("GET", "/containers/../json"),
            ("GET", "/containers/a%2fb/json"),
            ("GET", "/images/../containers/a/json"),
            ("GET", "/images//json"),
            ("POST", "/plugins/pull"),
            ("GET", "/secrets"),
            ("POST", "/networks/create"),
        ] {
            assert_eq!(
                match_rule(method, path, true),
                RuleMatch::Never,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn a_pull_is_from_a_registry() {
        assert!(is_pull("fromImage=debian&tag=12"));
        for query in [
            "",
            "fromSrc=http://a/b",
            "fromImage=a&fromSrc=-",
            "fromImage=a&from%53rc=-",
        ] {
            assert!(!is_pull(query), "{query}");
        }
    }

    #[test]
    fn a_label_is_a_key_or_a_key_with_its_value() {
        let labels = Labels(vec!["role".to_owned(), "team=web".to_owned()]);
        assert!(has_label(&labels, &json!({"role": ""})));
        assert!(has_label(&labels, &json!({"team": "web"})));
        for carried in [
            json!(null),
            json!({}),
            json!({"team": "shop"}),
            json!({"roles": "x"}),
        ] {
            assert!(!has_label(&labels, &carried), "{carried}");
        }
    }
}
