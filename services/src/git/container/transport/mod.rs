//! Push and fetch for a repository in a container.
//!
//! The host's token does not enter the container, where every process is the
//! agent's. So the objects come out, or go in, as a pack through the exec, and
//! the host's own `git` talks to the remote from a [shadow](crate::git::transport)
//! that holds nothing else, under the same checks as for a repository of the host.
//!
//! * What comes out is bytes of a stranger: a pack of bounded size, which git
//!   takes apart with its own checks (`index-pack --fsck-objects`), ids that are
//!   looked for in it, and names that git allows. The URL, too, is only what the
//!   repository says, and is looked at as any other.
//! * **Push** asks the remote what it has, takes from the container what is not
//!   there, and cuts the shadow's history off below.
//! * **Fetch** gets the branches that have moved, with their history, and sends
//!   the container what it lacks. Before a reference names anything new, the
//!   container's git sees that nothing is missing.

mod fetch;
mod push;

pub(super) use fetch::fetch;
pub(super) use push::push;

use exomonad_core::CallContext;
use exomonad_schema::{EffectError, ErrorCode};

use super::info;
use super::place::Place;
use super::script::{Answers, Script, Step};
use crate::git::remote::unknown_among;
use crate::git::roots::Roots;
use crate::git::transport::address::{self, Address};
use crate::git::transport::check_repo;
use crate::git::write::refs::valid_name;

/// The steps that tell where a remote is.
#[derive(Debug)]
struct AskedRemote {
    name: String,
    urls: Vec<Step>,
    all: Step,
}

impl AskedRemote {
    /// `keys` in the order in which they count.
    fn ask(script: &mut Script, name: &str, keys: &[&str]) -> Self {
        let urls = keys
            .iter()
            .map(|key| script.git(["config", "-z", "--get-all", &format!("remote.{name}.{key}")]));
        Self {
            name: name.to_owned(),
            urls: urls.collect(),
            all: info::ask_remotes(script),
        }
    }

    fn read(
        &self,
        place: &Place,
        call: &CallContext,
        answers: &Answers,
    ) -> Result<Address, EffectError> {
        let task = &place.task;
        let url = self.urls.iter().find_map(|step| {
            let first = answers[*step].records().next()?;
            String::from_utf8(first.to_vec()).ok()
        });
        let is_name = valid_name("refs/remotes/", &self.name).is_some();
        let Some(url) = url.filter(|_| is_name) else {
            let known = info::remotes(task, answers, self.all)?;
            let known: Vec<_> = known.into_iter().map(|remote| remote.name).collect();
            return Err(unknown_among(task, &self.name, &known));
        };
        let address = match address::parse(task, &url, &place.config, &Roots::new(&[])) {
            Ok(address) if address.protocol != "file" => address,
            Err(error) if !is_folder(&url) => return Err(error),
            // A folder of the host means nothing to a container, nor the other way round.
            _ => {
                return Err(task.error(
                    ErrorCode::Forbidden,
                    "the remote is a folder, which neither the host nor another container shares; \
                     give it an https or ssh address with `git remote set-url`",
                ));
            }
        };
        check_repo(task, &place.config, call, &address)?;
        Ok(address)
    }
}

fn is_folder(url: &str) -> bool {
    url.starts_with(['/', '.']) || url.starts_with("file:") || !url.contains(':')
}

/// More objects than may travel at once.
fn too_large(place: &Place) -> EffectError {
    place.task.error(
        ErrorCode::LimitExceeded,
        format_args!(
            "the objects take more than {} bytes (`git.max_transfer` in exomonad.toml); push or fetch \
             less at a time",
            place.config.max_transfer_bytes
        ),
    )
}
