//! The bodies of requests that create something.
//!
//! Only keys that are listed here pass, written just so: the engine does not care about the case of a key,
//! and knows many that would open the machine. What was read is what is sent on.

use serde_json::{Map, Value, json};

use super::Labels;
use super::rules::{has_label, is_name};

/// The values that a key may have.
enum Allowed {
    Anything,
    /// This, or nothing.
    Only(fn() -> Value),
    /// A value that the function accepts.
    Checked(fn(&Value) -> Result<(), String>),
}
use Allowed::{Anything, Checked, Only};

type Keys = &'static [(&'static str, Allowed)];

const EXEC: Keys = &[
    ("AttachStdin", Anything),
    ("AttachStdout", Anything),
    ("AttachStderr", Anything),
    ("Tty", Anything),
    ("Env", Anything),
    ("Cmd", Anything),
    ("User", Anything),
    ("WorkingDir", Anything),
    ("Privileged", Only(|| json!(false))),
];

const CONTAINER: Keys = &[
    ("Image", Anything),
    ("Cmd", Anything),
    ("Entrypoint", Anything),
    ("Env", Anything),
    ("Labels", Anything),
    ("User", Anything),
    ("WorkingDir", Anything),
    ("ExposedPorts", Anything),
    (
        "HostConfig",
        Checked(|value| check(value, HOST, "HostConfig.")),
    ),
];

const HOST: Keys = &[
    ("AutoRemove", Anything),
    ("CpuPeriod", Anything),
    ("CpuQuota", Anything),
    ("Memory", Anything),
    ("MemorySwap", Anything),
    ("PidsLimit", Anything),
    ("ReadonlyRootfs", Anything),
    ("RestartPolicy", Anything),
    ("IpcMode", Only(|| json!("private"))),
    ("Privileged", Only(|| json!(false))),
    ("PublishAllPorts", Only(|| json!(false))),
    ("SecurityOpt", Only(|| json!(["no-new-privileges:true"]))),
    ("NetworkMode", Checked(network)),
    ("PortBindings", Checked(ports)),
    ("Mounts", Checked(mounts)),
];

const MOUNT: Keys = &[
    ("Source", Anything),
    ("Target", Anything),
    ("ReadOnly", Anything),
    ("Type", Checked(mount_type)),
];

const VOLUME: Keys = &[
    ("Name", Anything),
    ("Labels", Anything),
    ("Driver", Only(|| json!("local"))),
];

/// Checks a new exec.
pub fn exec(body: &Value) -> Result<(), String> {
    check(body, EXEC, "")
}

/// Checks a new container.
pub fn container(body: &Value, labels: &Labels) -> Result<(), String> {
    check(body, CONTAINER, "")?;
    is_labelled(body, labels)
}

/// Checks a new volume.
pub fn volume(body: &Value, labels: &Labels) -> Result<(), String> {
    check(body, VOLUME, "")?;
    is_labelled(body, labels)
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

/// Removes keys that are null: the engine ignores them too.
pub fn remove_nulls(value: &mut Value) {
    if let Value::Object(object) = value {
        object.retain(|_, value| !value.is_null());
        object.values_mut().for_each(remove_nulls);
    }
}

fn is_labelled(body: &Value, labels: &Labels) -> Result<(), String> {
    match has_label(labels, &body["Labels"]) {
        true => Ok(()),
        false => Err(format!("it has to carry a label: {labels}")),
    }
}

fn check(value: &Value, keys: Keys, within: &str) -> Result<(), String> {
    for (key, value) in object(value)? {
        let Some((_, holds)) = keys.iter().find(|(known, _)| known == key) else {
            return Err(format!("`{within}{key}` does not pass"));
        };
        match holds {
            Anything => {}
            Only(this) if *value == this() => {}
            Only(this) => return Err(format!("`{within}{key}` passes as {} only", this())),
            Checked(check) => check(value)?,
        }
    }
    Ok(())
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| "an object is expected".to_owned())
}

fn network(mode: &Value) -> Result<(), String> {
    match mode.as_str() {
        Some(name) if is_name(name) && !["host", "default"].contains(&name) => Ok(()),
        _ => {
            Err("`HostConfig.NetworkMode` passes as `bridge`, `none` or a network's id".to_owned())
        }
    }
}

