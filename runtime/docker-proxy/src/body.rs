//! The bodies of requests: read, judged, and written anew.
//!
//! The body that goes on to the engine is made here of the values that were judged: keys that are listed, each of its
//! type, and every limit and confinement, whether the request names it or not. Nothing of the request's own
//! text goes on, since the engine reads JSON in its own way (see [`json`](super::json)) and knows many keys
//! that would open the machine.

use serde_json::{Map, Value, json};

use super::Labels;
use super::rules::{has_label, is_name};

/// Limits of a container whose request names none; the Docker service names its own.
const MEMORY_BYTES: i64 = 2 << 30;
const CPU_PERIOD_MICROS: i64 = 100_000;
const CPU_QUOTA_MICROS: i64 = 200_000;
const PROCESSES: i64 = 1024;

/// The members of an object, taken one by one; what is left at the end does not pass.
struct Members<'a> {
    within: &'static str,
    rest: Vec<(&'a str, &'a Value)>,
    passed: Map<String, Value>,
}

impl<'a> Members<'a> {
    fn of(value: &'a Value, within: &'static str) -> Result<Self, String> {
        let members = match value {
            Value::Object(members) => members,
            _ => return Err(format!("`{within}` is no object")),
        };
        // The engine takes null as absent.
        let members = members.iter().filter(|(_, value)| !value.is_null());
        Ok(Self {
            within,
            rest: members.map(|(key, value)| (key.as_str(), value)).collect(),
            passed: Map::new(),
        })
    }

    fn take(&mut self, key: &str) -> Option<&'a Value> {
        let at = self.rest.iter().position(|(name, _)| *name == key)?;
        Some(self.rest.swap_remove(at).1)
    }

    /// Passes a member on, as `judged` makes it, if it is there.
    fn pass(
        &mut self,
        key: &str,
        judged: impl FnOnce(&Value) -> Result<Value, &'static str>,
    ) -> Result<(), String> {
        if let Some(value) = self.take(key) {
            let value = judged(value).map_err(|is| format!("`{}{key}` {is}", self.within))?;
            self.passed.insert(key.to_owned(), value);
        }
        Ok(())
    }

    /// Sets a member, which the request may name with this value only.
    fn fixed(&mut self, key: &str, value: Value) -> Result<(), String> {
        match self.take(key) {
            Some(named) if *named != value => {
                Err(format!("`{}{key}` passes as {value} only", self.within))
            }
            _ => {
                self.passed.insert(key.to_owned(), value);
                Ok(())
            }
        }
    }

    /// A limit: what the request names, or this much; never none.
    fn limit(&mut self, key: &str, usual: i64) -> Result<i64, String> {
        let limit = match self.take(key) {
            None => usual,
            Some(value) => value
                .as_i64()
                .filter(|limit| *limit > 0)
                .ok_or_else(|| format!("`{}{key}` passes as a number above 0 only", self.within))?,
        };
        self.passed.insert(key.to_owned(), limit.into());
        Ok(limit)
    }

    fn finish(self) -> Result<Value, String> {
        match self.rest.first() {
            Some((key, _)) => Err(format!("`{}{key}` does not pass", self.within)),
            None => Ok(Value::Object(self.passed)),
        }
    }
}

fn flag(value: &Value) -> Result<Value, &'static str> {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        _ => Err("is neither true nor false"),
    }
}

fn text(value: &Value) -> Result<Value, &'static str> {
    match value {
        Value::String(_) => Ok(value.clone()),
        _ => Err("is no text"),
    }
}

fn texts(value: &Value) -> Result<Value, &'static str> {
    match value.as_array() {
        Some(items) if items.iter().all(Value::is_string) => Ok(value.clone()),
        _ => Err("is no list of texts"),
    }
}

/// A map of texts: its keys are the guest's own, and the engine tells them apart by their case.
fn labels_of(value: &Value) -> Result<Value, &'static str> {
    match value.as_object() {
        Some(members) if members.values().all(Value::is_string) => Ok(value.clone()),
        _ => Err("is no object of texts"),
    }
}

/// A new exec.
pub fn exec(body: &Value) -> Result<Value, String> {
    let mut members = Members::of(body, "")?;
    for key in ["AttachStdin", "AttachStdout", "AttachStderr", "Tty"] {
        members.pass(key, flag)?;
    }
    for key in ["Env", "Cmd"] {
        members.pass(key, texts)?;
    }
    for key in ["User", "WorkingDir"] {
        members.pass(key, text)?;
    }
    members.fixed("Privileged", false.into())?;
    members.finish()
}

