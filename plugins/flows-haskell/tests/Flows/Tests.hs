-- | Tests of the workflows in simulated time: no host, no git, no GitHub, no containers.
module Flows.Tests (tests) where

import Data.Aeson (Value (..), eitherDecodeStrict, object, withObject, (.:?), (.=))
import Data.Aeson.Key qualified as Key
import Data.Aeson.Types (parseMaybe)
import Data.Text qualified as Text
import Data.Text.Encoding (encodeUtf8)
import Exomonad.Guest
import Exomonad.Guest.Testing
import Exomonad.Guest.Testing.Workflow
import Flows (plugin)

-- | The tests by description, each with its result.
tests :: [(Text, Bool)]
tests =
  [ ( "a branch is pushed, opened, merged when its check succeeds, and left"
    , both (askedFor <$> shipped []) (\functions -> last functions == "git_switch_branch" && count "github_merge_pr" functions == 1 && count "github_create_pr" functions == 1)
    )
  , ("the end says so", (ended =<< shipped []) == Right (Just (String "merged"), Just (Number 0), minutes 3))
  , ("what blocks it is published", (stateField "blockers" 1 =<< shipped []) == Right (Just (texts ["the check `ci` is in_progress"])))
  , ( "what is missing is reminded of, until it takes too long"
    , (ended =<< ship [on commented] ["requiredApprovals" .= int 1, "pollMillis" .= int 3_600_000, "giveUpAfterMillis" .= int (5 * 86_400_000)])
        == Right (Just (String "gave_up"), Just (Number 4), days 5)
    )
  , ("a signal stops it", (ended =<< run (arranged [on running] & signalAt (hours 1) "stop" Null) "ship_pr" titled) == Right (Just (String "stopped"), Just (Number 0), hours 1))
  , ( "a merge without a known outcome is looked at before it is tried again"
    , both (ship [on unknownMerge, onMoment mergedLater] []) (\one -> (snd <$> fieldOf "result" one) == Just (String "merged") && count "github_merge_pr" (askedFor one) == 1)
    )
  , ( "an hour without a network is survived"
    , both (ship [onMoment (outage 20)] []) (\one -> (snd <$> fieldOf "result" one) == Just (String "merged"))
    )
  , ("a day without one is not", both (ship [onMoment (outage 10_000)] []) (\one -> (code <$> one.outcome.failure) == Just "unavailable"))
  , ("a refused push fails the run", both (ship [on refused] []) (\one -> (code <$> one.outcome.failure) == Just "conflict"))
  , ( "cancelling leaves the pull request as it is"
    , both (run (arranged [on running] & cancelAt (hours 1)) "ship_pr" titled) (\one -> one.outcome.end == WorkflowEndCancelled && one.elapsed == hours 1)
    )
  , ( "a long wait goes on as a new run with what is known"
    , both (run (arranged [onMoment (succeedsAfter (days 1))] & adviseToContinueAfter 1_000) "ship_pr" titled) (\one -> one.runs > 5 && count "git_push" (askedFor one) == 1)
    )
  , ( "repositories are checked beside each other, and an issue is filed for a failure"
    , both (night []) (\one -> one.elapsed == minutes 30 && (snd <$> fieldOf "passed" one) == Just (Number 4) && count "github_create_issue" (askedFor one) == 1 && removedAll one)
    )
  , ( "a failure that has an issue is a comment on it"
    , both (night [on oneIssue]) (\one -> count "github_create_issue" (askedFor one) == 0 && count "github_comment_issue" (askedFor one) == 1)
    )
  , ( "one issue that cannot be filed does not stop the others"
    , both (night [on forbidden]) (\one -> (snd <$> fieldOf "passed" one) == Just (Number 4) && removedAll one)
    )
  , ( "cancelling removes the containers"
    , both (run (nightly [] & cancelAt (minutes 5)) "nightly" (repositories ["acme/a", "acme/b", "acme/c"])) (\one -> one.outcome.end == WorkflowEndCancelled && removedAll one && count "docker_spawn" (askedFor one) == 2)
    )
  ]
  where
    run scenario' = runWorkflowTest scenario' plugin
    both outcome holds = either (const False) holds outcome
    code failure = failure.code
    count wanted functions = length (filter (== wanted) functions)
    titled = object ["title" .= text "Fix it"]
    shipped more = ship more []
    ship more fields = run (arranged more) "ship_pr" (object (["title" .= text "Fix it"] <> fields))
    ended one = Right (snd <$> fieldOf "result" one, snd <$> fieldOf "reminders" one, one.elapsed)
    stateField name position one = Right (one.states !? position >>= fieldIn name)
    fieldOf name one = (\value -> ((), value)) <$> (outputOf one >>= fieldIn name)
    removedAll one = count "docker_remove" (askedFor one) >= count "docker_spawn" (askedFor one)
    -- What the test says comes first.
    arranged more =
      scenario
        & withHandlers more
        & withHandlers
          [ on onFix
          , on origin
          , on pushed
          , on fetched
          , on switched
          , on noPr
          , on opened
          , on found
          , on reviews
          , onMoment (succeedsAfter (minutes 3))
          , on noStatus
          , on merged
          ]
    onFix (_ :: GitGetBranch) = Right GitBranch {head = GitHeadBranch, branch = Just "fix", commit = Nothing}
    origin (_ :: GitGetRemoteUrl) = Right GitRemoteUrl {url = "git@github.com:octocat/hello.git", githubRepo = Just "octocat/hello"}
    pushed (_ :: GitPush) = Right GitPushed {updates = []}
    refused (_ :: GitPush) = Left (failing ErrorCodeConflict)
    fetched (_ :: GitFetch) = Right GitFetched {updates = []}
    switched (_ :: GitSwitchBranch) = Right GitBranch {head = GitHeadBranch, branch = Just "main", commit = Nothing}
    noPr (_ :: GitHubGetPrForBranch) = Right GitHubPrForBranch {pr = Nothing}
    opened (_ :: GitHubCreatePr) = Right (pullRequest False)
    found (_ :: GitHubGetPr) = Right (pullRequest False)
    reviews (_ :: GitHubListReviews) = Right GitHubReviews {reviews = [], nextPage = Nothing}
    noStatus (_ :: GitHubGetCombinedStatus) = Right (json "{\"state\":\"success\",\"sha\":\"0\",\"statuses\":[]}")
    merged (_ :: GitHubMergePr) = Right GitHubMerge {sha = "1", message = ""}
    unknownMerge (_ :: GitHubMergePr) = Left (failing ErrorCodeOutcomeUnknown)
    commented (_ :: GitHubCommentIssue) = Right comment
    mergedLater moment (_ :: GitHubGetPr) = Right (pullRequest (moment.elapsed > minutes 3))
    outage looks moment (_ :: GitHubGetPr)
      | moment.earlier < looks = Left (failing ErrorCodeUnavailable)
      | otherwise = Right (pullRequest False)
    running (_ :: GitHubListCheckRuns) = Right (checkRuns "in_progress" Nothing)
    succeedsAfter after moment (_ :: GitHubListCheckRuns)
      | moment.elapsed < after = Right (checkRuns "in_progress" Nothing)
      | otherwise = Right (checkRuns "completed" (Just "success"))
    night more = run (nightly more) "nightly" (repositories ["acme/a", "acme/broken", "acme/c", "acme/d", "acme/e"])
    -- Commands take ten minutes.
    nightly more =
      scenario
        & takes @DockerWait (minutes 10)
        & withHandlers more
        & withHandlers [on spawned, on exited, on logged, on removed, on noIssues, on filed, on commented]
    spawned (request :: DockerSpawn) = Right DockerSpawned {id = "c", name = maybe "" id request.name, warnings = []}
    -- The second container is the broken repository's.
    exited (request :: DockerWait) = Right DockerExit {exitCode = if "-3" `Text.isSuffixOf` request.container then 1 else 0}
    logged (_ :: DockerLogs) = Right DockerOutput {stdout = "1 test failed\n", stdoutBytes = Nothing, stderr = "", stderrBytes = Nothing, truncated = False}
    removed (_ :: DockerRemove) = Right Done
    noIssues (_ :: GitHubListIssues) = Right GitHubIssues {issues = [], nextPage = Nothing}
    oneIssue (_ :: GitHubListIssues) = Right GitHubIssues {issues = [issue], nextPage = Nothing}
    filed (_ :: GitHubCreateIssue) = Right issue
    forbidden (_ :: GitHubCreateIssue) = Left (failing ErrorCodeForbidden)
    repositories names =
      object
        [ "repos" .= [object ["repo" .= name] | name <- names :: [Text]]
        , "check" .= object ["image" .= text "rust:1", "command" .= [text "cargo", "test"]]
        , "parallel" .= int 2
        ]

