//! `policy explain`: whether a role may perform an effect, and which line says so.

use exomonad_config::{HostPattern, Loaded, Role, RoleName, Source};
use exomonad_engine::closest;
use exomonad_schema::{Effect, EffectKind};
use serde::Serialize;
use serde_json::Value;

use super::CommandError;
use super::args::Options;
use super::config::load;
use super::show::print_json;

/// What the configuration says about an effect of a role.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation {
    allowed: bool,
    role: String,
    effect: &'static str,
    capability: &'static str,
    /// One sentence a decision, in the order in which they are made; the last one decided.
    reasons: Vec<String>,
}

/// Runs `policy explain`.
pub fn explain(
    options: &Options,
    role: &str,
    effect: &str,
    request: Option<&str>,
) -> Result<(), CommandError> {
    let loaded = load(options)?;
    let explanation = decide(&loaded, role, effect, request)?;
    if options.json {
        print_json(&explanation);
    } else {
        let verdict = if explanation.allowed {
            "allowed"
        } else {
            "denied"
        };
        println!("{verdict}: {} for role `{role}`", explanation.capability);
        for reason in &explanation.reasons {
            println!("  {reason}");
        }
    }
    if explanation.allowed {
        Ok(())
    } else {
        Err(CommandError::Found)
    }
}

fn decide(
    loaded: &Loaded,
    role: &str,
    effect: &str,
    request: Option<&str>,
) -> Result<Explanation, CommandError> {
    let kind = find_effect(effect)?;
    let name: RoleName = role
        .parse()
        .map_err(|error| CommandError::Usage(format!("{error}")))?;
    let Some(settings) = loaded.config.role(&name) else {
        let listed = loaded.config.roles.keys().map(RoleName::as_str);
        let hint = closest(role, listed)
            .map(|near| format!(" (did you mean `{near}`?)"))
            .unwrap_or_default();
        return Err(CommandError::Refused(format!(
            "there is no role `{role}`{hint}: the configuration lists others, and serves no unlisted ones"
        )));
    };
    let mut explanation = Explanation {
        allowed: true,
        role: role.to_owned(),
        effect: kind.name(),
        capability: kind.capability(),
        reasons: Vec::new(),
    };
    let deny = |explanation: &mut Explanation, reason: String| {
        explanation.allowed = false;
        explanation.reasons.push(reason);
    };
    let key = loaded.config.role_key(&name, "effects");
    let granting = settings
        .effects
        .iter()
        .find(|pattern| pattern.matches(kind.capability()));
    let Some(pattern) = granting else {
        let reason = format!(
            "no pattern of `{key}` covers it{}; add \"{}\" there",
            place(loaded, &key),
            kind.capability()
        );
        deny(&mut explanation, reason);
        return Ok(explanation);
    };
    let reason = format!("\"{pattern}\" in `{key}` grants it{}", place(loaded, &key));
    explanation.reasons.push(reason);
    if let Some(request) = request {
        let effect = Effect::decode(kind, request.as_bytes())
            .map_err(|error| CommandError::Usage(error.message))?;
        // As it is written, so that every effect that has such a field is held to its bound.
        let fields: Value = serde_json::to_value(&effect).unwrap_or_default();
        for bound in BOUNDS {
            let Some(text) = fields["payload"][bound.field].as_str() else {
                continue;
            };
            let key = loaded.config.role_key(&name, bound.key);
            let listed = (bound.list)(settings);
            let list = if listed.is_empty() {
                "nothing".to_owned()
            } else {
                listed.join(", ")
            };
            let says = format!("`{key}` allows {list}{}", place(loaded, &key));
            match (bound.allows)(settings, text) {
                Some(true) => explanation
                    .reasons
                    .push(format!("{text:?} is within the bounds: {says}")),
                Some(false) => {
                    deny(
                        &mut explanation,
                        format!("{text:?} is not within the bounds: {says}"),
                    );
                    return Ok(explanation);
                }
                None => explanation
                    .reasons
                    .push(format!("{text:?} is decided when it is called: {says}")),
            }
        }
    }
    Ok(explanation)
}

/// A bound of roles, and the field of requests that is held to it.
struct Bound {
    field: &'static str,
    key: &'static str,
    list: fn(&Role) -> Vec<String>,
    /// `None` where only the service can tell.
    allows: fn(&Role, &str) -> Option<bool>,
}