/// The start of an exec.
pub fn exec_start(body: &Value) -> Result<Value, String> {
    let mut members = Members::of(body, "")?;
    // The service's client sends it, and the engine knows no such key.
    members.take("OutputCapacity");
    for key in ["Detach", "Tty"] {
        members.passed.insert(key.to_owned(), false.into());
        members.pass(key, flag)?;
    }
    members.finish()
}

/// A new container.
pub fn container(body: &Value, labels: &Labels) -> Result<Value, String> {
    let mut members = Members::of(body, "")?;
    for key in ["Image", "User", "WorkingDir"] {
        members.pass(key, text)?;
    }
    for key in ["Cmd", "Entrypoint", "Env"] {
        members.pass(key, texts)?;
    }
    members.pass("Labels", labels_of)?;
    members.pass("ExposedPorts", exposed)?;
    let host = members.take("HostConfig").cloned();
    let host = host_config(&host.unwrap_or_else(|| json!({})))?;
    members.passed.insert("HostConfig".to_owned(), host);
    is_labelled(members.finish()?, labels)
}

fn host_config(host: &Value) -> Result<Value, String> {
    let mut members = Members::of(host, "HostConfig.")?;
    for key in ["AutoRemove", "ReadonlyRootfs"] {
        members.pass(key, flag)?;
    }
    let memory = members.limit("Memory", MEMORY_BYTES)?;
    // Memory and swap together: none on top.
    members.fixed("MemorySwap", memory.into())?;
    members.limit("CpuPeriod", CPU_PERIOD_MICROS)?;
    members.limit("CpuQuota", CPU_QUOTA_MICROS)?;
    members.limit("PidsLimit", PROCESSES)?;
    members.fixed("IpcMode", "private".into())?;
    members.fixed("Privileged", false.into())?;
    members.fixed("PublishAllPorts", false.into())?;
    members.fixed("SecurityOpt", json!(["no-new-privileges:true"]))?;
    members.fixed("CapDrop", json!(["MKNOD"]))?;
    members
        .passed
        .insert("RestartPolicy".to_owned(), json!({"Name": "no"}));
    members.pass("RestartPolicy", restart_policy)?;
    members
        .passed
        .insert("NetworkMode".to_owned(), "none".into());
    members.pass("NetworkMode", network)?;
    if let Some(bindings) = members.take("PortBindings") {
        let bindings = ports(bindings)?;
        members.passed.insert("PortBindings".to_owned(), bindings);
    }
    if let Some(mounts) = members.take("Mounts") {
        let mounts = self::mounts(mounts)?;
        members.passed.insert("Mounts".to_owned(), mounts);
    }
    members.finish()
}

/// A new volume.
pub fn volume(body: &Value, labels: &Labels) -> Result<Value, String> {
    let mut members = Members::of(body, "")?;
    members.pass("Name", |name| match name.as_str() {
        Some(text) if is_name(text) => Ok(name.clone()),
        _ => Err("is no name of a volume"),
    })?;
    members.pass("Labels", labels_of)?;
    members.fixed("Driver", "local".into())?;
    is_labelled(members.finish()?, labels)
}

/// The objects that a new container uses and that must carry a label, as paths of the engine's API.
pub fn referenced_resources(body: &Value) -> Vec<String> {
    let host = &body["HostConfig"];
    let volumes = host["Mounts"].as_array().into_iter().flatten();
    let volumes = volumes
        .filter(|mount| mount["Type"] == "volume")
        .map(|mount| format!("/volumes/{}", mount["Source"].as_str().unwrap_or_default()));
    let network = host["NetworkMode"]
        .as_str()
        .filter(|name| !["bridge", "none"].contains(name))
        .map(|name| format!("/networks/{name}"));
    volumes.chain(network).collect()
}

fn is_labelled(body: Value, labels: &Labels) -> Result<Value, String> {
    match has_label(labels, &body["Labels"]) {
        true => Ok(body),
        false => Err(format!("it has to carry a label: {labels}")),
    }
}

