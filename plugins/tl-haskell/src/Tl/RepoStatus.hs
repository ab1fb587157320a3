-- | @repo_status@.
module Tl.RepoStatus (repoStatus) where

import Exomonad.Guest
import Exomonad.Guest.Git (Git)
import Exomonad.Guest.Git qualified as Git
import Tl.View (ChangedFile, Commit, changedFile, commit)

newtype RepoStatusArgs = RepoStatusArgs {workingDir :: Maybe Text}
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "Selects a repository."
          '["workingDir" ::: "A folder in the repository; the role's own when absent."]
          RepoStatusArgs

data RepoStatus = RepoStatus
  { branch :: Maybe Text
  , head :: Text
  , upstream :: Maybe Upstream
  , isClean :: Bool
  , staged :: [ChangedFile]
  , unstaged :: [ChangedFile]
  , untracked :: [ChangedFile]
  , conflicted :: [ChangedFile]
  , lastCommit :: Maybe Commit
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "The status of a repository."
          '[ "branch" ::: "The current branch; absent when HEAD is detached."
           , "head" ::: "The kind of HEAD: `branch`, `unborn` or `detached`."
           , "upstream" ::: "Its upstream."
           , "isClean" ::: "True if nothing has changed since the last commit."
           , "staged" ::: "Staged changes."
           , "unstaged" ::: "Unstaged changes of tracked files."
           , "untracked" ::: "Untracked files."
           , "conflicted" ::: "Files with merge conflicts."
           , "lastCommit" ::: "The newest commit; absent when there is none."
           ]
          RepoStatus

data Upstream = Upstream
  { name :: Text
  , ahead :: Maybe Word32
  , behind :: Maybe Word32
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "The upstream of a branch."
          '[ "name" ::: "Its name, such as `origin/main`."
           , "ahead" ::: "Commits that upstream lacks; absent when upstream no longer exists."
           , "behind" ::: "Commits that only upstream has; absent when upstream no longer exists."
           ]
          Upstream

repoStatus :: Tool
repoStatus =
  tool
    "repo_status"
    "Reports the status of the repository: its branch, the distance from upstream, the\nchanges, and the last commit."
    status
    & titled "Repository status"
    & hinted [ReadOnly]

status :: (Git :> es, Fail :> es) => RepoStatusArgs -> Eff es RepoStatus
status RepoStatusArgs {workingDir} = do
  found <- Git.status (newGitStatus & set @"workingDir" workingDir)
  newest <- Git.getRecentCommits (newGitGetRecentCommits & set @"workingDir" workingDir & set @"limit" (Just 1))
  pure
    RepoStatus
      { branch = found.head.branch
      , head = constantName found.head.head
      , upstream = upstreamOf <$> found.upstream
      , isClean = found.isClean
      , staged = changedFile <$> found.staged
      , unstaged = changedFile <$> found.unstaged
      , untracked = changedFile <$> found.untracked
      , conflicted = changedFile <$> found.conflicted
      , lastCommit = case newest.commits of
          [] -> Nothing
          one : _ -> Just (commit one)
      }

upstreamOf :: GitUpstream -> Upstream
upstreamOf found = Upstream {name = found.name, ahead = found.ahead, behind = found.behind}
