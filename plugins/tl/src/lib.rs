//! The team lead's plugin: what it offers an agent, and what it keeps it from.
//!
//! | | |
//! |---|---|
//! | `repo_status` | the branch, its distance from upstream, the changes, the last commit |
//! | `recent_work` | the last commits and what is not committed yet |
//! | `file_pr` | opens a pull request for the branch |
//! | hook `pre_tool_use` | denies a forced push, asks before a forced removal |

mod file_pr;
mod guard;
mod recent_work;
mod remote;
mod repo_status;
mod shell;
mod view;

use exomonad_guest::plugin;

plugin! {
    name: "tl",
    tools: [repo_status::repo_status, recent_work::recent_work, file_pr::file_pr],
    hooks: [guard::guard_commands],
}
