-- | @file_pr@.
module Tl.FilePr (filePr) where

import Data.Maybe (isNothing, listToMaybe)
import Exomonad.Guest
import Exomonad.Guest.Git (Git)
import Exomonad.Guest.Git qualified as Git
import Exomonad.Guest.GitHub (GitHub)
import Exomonad.Guest.GitHub qualified as GitHub
import Tl.Target (branchOf, repository)

data FilePrArgs = FilePrArgs
  { title :: Text
  , body :: Maybe Text
  , base :: Maybe Text
  , head :: Maybe Text
  , draft :: Bool
  , repo :: Maybe Text
  , workingDir :: Maybe Text
  }
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "The pull request."
          '[ "title" ::: "Its title." :& Length 1 256
           , "body" ::: "Its text, in Markdown."
           , "base" ::: "The target branch; the repository's default branch when absent."
           , "head" ::: "The source branch; the current branch when absent."
           , "draft" ::: "Opens it as a draft. An existing pull request keeps its own setting." :& OrEmpty
           , "repo" ::: "The repository on GitHub, `owner/name`; that of the remote `origin` when absent."
           , "workingDir" ::: "A folder in the repository; the role's own when absent."
           ]
          FilePrArgs

data FiledPr = FiledPr
  { repo :: Text
  , number :: Word64
  , url :: Text
  , head :: Text
  , base :: Text
  , isNew :: Bool
  , commit :: Maybe Text
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "The open pull request."
          '[ "repo" ::: "The repository it is in, `owner/name`."
           , "number" ::: "Its number."
           , "url" ::: "Its web page."
           , "head" ::: "The source branch."
           , "base" ::: "The target branch."
           , "isNew" ::: "True if it was opened by this call; otherwise it existed and was updated."
           , "commit" ::: "The branch's commit on the remote."
           ]
          FiledPr

filePr :: Tool
filePr =
  tool
    "file_pr"
    "Pushes the branch and opens a pull request for it. If there is one already, its title, text and base\nare updated: calling this twice has the same effect as calling it once."
    file
    & titled "File a pull request"
    & hinted [OpenWorld, Idempotent]

file :: (Git :> es, GitHub :> es, Fail :> es) => FilePrArgs -> Eff es FiledPr
file args = do
  head <- branchOf args.head args.workingDir
  repo <- repository args.repo args.workingDir
  pushed <-
    Git.push
      ( newGitPush
          & set @"workingDir" args.workingDir
          & set @"branch" (Just head)
          & set @"setUpstream" True
      )
  there <- GitHub.getPrForBranch (newGitHubGetPrForBranch repo head)
  pr <- case there.pr of
    Just open ->
      GitHub.updatePr
        ( newGitHubUpdatePr repo open.number
            & set @"title" (Just args.title)
            & set @"body" args.body
            & set @"base" args.base
        )
    Nothing ->
      GitHub.createPr
        ( newGitHubCreatePr repo args.title head
            & set @"body" args.body
            & set @"base" args.base
            & set @"draft" args.draft
        )
  pure
    FiledPr
      { repo
      , number = pr.number
      , url = pr.url
      , head = pr.headRef
      , base = pr.baseRef
      , isNew = isNothing there.pr
      , commit = listToMaybe pushed.updates >>= \update -> update.new
      }
