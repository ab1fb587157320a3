//! The Docker service behind `exomonad docker-proxy`, on a real engine: each effect of the table gets through.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use exomonad_test_support::{
    ChildGuard, Guest, Host, Project, eventually, free_port, installed_by, required_or_skip,
};
use serde_json::{Value, json};

/// An image that the engine has.
pub const IMAGE: &str = "debian:bookworm-slim";

/// Removes the containers with a label when it is dropped.
pub struct Containers(pub String);

impl Drop for Containers {
    fn drop(&mut self) {
        let docker = "docker --host unix:///var/run/docker.sock";
        let remove = format!(
            "{docker} ps --all --quiet --filter label={} | xargs --no-run-if-empty {docker} rm --force --volumes",
            self.0
        );
        let _ = Command::new("sh").args(["-c", &remove]).output();
    }
}

/// Performs an effect that has to succeed, and remembers that it did.
async fn done(
    host: &Host,
    performed: &mut BTreeSet<String>,
    effect: &str,
    request: Value,
) -> Value {
    let answer = host.effect("asker", effect, request).await;
    assert_eq!(answer["kind"], "Success", "{effect}: {answer}");
    performed.insert(effect.to_owned());
    answer["payload"].clone()
}

#[tokio::test]
async fn every_effect_of_the_docker_service_passes_the_proxy() {
    if required_or_skip("a Docker engine", installed_by("docker-engine")).is_none() {
        return;
    }
    let project = Project::new();
    let listed = project.run(["effects", "--json"]).exits(0).json();
    let effects: BTreeSet<String> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(|effect| {
            effect["capability"]
                .as_str()
                .unwrap()
                .starts_with("docker.")
        })
        .map(|effect| effect["function"].as_str().unwrap().to_owned())
        .collect();
    let functions: Vec<&str> = effects.iter().map(String::as_str).collect();
    let port = free_port();
    let label = format!("exomonad-test=proxy-{}", std::process::id());
    let project = project
        .config(&format!(
            "[server]\nraw_calls = true\n[docker]\nhost = 'tcp://127.0.0.1:{port}'\n\
             [role.asker]\neffects = ['docker.*']\nlabels = ['{label}']\n"
        ))
        .plugin(
            "asker.wat",
            Guest::answering("").forwarding(&functions).wat(),
        );
    let _proxy = ChildGuard::spawn(
        project
            .command()
            .args(["docker-proxy", "--spawn", "--labels", &label])
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .stderr(Stdio::null()),
    );
    let _containers = Containers(label);
    eventually("the proxy listens", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .ok()
    })
    .await;
    let host = project.serve().await;
    let mut performed = BTreeSet::new();
    let sleeper = json!({"image": IMAGE, "command": ["sleep", "3600"], "pull": "never"});
    let mut spawned = Vec::new();
    for _ in 0..2 {
        let one = done(&host, &mut performed, "docker_spawn", sleeper.clone()).await;
        spawned.push(one["id"].as_str().unwrap().to_owned());
    }
    let [first, second] = &spawned[..] else {
        unreachable!("two were spawned");
    };
    let of = |id: &str| json!({"container": id});
    let listed = done(&host, &mut performed, "docker_list", json!({})).await;
    assert_eq!(
        listed["containers"].as_array().unwrap().len(),
        2,
        "{listed}"
    );
    let seen = done(&host, &mut performed, "docker_inspect", of(first)).await;
    assert_eq!(seen["id"], **first);
    let image = json!({"image": IMAGE});
    let image = done(&host, &mut performed, "docker_image_present", image).await;
    assert_eq!(image["present"], true);
    let echo = json!({"container": first, "command": ["cat"], "stdin": "through"});
    let echoed = done(&host, &mut performed, "docker_exec", echo).await;
    assert_eq!(echoed["output"]["stdout"], "through");
    // Whatever a command that ran out of time has started is found and killed by a second exec.
    let endless =
        json!({"container": first, "command": ["sh", "-c", "sleep 3599"], "timeoutMillis": 500});
    let timed_out = host.effect("asker", "docker_exec", endless).await;
    assert_eq!(timed_out["payload"]["code"], "timeout", "{timed_out}");
    eventually("the command has ended", async || {
        // The pattern does not match the command line that it stands in.
        let find = "grep -ls 359[9] /proc/[0-9]*/cmdline || true";
        let find = json!({"container": first, "command": ["sh", "-c", find]});
        let found = host.effect("asker", "docker_exec", find).await;
        (found["payload"]["output"]["stdout"] == "").then_some(())
    })
    .await;
    done(&host, &mut performed, "docker_logs", of(first)).await;
    done(&host, &mut performed, "docker_kill", of(first)).await;
    let exit = done(&host, &mut performed, "docker_wait", of(first)).await;
    assert_eq!(exit["exitCode"], 137);
    done(&host, &mut performed, "docker_remove", of(first)).await;
    let stop = json!({"container": second, "graceMillis": 0});
    done(&host, &mut performed, "docker_stop", stop).await;
    done(&host, &mut performed, "docker_remove", of(second)).await;
    // No registry is asked: the name has none that exists. The engine says so, and not the proxy.
    let nowhere = json!({"image": "registry.invalid/nothing:1"});
    let pulled = host.effect("asker", "docker_pull", nowhere).await;
    let message = pulled["payload"]["message"].as_str().unwrap();
    assert!(message.contains("registry.invalid"), "{pulled}");
    assert!(!message.contains("docker-proxy"), "{pulled}");
    performed.insert("docker_pull".to_owned());
    assert_eq!(performed, effects, "an effect has no case here");
}
