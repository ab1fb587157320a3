//! A team runs the host with docker compose and leaves it running: the commands of docs/deployment.md, on a real engine.

mod release;
mod temporal;
mod wrong;

use exomonad_test_support::{BEGUN, Deployment, Guest};
use serde_json::json;
use std::fs;

#[test]
fn a_deployment_by_compose_does_what_the_documentation_says() {
    let Some(at) = Deployment::new() else {
        return;
    };
    at.documented("scripts/compose-setup docker");
    at.settle();
    // What the steps below need; a bind mount that gives no notices is what `watch = false` stands for.
    let config = at.path("deploy/exomonad.toml");
    let own = fs::read_to_string(&config).unwrap();
    let roles = "[server]\nraw_calls = true\n[role.keeper]\neffects = ['kv.*']\n";
    let polled = own.replace("[plugins]\n", "[plugins]\nwatch = false\n");
    assert_ne!(polled, own);
    let config_text = format!("{polled}{roles}");
    fs::write(&config, &config_text).unwrap();

    every_file_is_well_formed(&at);
    wrong::says_what_is_wrong(&at, &config_text);

    at.documented("docker compose up --build --detach --wait");
    let listed = at.run("docker compose ps");
    assert_eq!(listed.matches("(healthy)").count(), 2, "{listed}");
    at.done("up: the host and the proxy to Docker are healthy");
    it_runs_confined(&at);

    let status = at.documented(
        r#"curl -s localhost:7432/role/tl/mcp/call -H "Authorization: Bearer $TOKEN" -d '{"name":"repo_status","arguments":{}}'"#,
    );
    assert!(status.contains(r#"\"branch\":\"main\""#), "{status}");
    let refused = at.run(&format!("{} -d '{{}}'", at.curl("/role/tl/mcp/call")));
    assert!(refused.contains("unauthorized"), "{refused}");
    at.done("curl: a tool answers whoever has the token, and nobody else");

    at.documented("cp plugins/dist/echo.wasm plugins-live/parrot.wasm");
    let said = at.eventually("the dropped plugin answers", || {
        let said = at.documented(
            r#"curl -s localhost:7432/role/parrot/mcp/call -H "Authorization: Bearer $TOKEN" -d '{"name":"echo","arguments":{"text":"a moment later"}}'"#,
        );
        said.contains("a moment later").then_some(said)
    });
    assert!(!said.contains("isError\":true"), "{said}");
    for text in ["first", "second"] {
        let guest = Guest::answering(text).wat();
        fs::write(at.path("plugins-live/greeter.wat"), guest).unwrap();
        at.eventually("the new version answers", || {
            (at.tool("greeter", "answer", &json!({})) == text).then_some(())
        });
    }
    at.done("a plugin that is dropped into the folder answers, and so does its next version, by polling alone");

    containers_are_reached_by_their_label(&at);
    state_outlives_restarts_and_is_backed_up(&at);
    a_call_in_flight_is_answered(&at);
    release::a_release_runs_on_a_bare_machine(&at);
    temporal::a_workflow_runs_on_the_server(&at);
    each_is_confined(&at);

    at.documented("docker compose down --volumes --rmi all");
    for (what, list) in [
        (
            "containers",
            "docker ps --all --quiet --filter label=com.docker.compose.project=NAME",
        ),
        (
            "volumes",
            "docker volume ls --quiet --filter label=com.docker.compose.project=NAME",
        ),
        (
            "networks",
            "docker network ls --quiet --filter label=com.docker.compose.project=NAME",
        ),
        (
            "images",
            "docker image ls --all --quiet --filter label=org.opencontainers.image.revision=NAME",
        ),
    ] {
        let left = at.run(&list.replace("NAME", &at.name));
        assert_eq!(left, "", "{what} are left");
    }
    at.done("down leaves no container, volume, network or image behind");
}

/// Files that are used together with docker-compose.yml, also with services that are not started here.
fn every_file_is_well_formed(at: &Deployment) {
    let checked = at.run(
        "for file in docker-compose.*.yml; do \
         SSH_AUTH_SOCK=/run/agent docker compose --profile '*' -f docker-compose.yml -f $file config --quiet; \
         echo $file; done",
    );
    assert_eq!(checked.lines().count(), 3, "{checked}");
    at.done("each file that is used with docker-compose.yml is well-formed");
}

fn each_is_confined(at: &Deployment) {
    let inspected = at.run(
        "docker inspect -f '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}' \
         $(docker compose ps --quiet)",
    );
    for container in inspected.lines() {
        let (user, rest) = container.split_once(' ').unwrap();
        assert!(!user.starts_with("0:") && !user.is_empty(), "{container}");
        assert_eq!(rest, "true [ALL]");
    }
}

fn it_runs_confined(at: &Deployment) {
    each_is_confined(at);
    let mounted = at.run(
        "docker inspect -f '{{range .Mounts}}{{.Destination}} {{.RW}};{{end}}' $(docker compose ps --quiet exomonad)",
    );
    assert!(!mounted.contains("docker.sock"), "{mounted}");
    assert!(
        mounted.contains("/work false;") && mounted.contains("/data true;"),
        "{mounted}"
    );
    let written = at.try_run(
        "docker compose run --rm -T --no-deps --entrypoint sh exomonad -c 'echo > /work/x'",
    );
    assert_ne!(written.code, Some(0), "{written:?}");
    let labels = at.run("docker image inspect -f '{{json .Config.Labels}}' exomonad-test:$(sed -n 's/^COMPOSE_PROJECT_NAME=//p' .env)");
    assert!(
        labels.contains(r#""org.opencontainers.image.version":"0.1.0""#),
        "{labels}"
    );
    // Orphans, as git's helpers can become.
    at.run("docker compose exec -T exomonad sh -c 'for i in 1 2 3 4 5; do (sh -c \"sh -c false &\" &); done'");
    at.eventually("orphans are reaped", || {
        (!at.run("docker compose top exomonad").contains("defunct")).then_some(())
    });
    at.done("both run as no root, on read-only disks, without capabilities; orphans are reaped");
}

fn containers_are_reached_by_their_label(at: &Deployment) {
    let own = format!("{}-ci", at.name);
    let other = format!("{}-other", at.name);
    let mark = format!("--label exomonad-test={} --detach", at.name);
    at.documented_with(
        "docker run --detach --name ci --label exomonad.role=tl debian:bookworm-slim sleep infinity",
        &[("--detach", &mark), ("--name ci", &format!("--name {own}"))],
    );
    at.run(&format!(
        "docker run {mark} --name {other} debian:bookworm-slim sleep infinity"
    ));
    let ran = at.documented_with(
        r#"curl -s localhost:7432/role/tl/mcp/call -H "Authorization: Bearer $TOKEN" -d '{"name":"run_in_container","arguments":{"container":"ci","command":["uname","-o"]}}'"#,
        &[(r#""ci""#, &format!("\"{own}\""))],
    );
    assert!(ran.contains("GNU/Linux"), "{ran}");
    // Input goes to the command, too: both ways through the proxy.
    let counted = at.tool(
        "tl",
        "run_in_container",
        &json!({"container": own, "command": ["wc", "-c"], "stdin": "12345"}),
    );
    assert!(counted.contains('5'), "{counted}");
    let refused = at.tool(
        "tl",
        "run_in_container",
        &json!({"container": other, "command": ["id"]}),
    );
    assert!(refused.contains("no such container"), "{refused}");
    at.done("a role runs a command in a container with its label, and in no other");

    // What a host that somebody has taken over could ask.
    let address = at.run(
        "docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' $(docker compose ps --quiet docker-proxy)",
    );
    let ask = |method: &str, path: &str, body: &str| {
        at.run(&format!(
            "curl -s -o answer -w '%{{http_code}} ' -X {method} http://{}:2375{path} -H 'content-type: application/json' -d '{body}'; cat answer",
            address.trim()
        ))
    };
    let itself = format!("{}-docker-proxy-1", at.name);
    let privileged = r#"{"Cmd":["id"],"privileged":true}"#;
    for (method, path, body, answer) in [
        ("GET", "/info".to_owned(), "", "403 "),
        ("POST", "/containers/create".to_owned(), "{}", "403 "),
        (
            "PUT",
            format!("/containers/{own}/archive?path=/"),
            "",
            "403 ",
        ),
        (
            "POST",
            format!("/containers/{own}/exec"),
            privileged,
            "403 ",
        ),
        (
            "POST",
            format!("/containers/{itself}/exec"),
            r#"{"Cmd":["id"]}"#,
            "404 ",
        ),
        (
            "POST",
            format!("/containers/{other}/exec"),
            r#"{"Cmd":["id"]}"#,
            "404 ",
        ),
        ("GET", format!("/containers/{other}/json"), "", "404 "),
        (
            "DELETE",
            format!("/containers/{other}?force=true"),
            "",
            "404 ",
        ),
        ("GET", format!("/containers/{own}/json"), "", "200 "),
    ] {
        let told = ask(method, &path, body);
        assert!(told.starts_with(answer), "{method} {path}: {told}");
    }
    let listed = ask("GET", "/containers/json", "");
    assert!(
        listed.contains(&own) && !listed.contains(&other) && !listed.contains(&itself),
        "{listed}"
    );
    at.done("the proxy to Docker refuses what the host does not need, and does not know other containers");
}

fn state_outlives_restarts_and_is_backed_up(at: &Deployment) {
    let keeper = Guest::answering("").forwarding(&["kv_set", "kv_get"]).wat();
    fs::write(at.path("plugins-live/keeper.wat"), keeper).unwrap();
    at.eventually("the keeper is there", || {
        let set = at.effect("keeper", "kv_set", &json!({"key": "a", "value": "kept"}));
        (set["kind"] == "Success").then_some(())
    });
    let kept = |at: &Deployment| {
        at.eventually("the keeper answers", || {
            let got = at.effect("keeper", "kv_get", &json!({"key": "a"}));
            (got["kind"] == "Success").then(|| got["payload"]["value"].clone())
        })
    };
    at.documented("docker compose restart exomonad");
    at.run("docker compose up --detach --wait");
    assert_eq!(kept(at), "kept");
    at.done("restart keeps what roles have stored");

    at.documented("docker compose stop exomonad");
    at.documented("docker compose cp exomonad:/data/state - > state.tar");
    at.run("docker compose up --detach --wait");
    let _ = at.effect("keeper", "kv_set", &json!({"key": "a", "value": "spoilt"}));
    assert_eq!(kept(at), "spoilt");
    // A host that was killed leaves the log of what was written last.
    at.run("docker compose kill exomonad");
    at.documented("docker compose down --volumes");
    at.documented("docker compose create");
    at.documented("docker compose cp - exomonad:/data < state.tar");
    at.run("docker compose up --detach --wait");
    assert_eq!(kept(at), "kept");
    at.done("a backup brings back what was stored when it was made");
}

fn a_call_in_flight_is_answered(at: &Deployment) {
    let sleeper = Guest::answering("slept").sleeping(4000).wat();
    fs::write(at.path("plugins-live/sleeper.wat"), sleeper).unwrap();
    at.eventually("the sleeper is there", || {
        let log = at.run("docker compose logs exomonad");
        log.contains("/plugins/sleeper.wat").then_some(())
    });
    let call = format!(
        "{} -H \"Authorization: Bearer $(cat secrets/exomonad-token)\" -d '{{\"name\":\"answer\"}}'",
        at.curl("/role/sleeper/mcp/call")
    );
    let answer = std::thread::scope(|scope| {
        let calling = scope.spawn(|| at.run(&call));
        at.eventually("the call has begun", || {
            at.run("docker compose logs exomonad")
                .contains(BEGUN)
                .then_some(())
        });
        at.run("docker compose stop exomonad");
        calling.join().unwrap()
    });
    assert!(answer.contains("slept"), "{answer}");
    let log = at.run("docker compose logs exomonad");
    assert!(log.contains("all calls finished"), "{log}");
    assert!(
        at.run("docker compose ps --all exomonad")
            .contains("Exited (0)")
    );
    // Nobody stands between the signal and the host when docker runs the image without an init.
    let alone = format!("{}-alone", at.name);
    at.run(&format!(
        "docker run --detach --name {alone} --label exomonad-test={0} --env EXOMONAD_TOKEN=0123456789abcdef --tmpfs /plugins exomonad-test:{0}",
        at.name
    ));
    at.eventually("it serves", || {
        at.run(&format!("docker logs {alone} 2>&1"))
            .contains("serving on")
            .then_some(())
    });
    at.run(&format!("docker stop --time 60 {alone}"));
    let ended = at.run(&format!(
        "docker inspect -f '{{{{.State.ExitCode}}}}' {alone}"
    ));
    assert_eq!(ended.trim(), "0");
    at.run(&format!("docker rm --volumes {alone}"));
    at.done(
        "stop in mid-call: the call is answered, and the host ends with 0; so it does as process 1",
    );
}
