//! Finds the repository around a folder.
//!
//! libgit2 would search by itself, but it also opens what it finds. Here nothing
//! is opened before [`authorize`](super::authorize) has checked it.

use std::path::{Path, PathBuf};

use exomonad_core::roots::Roots;

/// A repository that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Discovered {
    /// The folder holds a `.git`: a folder, a file or a link.
    DotGit(PathBuf),
    /// The folder is itself a git folder: a bare repository, or a `.git`.
    GitDir(PathBuf),
}

/// Looks in `folder` and above, as long as the roots contain it.
pub(super) fn repository(folder: &Path, roots: &Roots) -> Option<Discovered> {
    folder
        .ancestors()
        .take_while(|ancestor| roots.contain(ancestor))
        .find_map(|ancestor| {
            if ancestor.join(".git").symlink_metadata().is_ok() {
                Some(Discovered::DotGit(ancestor.to_owned()))
            } else if looks_like_a_git_dir(ancestor) {
                Some(Discovered::GitDir(ancestor.to_owned()))
            } else {
                None
            }
        })
}

fn looks_like_a_git_dir(folder: &Path) -> bool {
    folder.join("HEAD").symlink_metadata().is_ok()
        && (folder.join("commondir").is_file()
            || (folder.join("objects").is_dir() && folder.join("refs").is_dir()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_search_ends_at_the_root_even_when_there_is_a_repository_above() {
        let area = tempfile::tempdir().unwrap();
        let area = area.path().canonicalize().unwrap();
        let root = area.join("root");
        let deep = root.join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir(area.join(".git")).unwrap();

        let roots = Roots::new(std::slice::from_ref(&root));
        assert_eq!(repository(&deep, &roots), None);

        fs::create_dir(root.join(".git")).unwrap();
        assert_eq!(repository(&deep, &roots), Some(Discovered::DotGit(root)));
    }
}
