//! Mounts of a spawned container: folders of the host within the role's paths, volumes
//! of the role's own, memory.
//!
//! A folder is checked, and mounted, by its canonical path, without links and `..`. The paths are
//! this host's: the engine must see the same file system, so on an engine that is not on a socket of
//! this machine no folder can be mounted at all.
//!
//! **Sockets** give access to programs, and the engine's own to the whole machine. A socket, or a
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
use exomonad_core::policy::{Ruling, Verdict};
use exomonad_core::{CallContext, PathBounds};
use exomonad_schema::effects::docker::{Mount, MountKind};
use exomonad_schema::{EffectError, ErrorCode};

use super::config::{DockerConfig, Endpoint};
use super::effect_context::EffectContext;
use super::engine::EngineSession;
use super::labels::RoleLabels;
use super::mount_owner::MountOwner;
use super::{names, volume};
use exomonad_core::roots::{Location, Roots};

/// Common places of engines' sockets, besides the configured one.
const ENGINE_SOCKETS: [&str; 3] = [
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
];

/// Mounts that were checked, for the engine.
#[derive(Default)]
pub(super) struct PreparedMounts {
    pub(super) mounts: Vec<EngineMount>,
    /// The owner of the host's folders that may be written to.
    pub(super) mount_owner: Option<MountOwner>,
}

/// Checks every mount and creates the volumes.
pub(super) async fn prepare(
    session: &EngineSession,
    call: &CallContext,
    labels: &RoleLabels,
    mounts: Vec<Mount>,
) -> Result<PreparedMounts, EffectError> {
    if mounts.is_empty() {
        return Ok(PreparedMounts::default());
    }
    let context = session.context.clone();
    let paths = call.bounds.get::<PathBounds>().clone();
    let config = session.engine.config.clone();
    // Links are followed on the disk.
    let prepared = tokio::task::spawn_blocking(move || {
        let policy = MountPolicy::new(&config, &paths);
        let mounts = mounts
            .into_iter()
            .map(|mount| policy.check(&context, mount))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(PreparedMounts {
            mount_owner: MountOwner::of(&context, &mounts)?,
            mounts,
        })
    })
    .await
    .map_err(|error| {
        tracing::error!(%error, "checking mounts failed in the host");
        EffectError::internal(
            "docker.spawn: checking the mounts failed in the host; its log says more",
        )
    })??;
    for mount in &prepared.mounts {
        if let (Some(MountType::VOLUME), Some(name)) = (mount.typ, &mount.source) {
            volume::ensure(session, labels, name).await?;
        }
    }
    Ok(prepared)
}

/// The mounts that a role may make.
pub(super) struct MountPolicy {
    roots: Roots,
    /// The role's paths, canonical.
    named: Vec<PathBuf>,
    /// The engine's sockets, canonical; `None` when the engine is elsewhere.
    sockets: Option<Vec<PathBuf>>,
}

/// A refusal to mount a path.
enum MountRefusal {
    /// It does not exist.
    Missing,
    /// It is not within the role's paths.
    Outside,
    /// It is, and has to be named itself.
    Guarded(&'static str),
}

impl MountPolicy {
    pub(super) fn new(config: &DockerConfig, paths: &PathBounds) -> Self {
        let sockets = match config.endpoint() {
            Ok(Endpoint::Unix(socket)) => Some(
                ENGINE_SOCKETS
                    .iter()
                    .map(Path::new)
                    .chain([socket.as_path()])
                    .filter_map(|socket| socket.canonicalize().ok())
                    .collect(),
            ),
            Ok(Endpoint::Tcp | Endpoint::Tls(_)) | Err(_) => None,
        };
        Self {
            roots: paths.roots(),
            named: paths
                .paths
                .iter()
                .filter_map(|path| path.canonicalize().ok())
                .collect(),
            sockets,
        }
    }

