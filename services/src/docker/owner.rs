//! As whom a container runs that may write to folders of the host.
//!
//! What root writes there is root's on the host, too: a setuid program in such a folder would make
//! any user of the host root. So the container runs as the owner of the folder, who is not root, and
//! so do the commands that are run in it later: a label of the host's own says as whom.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use bollard::models::{Mount, MountType};
use exomonad_schema::EffectError;

use super::task::Task;

/// The label that says as whom everything in the container runs.
pub(super) const LABEL: &str = "exomonad.user";

/// The group of files that belong to nobody.
const NO_GROUP: u32 = 65534;

/// Who owns what a container may write to; never root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// The owner of the folders and files of the host that are mounted for writing, if there are
    /// any. Looks at the disk.
    ///
    /// # Errors
    /// `forbidden` when that is root, or more than one.
    pub(super) fn of(task: &Task, mounts: &[Mount]) -> Result<Option<Self>, EffectError> {
        let mut owner = None;
        for mount in mounts {
            let is_writable = mount.typ == Some(MountType::BIND) && mount.read_only != Some(true);
            let Some(source) = mount.source.as_deref().filter(|_| is_writable) else {
                continue;
            };
            let metadata = fs::metadata(source).map_err(|error| {
                task.invalid(format_args!("{source:?} cannot be looked at: {error}"))
            })?;
            // Nothing can be left in a socket or a pipe.
            if !metadata.is_dir() && !metadata.is_file() {
                continue;
            }
            let own = Self {
                uid: metadata.uid(),
                gid: match metadata.gid() {
                    0 => NO_GROUP,
                    gid => gid,
                },
            };
            if own.uid == 0 {
                return Err(task.forbidden(format_args!(
                    "{source:?} belongs to root, and whoever may write there could leave programs in \
                     it that run as root; mount it with `readOnly`, or give it to another user"
                )));
            }
            if owner.is_some_and(|other| other != own) {
                return Err(task.forbidden(format_args!(
                    "{source:?} and another folder that is mounted for writing belong to different \
                     users; mount one of them with `readOnly`"
                )));
            }
            owner = Some(own);
        }
        Ok(owner)
    }

    /// The user of the container, which its labels then tell.
    ///
    /// # Errors
    /// `forbidden` when another one is asked for.
    pub(super) fn runs(
        self,
        task: &Task,
        asked: Option<&str>,
        labels: &mut HashMap<String, String>,
    ) -> Result<String, EffectError> {
        let user = format!("{}:{}", self.uid, self.gid);
        admit(task, Some(&user), asked)?;
        labels.insert(LABEL.to_owned(), user.clone());
        Ok(user)
    }
}

/// Holds the user that is asked for against the one that everything in the container runs as.
///
/// # Errors
/// `forbidden` when it is another one.
pub(super) fn admit(
    task: &Task,
    only: Option<&str>,
    asked: Option<&str>,
) -> Result<(), EffectError> {
    match (only, asked) {
        (Some(only), Some(asked)) if asked != only && Some(asked) != only.split(':').next() => {
            Err(task.forbidden(format_args!(
                "the container may write to folders of the host, and so everything in it runs as \
                 their owner, {only}; leave `user` out"
            )))
        }
        _ => Ok(()),
    }
}
