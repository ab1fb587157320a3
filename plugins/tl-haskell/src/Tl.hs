-- | The plugin of the tech lead (@tl@): its tools, and a hook that protects work. The same tools, schemas and
-- answers as those of the Rust plugin (@plugins/tl@): one suite tests both.
--
-- [@repo_status@] the branch, its distance from upstream, the changes, the last commit
-- [@recent_work@] the last commits and what is not committed yet
-- [@list_issues@] a repository's issues
-- [@file_pr@] pushes the branch and opens a pull request for it, or updates the open one
-- [@pr_status@] reviews, checks and mergeability of a pull request, and what blocks it
-- [@merge_pr@] merges a pull request
-- [@run_in_container@] runs a command in a container
-- [hook @pre_tool_use@] denies a forced push, asks before a forced removal
module Tl (plugin) where

import Exomonad.Guest
import Exomonad.Guest.Hook.PreToolUse (preToolUse)
import Tl.FilePr (filePr)
import Tl.Guard (guardCommands)
import Tl.ListIssues (listIssues)
import Tl.MergePr (mergePr)
import Tl.PrStatus (prStatus)
import Tl.RecentWork (recentWork)
import Tl.RepoStatus (repoStatus)
import Tl.RunInContainer (runInContainer)

plugin :: Plugin
plugin =
  Plugin
    { name = "tl"
    , version = "0.1.0"
    , tools = [repoStatus, recentWork, listIssues, filePr, prStatus, mergePr, runInContainer]
    , hooks = [preToolUse (pure . guardCommands)]
    , workflows = []
    }
