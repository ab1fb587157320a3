//! The location of a repository: the fields that all git requests share.

use crate::effects::docker::ContainerRef;
use crate::value::WorkingDir;

/// A request about a repository, on the host or in a container.
pub trait RepositoryRequest {
    /// A folder in the repository.
    fn working_dir(&self) -> &WorkingDir;

    /// The container the repository is in; none for the host.
    fn container(&self) -> Option<&ContainerRef>;

    /// The same request for another location.
    #[must_use]
    fn at(self, working_dir: WorkingDir, container: Option<ContainerRef>) -> Self;
}

/// Declares a request with the two fields of the location.
macro_rules! repository_request {
    (
        $(#[$attribute:meta])*
        pub struct $Request:ident { $($fields:tt)* }
    ) => {
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        $(#[$attribute])*
        pub struct $Request {
            /// A folder in the repository: absolute, or relative to the role's first
            /// allowed path, or to the container's own working directory.
            #[serde(default)]
            pub working_dir: $crate::value::WorkingDir,
            /// The container that holds the repository, with `git` and the role's
            /// labels; absent for a repository on the host.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub container: Option<$crate::effects::docker::ContainerRef>,
            $($fields)*
        }

        impl $crate::effects::git::RepositoryRequest for $Request {
            fn working_dir(&self) -> &$crate::value::WorkingDir {
                &self.working_dir
            }

            fn container(&self) -> Option<&$crate::effects::docker::ContainerRef> {
                self.container.as_ref()
            }

            fn at(
                mut self,
                working_dir: $crate::value::WorkingDir,
                container: Option<$crate::effects::docker::ContainerRef>,
            ) -> Self {
                self.working_dir = working_dir;
                self.container = container;
                self
            }
        }
    };
}

pub(super) use repository_request;