fn ports(bindings: &Value) -> Result<(), String> {
    for bindings in object(bindings)?.values() {
        for binding in bindings.as_array().into_iter().flatten() {
            if binding["HostIp"] != "127.0.0.1" {
                return Err("`HostConfig.PortBindings` passes on 127.0.0.1 only".to_owned());
            }
        }
    }
    Ok(())
}

fn mounts(mounts: &Value) -> Result<(), String> {
    let mounts = mounts.as_array().ok_or("`HostConfig.Mounts` is a list")?;
    for mount in mounts {
        check(mount, MOUNT, "HostConfig.Mounts.")?;
        let is_volume = mount["Type"] == "volume";
        if is_volume && !mount["Source"].as_str().is_some_and(is_name) {
            return Err("a volume's `Source` passes as its name only".to_owned());
        }
        if mount["Type"].is_null() {
            return Err("a mount has a `Type`".to_owned());
        }
    }
    Ok(())
}

fn mount_type(kind: &Value) -> Result<(), String> {
    match kind.as_str() {
        Some("volume" | "tmpfs") => Ok(()),
        _ => Err("a mount's `Type` passes as `volume` or `tmpfs` only".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels(vec!["role=tl".to_owned()])
    }

    #[test]
    fn an_exec_has_no_more_than_its_container() {
        assert_eq!(
            exec(&json!({"Cmd": ["sh"], "Privileged": false, "User": "root"})),
            Ok(())
        );
        for body in [
            json!({"Cmd": ["sh"], "Privileged": true}),
            json!({"Cmd": ["sh"], "privileged": true}),
            json!({"Cmd": ["sh"], "PRIVILEGED": false}),
            json!(["sh"]),
        ] {
            assert!(exec(&body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_container_is_labelled_and_confined() {
        let with = |key: &str, value: Value| {
            let mut host = json!({"Memory": 6 << 20, "NetworkMode": "bridge", "SecurityOpt": ["no-new-privileges:true"]});
            host[key] = value;
            container(
                &json!({"Image": "a", "Labels": {"role": "tl"}, "HostConfig": host}),
                &labels(),
            )
        };
        assert_eq!(with("Privileged", json!(false)), Ok(()));
        assert_eq!(
            with(
                "Mounts",
                json!([{"Type": "volume", "Source": "cache", "Target": "/c"}])
            ),
            Ok(())
        );
        for (key, value) in [
            ("Privileged", json!(true)),
            ("privileged", json!(true)),
            ("Binds", json!(["/:/host"])),
            ("CapAdd", json!(["ALL"])),
            ("PidMode", json!("host")),
            ("Devices", json!([])),
            ("SecurityOpt", json!(["seccomp=unconfined"])),
            ("NetworkMode", json!("host")),
            ("NetworkMode", json!("container:a")),
            (
                "PortBindings",
                json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]}),
            ),
            ("PortBindings", json!({"80/tcp": [{"HostPort": "80"}]})),
            (
                "Mounts",
                json!([{"Type": "bind", "Source": "/", "Target": "/host"}]),
            ),
            ("Mounts", json!([{"Source": "/", "Target": "/host"}])),
            (
                "Mounts",
                json!([{"Type": "volume", "Source": "/etc", "Target": "/host"}]),
            ),
            (
                "Mounts",
                json!([{"Type": "volume", "Source": "a", "VolumeOptions": {}}]),
            ),
        ] {
            assert!(with(key, value.clone()).is_err(), "{key}: {value}");
        }
        let foreign = json!({"Image": "a", "Labels": {"role": "dev"}});
        assert!(container(&foreign, &labels()).is_err());
    }

    #[test]
    fn a_volume_is_docker_s_own() {
        let own = json!({"Name": "a", "Driver": "local", "Labels": {"role": "tl"}});
        assert_eq!(volume(&own, &labels()), Ok(()));
        let mut bound = own.clone();
        bound["DriverOpts"] = json!({"type": "none", "o": "bind", "device": "/"});
        assert!(volume(&bound, &labels()).is_err());
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