    fn check(&self, context: &EffectContext, mount: Mount) -> Result<EngineMount, EffectError> {
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
            return Err(context.invalid(format_args!(
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
                names::container(context, &name)?;
                checked.typ = Some(MountType::VOLUME);
                checked.source = Some(name);
            }
            (MountKind::Bind, Some(source)) => {
                checked.typ = Some(MountType::BIND);
                checked.source = Some(self.bind(context, &source)?);
                checked.bind_options = Some(MountBindOptions {
                    propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
                    ..MountBindOptions::default()
                });
            }
            (MountKind::Tmpfs, Some(_)) => {
                return Err(context.invalid("a `tmpfs` mount has no `source`"));
            }
            (MountKind::Volume | MountKind::Bind, None) => {
                return Err(context.invalid(
                    "a mount needs a `source`: the host's absolute path, or the volume's name",
                ));
            }
        }
        Ok(checked)
    }

    /// The canonical path of a folder or file of the host, if it may be mounted.
    fn bind(&self, context: &EffectContext, source: &str) -> Result<String, EffectError> {
        let Some(sockets) = &self.sockets else {
            return Err(context.error(
                ErrorCode::Unsupported,
                "the engine is not on a socket of this machine, so that the host's folders are not \
                 its own; use a volume",
            ));
        };
        if !source.starts_with('/') || source.contains('\0') {
            return Err(context.invalid(format_args!(
                "the mount's `source` {source:?} is no absolute path"
            )));
        }
        let source_path = match self.resolve(source, sockets) {
            Ok(path) => path,
            Err(MountRefusal::Missing) => {
                return Err(context.error(
                    ErrorCode::NotFound,
                    format_args!("there is no {source:?} to mount; create it first"),
                ));
            }
            Err(MountRefusal::Outside) => {
                return Err(context.forbidden(format_args!(
                    "{source:?} is outside the folders role `{role}` may reach; if it is meant to, \
                     add the folder to `{key}` in exomonad.toml",
                    role = context.role(),
                    key = context.key(PathBounds::KEY)
                )));
            }
            Err(MountRefusal::Guarded(reason)) => {
                return Err(context.forbidden(format_args!(
                    "{source:?} {reason}; it is mounted only when `{}` names it itself",
                    context.key(PathBounds::KEY)
                )));
            }
        };
        // The engine's API is JSON, which cannot hold such a path.
        source_path
            .into_os_string()
            .into_string()
            .map_err(|_| context.error(ErrorCode::Unsupported, "the path is not UTF-8; rename it"))
    }

    /// Decides about a folder or file of the host by `paths`; `None` where that list does not matter.
    pub(super) fn decide(&self, source: &str, read_only: bool) -> Option<Verdict> {
        // Without a socket of this machine, and for a relative path, the request is refused for that.
        let sockets = self.sockets.as_ref().filter(|_| source.starts_with('/'))?;
        let ruling = match self.resolve(source, sockets) {
            Ok(_) if read_only => Ruling::Within,
            Ok(_) => Ruling::AtCall("its owner (root's folders are mounted read-only)".to_owned()),
            Err(MountRefusal::Missing) => Ruling::AtCall("whether it exists then".to_owned()),
            Err(MountRefusal::Outside) => Ruling::Outside,
            Err(MountRefusal::Guarded(reason)) => Ruling::Refused(format!(
                "{source:?} {reason}; it is mounted only when `paths` names it itself"
            )),
        };
        Some(Verdict::new(PathBounds::KEY, Some(source), ruling))
    }

    fn resolve(&self, source: &str, sockets: &[PathBuf]) -> Result<PathBuf, MountRefusal> {
        let path = match self.roots.locate(Path::new(source)) {
            Location::Inside(path) => path,
            Location::Missing => return Err(MountRefusal::Missing),
            Location::Outside => return Err(MountRefusal::Outside),
        };
        match self.guarded(&path, sockets) {
            Some(reason) => Err(MountRefusal::Guarded(reason)),
            None => Ok(path),
        }
    }

    /// The reason why a path within the role's paths is not mounted unless they name it itself.
    fn guarded(&self, path: &Path, sockets: &[PathBuf]) -> Option<&'static str> {
        let is_named = |path: &Path| self.named.iter().any(|named| named == path);
        if sockets
            .iter()
            .any(|socket| socket != path && socket.starts_with(path) && !is_named(socket))
        {
            return Some("holds the socket of a container engine");
        }
        let metadata = fs::metadata(path).ok()?;
        let kind = metadata.file_type();
        // The same socket by another name: a hard link, or a mount of its own.
        let is_engine = sockets.iter().any(|socket| {
            fs::metadata(socket)
                .is_ok_and(|other| (other.dev(), other.ino()) == (metadata.dev(), metadata.ino()))
        });
        let is_guarded = is_engine
            || kind.is_socket()
            || kind.is_fifo()
            || kind.is_block_device()
            || kind.is_char_device();
        (is_guarded && !is_named(path)).then_some("is a socket, a pipe or a device")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use exomonad_schema::EffectKind;

    use super::*;
    use crate::test_call::call;

    fn within(paths: &[PathBuf]) -> PathBounds {
        PathBounds {
            paths: paths.to_vec(),
        }
    }

    /// An engine on another machine.
    fn remote() -> DockerConfig {
        DockerConfig {
            host: "tcp://engine:2375".to_owned(),
            ..DockerConfig::default()
        }
    }

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
        symlink(&socket, root.join("guarded")).unwrap();
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
        let context = EffectContext::new(EffectKind::DockerSpawn, &call("tl"), "web");
        let config = DockerConfig {
            host: format!("unix://{}", area.socket.display()),
            ..DockerConfig::default()
        };
        let policy = MountPolicy::new(&config, &within(paths));
        policy
            .bind(&context, source.to_str().unwrap())
            .map_err(|error| error.code)
    }

