-- | @ship_pr@.
module Flows.ShipPr (shipPr) where

import Control.Monad (unless, when)
import Data.Map.Strict qualified as Map
import Data.Text qualified as Text
import Exomonad.Guest
import Exomonad.Guest.Clock (Clock)
import Exomonad.Guest.Clock qualified as Clock
import Exomonad.Guest.Git (Git)
import Exomonad.Guest.Git qualified as Git
import Exomonad.Guest.GitHub (GitHub)
import Exomonad.Guest.GitHub qualified as GitHub
import Exomonad.Guest.Run (InWorkflow)
import Exomonad.Guest.Run qualified as Run
import Tl.Readiness (Readiness (..), readinessOf)
import Tl.Target (branchOf, repository)

data ShipPr = ShipPr
  { title :: Text
  , body :: Maybe Text
  , base :: Maybe Text
  , head :: Maybe Text
  , repo :: Maybe Text
  , workingDir :: Maybe Text
  , reviewers :: [Text]
  , requiredApprovals :: Word32
  , requiredChecks :: [Text]
  , merge :: Maybe Merge
  , pollMillis :: Maybe Word64
  , remindAfterMillis :: Maybe Word64
  , giveUpAfterMillis :: Maybe Word64
  , cleanUp :: Maybe Bool
  }
  deriving stock (Generic)
  deriving
    (FromJSON, ToJSON, Schema)
    via Arguments
          "The pull request to ship."
          '[ "title" ::: "Its title." :& Length 1 256
           , "body" ::: "Its text, in Markdown."
           , "base" ::: "The target branch; the repository's default branch when absent."
           , "head" ::: "The source branch; the current branch when absent."
           , "repo" ::: "The repository on GitHub, `owner/name`; that of the remote `origin` when absent."
           , "workingDir" ::: "A folder in the repository; the role's own when absent."
           , "reviewers" ::: "The logins of reviewers to request." :& OrEmpty
           , "requiredApprovals" ::: "The number of reviewers who have to approve." :& OrEmpty
           , "requiredChecks" ::: "The names of checks that have to succeed; others that are there must not fail either." :& OrEmpty
           , "merge" ::: "The method of merging; a merge commit when absent."
           , "pollMillis" ::: "The time between two looks at the pull request, in milliseconds; a minute when absent." :& Range 1 86_400_000
           , "remindAfterMillis" ::: "The time after which a comment reminds of what is missing, again and again, in milliseconds; a day when absent, 0 for never."
           , "giveUpAfterMillis" ::: "The time after which the run ends without merging, in milliseconds; two weeks when absent."
           , "cleanUp" ::: "Switches back to the target branch after merging, and forgets branches that the remote no longer has; true when absent."
           ]
          ShipPr

data Merge = Merge | Squash | Rebase | Never
  deriving stock (Generic)
  deriving
    (FromJSON, ToJSON, Schema)
    via Enumeration
          "The method of merging."
          '[ "Merge" ::: "With a merge commit."
           , "Squash" ::: "Squashed into one commit."
           , "Rebase" ::: "Rebased, each commit by itself."
           , "Never" ::: "Not at all: the run ends when the pull request is ready."
           ]
          Merge

-- | How far a pull request is.
data Shipping = Shipping
  { repo :: Text
  , number :: Word64
  , url :: Text
  , head :: Text
  , blockers :: [Text]
  , reminders :: Word32
  , begunUnixMillis :: Int64
  , remindedUnixMillis :: Int64
  , unreachable :: Word32
  }
  deriving stock (Generic)
  deriving
    (FromJSON, ToJSON, Schema)
    via Result
          "How far a pull request is."
          '[ "repo" ::: "The repository, `owner/name`."
           , "number" ::: "The pull request's number."
           , "url" ::: "Its web page."
           , "head" ::: "The source branch."
           , "blockers" ::: "The reasons that block merging it."
           , "reminders" ::: "The number of reminders."
           , "begunUnixMillis" ::: "When the run began, in milliseconds since 1970."
           , "remindedUnixMillis" ::: "When it was last reminded of, or opened."
           , "unreachable" ::: "Reads in a row that have failed."
           ]
          Shipping

data Shipped = Shipped
  { repo :: Text
  , number :: Word64
  , url :: Text
  , result :: ShipResult
  , sha :: Maybe Text
  , blockers :: [Text]
  , reminders :: Word32
  , notCleanedUp :: Maybe Text
  }
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "The end of a pull request's way."
          '[ "repo" ::: "The repository, `owner/name`."
           , "number" ::: "The pull request's number."
           , "url" ::: "Its web page."
           , "result" ::: "How it ended."
           , "sha" ::: "The commit that merging resulted in."
           , "blockers" ::: "The reasons that still block merging it."
           , "reminders" ::: "The number of reminders."
           , "notCleanedUp" ::: "The reason why the working directory was left as it is, if it should have been cleaned up."
           ]
          Shipped

