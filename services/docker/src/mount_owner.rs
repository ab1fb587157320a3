//! The user of containers that may write to folders of the host.
//!
//! Root's files there are root's on the host, too: a setuid program in such a folder would make
//! any user of the host root. So the container runs as the owner of the folder, who is not root, and
//! so do the commands that are run in it later: a label that only the host sets has the user.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use bollard::models::{Mount, MountType};
use exomonad_schema::EffectError;

use super::effect_context::EffectContext;

/// The label with the user that everything in the container runs as.
pub(super) const LABEL: &str = "exomonad.user";

/// The group in place of root's: `nogroup`.
const NO_GROUP: u32 = 65534;

/// The owner of the folders that a container may write to; never root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MountOwner {
    uid: u32,
    gid: u32,
}

impl MountOwner {
    /// The owner of the folders and files of the host that are mounted for writing, if there are
    /// any. Looks at the disk.
    ///
    /// # Errors
    /// `forbidden` when that is root, or more than one.
    pub(super) fn of(
        context: &EffectContext,
        mounts: &[Mount],
    ) -> Result<Option<Self>, EffectError> {
        let mut mount_owner = None;
        for mount in mounts {
            let is_writable = mount.typ == Some(MountType::BIND) && mount.read_only != Some(true);
            let Some(source) = mount.source.as_deref().filter(|_| is_writable) else {
                continue;
            };
            let metadata = fs::metadata(source).map_err(|error| {
                context.invalid(format_args!("{source:?} cannot be looked at: {error}"))
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
                return Err(context.forbidden(format_args!(
                    "{source:?} belongs to root, and whoever may write there could leave programs in \
                     it that run as root; mount it with `readOnly`, or give it to another user"
                )));
            }
            if mount_owner.is_some_and(|other| other != own) {
                return Err(context.forbidden(format_args!(
                    "{source:?} and another folder that is mounted for writing belong to different \
                     users; mount one of them with `readOnly`"
                )));
            }
            mount_owner = Some(own);
        }
        Ok(mount_owner)
    }

    /// The user of the container, which is added to its labels.
    ///
    /// # Errors
    /// `forbidden` when another one is asked for.
    pub(super) fn run_as(
        self,
        context: &EffectContext,
        asked: Option<&str>,
        labels: &mut HashMap<String, String>,
    ) -> Result<String, EffectError> {
        let user = format!("{}:{}", self.uid, self.gid);
        check_user(context, Some(&user), asked)?;
        labels.insert(LABEL.to_owned(), user.clone());
        Ok(user)
    }
}

/// Checks the requested user against the one that everything in the container runs as.
///
/// # Errors
/// `forbidden` when it is another one.
pub(super) fn check_user(
    context: &EffectContext,
    only: Option<&str>,
    asked: Option<&str>,
) -> Result<(), EffectError> {
    match (only, asked) {
        // `1000` alone would leave the group to the image, where it may be root's.
        (Some(only), Some(asked)) if asked != only => Err(context.forbidden(format_args!(
            "the container may write to folders of the host, and so everything in it runs as \
                 their owner, {only}; leave `user` out"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use exomonad_schema::EffectKind;

    use super::*;
    use crate::test_call::call;

    #[test]
    fn only_the_owner_with_his_group_is_taken() {
        let context = EffectContext::new(EffectKind::DockerExec, &call("tl"), "a");
        let checked = |asked| check_user(&context, Some("1000:1000"), asked).is_ok();
        assert!(checked(None) && checked(Some("1000:1000")));
        for other in [
            "1000",
            "1000:0",
            "0",
            "root",
            "1000:1000 ",
            "01000:1000",
            "",
        ] {
            assert!(!checked(Some(other)), "{other}");
        }
    }
}
