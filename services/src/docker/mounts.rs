//! What of outside a spawned container sees: folders of the host within the role's paths, volumes
//! of the role's own, memory.
//!
//! A folder is judged by where it leads, without links and `..`, and it is that place which is
//! mounted. The paths are this host's: the engine must see the same file system, so on an engine
//! that is not on a socket of this machine no folder can be mounted at all.
//!
//! **Sockets** are doors, not data, and the engine's own opens the whole machine. A socket, or a
//! folder with the engine's in it, is only mounted when the role's paths name that socket itself;
//! that they name a folder around it is not enough. Devices and pipes are held to the same.
//!
//! The engine follows the path once more when the container starts. Who can write in a folder of the
//! role's paths could put a link in the place of a folder in between: on the host, or from another
//! container into which that folder is mounted for writing. For roles that are not to be trusted
//! with that, let `paths` name folders whose contents are only mounted read-only.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use bollard::models::{
    Mount as EngineMount, MountBindOptions, MountBindOptionsPropagationEnum, MountType,
};
use exomonad_core::CallContext;
use exomonad_schema::effects::docker::{Mount, MountKind};
use exomonad_schema::{EffectError, ErrorCode};

use super::config::Endpoint;
use super::engine::Session;
use super::labels::Labels;
use super::owner::Owner;
use super::task::Task;
use super::{names, volume};
use exomonad_core::roots::{Place, Roots};

/// Where the engine's sockets commonly are, besides where this one's is.
const ENGINE_SOCKETS: [&str; 3] = [
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
];

/// What the engine is to be told.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) mounts: Vec<EngineMount>,
    /// Who owns what of the host may be written to.
    pub(super) owner: Option<Owner>,
}

/// Checks every mount and makes the volumes.
pub(super) async fn prepare(
    session: &Session,
    call: &CallContext,
    labels: &Labels,
    mounts: Vec<Mount>,
) -> Result<Prepared, EffectError> {
    if mounts.is_empty() {
        return Ok(Prepared::default());
    }
    let task = session.task.clone();
    let endpoint = session.engine.endpoint.clone();
    let paths = call.bounds.paths.clone();
    // Links are followed on the disk.
    let prepared = tokio::task::spawn_blocking(move || {
        let gate = Gate::new(&task, &endpoint, &paths);
        let mounts = mounts
            .into_iter()
            .map(|mount| gate.check(mount))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Prepared {
            owner: Owner::of(&task, &mounts)?,
            mounts,
        })
    })
    .await
    .map_err(|error| {
        tracing::error!(%error, "checking mounts failed in the host");
        EffectError::internal(
            "DockerSpawn: checking the mounts failed in the host; its log says more",
        )
    })??;
    for mount in &prepared.mounts {
        if let (Some(MountType::VOLUME), Some(name)) = (mount.typ, &mount.source) {
            volume::provide(session, labels, name).await?;
        }
    }
    Ok(prepared)
}

/// What may be mounted.
struct Gate<'a> {
    task: &'a Task,
    roots: Roots,
    /// The places the role's paths name, without links.
    named: Vec<PathBuf>,
    /// The engine's sockets, without links; none when the engine is elsewhere.
    sockets: Option<Vec<PathBuf>>,
}

impl<'a> Gate<'a> {
    fn new(task: &'a Task, endpoint: &Endpoint, paths: &[PathBuf]) -> Self {
        let sockets = match endpoint {
            Endpoint::Unix(socket) => Some(
                ENGINE_SOCKETS
                    .iter()
                    .map(Path::new)
                    .chain([socket.as_path()])
                    .filter_map(|socket| socket.canonicalize().ok())
                    .collect(),
            ),
            Endpoint::Tcp | Endpoint::Tls(_) => None,
        };
        Self {
            task,
            roots: Roots::new(paths),
            named: paths
                .iter()
                .filter_map(|path| path.canonicalize().ok())
                .collect(),
            sockets,
        }
    }