data ShipResult = Merged | Ready | Closed | Stopped | GaveUp
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Enumeration
          "How a pull request's way ended."
          '[ "Merged" ::: "It is merged."
           , "Ready" ::: "It can be merged, which was not asked for."
           , "Closed" ::: "Someone has closed it."
           , "Stopped" ::: "The signal `stop` came."
           , "GaveUp" ::: "It took too long."
           ]
          ShipResult

shipPr :: WorkflowEntry
shipPr =
  Run.publishing
    (Run.published & Run.answering "blockers" (\shipping -> shipping.blockers))
    "ship_pr"
    "Ships a pull request: pushes the branch, opens a pull request or takes the open one, waits for its checks and\nreviews with a reminder now and then, merges it, and cleans up.\n\nThe signal `check` lets it look at once, `stop` ends it without merging. When it is cancelled, the pull\nrequest stays as it is."
    ship
    & Run.withTitle "Ship a pull request"
    & Run.withSignal @Value "check"
    & Run.withSignal @Value "stop"
    & Run.asTool

type Ships es = (InWorkflow es, Clock :> es, Git :> es, GitHub :> es)

ship :: (Ships es) => Run Shipping -> ShipPr -> Eff es Shipped
ship run input = maybe (open input) pure run.previousState >>= wait
  where
    wait shipping = do
      Run.setState run shipping
      -- Before the first look too: checks begin some time after the push.
      isStopped <-
        Run.select
          [ Run.onSignal "check" (\(_ :: Value) -> False)
          , Run.onSignal "stop" (\(_ :: Value) -> True)
          , Run.onTimeout (milliseconds (orElse 60_000 input.pollMillis)) False
          ]
      if isStopped then pure (end shipping Stopped) else look run input shipping >>= either pure next
    next shipping = do
      time <- now
      if time - shipping.begunUnixMillis >= fromIntegral (orElse 1_209_600_000 input.giveUpAfterMillis)
        then pure (end shipping GaveUp)
        else do
          reminded <- remindIfDue time shipping
          facts <- Run.info
          when facts.suggestsContinueAsNew $ do
            Run.setState run reminded
            Run.continueAsNew input
          wait reminded
    remindIfDue time shipping
      | after > 0 && time - shipping.remindedUnixMillis >= after = remind time shipping
      | otherwise = pure shipping
      where
        after = fromIntegral (orElse 86_400_000 input.remindAfterMillis)

orElse :: a -> Maybe a -> a
orElse absent = maybe absent id

now :: (Clock :> es, Fail :> es) => Eff es Int64
now = (\time -> time.unixMillis) <$> Clock.now newClockNow

-- | Pushes the branch, and opens a pull request or takes the open one.
open :: (Ships es) => ShipPr -> Eff es Shipping
open input = do
  begun <- now
  head <- branchOf input.head input.workingDir
  repo <- repository input.repo input.workingDir
  _ <-
    Run.step (newGitPush & set @"workingDir" input.workingDir & set @"branch" (Just head) & set @"setUpstream" True)
      & Run.retrying patiently
      & Run.runStep
  let ofBranch = (\found -> found.pr) <$> GitHub.getPrForBranch (newGitHubGetPrForBranch repo head)
      created = newGitHubCreatePr repo input.title head & set @"body" input.body & set @"base" input.base
  pr <-
    ofBranch >>= \case
      Just pr -> pure pr
      Nothing ->
        attempt created >>= \case
          Right pr -> pure pr
          Left problem
            | problem.code == ErrorCodeCancelled -> orFail (Left problem)
            -- It may be there nevertheless.
            | otherwise -> ofBranch >>= maybe (orFail (Left problem)) pure
  unless (null input.reviewers) $ do
    _ <-
      Run.step (newGitHubRequestReviewers repo pr.number & set @"reviewers" input.reviewers)
        & Run.retrying patiently
        & Run.runStep
    pure ()
  pure
    Shipping
      { repo
      , number = pr.number
      , url = pr.url
      , head
      , blockers = []
      , reminders = 0
      , begunUnixMillis = begun
      , remindedUnixMillis = begun
      , unreachable = 0
      }

-- | About an hour of attempts.
patiently :: RetryPolicy
patiently = Run.attempts 18 & Run.longestWait (minutes 5)

