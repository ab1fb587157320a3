//! The folders a role may reach, and paths located in them.

use std::path::{Path, PathBuf};

/// Folders that may be read, with everything in them. Each is canonical:
/// absolute, without links or `..`.
#[derive(Clone, Debug)]
pub struct Roots(Vec<PathBuf>);

/// The target of a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Location {
    /// Into an allowed folder; the canonical path.
    Inside(PathBuf),
    /// Nowhere, and would be in an allowed folder.
    Missing,
    /// Elsewhere, whether anything is there or not: to find out would be looking outside.
    Outside,
}

impl Roots {
    /// The allowed folders that exist. One that does not exist holds nothing.
    pub fn new(paths: &[PathBuf]) -> Self {
        Self(
            paths
                .iter()
                .filter_map(|path| path.canonicalize().ok())
                .collect(),
        )
    }

    /// The same folders and more; `more` are canonical.
    pub fn with(&self, more: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut roots = self.clone();
        roots.0.extend(more);
        roots
    }

    /// True if a canonical path lies in them.
    pub fn contain(&self, canonical: &Path) -> bool {
        self.0.iter().any(|root| canonical.starts_with(root))
    }

    /// Follows a path, links and `..` included.
    pub fn locate(&self, path: &Path) -> Location {
        if let Ok(canonical) = path.canonicalize() {
            return if self.contain(&canonical) {
                Location::Inside(canonical)
            } else {
                Location::Outside
            };
        }
        // Something on the way is missing, or may not be seen: the last folder
        // that can be seen decides. A link that leads nowhere could lead outside.
        for ancestor in path.ancestors() {
            match ancestor.canonicalize() {
                Ok(canonical) if self.contain(&canonical) => return Location::Missing,
                Ok(_) => return Location::Outside,
                Err(_) if ancestor.is_symlink() => return Location::Outside,
                Err(_) => {}
            }
        }
        Location::Outside
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_path_is_located_by_its_target_not_by_its_spelling() {
        let area = tempfile::tempdir().unwrap();
        let area = area.path().canonicalize().unwrap();
        let (root, other) = (area.join("root"), area.join("other"));
        fs::create_dir_all(root.join("in")).unwrap();
        fs::create_dir(&other).unwrap();
        symlink(&other, root.join("out")).unwrap();
        symlink(root.join("in"), other.join("back")).unwrap();
        symlink(area.join("nothing"), root.join("dangling")).unwrap();

        let roots = Roots::new(std::slice::from_ref(&root));
        let inside = || Location::Inside(root.join("in"));
        assert_eq!(roots.locate(&root.join("in")), inside());
        assert_eq!(roots.locate(&root.join("../root/in/../in")), inside());
        assert_eq!(roots.locate(&other.join("back")), inside());
        assert_eq!(
            roots.locate(&root.join("in/none/deeper")),
            Location::Missing
        );
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
            assert_eq!(roots.locate(&outside), Location::Outside, "{outside:?}");
        }
    }

    #[test]
    fn no_roots_contain_nothing() {
        assert_eq!(Roots::new(&[]).locate(Path::new("/")), Location::Outside);
    }
}