fn restart_policy(policy: &Value) -> Result<Value, &'static str> {
    let members = policy.as_object().ok_or("is no object")?;
    let is_no = members.iter().all(|(key, value)| match key.as_str() {
        "Name" => *value == "no" || *value == "",
        "MaximumRetryCount" => *value == 0 || value.is_null(),
        _ => false,
    });
    match is_no {
        true => Ok(json!({"Name": "no"})),
        false => Err("passes as `no` only"),
    }
}

fn network(mode: &Value) -> Result<Value, &'static str> {
    match mode.as_str() {
        Some(name) if is_name(name) && !["host", "default"].contains(&name) => Ok(mode.clone()),
        _ => Err("passes as `bridge`, `none` or a network's id"),
    }
}

/// `80/tcp`.
fn is_port(text: &str) -> bool {
    let is_number = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    text.split_once('/')
        .is_some_and(|(port, protocol)| is_number(port) && ["tcp", "udp"].contains(&protocol))
}

fn exposed(ports: &Value) -> Result<Value, &'static str> {
    let is_empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    match ports.as_object() {
        Some(members)
            if members
                .iter()
                .all(|(port, value)| is_port(port) && is_empty(value)) =>
        {
            Ok(ports.clone())
        }
        _ => Err("is no object of ports"),
    }
}

fn ports(bindings: &Value) -> Result<Value, String> {
    let all = bindings
        .as_object()
        .ok_or("`HostConfig.PortBindings` is no object")?;
    let mut passed = Map::new();
    for (port, bindings) in all.iter().filter(|(_, bindings)| !bindings.is_null()) {
        let bindings = bindings.as_array().filter(|_| is_port(port));
        let bindings =
            bindings.ok_or("`HostConfig.PortBindings` is no object of ports and lists")?;
        let mut list = Vec::new();
        for binding in bindings {
            let mut members = Members::of(binding, "HostConfig.PortBindings.")?;
            members.pass("HostPort", |port| match port.as_str() {
                Some(text) if text.is_empty() || is_port(&format!("{text}/tcp")) => {
                    Ok(port.clone())
                }
                _ => Err("is no port"),
            })?;
            match members.take("HostIp") {
                Some(address) if address == "127.0.0.1" => {}
                _ => return Err("`HostConfig.PortBindings` passes on 127.0.0.1 only".to_owned()),
            }
            members
                .passed
                .insert("HostIp".to_owned(), "127.0.0.1".into());
            list.push(members.finish()?);
        }
        passed.insert(port.clone(), list.into());
    }
    Ok(passed.into())
}

