//! `doctor`: green where all is well, red with a reason where it isn't.

use exomonad_test_support::{CommandOutput, Host, Project, eventually};
use serde_json::json;

use crate::command_line_workflows::{flows, start};

fn failed_checks(ran: &CommandOutput) -> Vec<&str> {
    ran.stdout
        .lines()
        .filter_map(|line| line.strip_prefix("✗ "))
        .collect()
}

#[test]
fn in_a_repository_all_is_green() {
    let project = Project::new();
    let ran = project.run(["doctor"]).exits(0);
    assert_eq!(failed_checks(&ran), [""; 0]);
    for found in [
        "✓ configuration",
        "✓ state folder",
        "✓ repository",
        "✓ port",
        "tl: ",
        "echo: ",
        "main",
    ] {
        assert!(
            ran.stdout.contains(found),
            "{found} is missing in {}",
            ran.stdout
        );
    }
    let checks = project.run(["doctor", "--json"]).exits(0).json();
    assert!(
        checks
            .as_array()
            .unwrap()
            .iter()
            .all(|check| check["ok"] == true),
        "{checks}"
    );
}

#[test]
fn outside_a_repository_a_host_is_a_fine_one() {
    let ran = Project::without_repository().run(["doctor"]).exits(0);
    assert!(ran.stdout.contains("none here"), "{}", ran.stdout);
}

#[test]
fn a_wrong_configuration_is_red() {
    let project = Project::new().config("[server]\nmax_body = -1\n");
    let ran = project.run(["doctor"]).exits(1);
    assert!(
        failed_checks(&ran)[0].starts_with("configuration"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("exomonad.toml:2:12"), "{ran:?}");
    let checks = project.run(["doctor", "--json"]).exits(1).json();
    assert_eq!(checks[0]["ok"], false);
}

#[test]
fn a_state_folder_that_cannot_be_written_is_red() {
    let project = Project::new().config("[state]\ndir = 'blocker/state'\n");
    project.write("blocker", "a file where a folder should be");
    let ran = project.run(["doctor"]).exits(1);
    let failed = failed_checks(&ran);
    assert_eq!(failed.len(), 1, "{ran:?}");
    assert!(
        failed[0].starts_with("state folder") && failed[0].contains("`state.dir`"),
        "{ran:?}"
    );
}

#[test]
fn a_cache_that_cannot_be_made_is_red() {
    let project = Project::new().config("[plugins]\ncache_dir = 'blocker/cache'\n");
    project.write("blocker", "a file where a folder should be");
    let ran = project.run(["doctor"]).exits(1);
    assert!(
        failed_checks(&ran)
            .iter()
            .any(|check| check.starts_with("compile cache")),
        "{ran:?}"
    );
}

#[test]
fn a_bad_plugin_is_red() {
    let project = Project::new().plugin("victim.wasm", "not a module");
    let ran = project.run(["doctor"]).exits(1);
    let failed = failed_checks(&ran);
    assert!(
        failed[0].starts_with("plugin") && failed[0].contains("victim.wasm"),
        "{ran:?}"
    );
}

#[test]
fn a_port_that_something_else_uses_is_red() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std::thread::scope(|scope| {
        let address = taken.local_addr().unwrap();
        scope.spawn(|| {
            // Whatever it is, it hangs up on everybody, until the doctor has been.
            for stream in taken.incoming().flatten() {
                if stream.peer_addr().is_err() {
                    return;
                }
                let mut first = [0];
                if std::io::Read::read(&mut &stream, &mut first)
                    .is_ok_and(|read| read == 1 && first == *b"!")
                {
                    return;
                }
            }
        });
        let project = Project::new().env("EXOMONAD_LISTEN", address.to_string());
        let ran = project.run(["doctor"]);
        let stop = std::net::TcpStream::connect(address)
            .and_then(|mut stream| std::io::Write::write_all(&mut stream, b"!"));
        assert!(stop.is_ok());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(
            failed_checks(&ran)
                .iter()
                .any(|check| check.starts_with("port")),
            "{ran:?}"
        );
    });
}

#[tokio::test]
async fn a_running_host_is_found_and_asked_whether_it_is_ready() {
    let project = Project::new();
    let host = project.serve().await;
    let ran = project.run(["doctor", "--url", &host.url()]).exits(0);
    assert!(ran.stdout.contains("a host runs at"), "{}", ran.stdout);
    project
        .run(["doctor", "--quick", "--url", &host.url()])
        .exits(0);
    let away = project.run(["doctor", "--quick"]).exits(4);
    assert!(away.stderr.contains("no host runs"), "{away:?}");
}

#[tokio::test]
async fn a_running_host_that_is_not_well_is_red() {
    let project = Project::new().plugin("broken.wasm", "no module");
    let host = project.serve().await;
    let ran = Project::new()
        .run(["doctor", "--url", &host.url()])
        .exits(1);
    let failed = failed_checks(&ran);
    assert!(
        failed[0].contains("degraded") && failed[0].contains("broken"),
        "{ran:?}"
    );
}

#[test]
fn grants_that_cannot_work_are_red() {
    let project = Project::new().config(
        "[docker]\nhost = 'unix:///nowhere/docker.sock'\n\
         [role.tl]\neffects = ['git.*', 'github.*', 'docker.exec']\nrepos = ['a/b']\nlabels = ['a']\n",
    );
    let ran = project.run(["doctor"]).exits(1);
    let failed = failed_checks(&ran);
    assert!(
        failed
            .iter()
            .any(|check| check.starts_with("github") && check.contains("`github.token_file`")),
        "{ran:?}"
    );
    assert!(
        failed
            .iter()
            .any(|check| check.starts_with("docker") && check.contains("`docker.host`")),
        "{ran:?}"
    );
}

#[tokio::test]
async fn runs_that_are_stuck_in_the_running_host_are_red_and_a_second_host_is_told() {
    let project = flows("[workflows]\nrestarts = 0\n");
    let first = project.serve().await;
    let doctor = |host: &Host| project.run(["doctor", "--url", &host.url()]);
    start(&first, "wait_for", "waits", json!({"signal": "go"})).await;
    eventually("one run is counted", async || {
        let ran = doctor(&first);
        ran.stdout
            .contains("open runs: 1; none is stuck")
            .then_some(())
    })
    .await;
    start(&first, "traps_always", "traps", json!({"count": 1})).await;
    eventually("a stuck run is red", async || {
        let ran = doctor(&first);
        failed_checks(&ran)
            .iter()
            .any(|check| check.contains("stuck runs: 1 of 2 open ones"))
            .then_some(())
    })
    .await;
    let second = project.serve().await;
    let told = eventually("the second host has tried", async || {
        let health = second.get("/health").await.json();
        let problem = health["workflows"]["problem"].clone();
        (!problem.is_null()).then_some(problem)
    })
    .await;
    assert_eq!(told["code"], "runs_elsewhere", "{told}");
    let ran = doctor(&second);
    assert!(
        ran.stdout.contains("! workflows") && ran.stdout.contains("another exomonad"),
        "{ran:?}"
    );
}
