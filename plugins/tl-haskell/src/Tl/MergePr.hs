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
          "Selects a pull request, and the method of merging."
          '[ "number" ::: "Its number; the open one of the branch when absent."
           , "head" ::: "The source branch; the current branch when absent."
           , "method" ::: "The merge method; a merge commit when absent."
           , "expectedHeadSha" ::: "The commit that must be its newest; its newest commit now when absent."
           , "repo" ::: "The repository on GitHub, `owner/name`; that of the remote `origin` when absent."
           , "workingDir" ::: "A folder in the repository; the role's own when absent."
           ]
          MergePrArgs

data Method = Merge | Squash | Rebase
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Enumeration
          "The method of merging."
          '[ "Merge" ::: "With a merge commit."
           , "Squash" ::: "Squashed into one commit."
           , "Rebase" ::: "Rebased, each commit by itself."
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
          "The merged pull request."
          '[ "repo" ::: "The repository it is in, `owner/name`."
           , "number" ::: "Its number."
           , "url" ::: "Its web page."
           , "sha" ::: "The resulting commit."
           , "wasMerged" ::: "True if it had been merged before this call."
           ]
          MergedPr

mergePr :: Tool
mergePr =
  tool
    "merge_pr"
    "Merges a pull request, but no commits that arrive in the meantime: its newest commit must still be the\ncurrent one, or the expected one."
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