    fn check(&self, mount: Mount) -> Result<EngineMount, EffectError> {
        let Mount {
            kind,
            source,
            target,
            read_only,
        } = mount;
        let has_parents = Path::new(&target)
            .components()
            .any(|part| part == std::path::Component::ParentDir);
        if !target.starts_with('/') || target.contains('\0') || has_parents {
            return Err(self.task.invalid(format_args!(
                "the mount's `target` {target:?} is no absolute path without `..`"
            )));
        }
        let mut checked = EngineMount {
            target: Some(target),
            read_only: Some(read_only),
            ..EngineMount::default()
        };
        match (kind, source) {
            (MountKind::Tmpfs, None) => checked.typ = Some(MountType::TMPFS),
            (MountKind::Volume, Some(name)) => {
                names::container(self.task, &name)?;
                checked.typ = Some(MountType::VOLUME);
                checked.source = Some(name);
            }
            (MountKind::Bind, Some(source)) => {
                checked.typ = Some(MountType::BIND);
                checked.source = Some(self.bind(&source)?);
                checked.bind_options = Some(MountBindOptions {
                    propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
                    ..MountBindOptions::default()
                });
            }
            (MountKind::Tmpfs, Some(_)) => {
                return Err(self.task.invalid("a `tmpfs` mount has no `source`"));
            }
            (MountKind::Volume | MountKind::Bind, None) => {
                return Err(self.task.invalid(
                    "a mount needs a `source`: the host's absolute path, or the volume's name",
                ));
            }
        }
        Ok(checked)
    }

    /// Where a folder or file of the host really is, if it may be mounted.
    fn bind(&self, source: &str) -> Result<String, EffectError> {
        let Some(sockets) = &self.sockets else {
            return Err(self.task.error(
                ErrorCode::Unsupported,
                "the engine is not on a socket of this machine, so that the host's folders are not \
                 its own; use a volume",
            ));
        };
        if !source.starts_with('/') || source.contains('\0') {
            return Err(self.task.invalid(format_args!(
                "the mount's `source` {source:?} is no absolute path"
            )));
        }
        let place = match self.roots.place(Path::new(source)) {
            Place::Inside(place) => place,
            Place::Missing => {
                return Err(self.task.error(
                    ErrorCode::NotFound,
                    format_args!("there is no {source:?} to mount; create it first"),
                ));
            }
            Place::Outside => {
                return Err(self.task.forbidden(format_args!(
                    "{source:?} is outside the folders role `{role}` may reach; if it is meant to, \
                     add the folder to `role.{role}.paths` in exomonad.toml",
                    role = self.task.role()
                )));
            }
        };
        if let Some(door) = self.door(&place, sockets) {
            return Err(self.task.forbidden(format_args!(
                "{source:?} {door}; it is mounted only when `role.{}.paths` names it itself",
                self.task.role()
            )));
        }
        // The engine's API is JSON: there is no way to name such a path to it.
        place.into_os_string().into_string().map_err(|_| {
            self.task
                .error(ErrorCode::Unsupported, "the path is not UTF-8; rename it")
        })
    }

    /// What a place opens that the role's paths do not name.
    fn door(&self, place: &Path, sockets: &[PathBuf]) -> Option<&'static str> {
        let is_named = |path: &Path| self.named.iter().any(|named| named == path);
        if sockets
            .iter()
            .any(|socket| socket != place && socket.starts_with(place) && !is_named(socket))
        {
            return Some("holds the socket of a container engine");
        }
        let metadata = fs::metadata(place).ok()?;
        let kind = metadata.file_type();
        // The same socket by another name: a hard link, or a mount of its own.
        let is_engine = sockets.iter().any(|socket| {
            fs::metadata(socket)
                .is_ok_and(|other| (other.dev(), other.ino()) == (metadata.dev(), metadata.ino()))
        });
        let is_door = is_engine
            || kind.is_socket()
            || kind.is_fifo()
            || kind.is_block_device()
            || kind.is_char_device();
        (is_door && !is_named(place)).then_some("is a socket, a pipe or a device")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use exomonad_schema::EffectKind;

    use super::*;
    use crate::test_call::call;

    struct Area {
        _dir: tempfile::TempDir,
        root: PathBuf,
        socket: PathBuf,
        _listener: UnixListener,
    }

