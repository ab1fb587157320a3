//! Workflows on a Temporal server beside the host. No registry of packages has the server's images: its dev server
//! and its CLI, of the same version, stand in for them, with all that docker-compose.temporal.yml says of their
//! containers. The database and its tables are then not needed.

use std::fs;

use exomonad_test_support::{Deployment, free_port, installed_by, required_or_skip};

const DEV_SERVER: &str = "
x-cli: &cli { type: bind, source: 'PROGRAMS/temporal', target: /usr/bin/temporal, read_only: true }
services:
  temporal:
    image: IMAGE
    entrypoint: [temporal, server, start-dev, --headless, --ip, 0.0.0.0, --log-level, error]
    volumes: [*cli]
    depends_on: !reset []
    healthcheck:
      test: [CMD, temporal, operator, cluster, health]
  temporal-namespace:
    image: IMAGE
    volumes: [*cli]
  temporal-schema:
    profiles: [not-here]
  temporal-database:
    profiles: [not-here]
";

/// Starts the server beside the host, and runs a workflow of a role's plugin to its end on it.
pub fn a_workflow_runs_on_the_server(at: &Deployment) {
    let programs = installed_by("temporal-server");
    let Some(programs) = required_or_skip("Temporal's dev server", programs) else {
        return;
    };
    at.documented("scripts/compose-setup temporal");
    let password = at.run("stat -c %a secrets/temporal/database-password");
    assert_eq!(password.trim(), "600");
    at.documented("echo COMPOSE_FILE=docker-compose.yml:docker-compose.temporal.yml >> .env");
    // A name of its own, as `down --rmi all` takes it away.
    let image = format!("exomonad-test-temporal:{}", at.name);
    at.run(&format!("docker tag debian:bookworm-slim {image}"));
    let dev_server = DEV_SERVER
        .replace("PROGRAMS", &programs)
        .replace("IMAGE", &image);
    fs::write(at.path("dev-server.yml"), dev_server).unwrap();
    at.run(&format!(
        "echo COMPOSE_FILE=docker-compose.yml:docker-compose.temporal.yml:dev-server.yml >> .env; \
         echo TEMPORAL_PORT={} >> .env",
        free_port()
    ));

    at.documented(r"sed -i '/^# \[role.cups\]/,$s/^# //' deploy/exomonad.toml");
    at.documented("cp plugins/dist/workflows.wasm plugins-live/cups.wasm");
    at.documented("docker compose up --detach --wait");
    at.documented("docker compose restart exomonad");
    let reached = at.run("docker compose port temporal 7233");
    assert!(reached.starts_with("127.0.0.1:"), "{reached}");
    at.done("the server beside the host: it is healthy, and this machine alone reaches it");

    at.documented(
        r#"docker compose exec -T exomonad exomonad temporal workflow start --workflow-id three-cups --type steps --task-queue cups --input '{"count": 3, "kind": "kv"}'"#,
    );
    let result = at
        .documented("docker compose exec -T exomonad exomonad temporal workflow result three-cups");
    assert_eq!(result.trim(), r#"{"count":3}"#);
    at.done("a workflow of a role's plugin runs to its end on the server");

    // The namespace `default` is the dev server's own.
    let registered = at.run("docker compose run --rm -T --no-deps temporal-namespace cups 3d 2>&1");
    assert!(
        registered.contains("successfully registered"),
        "{registered}"
    );
    at.done("a namespace that is not there is registered");
}
