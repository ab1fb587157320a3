//! Where a git effect works: declared once, for all of them.

use crate::effects::docker::ContainerRef;
use crate::value::WorkingDir;

/// A request for an effect on a repository, of the host or in a container.
pub trait OnRepository {
    /// A folder in the repository.
    fn working_dir(&self) -> &WorkingDir;

    /// The container it is in; the host when absent.
    fn container(&self) -> Option<&ContainerRef>;

    /// The same request for another place.
    #[must_use]
    fn at(self, working_dir: WorkingDir, container: Option<ContainerRef>) -> Self;
}

/// Declares a request with the two fields that say where.
macro_rules! on_repository {
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
            /// The container that the repository is in, which has `git` and the role's
            /// labels; absent for a repository of the host.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub container: Option<$crate::effects::docker::ContainerRef>,
            $($fields)*
        }

        impl $crate::effects::git::OnRepository for $Request {
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

pub(super) use on_repository;
