-- | The repository, branch and pull request of a tool, which default to those of the folder.
module Tl.Target (repository, branchOf, pullRequest) where

import Exomonad.Guest
import Exomonad.Guest.Git (Git)
import Exomonad.Guest.Git qualified as Git
import Exomonad.Guest.GitHub (GitHub)
import Exomonad.Guest.GitHub qualified as GitHub

-- | The repository on GitHub: the one that is named, or that of the remote @origin@.
repository :: (Git :> es, Fail :> es) => Maybe Text -> Maybe Text -> Eff es Text
repository named workingDir = case named of
  Just repo -> pure repo
  Nothing -> do
    remote <- Git.getRemoteUrl (newGitGetRemoteUrl & set @"workingDir" workingDir)
    maybe (failWith (elsewhere remote.url)) pure remote.githubRepo
  where
    elsewhere url =
      "the remote `origin` is " <> url <> ", which is not on the host's GitHub server (`github.base_url`); say in `repo` which repository is meant"

-- | The branch: the one that is named, or the current one.
branchOf :: (Git :> es, Fail :> es) => Maybe Text -> Maybe Text -> Eff es Text
branchOf named workingDir = case named of
  Just branch -> pure branch
  Nothing -> do
    found <- Git.getBranch (newGitGetBranch & set @"workingDir" workingDir)
    case (found.head, found.branch) of
      (GitHeadBranch, Just name) -> pure name
      (GitHeadUnborn, _) -> failWith "the branch has no commit yet: commit something first"
      _ -> failWith "HEAD is detached: say in `head` which branch is meant"

-- | The pull request: the one with this number, or the open one of the branch.
pullRequest ::
  (Git :> es, GitHub :> es, Fail :> es) => Text -> Maybe Word64 -> Maybe Text -> Maybe Text -> Eff es GitHubPr
pullRequest repo number head workingDir = case number of
  Just given -> GitHub.getPr (newGitHubGetPr repo given)
  Nothing -> do
    branch <- branchOf head workingDir
    found <- GitHub.getPrForBranch (newGitHubGetPrForBranch repo branch)
    case found.pr of
      -- GitHub reports only for a single pull request whether it can be merged, not in lists.
      Just pr -> GitHub.getPr (newGitHubGetPr repo pr.number)
      Nothing ->
        failWith
          ("there is no open pull request for the branch `" <> branch <> "` of " <> repo <> "; `file_pr` opens one")
