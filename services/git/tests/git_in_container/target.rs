//! A container for the whole suite, which shares the tests' folders with them.
//!
//! The tests make repositories and look at them as they do on the host, in a
//! folder that has the same path in the container. The service does not know of
//! that: it is given a container and a path in it.

use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use exomonad_core::CallContext;
use exomonad_docker::{Docker, DockerConfig};
use exomonad_git::{Git, GitConfig};
use exomonad_schema::effects::git::RepositoryRequest;
use exomonad_schema::value::WorkingDir;
use exomonad_test_support::{installed_by, required_or_skip};

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

/// Of how many repositories of a long table one is tried; with `EXOMONAD_TEST_ALL` in the environment, all are.
pub fn one_of(many: usize) -> usize {
    match std::env::var_os("EXOMONAD_TEST_ALL") {
        Some(_) => 1,
        None => many,
    }
}

struct Shared {
    folder: PathBuf,
    container: String,
    /// The container's name, and the value of its label.
    name: String,
    owner: Metadata,
    /// The container ends soon after the last process has let go of the lock, however it ends.
    _lock: File,
}

fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let engine = installed_by("docker-engine");
        if required_or_skip("a Docker engine", engine).is_none() {
            std::process::exit(0);
        }
        // A runtime cannot be entered from within another.
        std::thread::spawn(join).join().unwrap()
    })
}

/// Takes part in the container that the tests of this checkout share, also from several processes.
fn join() -> Shared {
    let mut hasher = DefaultHasher::new();
    env!("CARGO_TARGET_TMPDIR").hash(&mut hasher);
    let folder = std::env::temp_dir()
        .canonicalize()
        .unwrap()
        .join(format!("exomonad-in-container-{:016x}", hasher.finish()));
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock_shared().unwrap();
    // One process at a time makes a container; it removes its mark, under the lock, before it ends.
    let starting = File::create(folder.join("starting")).unwrap();
    starting.lock().unwrap();
    let mark = folder.join("container");
    let owner = lock.metadata().unwrap();
    let marked = fs::read_to_string(&mark).unwrap_or_default();
    let (name, container) = match marked.split_once(' ') {
        Some((name, id)) if is_running(id) => (name.to_owned(), id.to_owned()),
        _ => {
            let name = format!("exomonad-in-container-{:016x}", getrandom::u64().unwrap());
            let base = folder.to_str().unwrap();
            let id = run(base, &name, &owner, &name, Vec::new());
            fs::write(&mark, format!("{name} {id}")).unwrap();
            (name, id)
        }
    };
    Shared {
        folder,
        container,
        name,
        owner,
        _lock: lock,
    }
}

fn is_running(container: &str) -> bool {
    let inspected = on_engine(async |engine| engine.inspect_container(container, None).await);
    let state = inspected.ok().and_then(|container| container.state);
    state.and_then(|state| state.running) == Some(true)
}

fn on_engine<T>(work: impl AsyncFnOnce(bollard::Docker) -> T) -> T {
    let engine =
        bollard::Docker::connect_with_unix(SOCKET, 120, bollard::API_DEFAULT_VERSION).unwrap();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work(engine))
}

/// Starts a container with the tests' folder in it, which ends when no process holds the lock.
fn run(base: &str, name: &str, owner: &Metadata, label: &str, env: Vec<String>) -> String {
    let end =
        "until /usr/bin/flock -n \"$0/lock\" /bin/rm -f \"$0/container\"; do /bin/sleep 2; done";
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(["/bin/sh", "-c", end, base].map(str::to_owned).into()),
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
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    on_engine(async |engine| {
        let created = engine.create_container(Some(options), body).await;
        let id = created.unwrap().id;
        engine.start_container(&id, None).await.unwrap();
        id
    })
}

/// One more container, of a role with `label` of its own or the suite's, with this `PATH`.
pub fn another(label: Option<&str>, path: &Path) -> String {
    let shared = shared();
    let base = shared.folder.to_str().unwrap();
    let label = label.unwrap_or(&shared.name).to_owned();
    let name = format!("{}-{:08x}", shared.name, getrandom::u32().unwrap());
    let env = vec![format!("PATH={}", path.display())];
    std::thread::spawn(move || run(base, &name, &shared.owner, &label, env))
        .join()
        .unwrap()
}

pub fn folder() -> PathBuf {
    shared().folder.clone()
}

pub fn labels() -> Vec<exomonad_core::values::Label> {
    vec![format!("{LABEL}={}", shared().name).parse().unwrap()]
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
pub fn place<R: RepositoryRequest>(call: &CallContext, request: R) -> R {
    let base = call
        .bounds
        .get::<exomonad_core::PathBounds>()
        .paths
        .first()
        .cloned()
        .unwrap_or_default();
    let folder = base.join(request.working_dir().as_path());
    let folder = WorkingDir(folder.to_str().unwrap().to_owned());
    request.at(folder, Some(container().try_into().unwrap()))
}
