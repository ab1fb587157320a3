//! Policy: the hosts that a role's requests may reach, and the secrets they may carry.

use std::net::IpAddr;

use exomonad_core::bounds::BoundsMap;
use exomonad_core::no_bounds;
use exomonad_core::policy::{Ruling, Verdict};
use exomonad_core::values::HostPattern;
use exomonad_schema::Effect;
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::is_public;
use crate::config::Secrets;
use crate::placeholder;

/// The hosts that a role's requests may reach, and the secrets they may carry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HttpBounds {
    /// The hosts that the guest's HTTP requests may reach, without ports; `*` stands for any run of
    /// characters.
    pub hosts: Vec<HostPattern>,
    /// Those of `hosts` that may have addresses of this machine or of a private network. A `*` in `hosts`
    /// never reaches one; an address, or `localhost`, that is listed there as such does.
    pub private_hosts: Vec<HostPattern>,
    /// The secrets, by their names, that the guest's HTTP requests may carry.
    #[schemars(extend("items" = { "type": "string", "format": "secret-name" }))]
    pub secrets: Vec<String>,
}

no_bounds!(HttpBounds);

/// Decides about a request; without one, about all.
pub fn decide(secrets: &Secrets, bounds: &BoundsMap, request: Option<&Effect>) -> Vec<Verdict> {
    let bounds = bounds.get::<HttpBounds>();
    let Some(Effect::HttpRequest(request)) = request else {
        return vec![bounds.decide_hosts(None)];
    };
    // A URL that does not parse is refused for that.
    let Some(target) = Url::parse(&request.url).ok().map(|url| Target::of(&url)) else {
        return Vec::new();
    };
    let mut verdicts = vec![bounds.decide_hosts(Some(&target))];
    verdicts.extend(bounds.decide_address(&target));
    let body = request.body.as_deref().unwrap_or_default();
    let texts = [&*request.url, body].into_iter();
    for text in texts.chain(request.headers.values().map(String::as_str)) {
        for name in placeholder::names(text) {
            let verdict = bounds.decide_secret(secrets, name, &target);
            if !verdicts.contains(&verdict) {
                verdicts.push(verdict);
            }
        }
    }
    verdicts
}

/// The target of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its host in lower case, an address without brackets.
    pub host: String,
    is_encrypted: bool,
}

impl Target {
    pub fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        Self {
            host: host.trim_matches(['[', ']']).to_ascii_lowercase(),
            is_encrypted: url.scheme() == "https",
        }
    }
}

impl HttpBounds {
    /// Decides about the host by `hosts`; without a target, about all.
    pub(crate) fn decide_hosts(&self, target: Option<&Target>) -> Verdict {
        let ruling = match target {
            _ if self.hosts.is_empty() => {
                Ruling::Empty("name the hosts, such as [\"api.example.com\"]")
            }
            None => Ruling::AtCall("the host of the request".to_owned()),
            Some(target) => Ruling::of(self.hosts.iter().any(|host| host.matches(&target.host))),
        };
        Verdict::new("hosts", target.map(|target| target.host.as_str()), ruling)
    }

    /// Decides about the host's address by `private_hosts`; `None` where that list does not matter.
    pub(crate) fn decide_address(&self, target: &Target) -> Option<Verdict> {
        let host = target.host.as_str();
        let address: Option<IpAddr> = host.parse().ok();
        let is_private_name = host == "localhost";
        let ruling = if self.private_hosts.iter().any(|listed| listed.matches(host)) {
            Ruling::Within
        } else if self.names_itself(target) || address.is_some_and(is_public) {
            return None;
        } else if address.is_some() || is_private_name {
            Ruling::Outside
        } else {
            Ruling::AtCall("the address that the name has then".to_owned())
        };
        Some(Verdict::new("private_hosts", Some(host), ruling))
    }

    /// True if private addresses of the host may be reached.
    pub(crate) fn may_be_private(&self, target: &Target) -> bool {
        self.names_itself(target)
            || self
                .private_hosts
                .iter()
                .any(|listed| listed.matches(&target.host))
    }

    /// True for an address, or this machine, that `hosts` lists as such: it is meant.
    fn names_itself(&self, target: &Target) -> bool {
        (target.host.parse::<IpAddr>().is_ok() || target.host == "localhost")
            && self
                .hosts
                .iter()
                .any(|listed| listed.as_str() == target.host)
    }

    /// Decides about a secret by `secrets`, the secret's own hosts and the connection.
    pub(crate) fn decide_secret(&self, secrets: &Secrets, name: &str, target: &Target) -> Verdict {
        let host = &target.host;
        // A secret that does not exist gives the same error as one that is not granted.
        let is_granted = self.secrets.iter().any(|granted| granted == name);
        let ruling = match secrets.get(name).filter(|_| is_granted) {
            None => Ruling::Outside,
            Some(secret) if !secret.hosts.iter().any(|listed| listed.matches(host)) => {
                Ruling::Refused(format!(
                    "the secret `{name}` is not for {host}; `secret.{name}.hosts` in exomonad.toml lists its hosts"
                ))
            }
            Some(_) if !target.is_encrypted && !self.may_be_private(target) => Ruling::Refused(
                format!("the secret `{name}` would go to {host} unencrypted: use https"),
            ),
            Some(_) => Ruling::Within,
        };
        Verdict::new("secrets", Some(name), ruling)
    }
}
