//! `policy explain`: whether a role may perform an effect, and which line says so.

use std::net::IpAddr;

use exomonad_config::{HostPattern, Loaded, Role, RoleName, SERVICE_BOUNDS, Source};
use exomonad_engine::closest;
use exomonad_schema::{Effect, EffectKind};
use exomonad_services::http::is_public;
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
    let needed = SERVICE_BOUNDS
        .iter()
        .find(|needed| kind.capability().starts_with(needed.service));
    if let Some(needed) = needed.filter(|_| !BOUNDLESS.contains(&kind))
        && (needed.is_empty)(settings)
    {
        let key = loaded.config.role_key(&name, needed.key);
        let reason = format!(
            "`{key}` is empty{}: it reaches nothing",
            place(loaded, &key)
        );
        deny(&mut explanation, reason);
        return Ok(explanation);
    }
    if let Some(request) = request {
        let effect = Effect::decode(kind, request.as_bytes())
            .map_err(|error| CommandError::Usage(error.message))?;
        // As it is written, so that every effect that has such a field is held to its bound.
        let fields: Value = serde_json::to_value(&effect).unwrap_or_default();
        for bound in BOUNDS {
            let Some(text) = fields["payload"][bound.field].as_str() else {
                continue;
            };
            if bound.key == "paths" && fields["payload"]["container"].is_string() {
                let reason =
                    format!("{text:?} is in the container: `paths` bound the host's files alone");
                explanation.reasons.push(reason);
                continue;
            }
            let key = loaded.config.role_key(&name, bound.key);
            let listed = (bound.list)(settings);
            let list = if listed.is_empty() {
                "nothing".to_owned()
            } else {
                listed.join(", ")
            };
            let says = format!("`{key}` allows {list}{}", place(loaded, &key));
            match (bound.allows)(settings, text) {
                Verdict::Within => explanation
                    .reasons
                    .push(format!("{text:?} is within the bounds: {says}")),
                Verdict::Outside => {
                    deny(
                        &mut explanation,
                        format!("{text:?} is not within the bounds: {says}"),
                    );
                    return Ok(explanation);
                }
                Verdict::AtCall => explanation
                    .reasons
                    .push(format!("{text:?} is decided when it is called: {says}")),
                Verdict::Silent => {}
            }
        }
    }
    Ok(explanation)
}

/// Effects that need no list, though others of their service do: images are nobody's.
const BOUNDLESS: &[EffectKind] = &[EffectKind::DockerImagePresent, EffectKind::DockerPull];

/// What a bound says about a field.
enum Verdict {
    Within,
    Outside,
    /// Only the service can tell.
    AtCall,
    /// Nothing.
    Silent,
}

impl Verdict {
    fn of(is_within: bool) -> Self {
        match is_within {
            true => Self::Within,
            false => Self::Outside,
        }
    }
}

/// A bound of roles, and the field of requests that is held to it.
struct Bound {
    field: &'static str,
    key: &'static str,
    list: fn(&Role) -> Vec<String>,
    allows: fn(&Role, &str) -> Verdict,
}

const BOUNDS: &[Bound] = &[
    Bound {
        field: "repo",
        key: "repos",
        list: |role| role.repos.iter().map(ToString::to_string).collect(),
        allows: |role, repo| Verdict::of(role.repos.iter().any(|pattern| pattern.matches(repo))),
    },
    Bound {
        field: "url",
        key: "hosts",
        list: |role| role.hosts.iter().map(ToString::to_string).collect(),
        allows: |role, url| match host_of(url) {
            Some(host) => Verdict::of(role.hosts.iter().any(|pattern| pattern.matches(&host))),
            None => Verdict::Outside,
        },
    },
    Bound {
        field: "url",
        key: "private_hosts",
        list: |role| role.private_hosts.iter().map(ToString::to_string).collect(),
        allows: |role, url| {
            let Some(host) = host_of(url) else {
                return Verdict::Outside;
            };
            let address: Option<IpAddr> = host.parse().ok();
            let is_itself = |named: &HostPattern| named.as_str() == host;
            if role
                .private_hosts
                .iter()
                .any(|pattern| pattern.matches(&host))
            {
                Verdict::Within
            } else if (address.is_some() || host == "localhost") && role.hosts.iter().any(is_itself)
            {
                // Listed as what it is, which is enough.
                Verdict::Silent
            } else {
                match address {
                    Some(address) if is_public(address) => Verdict::Silent,
                    Some(_) => Verdict::Outside,
                    None if host == "localhost" => Verdict::Outside,
                    // Which address a name has is known then.
                    None => Verdict::AtCall,
                }
            }
        },
    },
    Bound {
        field: "network",
        key: "networks",
        list: |role| role.networks.clone(),
        allows: |role, network| match network {
            "none" => Verdict::Silent,
            // Docker has two names for it.
            "default" => Verdict::of(role.networks.iter().any(|granted| granted == "bridge")),
            "bridge" | "host" => {
                Verdict::of(role.networks.iter().any(|granted| granted == network))
            }
            _ if role.networks.iter().any(|granted| granted == network) => Verdict::Within,
            // It may have the role's labels.
            _ => Verdict::AtCall,
        },
    },
    Bound {
        field: "container",
        key: "labels",
        list: |role| role.labels.iter().map(ToString::to_string).collect(),
        allows: |_, _| Verdict::AtCall,
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
            let first = role.paths.first().map(|first| first.join(folder));
            let Some(folder) = first.and_then(|folder| folder.canonicalize().ok()) else {
                return Verdict::AtCall;
            };
            let within = |root: &std::path::PathBuf| {
                root.canonicalize()
                    .is_ok_and(|root| folder.starts_with(root))
            };
            Verdict::of(role.paths.iter().any(within))
        },
    },
];

/// The host of an address as grants name it.
fn host_of(url: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).ok()?;
    let host = url.host_str()?;
    Some(host.trim_matches(['[', ']']).to_ascii_lowercase())
}

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
