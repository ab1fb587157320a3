//! Policy: the repositories that a role reaches.

use exomonad_core::RepoBounds;
use exomonad_core::bounds::BoundsMap;
use exomonad_core::policy::Verdict;
use exomonad_schema::Effect;
use exomonad_schema::effects::github::*;
use exomonad_schema::value::RepoName;

/// Decides about a request; without one, about all.
pub fn decide(bounds: &BoundsMap, request: Option<&Effect>) -> Vec<Verdict> {
    let repo = request.and_then(repo_of);
    vec![bounds.get::<RepoBounds>().decide(repo)]
}

/// Every effect of GitHub's names a repository.
macro_rules! repo_of {
    ($($method:ident($Request:ident) -> $Answer:ident;)*) => {
        /// The repository that a request names.
        fn repo_of(request: &Effect) -> Option<&RepoName> {
            match request {
                $(Effect::$Request($Request { repo, .. }) => Some(repo),)*
                _ => None,
            }
        }
    };
}

exomonad_schema::methods!(github repo_of);
