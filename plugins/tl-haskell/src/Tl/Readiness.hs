-- | The reviews and checks of a pull request, and what blocks merging it.
module Tl.Readiness (Readiness (..), readinessOf, stateOf) where

import Data.Map.Strict qualified as Map
import Data.Maybe (fromMaybe)
import Data.Text qualified as Text
import Exomonad.Guest
import Exomonad.Guest.GitHub (GitHub)
import Exomonad.Guest.GitHub qualified as GitHub

-- | A pull request's readiness to be merged.
data Readiness = Readiness
  { blockers :: [Text]
  -- ^ The reasons that block merging it; none if nothing known does.
  , reviews :: Map Text Text
  -- ^ The newest decision of each reviewer: @approved@, @changes_requested@, @commented@, @dismissed@.
  , awaited :: [Text]
  -- ^ The requested reviewers who have not reviewed yet.
  , checks :: Map Text Text
  -- ^ Checks and statuses of its newest commit by name: @success@, @failure@, @pending@ and so on.
  }

-- | Reads the reviews and checks of a pull request.
readinessOf :: (GitHub :> es, Fail :> es) => Text -> GitHubPr -> Eff es Readiness
readinessOf repo pr = do
  reviews <- reviewsOf repo pr.number
  checks <- checksOf repo pr.headSha
  let awaited = pr.requestedReviewers <> pr.requestedTeams
  pure Readiness {blockers = blockersOf pr (stateOf pr) reviews awaited checks, reviews, awaited, checks}

-- | @open@, @closed@ or @merged@.
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