(!?) :: [a] -> Int -> Maybe a
list !? position = case drop position list of
  one : _ -> Just one
  [] -> Nothing

int :: Word64 -> Word64
int = id

text :: Text -> Text
text = id

texts :: [Text] -> Value
texts list = json (Text.pack (show list))

fieldIn :: Text -> Value -> Maybe Value
fieldIn name value = parseMaybe (withObject "an object" (.:? Key.fromText name)) value >>= id

failing :: ErrorCode -> EffectError
failing code = EffectError {code, message = "it is so", details = Nothing}

pullRequest :: Bool -> GitHubPr
pullRequest isMerged =
  json
    ( "{\"number\":7,\"title\":\"Fix it\",\"state\":\"open\",\"isDraft\":false,\"isMergeable\":true,\"isMerged\":"
        <> (if isMerged then "true" else "false")
        <> ",\"headRef\":\"fix\",\"headSha\":\"0\",\"baseRef\":\"main\",\"baseSha\":\"1\",\"labels\":[],\"assignees\":[],\"requestedReviewers\":[],\"requestedTeams\":[],\"url\":\"the page\",\"createdAt\":\"\",\"updatedAt\":\"\"}"
    )

checkRuns :: Text -> Maybe Text -> GitHubCheckRuns
checkRuns status conclusion =
  json
    ( "{\"checkRuns\":[{\"id\":1,\"name\":\"ci\",\"status\":\""
        <> status
        <> "\""
        <> maybe "" (\one -> ",\"conclusion\":\"" <> one <> "\"") conclusion
        <> "}],\"total\":1}"
    )

comment :: GitHubComment
comment = json "{\"id\":1,\"body\":\"\",\"url\":\"\",\"createdAt\":\"\",\"updatedAt\":\"\"}"

issue :: GitHubIssue
issue =
  json
    "{\"number\":9,\"title\":\"Nightly check failed: cargo test\",\"state\":\"open\",\"labels\":[\"nightly\"],\"assignees\":[],\"comments\":0,\"url\":\"the issue\",\"createdAt\":\"\",\"updatedAt\":\"\"}"

-- | The value of a JSON text that is known to be valid.
json :: (FromJSON a) => Text -> a
json = either error id . eitherDecodeStrict . encodeUtf8
