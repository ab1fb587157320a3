-- | @pr_status@.
module Tl.PrStatus (prStatus) where

import Data.Map.Strict qualified as Map
import Data.Maybe (fromMaybe)
import Data.Text qualified as Text
import Exomonad.Guest
import Exomonad.Guest.Git (Git)
import Exomonad.Guest.GitHub (GitHub)
import Exomonad.Guest.GitHub qualified as GitHub
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
  reviews <- reviewsOf repo pr.number
  checks <- checksOf repo pr.headSha
  let state = stateOf pr
      awaited = pr.requestedReviewers <> pr.requestedTeams
      blockers = blockersOf pr state reviews awaited checks
  pure
    PrStatus
      { repo
      , number = pr.number
      , title = pr.title
      , url = pr.url
      , state
      , isReady = null blockers
      , blockers
      , reviews
      , awaited
      , checks
      , headSha = pr.headSha
      }

stateOf :: GitHubPr -> Text
stateOf pr
  | pr.isMerged = "merged"
  | otherwise = constantName pr.state

-- | The reasons that block merging it.
blockersOf :: GitHubPr -> Text -> Map Text Text -> [Text] -> Map Text Text -> [Text]
blockersOf pr state reviews awaited checks =
  concat
    [ ["it is " <> state | not isOpen]
    , ["it is a draft" | pr.isDraft]
    , ["it conflicts with `" <> pr.baseRef <> "`" | pr.isMergeable == Just False]
    , ["GitHub has not worked out yet whether it can be merged" | pr.isMergeable == Nothing, isOpen]
    , [reviewer <> " wants changes" | (reviewer, "changes_requested") <- Map.toList reviews]
    , ["a review of " <> Text.intercalate ", " awaited <> " is awaited" | not (null awaited)]
    , ["the check `" <> name <> "` is " <> outcome | (name, outcome) <- Map.toList checks, not (isFine outcome)]
    ]
  where
    isOpen = state == "open"

-- | The newest decision of each reviewer. A comment does not revoke a decision.
reviewsOf :: (GitHub :> es, Fail :> es) => Text -> Word64 -> Eff es (Map Text Text)
reviewsOf repo number = foldl' note Map.empty <$> allPages page
  where
    page nth = do
      found <- GitHub.listReviews (newGitHubListReviews repo number & set @"page" (Just nth) & set @"perPage" (Just 100))
      pure (found.reviews, fromIntegral <$> found.nextPage)
    note newest review
      | isRemark review && Map.member reviewer newest = newest
      | otherwise = Map.insert reviewer (constantName review.state) newest
      where
        reviewer = fromMaybe "somebody" review.author
    isRemark review = review.state `elem` [ReviewStateCommented, ReviewStatePending]

-- | Checks and statuses by name.
checksOf :: (GitHub :> es, Fail :> es) => Text -> Text -> Eff es (Map Text Text)
checksOf repo sha = do
  runs <- allPages $ \nth -> do
    found <- GitHub.listCheckRuns (newGitHubListCheckRuns repo sha & set @"page" (Just nth) & set @"perPage" (Just 100))
    pure (found.checkRuns, fromIntegral <$> found.nextPage)
  combined <- GitHub.getCombinedStatus (newGitHubGetCombinedStatus repo sha)
  let ofRun run = (run.name, maybe (constantName run.status) constantName run.conclusion)
      ofStatus one = (one.context, constantName one.state)
  pure (foldl' note Map.empty (map ofRun runs <> map ofStatus combined.statuses))
  where
    -- Names are not unique: of several, one that blocks is kept.
    note checks (name, outcome) = Map.insertWith (\new known -> if isFine known then new else known) name outcome checks

-- | True if a check with this outcome does not block merging.
isFine :: Text -> Bool
isFine outcome = outcome `elem` ["success", "neutral", "skipped"]

-- | The entries of all pages, starting with the first.
allPages :: (Monad m) => (Word64 -> m ([a], Maybe Word64)) -> m [a]
allPages page = go (Just 1)
  where
    go = \case
      Nothing -> pure []
      Just nth -> do
        (items, next) <- page nth
        (items <>) <$> go next
