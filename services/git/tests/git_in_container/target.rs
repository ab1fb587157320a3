//! A container for the whole suite, which shares the tests' folders with them.
//!
//! The tests make repositories and look at them as they do on the host, in a
//! folder that has the same path in the container. The service does not know of
//! that: it is given a container and a path in it.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use exomonad_core::CallContext;
use exomonad_schema::effects::git::OnRepository;
use exomonad_schema::value::WorkingDir;
use exomonad_services::{Docker, DockerConfig, Git, GitConfig};
use tempfile::TempDir;

pub const IS_HOST: bool = false;

const IMAGE: &str = "exomonad-test/git:bookworm";
const SOCKET: &str = "/var/run/docker.sock";
const LABEL: &str = "exomonad-test";

/// Of what only the host has: named here, with the reason, and not run.
macro_rules! host_only {
    ($reason:literal, #[tokio::test] $($test:tt)*) => {
        #[tokio::test]
        #[ignore = $reason]
        $($test)*
    };
    ($reason:literal, #[tokio::test(flavor = "multi_thread")] $($test:tt)*) => {
        #[tokio::test(flavor = "multi_thread")]
        #[ignore = $reason]
        $($test)*
    };
}
pub(crate) use host_only;

struct Shared {
    folder: TempDir,
    container: String,
    label: String,
    /// The container ends when this process lets go of the lock, however it ends.
    _lock: File,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/docker-engine");
        let done = Command::new(script).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(
            done.status.success() || !must,
            "CI needs a Docker engine: {said}"
        );
        if !done.status.success() {
            eprintln!("SKIPPED, all of it: no Docker engine: {said}");
            std::process::exit(0);
        }
        // A runtime cannot be entered from within another.
        std::thread::spawn(start).join().unwrap()
    })
}

fn start() -> Shared {
    let folder = tempfile::Builder::new()
        .prefix("exomonad-in-container-")
        .tempdir()
        .unwrap();
    let base = folder.path().canonicalize().unwrap();
    let lock = File::create(base.join("lock")).unwrap();
    lock.lock().unwrap();
    let owner = lock.metadata().unwrap();
    let own = base.file_name().unwrap().to_str().unwrap().to_owned();
    let base = base.to_str().unwrap().to_owned();
    let container = run(&base, &own, &owner, &own, Vec::new());
    Shared {
        folder,
        container,
        label: format!("{LABEL}={own}"),
        _lock: lock,
    }
}

/// Starts a container with the tests' folder in it, which ends with this process.
fn run(base: &str, name: &str, owner: &Metadata, label: &str, env: Vec<String>) -> String {
    let command = ["/usr/bin/flock", &format!("{base}/lock"), "/bin/true"];
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(command.map(str::to_owned).into()),
        env: Some(env),
        user: Some(format!("{}:{}", owner.uid(), owner.gid())),
        working_dir: Some(base.to_owned()),
        labels: Some([(LABEL.to_owned(), label.to_owned())].into()),
        host_config: Some(HostConfig {
            binds: Some(vec![format!("{base}:{base}")]),
            auto_remove: Some(true),
            init: Some(true),
            // Push and fetch are the host's.
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let create = async {
        let engine =
            bollard::Docker::connect_with_unix(SOCKET, 120, bollard::API_DEFAULT_VERSION).unwrap();
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let id = engine
            .create_container(Some(options), body)
            .await
            .unwrap()
            .id;
        engine.start_container(&id, None).await.unwrap();
        id
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(create)
}

/// One more container, of a role with `label` of its own or the suite's, with this `PATH`.
pub fn another(label: Option<&str>, path: &Path) -> String {
    let shared = shared();
    let base = shared.folder.path().canonicalize().unwrap();
    let base = base.to_str().unwrap().to_owned();
    let own = shared.label.rsplit('=').next().unwrap();
    let label = label.unwrap_or(own).to_owned();
    let name = format!("{own}-{:08x}", getrandom::u32().unwrap());
    let owner = shared._lock.metadata().unwrap();
    let env = vec![format!("PATH={}", path.display())];
    std::thread::spawn(move || run(&base, &name, &owner, &label, env))
        .join()
        .unwrap()
}

pub fn folder() -> PathBuf {
    shared().folder.path().to_owned()
}

pub fn labels() -> Vec<String> {
    vec![shared().label.clone()]
}

/// The container's id.
pub fn container() -> &'static str {
    &shared().container
}

pub fn docker() -> Docker {
    Docker::new(DockerConfig::default()).unwrap()
}

pub fn service(config: GitConfig) -> Git {
    Git::new(config).unwrap().with_containers(docker())
}

/// The request for the same folder in the container.
pub fn place<R: OnRepository>(call: &CallContext, request: R) -> R {
    let base = call.bounds.paths.first().cloned().unwrap_or_default();
    let folder = base.join(request.working_dir().as_path());
    let folder = WorkingDir(folder.to_str().unwrap().to_owned());
    request.at(folder, Some(container().try_into().unwrap()))
}