    /// A root with a folder, a file and an engine's socket, and links out of it.
    fn area() -> Area {
        let dir = tempfile::tempdir().unwrap();
        let area = dir.path().canonicalize().unwrap();
        let root = area.join("root");
        fs::create_dir_all(root.join("in/run")).unwrap();
        fs::create_dir(area.join("other")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        let socket = root.join("in/run/docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        symlink(area.join("other"), root.join("out")).unwrap();
        symlink(&socket, root.join("door")).unwrap();
        fs::hard_link(&socket, root.join("hard")).unwrap();
        symlink("/", root.join("everything")).unwrap();
        Area {
            _dir: dir,
            root,
            socket,
            _listener: listener,
        }
    }

    fn bind(area: &Area, paths: &[PathBuf], source: &Path) -> Result<String, ErrorCode> {
        let task = Task::new(EffectKind::DockerSpawn, &call("tl"), "web");
        let gate = Gate::new(&task, &Endpoint::Unix(area.socket.clone()), paths);
        gate.bind(source.to_str().unwrap())
            .map_err(|error| error.code)
    }

    #[test]
    fn a_folder_is_mounted_by_where_it_leads_and_only_within_the_paths() {
        let area = area();
        let paths = [area.root.clone()];
        let file = area.root.join("file");
        assert_eq!(
            bind(&area, &paths, &area.root.join("in/../file")),
            Ok(file.to_str().unwrap().to_owned())
        );
        for (source, code) in [
            ("out", ErrorCode::Forbidden),
            ("everything", ErrorCode::Forbidden),
            ("everything/etc", ErrorCode::Forbidden),
            ("../other", ErrorCode::Forbidden),
            ("..", ErrorCode::Forbidden),
            ("none", ErrorCode::NotFound),
        ] {
            assert_eq!(
                bind(&area, &paths, &area.root.join(source)),
                Err(code),
                "{source}"
            );
        }
        assert_eq!(bind(&area, &[], &file), Err(ErrorCode::Forbidden));
        assert_eq!(
            bind(&area, &paths, Path::new("in")),
            Err(ErrorCode::InvalidInput)
        );
    }

    #[test]
    fn the_engine_s_socket_is_mounted_only_by_its_name() {
        let area = area();
        let around = [area.root.clone()];
        for door in ["in/run/docker.sock", "in/run", "in", ".", "door", "hard"] {
            assert_eq!(
                bind(&area, &around, &area.root.join(door)),
                Err(ErrorCode::Forbidden),
                "{door}"
            );
        }
        let named = [area.root.clone(), area.socket.clone()];
        for door in ["in/run/docker.sock", "in/run", "door"] {
            assert!(bind(&area, &named, &area.root.join(door)).is_ok(), "{door}");
        }
    }

    #[test]
    fn an_engine_elsewhere_is_given_no_folder_of_this_host() {
        let area = area();
        let task = Task::new(EffectKind::DockerSpawn, &call("tl"), "web");
        let gate = Gate::new(&task, &Endpoint::Tcp, std::slice::from_ref(&area.root));
        let error = gate.bind(area.root.to_str().unwrap()).unwrap_err();
        assert_eq!(error.code, ErrorCode::Unsupported);
    }

    #[test]
    fn a_mount_says_what_it_is_and_where() {
        let task = Task::new(EffectKind::DockerSpawn, &call("tl"), "web");
        let gate = Gate::new(&task, &Endpoint::Tcp, &[]);
        let mount = |kind, source: Option<&str>, target: &str| Mount {
            kind,
            source: source.map(str::to_owned),
            target: target.to_owned(),
            read_only: false,
        };
        assert!(gate.check(mount(MountKind::Tmpfs, None, "/tmp")).is_ok());
        for wrong in [
            mount(MountKind::Tmpfs, Some("x"), "/tmp"),
            mount(MountKind::Volume, None, "/data"),
            mount(MountKind::Volume, Some("../x"), "/data"),
            mount(MountKind::Volume, Some("/etc"), "/data"),
            mount(MountKind::Tmpfs, None, "tmp"),
            mount(MountKind::Tmpfs, None, "/a/../b"),
        ] {
            let error = gate.check(wrong.clone()).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidInput, "{wrong:?}");
        }
    }
}
