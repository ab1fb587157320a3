//! Deployments that cannot serve: the container's last line says what is wrong and how to mend it, and compose
//! shows the exit code.

use std::fs;

use exomonad_test_support::Deployment;

/// Deploys wrongly in every way, and leaves things as they were.
pub fn says_what_is_wrong(at: &Deployment, config_text: &str) {
    at.run("docker compose build");
    at.done("the image is built");
    let says = |said: String, words: &[&str]| {
        for word in words {
            assert!(said.contains(word), "{word:?} is not in {said:?}");
        }
    };
    let config = at.path("deploy/exomonad.toml");
    fs::write(&config, format!("{config_text}[logs]\n")).unwrap();
    says(
        at.fails("exomonad", "", 2),
        &[
            "/etc/exomonad/exomonad.toml:",
            "`logs`",
            "did you mean `log`",
        ],
    );
    fs::write(&config, config_text).unwrap();
    at.done("a wrong key: exit 2, and the last line names it, its place and the right one");

    at.run("mv secrets/exomonad-token kept");
    let said = at.fails("exomonad", "", 2);
    says(
        said,
        &[
            "/run/secrets/exomonad-token",
            "No such file",
            "openssl rand -hex 32",
        ],
    );
    at.run("mv kept secrets/exomonad-token");
    at.done("a missing secret: exit 2, and the last line names the file and what makes one");

    let wrong = "-f docker-compose.yml -f wrong.yml";
    let override_with = |lines: &str| {
        let text = format!("services:\n  exomonad:\n{lines}");
        fs::write(at.path("wrong.yml"), text).unwrap();
    };
    override_with(
        "    volumes: [{ type: volume, source: data, target: /data, read_only: true }]\n",
    );
    let said = at.fails("exomonad", wrong, 4);
    says(
        said,
        &[
            "the state folder /data/state",
            "Read-only file system",
            "EXOMONAD_STATE_DIR",
        ],
    );
    at.done(
        "a volume that cannot be written: exit 4, and the last line names it and what is wanted",
    );

    override_with("    environment: { EXOMONAD_PLUGINS_DIR: /not/mounted }\n");
    let said = at.fails("exomonad", wrong, 4);
    says(
        said,
        &[
            "the plugin folder /not/mounted",
            "mount a folder there",
            "EXOMONAD_PLUGINS_DIR",
        ],
    );
    let ran = at.try_run("EXOMONAD_PLUGINS=./nowhere docker compose up --detach exomonad");
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stderr.contains("nowhere") && ran.stderr.contains("not exist"),
        "{ran:?}"
    );
    at.done("a plugin folder that is not there: exit 4 if it is not mounted, and compose refuses to mount none");

    let said = at.fails("docker-proxy", "-f docker-compose.yml -f nobody.yml", 4);
    says(
        said,
        &["/var/run/docker.sock", "Permission denied", "DOCKER_GID"],
    );
    at.done("a proxy to Docker in the wrong group: exit 4, and the last line names DOCKER_GID");
}