-- | Looks at the pull request, and merges it if it is ready: the end, or how far it is.
look :: (Ships es) => Run Shipping -> ShipPr -> Shipping -> Eff es (Either Shipped Shipping)
look run input shipping = do
  found <- runFail $ do
    pr <- GitHub.getPr (newGitHubGetPr shipping.repo shipping.number)
    (pr,) <$> readinessOf shipping.repo pr
  case found of
    Left problem
      | passes ((\one -> one.code) <$> effectErrorOf problem) && shipping.unreachable < 30 ->
          pure (Right (withUnreachable (shipping.unreachable + 1) shipping))
      | otherwise -> send (Fail problem)
    Right (pr, readiness)
      | pr.isMerged -> Left <$> merged pr pr.mergeCommitSha
      | pr.state == OpenStateClosed -> pure (Left (end known Closed))
      | not (null known.blockers) -> pure (Right known)
      | otherwise -> maybe (pure (Left (end known Ready))) (mergeBy known pr) (methodOf (orElse Merge input.merge))
      where
        known = withBlockers (blockersOf input readiness) (withUnreachable 0 shipping)
  where
    merged pr sha = do
      notCleanedUp <- cleanUp input shipping pr
      let Shipped {sha = _, notCleanedUp = _, ..} = end shipping Merged
      pure Shipped {sha, notCleanedUp, ..}
    mergeBy known pr method = do
      Run.setState run known
      outcome <-
        attempt
          ( newGitHubMergePr shipping.repo shipping.number
              & set @"method" (Just method)
              & set @"expectedHeadSha" (Just pr.headSha)
          )
      case outcome of
        Right answer -> Left <$> merged pr (Just answer.sha)
        -- If it has happened nevertheless, the next look tells.
        Left problem
          | passes (Just problem.code) || problem.code `elem` [ErrorCodeConflict, ErrorCodeOutcomeUnknown] ->
              pure (Right (withBlockers ["merging failed: " <> problem.message] known))
          | otherwise -> orFail (Left problem)

withBlockers :: [Text] -> Shipping -> Shipping
withBlockers blockers Shipping {blockers = _, ..} = Shipping {blockers, ..}

withUnreachable :: Word32 -> Shipping -> Shipping
withUnreachable unreachable Shipping {unreachable = _, ..} = Shipping {unreachable, ..}

methodOf :: Merge -> Maybe MergeMethod
methodOf = \case
  Merge -> Just MergeMethodMerge
  Squash -> Just MergeMethodSquash
  Rebase -> Just MergeMethodRebase
  Never -> Nothing

-- | True for failures that pass by themselves.
passes :: Maybe ErrorCode -> Bool
passes = maybe False (`elem` [ErrorCodeUnavailable, ErrorCodeRateLimited, ErrorCodeTimeout, ErrorCodeInternal])

blockersOf :: ShipPr -> Readiness -> [Text]
blockersOf input readiness =
  readiness.blockers
    <> ["it has " <> shown approvals <> " of " <> shown input.requiredApprovals <> " approvals" | approvals < input.requiredApprovals]
    <> ["the check `" <> check <> "` has not begun" | check <- input.requiredChecks, Map.notMember check readiness.checks]
  where
    approvals = sum [1 | "approved" <- Map.elems readiness.reviews]
    shown = Text.pack . show

-- | Comments on what is missing.
remind :: (Ships es) => Int64 -> Shipping -> Eff es Shipping
remind time Shipping {..} = do
  outcome <- Run.startStep (Run.step (newGitHubCommentIssue repo number text) & Run.retrying (Run.attempts 3)) >>= Run.outcome
  -- One reminder more or less is no reason to fail.
  pure Shipping {reminders = either (const reminders) (const (reminders + 1)) outcome, remindedUnixMillis = time, ..}
  where
    text = "This pull request still waits to be merged:\n\n" <> Text.concat ["- " <> blocker <> "\n" | blocker <- blockers]

-- | Leaves the merged branch; the reason, if that is not possible.
cleanUp :: (Ships es) => ShipPr -> Shipping -> GitHubPr -> Eff es (Maybe Text)
cleanUp input shipping pr
  | input.cleanUp == Just False = pure Nothing
  | otherwise = runFail leave >>= either told (\() -> pure Nothing)
  where
    leave = do
      _ <- Git.fetch (newGitFetch & set @"workingDir" input.workingDir & set @"prune" True)
      current <- Git.getBranch (newGitGetBranch & set @"workingDir" input.workingDir)
      when (current.branch == Just shipping.head) $ do
        _ <- Git.switchBranch (newGitSwitchBranch pr.baseRef & set @"workingDir" input.workingDir)
        pure ()
    told problem@(ToolError message)
      | ((\one -> one.code) <$> effectErrorOf problem) == Just ErrorCodeCancelled = send (Fail problem)
      | otherwise = pure (Just message)

end :: Shipping -> ShipResult -> Shipped
end shipping result =
  Shipped
    { repo = shipping.repo
    , number = shipping.number
    , url = shipping.url
    , result
    , sha = Nothing
    , blockers = case result of
        Merged -> []
        _ -> shipping.blockers
    , reminders = shipping.reminders
    , notCleanedUp = Nothing
    }