    #[test]
    fn a_folder_is_mounted_by_its_canonical_path_and_only_within_the_paths() {
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
    fn the_engine_s_socket_is_mounted_only_when_paths_name_it() {
        let area = area();
        let around = [area.root.clone()];
        for guarded in ["in/run/docker.sock", "in/run", "in", ".", "guarded", "hard"] {
            assert_eq!(
                bind(&area, &around, &area.root.join(guarded)),
                Err(ErrorCode::Forbidden),
                "{guarded}"
            );
        }
        let named = [area.root.clone(), area.socket.clone()];
        for guarded in ["in/run/docker.sock", "in/run", "guarded"] {
            assert!(
                bind(&area, &named, &area.root.join(guarded)).is_ok(),
                "{guarded}"
            );
        }
    }

    #[test]
    fn a_remote_engine_gets_no_folder_of_this_host() {
        let area = area();
        let context = EffectContext::new(EffectKind::DockerSpawn, &call("tl"), "web");
        let policy = MountPolicy::new(&remote(), &within(std::slice::from_ref(&area.root)));
        let error = policy
            .bind(&context, area.root.to_str().unwrap())
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Unsupported);
    }

    #[test]
    fn a_mount_needs_a_source_and_a_target_that_fit_its_kind() {
        let context = EffectContext::new(EffectKind::DockerSpawn, &call("tl"), "web");
        let policy = MountPolicy::new(&remote(), &within(&[]));
        let mount = |kind, source: Option<&str>, target: &str| Mount {
            kind,
            source: source.map(str::to_owned),
            target: target.to_owned(),
            read_only: false,
        };
        assert!(
            policy
                .check(&context, mount(MountKind::Tmpfs, None, "/tmp"))
                .is_ok()
        );
        for wrong in [
            mount(MountKind::Tmpfs, Some("x"), "/tmp"),
            mount(MountKind::Volume, None, "/data"),
            mount(MountKind::Volume, Some("../x"), "/data"),
            mount(MountKind::Volume, Some("/etc"), "/data"),
            mount(MountKind::Tmpfs, None, "tmp"),
            mount(MountKind::Tmpfs, None, "/a/../b"),
        ] {
            let error = policy.check(&context, wrong.clone()).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidInput, "{wrong:?}");
        }
    }
}
