//! `policy explain`: whether a role may perform an effect, and which line says so.

use exomonad_config::{Loaded, RoleName, Source};
use exomonad_core::Ruling;
use exomonad_engine::closest;
use exomonad_schema::Effect;
use serde::Serialize;
use serde_json::Value;

use super::CommandError;
use super::args::Options;
use super::config::{load_text_alone, roles_of};
use super::effects::find_effect;
use super::show::print_json;

/// The decision about an effect of a role.
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
    let loaded = load_text_alone(options)?;
    let roles = roles_of(&loaded.config);
    if !roles.iter().any(|known| known == role) && loaded.config.plugins.unlisted_roles {
        let near = closest(role, roles.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
        return Err(CommandError::Refused(format!(
            "there is no role `{role}`{near}: no plugin of that name comes with the host or is in {}",
            loaded.config.plugins.dir.display()
        )));
    }
    let explanation = decide(&loaded, role, effect, request)?;
    if options.json {
        print_json(&explanation);
    } else {
        let verdict = if explanation.allowed {
            "allowed"
        } else {
            "denied"
        };
        outln!("{verdict}: {} for role `{role}`", explanation.capability);
        for reason in &explanation.reasons {
            outln!("  {reason}");
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
        let hint = loaded.config.grant_hint(&name);
        let reason = format!(
            "no pattern of `{key}` covers it{}; {}",
            place(loaded, &key),
            hint.replace("{capability}", kind.capability())
        );
        deny(&mut explanation, reason);
        return Ok(explanation);
    };
    let reason = format!("\"{pattern}\" in `{key}` grants it{}", place(loaded, &key));
    explanation.reasons.push(reason);
    let request = request
        .map(|request| Effect::decode(kind, request.as_bytes()))
        .transpose()
        .map_err(|error| CommandError::Usage(error.message))?;
    let lists = serde_json::to_value(settings).unwrap_or_default();
    let services = loaded.config.services();
    let bounds = settings.bounds.to_map();
    for verdict in exomonad_services::decide(&services, &bounds, kind, request.as_ref()) {
        let key = loaded.config.role_key(&name, verdict.key);
        let rule = format!(
            "`{key}` allows {}{}",
            listed(&lists[verdict.key]),
            place(loaded, &key)
        );
        let subject = verdict.subject.as_ref().map(|text| format!("{text:?}"));
        let reason = match (&verdict.ruling, subject) {
            (Ruling::Empty(help), _) => {
                let place = place(loaded, &key);
                format!("`{key}` is empty{place}: it reaches nothing; {help}")
            }
            (Ruling::Within, Some(subject)) => format!("{subject} is within the bounds: {rule}"),
            (Ruling::Within, None) => rule,
            (Ruling::Outside, subject) => {
                let subject = subject.unwrap_or_default();
                format!("{subject} is not within the bounds: {rule}")
            }
            (Ruling::Refused(reason), _) => reason.clone(),
            (Ruling::AtCall(what), Some(subject)) => {
                format!("{subject} is decided at the call, by {what}: {rule}")
            }
            (Ruling::AtCall(what), None) => format!("decided at the call, by {what}: {rule}"),
            (Ruling::NotConcerned(reason), Some(subject)) => format!("{subject}: {reason}"),
            (Ruling::NotConcerned(reason), None) => reason.clone(),
        };
        explanation.reasons.push(reason);
        if verdict.is_refusal() {
            explanation.allowed = false;
            break;
        }
    }
    Ok(explanation)
}

/// The entries of a list, to end "allows …".
fn listed(list: &Value) -> String {
    let entries = list.as_array().into_iter().flatten();
    let entries: Vec<&str> = entries.filter_map(Value::as_str).collect();
    match entries.is_empty() {
        true => "nothing".to_owned(),
        false => entries.join(", "),
    }
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
        let loaded = Config::load(Some(&path), |_| None, &exomonad_host::capabilities()).unwrap();
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
            !no.allowed
                && no.reasons[0].contains("effects = [\"github.*\", \"git.get_*\", \"kv.set\"]"),
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
    fn a_bound_that_the_defaults_set_is_named_as_theirs() {
        let file = "[defaults]\neffects = ['git.*']\npaths = ['.']\n[role.tl]\n[role.dev]\npaths = ['.']\n";
        let outside = Some(r#"{"workingDir":"/"}"#);
        for (role, key) in [("tl", "`defaults.paths`"), ("dev", "`role.dev.paths`")] {
            let no = explained(file, role, "git.status", outside);
            assert!(!no.allowed && no.reasons[1].contains(key), "{no:?}");
            assert!(no.reasons[0].contains("`defaults.effects`"), "{no:?}");
        }
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

    #[test]
    fn a_grant_whose_list_is_empty_reaches_nothing() {
        let file = "[role.tl]\neffects = ['*']\npaths = []\n";
        for (effect, key) in [
            ("git.status", "role.tl.paths"),
            ("github.list_issues", "role.tl.repos"),
            ("http.request", "role.tl.hosts"),
            ("docker.list", "role.tl.labels"),
        ] {
            let no = explained(file, "tl", effect, None);
            assert!(!no.allowed && no.reasons[1].contains(key), "{no:?}");
        }
        assert!(explained(file, "tl", "docker.pull", None).allowed);
    }

    #[test]
    fn addresses_of_this_network_and_docker_s_networks_are_granted_by_name() {
        let file = "[role.tl]\neffects = ['*']\nhosts = ['*', '127.0.0.1']\nprivate_hosts = ['10.*']\nlabels = ['a']\nnetworks = ['bridge']\n";
        let fetched = |host: &str| {
            let request = format!(r#"{{"url":"http://{host}/"}}"#);
            explained(file, "tl", "http.request", Some(&request))
        };
        for host in ["127.0.0.1", "10.1.2.3", "8.8.8.8", "example.com"] {
            assert!(fetched(host).allowed, "{host}");
        }
        for host in ["192.168.0.1", "[::1]", "localhost", "169.254.169.254"] {
            let no = fetched(host);
            assert!(
                !no.allowed && no.reasons[2].contains("private_hosts"),
                "{no:?}"
            );
        }
        let spawned = |network: &str| {
            let request = format!(r#"{{"image":"x","network":"{network}"}}"#);
            explained(file, "tl", "docker.spawn", Some(&request)).allowed
        };
        assert!(spawned("bridge") && spawned("none") && spawned("default") && !spawned("host"));
    }
}
