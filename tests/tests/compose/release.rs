//! A release: what `scripts/dist` makes, on a machine that has nothing else.

use std::process::Command;

use exomonad_test_support::{Deployment, binary, repository};

/// Packs the binary and the image of this run, and uses them as docs/deployment.md tells.
pub fn a_release_runs_on_a_bare_machine(at: &Deployment) {
    let release = at.path("release");
    let packed = Command::new(repository().join("scripts/dist"))
        .arg("--binary")
        .arg(binary())
        .args(["--image", &format!("exomonad-test:{}", at.name)])
        .arg("--out")
        .arg(&release)
        .output()
        .expect("scripts/dist starts");
    let said = String::from_utf8_lossy(&packed.stderr);
    assert!(packed.status.success(), "{said}");
    at.run("cd release && sha256sum --check --strict SHA256SUMS");
    let digest = at.run(&format!(
        "cat release/*-image.tar.digest; docker image inspect -f '{{{{.Id}}}}' exomonad-test:{}",
        at.name
    ));
    let digests: Vec<&str> = digest.lines().collect();
    assert!(
        digests.len() == 2 && digests[0] == digests[1],
        "{digests:?}"
    );

    let machine = format!("{}-machine", at.name);
    at.run(&format!(
        "docker run --detach --name {machine} --label exomonad-test={} --network none --workdir /release \
         --env LLVM_PROFILE_FILE=/dev/null \
         --volume '{}:/from:ro' --volume /etc/ssl/certs/ca-certificates.crt:/certificates.pem:ro \
         debian:bookworm-slim sleep infinity",
        at.name,
        release.display()
    ));
    at.run(&format!(
        "docker exec {machine} sh -c 'cp /from/*.tar.gz /from/SHA256SUMS .'"
    ));
    let on_it = |command: &str| {
        let inside = format!(
            "docker exec --env SSL_CERT_FILE=/certificates.pem {machine} sh -c '{command}'"
        );
        at.documented_with(command, &[(command, &inside)])
    };
    on_it("sha256sum --check --ignore-missing SHA256SUMS");
    on_it("tar -xzf exomonad-*-linux-gnu.tar.gz");
    let version = on_it("exomonad-*/exomonad --version");
    assert!(version.starts_with("exomonad "), "{version}");
    let answer = on_it("exomonad-*/exomonad call echo echo text=hello");
    assert_eq!(answer.trim(), r#"{"text":"hello"}"#);
    let without = at.try_run(&format!(
        "docker exec {machine} sh -c 'exomonad-*/exomonad call echo echo text=hello'"
    ));
    assert_eq!(without.code, Some(4), "{without:?}");
    assert!(without.stderr.contains("ca-certificates"), "{without:?}");
    at.run(&format!("docker rm --force --volumes {machine}"));
    at.done("a release has its checksums, and runs on a bare Debian; without certificates it says what to install");
}
