//! The folders a role may reach, without links, and whether a path lies in them.

use std::path::{Path, PathBuf};

/// Folders that may be read, with everything in them. Each is canonical:
/// absolute, without links or `..`.
#[derive(Clone, Debug)]
pub struct Roots(Vec<PathBuf>);

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Place {
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

    /// Whether a canonical path lies in them.
    pub fn contain(&self, canonical: &Path) -> bool {
        self.0.iter().any(|root| canonical.starts_with(root))
    }

    /// Follows a path, links and `..` included.
    pub fn place(&self, path: &Path) -> Place {
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