fn mounts(mounts: &Value) -> Result<Value, String> {
    let mounts = mounts.as_array().ok_or("`HostConfig.Mounts` is no list")?;
    let judged = mounts.iter().map(|mount| {
        let mut members = Members::of(mount, "HostConfig.Mounts.")?;
        let kind = members.take("Type").and_then(Value::as_str);
        let source = members.take("Source").and_then(Value::as_str);
        match (kind, source) {
            (Some("volume"), Some(name)) if is_name(name) => {
                members.passed.insert("Source".to_owned(), name.into());
            }
            (Some("tmpfs"), None | Some("")) => {}
            (Some("volume"), _) => {
                return Err("a volume's `Source` passes as its name only".to_owned());
            }
            (Some("tmpfs"), _) => return Err("a `tmpfs` has no `Source`".to_owned()),
            _ => return Err("a mount's `Type` passes as `volume` or `tmpfs` only".to_owned()),
        }
        members.passed.insert("Type".to_owned(), kind.into());
        members.pass("Target", |target| match target.as_str() {
            Some(path) if path.starts_with('/') && !path.split('/').any(|part| part == "..") => {
                Ok(target.clone())
            }
            _ => Err("is no absolute path"),
        })?;
        members.pass("ReadOnly", flag)?;
        members.finish()
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels(vec!["role=tl".to_owned()])
    }

    #[test]
    fn fuzz_docker_proxy() {
        let words = [
            "\"HostConfig\":",
            "\"hostconfig\":",
            "\"Privileged\":true",
            "\"Binds\":[\"/:/host\"]",
            "\"CapAdd\":",
            "\"host\"",
            "\"NetworkMode\":",
            "\"PortBindings\":",
            "\"HostIp\":",
            "\"HostPort\":",
            "\"Mounts\":",
            "\"Labels\":",
            "null",
            "{",
            "}",
            "[",
            "]",
            "\\u0000",
            "\\ud800",
            "0.0.0.0",
            "127.0.0.1",
            ":",
            ",",
        ];
        exomonad_test_support::fuzz("docker_proxy", &words, |bytes| {
            let Ok(body) = super::super::json::parse(bytes) else {
                return;
            };
            let _ = (exec(&body), exec_start(&body), volume(&body, &labels()));
            let Ok(passed) = container(&body, &labels()) else {
                return;
            };
            let host = &passed["HostConfig"];
            assert_eq!(host["Privileged"], false, "{passed}");
            assert!(
                host["Memory"].as_i64().is_some_and(|bytes| bytes > 0),
                "{passed}"
            );
            assert!(
                host["PidsLimit"].as_i64().is_some_and(|count| count > 0),
                "{passed}"
            );
            assert_ne!(host["NetworkMode"], "host", "{passed}");
            assert_eq!(host["Binds"], Value::Null, "{passed}");
            let ports = host["PortBindings"].as_object().into_iter().flatten();
            for binding in ports.flat_map(|(_, bindings)| bindings.as_array().into_iter().flatten())
            {
                assert_eq!(binding["HostIp"], "127.0.0.1", "{passed}");
            }
            // What was written here is taken as it is.
            assert_eq!(container(&passed, &labels()).as_ref(), Ok(&passed));
        });
    }

    fn with(key: &str, value: Value) -> Result<Value, String> {
        let mut host = json!({"Memory": 6 << 20, "NetworkMode": "bridge"});
        host[key] = value;
        container(
            &json!({"Image": "a", "Labels": {"role": "tl"}, "HostConfig": host}),
            &labels(),
        )
    }

    #[test]
    fn an_exec_has_no_more_than_its_container() {
        assert_eq!(
            exec(&json!({"Cmd": ["sh"], "User": "root", "WorkingDir": null})),
            Ok(json!({"Cmd": ["sh"], "Privileged": false, "User": "root"}))
        );
        for body in [
            json!({"Cmd": ["sh"], "Privileged": true}),
            json!({"Cmd": ["sh"], "privileged": true}),
            json!({"Cmd": ["sh"], "PRIVILEGED": false}),
            json!({"Cmd": "sh"}),
            json!({"Tty": {"Tty": true}}),
            json!(["sh"]),
        ] {
            assert!(exec(&body).is_err(), "{body}");
        }
        assert_eq!(
            exec_start(&json!({})),
            Ok(json!({"Detach": false, "Tty": false}))
        );
        let of_client = json!({"Detach": false, "Tty": false, "OutputCapacity": 32768});
        assert_eq!(
            exec_start(&of_client),
            Ok(json!({"Detach": false, "Tty": false}))
        );
        assert!(exec_start(&json!({"detach": true})).is_err());
    }

    #[test]
    fn a_container_gets_every_limit_and_confinement_whether_its_request_names_it_or_not() {
        let confined = json!({
            "Memory": MEMORY_BYTES, "MemorySwap": MEMORY_BYTES, "PidsLimit": PROCESSES,
            "CpuPeriod": CPU_PERIOD_MICROS, "CpuQuota": CPU_QUOTA_MICROS,
            "IpcMode": "private", "Privileged": false, "PublishAllPorts": false,
            "SecurityOpt": ["no-new-privileges:true"], "CapDrop": ["MKNOD"],
            "RestartPolicy": {"Name": "no"}, "NetworkMode": "none",
        });
        for host in [
            None,
            Some(json!(null)),
            Some(json!({})),
            Some(confined.clone()),
        ] {
            let mut body = json!({"Image": "a", "Labels": {"role": "tl"}});
            if let Some(host) = host {
                body["HostConfig"] = host;
            }
            let passed = container(&body, &labels()).unwrap();
            assert_eq!(passed["HostConfig"], confined, "{body}");
        }
        let named = with("PidsLimit", json!(5)).unwrap();
        assert_eq!(named["HostConfig"]["PidsLimit"], 5);
        assert_eq!(named["HostConfig"]["MemorySwap"], 6 << 20);
    }

    #[test]
    fn a_container_is_labelled_and_confined() {
        let mounts = json!([{"Type": "volume", "Source": "cache", "Target": "/c", "ReadOnly": true}, {"Type": "tmpfs", "Target": "/t"}]);
        assert_eq!(
            with("Mounts", mounts.clone()).unwrap()["HostConfig"]["Mounts"],
            mounts
        );
        let bindings = json!({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]});
        let passed = with("PortBindings", bindings.clone()).unwrap();
        assert_eq!(passed["HostConfig"]["PortBindings"], bindings);
        for (key, value) in [
            ("Privileged", json!(true)),
            ("privileged", json!(true)),
            ("Binds", json!(["/:/host"])),
            ("CapAdd", json!(["ALL"])),
            ("CapDrop", json!([])),
            ("PidMode", json!("host")),
            ("Devices", json!([])),
            ("SecurityOpt", json!(["seccomp=unconfined"])),
            ("NetworkMode", json!("host")),
            ("NetworkMode", json!("container:a")),
            ("Memory", json!(0)),
            ("Memory", json!(-1)),
            ("Memory", json!("1g")),
            ("memory", json!(0)),
            ("MemorySwap", json!(-1)),
            ("PidsLimit", json!(-1)),
            ("PidsLimit", json!(0)),
            ("CpuQuota", json!(-1)),
            ("RestartPolicy", json!({"Name": "always"})),
            ("RestartPolicy", json!({"Name": "no", "name": "always"})),
            (
                "PortBindings",
                json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]}),
            ),
            ("PortBindings", json!({"80/tcp": [{"HostPort": "80"}]})),
            (
                "PortBindings",
                json!({"80/tcp": [{"HostIp": "127.0.0.1", "hostip": "0.0.0.0"}]}),
            ),
            (
                "PortBindings",
                json!({"80/tcp": [{"HostIp": "127.0.0.1", "Ho\u{17f}tIp": "::"}]}),
            ),
            ("PortBindings", json!({"80/tcp": {"HostIp": "127.0.0.1"}})),
            ("PortBindings", json!({"80": [{"HostIp": "127.0.0.1"}]})),
            (
                "Mounts",
                json!([{"Type": "bind", "Source": "/", "Target": "/host"}]),
            ),
            ("Mounts", json!([{"Source": "/", "Target": "/host"}])),
            (
                "Mounts",
                json!([{"Type": "volume", "type": "bind", "Source": "a", "Target": "/x"}]),
            ),
            (
                "Mounts",
                json!([{"Type": "volume", "Source": "/etc", "Target": "/host"}]),
            ),
            (
                "Mounts",
                json!([{"Type": "tmpfs", "Source": "/etc", "Target": "/host"}]),
            ),
            (
                "Mounts",
                json!([{"Type": "volume", "Source": "a", "VolumeOptions": {}}]),
            ),
            (
                "Mounts",
                json!([{"Type": "volume", "Source": "a", "Target": "/a/../../etc"}]),
            ),
        ] {
            assert!(with(key, value.clone()).is_err(), "{key}: {value}");
        }
        for body in [
            json!({"Image": "a", "Labels": {"role": "dev"}}),
            json!({"Image": "a", "labels": {"role": "tl"}}),
            json!({"Image": "a", "Labels": {"role": "tl"}, "hostconfig": {}}),
            json!({"Image": "a", "Labels": {"role": "tl"}, "Volumes": {"/": {}}}),
            json!({"Image": "a", "Labels": {"role": "tl"}, "NetworkingConfig": {}}),
        ] {
            assert!(container(&body, &labels()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_volume_is_docker_s_own() {
        let own = json!({"Name": "a", "Driver": "local", "Labels": {"role": "tl"}});
        assert_eq!(volume(&own, &labels()), Ok(own.clone()));
        for (key, value) in [
            (
                "DriverOpts",
                json!({"type": "none", "o": "bind", "device": "/"}),
            ),
            ("driveropts", json!({})),
            ("Driver", json!("nfs")),
            ("Name", json!("/etc")),
        ] {
            let mut other = own.clone();
            other[key] = value;
            assert!(volume(&other, &labels()).is_err(), "{other}");
        }
    }

    #[test]
    fn what_a_container_uses_is_found() {
        let body = json!({"HostConfig": {"NetworkMode": "0a1b", "Mounts": [
            {"Type": "volume", "Source": "cache"}, {"Type": "tmpfs", "Target": "/tmp"},
        ]}});
        assert_eq!(
            referenced_resources(&body),
            ["/volumes/cache", "/networks/0a1b"]
        );
        assert!(referenced_resources(&json!({"HostConfig": {"NetworkMode": "bridge"}})).is_empty());
    }
}
