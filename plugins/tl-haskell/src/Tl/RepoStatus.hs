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
          "Which repository."
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
          "How a repository is."
          '[ "branch" ::: "The branch that is checked out; absent when HEAD is detached."
           , "head" ::: "What HEAD is: `branch`, `unborn` or `detached`."
           , "upstream" ::: "The branch it follows."
           , "isClean" ::: "Whether nothing has changed since the last commit."
           , "staged" ::: "What the next commit would change."
           , "unstaged" ::: "What has changed since it was staged."
           , "untracked" ::: "Files git does not know."
           , "conflicted" ::: "Files a merge could not decide."
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
          "A branch that another one follows."
          '[ "name" ::: "Its name, such as `origin/main`."
           , "ahead" ::: "Commits here that are not there; absent when upstream is gone."
           , "behind" ::: "Commits there that are not here; absent when upstream is gone."
           ]
          Upstream

repoStatus :: Tool
repoStatus =
  tool
    "repo_status"
    "Tells how the repository is: its branch, how far that is from upstream, what\nhas changed, and the last commit."
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
