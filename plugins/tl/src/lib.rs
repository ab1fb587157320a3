//! The plugin of the tech lead (`tl`): its tools, and a hook that protects work.
//!
//! | | |
//! |---|---|
//! | `repo_status` | the branch, its distance from upstream, the changes, the last commit |
//! | `recent_work` | the last commits and what is not committed yet |
//! | `list_issues` | a repository's issues |
//! | `file_pr` | pushes the branch and opens a pull request for it, or updates the open one |
//! | `pr_status` | reviews, checks and mergeability of a pull request, and what blocks it |
//! | `merge_pr` | merges a pull request |
//! | `run_in_container` | runs a command in a container |
//! | hook `pre_tool_use` | denies a forced push, asks before a forced removal |

mod file_pr;
mod guard;
mod list_issues;
mod merge_pr;
mod pr_status;
mod recent_work;
mod repo_status;
mod run_in_container;
mod shell;
mod view;

use exomonad_guest::plugin;

plugin! {
    name: "tl",
    tools: [
        repo_status::repo_status,
        recent_work::recent_work,
        list_issues::list_issues,
        file_pr::file_pr,
        pr_status::pr_status,
        merge_pr::merge_pr,
        run_in_container::run_in_container,
    ],
    hooks: [guard::guard_commands],
}
