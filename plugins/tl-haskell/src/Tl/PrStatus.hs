-- | @pr_status@.
module Tl.PrStatus (prStatus) where

import Exomonad.Guest
import Exomonad.Guest.Git (Git)
import Exomonad.Guest.GitHub (GitHub)
import Tl.Readiness (Readiness (..), readinessOf, stateOf)
import Tl.Target (pullRequest, repository)

data PrStatusArgs = PrStatusArgs
  { number :: Maybe Word64
  , head :: Maybe Text
  , repo :: Maybe Text
  , workingDir :: Maybe Text
  }
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "Selects a pull request."
          '[ "number" ::: "Its number; the open one of the branch when absent."
           , "head" ::: "The source branch; the current branch when absent."
           , "repo" ::: "The repository on GitHub, `owner/name`; that of the remote `origin` when absent."
           , "workingDir" ::: "A folder in the repository; the role's own when absent."
           ]
          PrStatusArgs

data PrStatus = PrStatus
  { repo :: Text
  , number :: Word64
  , title :: Text
  , url :: Text
  , state :: Text
  , isReady :: Bool
  , blockers :: [Text]
  , reviews :: Map Text Text
  , awaited :: [Text]
  , checks :: Map Text Text
  , headSha :: Text
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "The status of a pull request."
          '[ "repo" ::: "The repository it is in, `owner/name`."
           , "number" ::: "Its number."
           , "title" ::: "Its title."
           , "url" ::: "Its web page."
           , "state" ::: "`open`, `closed` or `merged`."
           , "isReady" ::: "True if nothing known blocks merging it."
           , "blockers" ::: "The reasons that block merging it."
           , "reviews" ::: "The newest decision of each reviewer: `approved`, `changes_requested`, `commented`, `dismissed`."
           , "awaited" ::: "The requested reviewers who have not reviewed yet."
           , "checks" ::: "Checks and statuses of its newest commit by name: `success`, `failure`, `pending` and so on."
           , "headSha" ::: "Its newest commit."
           ]
          PrStatus

prStatus :: Tool
prStatus =
  tool
    "pr_status"
    "Reports the status of a pull request: its reviews, its checks, and whether it can be merged."
    status
    & titled "Status of a pull request"
    & hinted [ReadOnly, OpenWorld]

status :: (Git :> es, GitHub :> es, Fail :> es) => PrStatusArgs -> Eff es PrStatus
status args = do
  repo <- repository args.repo args.workingDir
  pr <- pullRequest repo args.number args.head args.workingDir
  Readiness {blockers, reviews, awaited, checks} <- readinessOf repo pr
  pure
    PrStatus
      { repo
      , number = pr.number
      , title = pr.title
      , url = pr.url
      , state = stateOf pr
      , isReady = null blockers
      , blockers
      , reviews
      , awaited
      , checks
      , headSha = pr.headSha
      }
