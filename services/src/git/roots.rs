//! The folders a role may reach, without links, and whether a path lies in them.

use std::path::{Path, PathBuf};

use exomonad_schema::{Bounds, EffectError, ErrorCode};

use super::task::Task;

/// Folders that may be read, with everything in them. Each is canonical:
/// absolute, without links or `..`.
#[derive(Clone, Debug)]
pub(super) struct Roots(Vec<PathBuf>);

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Into an allowed folder; the canonical path.
    Inside(PathBuf),
    /// Nowhere, and would be in an allowed folder.
    Missing,
    /// Elsewhere. Whether anything is there is not told: that, too, would be
    /// looking outside.
    Outside,
}

impl Roots {
    /// The allowed folders that exist. One that does not exist holds nothing.
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        Self(
            paths
                .iter()
                .filter_map(|path| path.canonicalize().ok())
                .collect(),
        )
    }

    /// The same folders and more; `more` are canonical.
    pub(super) fn with(&self, more: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut roots = self.clone();
        roots.0.extend(more);
        roots
    }

    /// Whether a canonical path lies in them.
    pub(super) fn contain(&self, canonical: &Path) -> bool {
        self.0.iter().any(|root| canonical.starts_with(root))
    }

    /// Follows a path, links and `..` included.
    pub(super) fn place(&self, path: &Path) -> Place {
        if let Ok(canonical) = path.canonicalize() {
            return if self.contain(&canonical) {
                Place::Inside(canonical)
            } else {
                Place::Outside
            };
        }
        // Something on the way is missing, or may not be seen: the last folder
        // that can be seen decides. A link that leads nowhere could lead outside.
        for ancestor in path.ancestors() {
            match ancestor.canonicalize() {
                Ok(canonical) if self.contain(&canonical) => return Place::Missing,
                Ok(_) => return Place::Outside,
                Err(_) if ancestor.is_symlink() => return Place::Outside,
                Err(_) => {}
            }
        }
        Place::Outside
    }
}

/// Finds the folder a task works in.
///
/// # Errors
/// `forbidden` when it is not within `roots`, `not_found` when there is no such
/// folder, `invalid_input` when it is no path.
pub(super) fn working_dir(
    task: &Task,
    bounds: &Bounds,
    roots: &Roots,
) -> Result<PathBuf, EffectError> {
    if task.working_dir().contains('\0') {
        return Err(EffectError::invalid_input(format!(
            "{}: workingDir holds a NUL character; give the path of a folder",
            task.kind()
        )));
    }
    let Some(first) = bounds.paths.first() else {
        return Err(task.forbidden("no folder is allowed, so this one is"));
    };
    match roots.place(&first.join(task.working_dir())) {
        Place::Inside(folder) if folder.is_dir() => Ok(folder),
        Place::Inside(_) => Err(task.error(
            ErrorCode::NotFound,
            "this is a file; give the folder it is in",
        )),
        Place::Missing => Err(task.error(
            ErrorCode::NotFound,
            "there is no such folder; a relative one is taken from the role's first allowed path",
        )),
        Place::Outside if !first.is_dir() => Err(task.error(
            ErrorCode::NotFound,
            "the role's first allowed path is not there; create it or correct `paths` in exomonad.toml",
        )),
        Place::Outside => Err(task.forbidden("this folder is")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_is_judged_by_where_it_leads_not_by_how_it_is_spelled() {
        let area = tempfile::tempdir().unwrap();
        let area = area.path().canonicalize().unwrap();
        let (root, other) = (area.join("root"), area.join("other"));
        fs::create_dir_all(root.join("in")).unwrap();
        fs::create_dir(&other).unwrap();
        symlink(&other, root.join("out")).unwrap();
        symlink(root.join("in"), other.join("back")).unwrap();
        symlink(area.join("nothing"), root.join("dangling")).unwrap();

        let roots = Roots::new(std::slice::from_ref(&root));
        let inside = || Place::Inside(root.join("in"));
        assert_eq!(roots.place(&root.join("in")), inside());
        assert_eq!(roots.place(&root.join("../root/in/../in")), inside());
        assert_eq!(roots.place(&other.join("back")), inside());
        assert_eq!(roots.place(&root.join("in/none/deeper")), Place::Missing);
        for outside in [
            root.join(".."),
            root.join("../other"),
            root.join("out"),
            root.join("out/none"),
            root.join("dangling"),
            root.join("dangling/deeper"),
            area.join("none"),
            area.join("root-with-the-same-beginning"),
            PathBuf::from("/etc/passwd/none"),
        ] {
            assert_eq!(roots.place(&outside), Place::Outside, "{outside:?}");
        }
    }

    #[test]
    fn no_roots_contain_nothing() {
        assert_eq!(Roots::new(&[]).place(Path::new("/")), Place::Outside);
    }
}
