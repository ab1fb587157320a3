-- | Types that several tools share.
module Tl.View (Commit, commit, ChangedFile, changedFile) where

import Exomonad.Guest

data Commit = Commit
  { id :: Text
  , summary :: Text
  , author :: Text
  , unixMillis :: Int64
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "A commit."
          '[ "id" ::: "The full id."
           , "summary" ::: "The message's first line."
           , "author" ::: "Its author."
           , "unixMillis" ::: "When it was committed, in milliseconds since 1970-01-01T00:00:00Z."
           ]
          Commit

commit :: GitCommit -> Commit
commit found =
  Commit
    { id = found.id
    , summary = found.summary
    , author = found.author.name
    , unixMillis = found.committer.unixMillis
    }

data ChangedFile = ChangedFile
  { path :: Text
  , oldPath :: Maybe Text
  , change :: Text
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "A changed file."
          '[ "path" ::: "Its path, relative to the repository's root."
           , "oldPath" ::: "The path it was renamed or copied from."
           , "change" ::: "The kind of change, such as `modified`."
           ]
          ChangedFile

changedFile :: GitChange -> ChangedFile
changedFile found =
  ChangedFile {path = found.path, oldPath = found.oldPath, change = constantName found.change}