const BOUNDS: &[Bound] = &[
    Bound {
        field: "repo",
        key: "repos",
        list: |role| role.repos.iter().map(ToString::to_string).collect(),
        allows: |role, repo| Some(role.repos.iter().any(|pattern| pattern.matches(repo))),
    },
    Bound {
        field: "url",
        key: "hosts",
        list: |role| role.hosts.iter().map(ToString::to_string).collect(),
        allows: |role, url| {
            let url = reqwest::Url::parse(url).ok()?;
            let host = url.host_str()?;
            let allowed = |pattern: &HostPattern| pattern.matches(host.trim_matches(['[', ']']));
            Some(role.hosts.iter().any(allowed))
        },
    },
    Bound {
        field: "container",
        key: "labels",
        list: |role| role.labels.iter().map(ToString::to_string).collect(),
        allows: |role, _| role.labels.is_empty().then_some(false),
    },
    Bound {
        field: "workingDir",
        key: "paths",
        list: |role| {
            role.paths
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        },
        allows: |role, folder| {
            let folder = role.paths.first()?.join(folder).canonicalize().ok()?;
            let within = |root: &std::path::PathBuf| {
                root.canonicalize()
                    .is_ok_and(|root| folder.starts_with(root))
            };
            Some(role.paths.iter().any(within))
        },
    },
];

/// The effect by its name in JSON, its host function or its capability.
fn find_effect(name: &str) -> Result<EffectKind, CommandError> {
    let names = |kind: &EffectKind| [kind.capability(), kind.function(), kind.name()];
    let found = EffectKind::ALL
        .iter()
        .find(|kind| names(kind).contains(&name));
    found.copied().ok_or_else(|| {
        let hint = closest(name, EffectKind::ALL.iter().flat_map(names))
            .map(|near| format!(" (did you mean `{near}`?)"))
            .unwrap_or_default();
        CommandError::Refused(format!("there is no effect `{name}`{hint}"))
    })
}

/// Where a key's value comes from, to end a sentence.
fn place(loaded: &Loaded, key: &str) -> String {
    match loaded.sources.of(key.split('.')) {
        Source::Default => " (the default)".to_owned(),
        Source::File { line } => format!(" ({}:{line})", loaded.sources.file().display()),
        Source::Variable(name) => format!(" ({name})"),
    }
}

#[cfg(test)]
mod tests {
    use exomonad_config::Config;

    use super::*;

    fn explained(file: &str, role: &str, effect: &str, request: Option<&str>) -> Explanation {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("exomonad.toml");
        std::fs::write(&path, file).unwrap();
        let loaded = Config::load(Some(&path), |_| None, &crate::house::capabilities()).unwrap();
        decide(&loaded, role, effect, request).unwrap()
    }

    #[test]
    fn the_line_that_decides_is_named() {
        let file = "[role.tl]\neffects = ['github.*', 'git.get_*']\nrepos = ['acme/*']\n";
        let yes = explained(file, "tl", "git_get_branch", None);
        assert!(yes.allowed, "{yes:?}");
        assert!(yes.reasons[0].starts_with("\"git.get_*\" in `role.tl.effects` grants it ("));
        assert!(yes.reasons[0].ends_with("exomonad.toml:2)"), "{yes:?}");
        let no = explained(file, "tl", "KvSet", None);
        assert!(
            !no.allowed && no.reasons[0].contains("add \"kv.set\" there"),
            "{no:?}"
        );
        let issues = |repo: &str| format!(r#"{{"repo":"{repo}"}}"#);
        let inside = explained(file, "tl", "github.list_issues", Some(&issues("acme/web")));
        assert!(inside.allowed, "{inside:?}");
        let outside = explained(file, "tl", "github.list_issues", Some(&issues("evil/web")));
        assert!(!outside.allowed, "{outside:?}");
        assert!(
            outside.reasons[1].contains("`role.tl.repos` allows acme/*"),
            "{outside:?}"
        );
    }

    #[test]
    fn by_default_a_role_reads_where_it_was_started() {
        let reads = explained("", "tl", "git.status", Some(r#"{"workingDir":"."}"#));
        assert!(
            reads.allowed && reads.reasons[0].ends_with("(the default)"),
            "{reads:?}"
        );
        let away = explained("", "tl", "git.status", Some(r#"{"workingDir":"/"}"#));
        assert!(!away.allowed, "{away:?}");
        let fetch = r#"{"url":"http://example.com/"}"#;
        assert!(!explained("", "tl", "http.request", Some(fetch)).allowed);
    }
}
