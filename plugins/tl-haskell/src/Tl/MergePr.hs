-- | @merge_pr@.
module Tl.MergePr (mergePr) where

import Data.Maybe (fromMaybe)
import Data.Text qualified as Text
import Exomonad.Guest
import Exomonad.Guest.Git (Git)
import Exomonad.Guest.GitHub (GitHub)
import Exomonad.Guest.GitHub qualified as GitHub
import Tl.Target (pullRequest, repository)

data MergePrArgs = MergePrArgs
  { number :: Maybe Word64
  , head :: Maybe Text
  , method :: Maybe Method
  , expectedHeadSha :: Maybe Text
  , repo :: Maybe Text
  , workingDir :: Maybe Text
  }
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "Which pull request, and how."
          '[ "number" ::: "Its number; the open one of the branch when absent."
           , "head" ::: "The branch it comes from; the one that is checked out when absent."
           , "method" ::: "How its commits become part of the branch; by a merge commit when absent."
           , "expectedHeadSha" ::: "The commit it has to be at; the one it is at now when absent."
           , "repo" ::: "The repository on GitHub, `owner/name`; that of the remote `origin` when absent."
           , "workingDir" ::: "A folder in the repository; the role's own when absent."
           ]
          MergePrArgs

data Method = Merge | Squash | Rebase
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Enumeration
          "How commits become part of a branch."
          '[ "Merge" ::: "By a merge commit."
           , "Squash" ::: "As one commit."
           , "Rebase" ::: "One after the other."
           ]
          Method

data MergedPr = MergedPr
  { repo :: Text
  , number :: Word64
  , url :: Text
  , sha :: Maybe Text
  , wasMerged :: Bool
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "A pull request that is merged."
          '[ "repo" ::: "The repository it is in, `owner/name`."
           , "number" ::: "Its number."
           , "url" ::: "Its page."
           , "sha" ::: "The commit it was merged as."
           , "wasMerged" ::: "Whether it had been merged before."
           ]
          MergedPr

mergePr :: Tool
mergePr =
  tool
    "merge_pr"
    "Merges a pull request. What comes in between is not merged unseen: it has to be at the commit it is at\nnow, or at the one that is expected."
    merge
    & titled "Merge a pull request"
    & hinted [OpenWorld, Destructive, Idempotent]

merge :: (Git :> es, GitHub :> es, Fail :> es) => MergePrArgs -> Eff es MergedPr
merge args = do
  repo <- repository args.repo args.workingDir
  pr <- pullRequest repo args.number args.head args.workingDir
  let result sha wasMerged = MergedPr {repo, number = pr.number, url = pr.url, sha, wasMerged}
      draft = "pull request " <> Text.pack (show pr.number) <> " of " <> repo <> " is a draft: mark it as ready first"
      expected = fromMaybe pr.headSha args.expectedHeadSha
      now =
        GitHub.mergePr
          ( newGitHubMergePr repo pr.number
              & set @"method" (methodOf <$> args.method)
              & set @"expectedHeadSha" (Just expected)
          )
  if
    | pr.isMerged -> pure (result pr.mergeCommitSha True)
    | pr.isDraft -> failWith draft
    | otherwise -> (\merged -> result (Just merged.sha) False) <$> now

methodOf :: Method -> MergeMethod
methodOf = \case
  Merge -> MergeMethodMerge
  Squash -> MergeMethodSquash
  Rebase -> MergeMethodRebase
