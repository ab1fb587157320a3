//! Push and fetch for a repository in a container.
//!
//! The host's token does not enter the container, where every process is the
//! agent's. So the objects come out, or go in, as a pack through the exec, and
//! the host's own `git` talks to the remote from a [scratch repository](crate::transport)
//! that holds nothing else, under the same checks as for a repository of the host.
//!
//! * Nothing that comes out is trusted: a pack of bounded size, which git
//!   unpacks with its own checks (`index-pack --fsck-objects`), ids that are
//!   looked for in it, and names that git allows. The URL, too, is only what the
//!   repository says, and is checked as any other.
//! * **Push** asks the remote what it has, takes from the container what is not
//!   there, and cuts the scratch repository's history off below.
//! * **Fetch** gets the branches that have moved, with their history, and sends
//!   the container what it lacks. Before a reference names anything new, the
//!   container's git checks that nothing is missing.

mod fetch;
mod push;

pub(super) use fetch::fetch;
pub(super) use push::push;

use exomonad_core::CallContext;
use exomonad_schema::{EffectError, ErrorCode};

use super::info;
use super::script::{Script, Step, StepOutputs};
use super::shell::GitShell;
use crate::remote::unknown_among;
use crate::transport::address::{self, RemoteAddress};
use crate::transport::check_repo;
use crate::write::refs::valid_name;
use exomonad_core::roots::Roots;

/// The steps that read the URL of a remote.
#[derive(Debug)]
struct RemoteQuery {
    name: String,
    urls: Vec<Step>,
    all: Step,
}

impl RemoteQuery {
    /// `keys` in the order in which they count.
    fn add_steps(script: &mut Script, name: &str, keys: &[&str]) -> Self {
        let urls = keys
            .iter()
            .map(|key| script.git(["config", "-z", "--get-all", &format!("remote.{name}.{key}")]));
        Self {
            name: name.to_owned(),
            urls: urls.collect(),
            all: info::add_remotes_step(script),
        }
    }

    fn read(
        &self,
        shell: &GitShell,
        call: &CallContext,
        outputs: &StepOutputs,
    ) -> Result<RemoteAddress, EffectError> {
        let context = &shell.context;
        let url = self.urls.iter().find_map(|step| {
            let first = outputs[*step].records().next()?;
            String::from_utf8(first.to_vec()).ok()
        });
        let is_name = valid_name("refs/remotes/", &self.name).is_some();
        let Some(url) = url.filter(|_| is_name) else {
            let known = info::remotes(context, outputs, self.all)?;
            let known: Vec<_> = known.into_iter().map(|remote| remote.name).collect();
            return Err(unknown_among(context, &self.name, &known));
        };
        let address = match address::parse(context, &url, &shell.config, &Roots::new(&[])) {
            Ok(address) if address.protocol != "file" => address,
            Err(error) if !is_folder(&url) => return Err(error),
            // A folder of the host means nothing to a container, nor the other way round.
            _ => {
                return Err(context.error(
                    ErrorCode::Forbidden,
                    "the remote is a folder, which neither the host nor another container shares; \
                     give it an https or ssh address with `git remote set-url`",
                ));
            }
        };
        check_repo(context, &shell.config, call, &address)?;
        Ok(address)
    }
}

fn is_folder(url: &str) -> bool {
    url.starts_with(['/', '.']) || url.starts_with("file:") || !url.contains(':')
}

/// The error for more objects than may be transferred at once.
fn too_large(shell: &GitShell) -> EffectError {
    shell.context.error(
        ErrorCode::LimitExceeded,
        format_args!(
            "the objects take more than {} bytes (`git.max_transfer` in exomonad.toml); push or fetch \
             less at a time",
            shell.config.max_transfer.get()
        ),
    )
}
