//! The dependencies between the crates of the workspace, as ARCHITECTURE.md has them.

use std::collections::BTreeMap;
use std::process::Command;

use exomonad_test_support::repository;
use serde_json::Value;

/// Each crate, and the crates of the workspace that it may depend on. Tests may depend on more.
const ALLOWED: &[(&str, &[&str])] = &[
    ("exomonad-schema", &[]),
    ("exomonad-core", &["exomonad-schema"]),
    ("exomonad-engine", &[]),
    ("exomonad-docker-proxy", &[]),
    ("exomonad-journal", &["exomonad-schema"]),
    ("exomonad-basic", &["exomonad-core", "exomonad-schema"]),
    ("exomonad-docker", &["exomonad-core", "exomonad-schema"]),
    (
        "exomonad-git",
        &["exomonad-core", "exomonad-docker", "exomonad-schema"],
    ),
    ("exomonad-github", &["exomonad-core", "exomonad-schema"]),
    ("exomonad-http", &["exomonad-core", "exomonad-schema"]),
    ("exomonad-kv", &["exomonad-core", "exomonad-schema"]),
    ("exomonad-temporal", &["exomonad-core", "exomonad-schema"]),
    (
        "exomonad-workflow",
        &[
            "exomonad-core",
            "exomonad-journal",
            "exomonad-kv",
            "exomonad-schema",
        ],
    ),
    (
        "exomonad-services",
        &[
            "exomonad-basic",
            "exomonad-core",
            "exomonad-docker",
            "exomonad-git",
            "exomonad-github",
            "exomonad-http",
            "exomonad-kv",
            "exomonad-schema",
            "exomonad-temporal",
        ],
    ),
    (
        "exomonad-config",
        &["exomonad-core", "exomonad-schema", "exomonad-services"],
    ),
    (
        "exomonad-access",
        &["exomonad-config", "exomonad-core", "exomonad-schema"],
    ),
    (
        "exomonad-telemetry",
        &["exomonad-config", "exomonad-core", "exomonad-schema"],
    ),
    (
        "exomonad-host",
        &[
            "exomonad-config",
            "exomonad-core",
            "exomonad-engine",
            "exomonad-journal",
            "exomonad-schema",
            "exomonad-services",
            "exomonad-telemetry",
            "exomonad-workflow",
        ],
    ),
    (
        "exomonad-temporal-worker",
        &[
            "exomonad-core",
            "exomonad-engine",
            "exomonad-host",
            "exomonad-journal",
            "exomonad-schema",
            "exomonad-telemetry",
            "exomonad-temporal",
            "exomonad-workflow",
        ],
    ),
    (
        "exomonad-mcp",
        &[
            "exomonad-config",
            "exomonad-core",
            "exomonad-host",
            "exomonad-schema",
        ],
    ),
    (
        "exomonad-server",
        &[
            "exomonad-access",
            "exomonad-config",
            "exomonad-core",
            "exomonad-host",
            "exomonad-journal",
            "exomonad-mcp",
            "exomonad-schema",
            "exomonad-telemetry",
            "exomonad-workflow",
        ],
    ),
    (
        "exomonad",
        &[
            "exomonad-access",
            "exomonad-config",
            "exomonad-core",
            "exomonad-docker-proxy",
            "exomonad-engine",
            "exomonad-host",
            "exomonad-journal",
            "exomonad-mcp",
            "exomonad-schema",
            "exomonad-server",
            "exomonad-services",
            "exomonad-telemetry",
            "exomonad-temporal-worker",
            "exomonad-workflow",
        ],
    ),
    ("exomonad-guest", &["exomonad-guest-macros"]),
    ("exomonad-guest-macros", &[]),
    ("exomonad-plugin-contract-rust", &["exomonad-guest"]),
    ("exomonad-plugin-echo", &["exomonad-guest"]),
    ("exomonad-plugin-everything", &["exomonad-guest"]),
    (
        "exomonad-plugin-flows",
        &["exomonad-guest", "exomonad-plugin-pull-request"],
    ),
    ("exomonad-plugin-pull-request", &["exomonad-guest"]),
    (
        "exomonad-plugin-tl",
        &["exomonad-guest", "exomonad-plugin-pull-request"],
    ),
    ("exomonad-plugin-workflows", &["exomonad-guest"]),
    ("exomonad-test-support", &["exomonad-schema"]),
    ("exomonad-unified-features", &[]),
    ("exomonad-tests", &[]),
    (
        "exomonad-benches",
        &[
            "exomonad-core",
            "exomonad-engine",
            "exomonad-schema",
            "exomonad-services",
            "exomonad-test-support",
        ],
    ),
];

/// The dependencies of each crate on others of the workspace, but for those of tests.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = list(&metadata["packages"]);
    let in_workspace = |dependency: &Value| {
        let name = &dependency["name"];
        packages.iter().any(|package| package["name"] == *name)
    };
    let of_package = |package: &Value| {
        list(&package["dependencies"])
            .iter()
            .filter(|dependency| dependency["kind"] != "dev" && in_workspace(dependency))
            .map(|dependency| text(&dependency["name"]))
            .collect()
    };
    packages
        .iter()
        .map(|package| (text(&package["name"]), of_package(package)))
        .collect()
}

#[test]
fn each_crate_depends_only_on_the_crates_that_the_table_allows() {
    let found = dependencies();
    let mut wrong = Vec::new();
    for (name, dependencies) in &found {
        let Some((_, allowed)) = ALLOWED.iter().find(|(listed, _)| listed == name) else {
            wrong.push(format!("{name} is not in the table"));
            continue;
        };
        for dependency in dependencies {
            if !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    for (name, _) in ALLOWED {
        if !found.contains_key(*name) {
            wrong.push(format!("{name} is in the table, but not in the workspace"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
