-- | @recent_work@.
module Tl.RecentWork (recentWork) where

import Exomonad.Guest
import Exomonad.Guest.Git (Git)
import Exomonad.Guest.Git qualified as Git
import Tl.View (ChangedFile, Commit, changedFile, commit)

data RecentWorkArgs = RecentWorkArgs
  { limit :: Maybe Word64
  , workingDir :: Maybe Text
  }
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "Selects commits of a repository."
          '[ "limit" ::: "The largest number of commits; 10 when absent." :& Range 1 1000
           , "workingDir" ::: "A folder in the repository; the role's own when absent."
           ]
          RecentWorkArgs

data RecentWork = RecentWork
  { commits :: [Commit]
  , hasMore :: Bool
  , dirtyFiles :: [ChangedFile]
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "Recent work in a repository."
          '[ "commits" ::: "The last commits, newest first."
           , "hasMore" ::: "True if there are older ones."
           , "dirtyFiles" ::: "Files with uncommitted changes."
           ]
          RecentWork

recentWork :: Tool
recentWork =
  tool
    "recent_work"
    "Reports recent work: the last commits, and files with uncommitted changes."
    worked
    & titled "Recent work"
    & hinted [ReadOnly]

worked :: (Git :> es, Fail :> es) => RecentWorkArgs -> Eff es RecentWork
worked RecentWorkArgs {limit, workingDir} = do
  dirty <- Git.getDirtyFiles (newGitGetDirtyFiles & set @"workingDir" workingDir)
  history <- Git.getRecentCommits (newGitGetRecentCommits & set @"workingDir" workingDir & set @"limit" limit)
  pure
    RecentWork
      { commits = commit <$> history.commits
      , hasMore = history.hasMore
      , dirtyFiles = changedFile <$> dirty.files
      }
