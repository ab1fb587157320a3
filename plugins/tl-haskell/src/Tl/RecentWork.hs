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
          "How much to look at, and where."
          '[ "limit" ::: "How many commits at most; 10 when absent." :& Range 1 1000
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
          "What has been worked on."
          '[ "commits" ::: "The last commits, newest first."
           , "hasMore" ::: "Whether there are older ones."
           , "dirtyFiles" ::: "What is not committed yet."
           ]
          RecentWork

recentWork :: Tool
recentWork =
  tool
    "recent_work"
    "Tells what has been worked on: the last commits, and what is not committed yet."
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
