-- | @nightly@ and @nightly_check@.
module Flows.Nightly (nightly, nightlyCheck) where

import Data.List (find, sortOn)
import Data.Map.Strict qualified as Map
import Data.Text qualified as Text
import Exomonad.Guest
import Exomonad.Guest.Docker (Docker)
import Exomonad.Guest.GitHub (GitHub)
import Exomonad.Guest.GitHub qualified as GitHub
import Exomonad.Guest.Run (InWorkflow)
import Exomonad.Guest.Run qualified as Run

data Nightly = Nightly {repos :: [Repository], check :: Check, parallel :: Maybe Word32}
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "The command, and where to run it."
          '[ "repos" ::: "The repositories." :& MinLength 1
           , "check" ::: "What is run for each of them."
           , "parallel" ::: "The number of repositories at the same time; 4 when absent." :& Range 1 100
           ]
          Nightly

data Repository = Repository {repo :: Text, path :: Maybe Text}
  deriving stock (Generic)
  deriving
    (FromJSON, ToJSON, Schema)
    via Arguments
          "A repository."
          '[ "repo" ::: "Its name on GitHub, `owner/name`, where issues are filed." :& MinLength 1
           , "path" ::: "The host's absolute path of a checkout, which the container may read at `/repo`; none when absent."
           ]
          Repository

data Check = Check
  { image :: Text
  , command :: [Text]
  , env :: Map Text Text
  , network :: Maybe Text
  , timeoutMillis :: Maybe Word64
  , fileIssues :: Maybe Bool
  }
  deriving stock (Generic)
  deriving
    (FromJSON, ToJSON, Schema)
    via Arguments
          "A command in a container."
          '[ "image" ::: "The image." :& MinLength 1
           , "command" ::: "The program and its arguments, passed on without a shell." :& MinLength 1
           , "env" ::: "Environment variables, besides `REPO`, the repository's name." :& OrEmpty
           , "network" ::: "The network; none at all when absent."
           , "timeoutMillis" ::: "The time limit of the command, in milliseconds; an hour when absent." :& Range 1 86_400_000
           , "fileIssues" ::: "Files an issue on failure; true when absent."
           ]
          Check

data NightlyCheck = NightlyCheck {repository :: Repository, check :: Check}
  deriving stock (Generic)
  deriving
    (FromJSON, ToJSON, Schema)
    via Arguments "One repository and its check." '["repository" ::: "The repository.", "check" ::: "What is run."] NightlyCheck

data Checked = Checked
  { repo :: Text
  , passed :: Bool
  , exitCode :: Maybe Int32
  , problem :: Maybe Text
  , issue :: Maybe Text
  }
  deriving stock (Generic)
  deriving
    (FromJSON, ToJSON, Schema)
    via Result
          "The result for one repository."
          '[ "repo" ::: "The repository."
           , "passed" ::: "True if the command succeeded."
           , "exitCode" ::: "The command's exit code; absent if it did not end by itself."
           , "problem" ::: "The reason for a failure."
           , "issue" ::: "The web page of the issue about the failure."
           ]
          Checked

newtype Progress = Progress {results :: [Checked]}
  deriving stock (Generic)
  deriving
    (FromJSON, ToJSON, Schema)
    via Result "The results so far." '["results" ::: "The results, in the order of the repositories."] Progress

data Night = Night {passed :: Word32, results :: [Checked]}
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "The results of a night."
          '[ "passed" ::: "The repositories whose command succeeded."
           , "results" ::: "The results, in the order of the repositories."
           ]
          Night

nightly :: WorkflowEntry
nightly =
  Run.publishing
    (Run.published & Run.answering "results" (\Progress {results} -> results))
    "nightly"
    "Runs a command in a container for each of several repositories, some at the same time, and files an issue\nfor each that fails. Meant to be started by a schedule."
    night
    & Run.withTitle "Nightly checks"

night :: (InWorkflow es) => Run Progress -> Nightly -> Eff es Night
night run input = go (zip [0 ..] input.repos) [] []
  where
    go :: (InWorkflow es) => [(Word32, Repository)] -> [(Word32, Repository, Run.Handle Checked)] -> [(Word32, Checked)] -> Eff es Night
    go waiting running results = do
      started <- mapM start next
      case running <> started of
        [] -> pure (ended (inOrder results))
        all_ -> do
          (position, repository, outcome) <-
            Run.select [Run.onHandle child (position,repository,) | (position, repository, child) <- all_]
          let now = (position, either (notChecked repository) id outcome) : results
          Run.setState run (Progress (inOrder now))
          go later [one | one@(other, _, _) <- all_, other /= position] now
      where
        (next, later) = splitAt (maybe 4 fromIntegral input.parallel - length running) waiting
    start (position, repository) =
      (position,repository,)
        <$> ( Run.child "nightly_check" NightlyCheck {repository, check = input.check}
                & Run.withId (run.workflowId <> "/" <> Text.pack (show position))
                & Run.startChild
            )
    -- A check that fails by itself is no reason to leave the others.
    notChecked repository (failure :: EffectError) = failedCheck repository.repo (Just failure.message)
    inOrder = map snd . sortOn fst
    ended results = Night {passed = sum [1 | one <- results, one.passed], results}

failedCheck :: Text -> Maybe Text -> Checked
failedCheck repo problem = Checked {repo, passed = False, exitCode = Nothing, problem, issue = Nothing}

nightlyCheck :: WorkflowEntry
nightlyCheck =
  Run.workflow
    "nightly_check"
    "Runs a command in a container for one repository, and files an issue if it fails. The container is removed\nin any case."
    checkOne
    & Run.withTitle "Nightly check of a repository"

checkOne :: (InWorkflow es, Docker :> es, GitHub :> es) => Run () -> NightlyCheck -> Eff es Checked
checkOne run NightlyCheck {repository, check} = do
  Run.addCompensation (remove container)
  (exitCode, problem) <- runCommand repository check container
  let passed = exitCode == Just 0
  issue <-
    if passed || check.fileIssues == Just False
      then pure Nothing
      else Just <$> (logOf container >>= report repository.repo check exitCode problem)
  remove container
  pure Checked {repo = repository.repo, passed, exitCode, problem, issue}
  where
    -- Named, so that it can be removed whatever becomes of the answer.
    container = "nightly-" <> run.runId

-- | The command's exit code, or the reason why it has none.
runCommand :: (InWorkflow es, Docker :> es) => Repository -> Check -> Text -> Eff es (Maybe Int32, Maybe Text)
runCommand repository check container = do
  spawned <- Run.startStep (Run.step spawn & Run.retrying (Run.attempts 5)) >>= Run.outcome
  case spawned of
    Left problem -> pure (Nothing, Just problem.message)
    Right _ -> do
      exit <- Run.startStep (Run.step waiting & Run.within (milliseconds limit)) >>= Run.outcome
      pure (either (\problem -> (Nothing, Just problem.message)) (\one -> (Just one.exitCode, Nothing)) exit)
  where
    limit = maybe 3_600_000 id check.timeoutMillis
    waiting = newDockerWait container & set @"timeoutMillis" (Just limit)
    spawn =
      newDockerSpawn check.image
        & set @"command" check.command
        & set @"name" (Just container)
        & set @"env" (Map.insert "REPO" repository.repo check.env)
        & set @"mounts" [Mount {kind = MountKindBind, source = Just path, target = "/repo", readOnly = True} | Just path <- [repository.path]]
        & set @"network" check.network

-- | The end of the container's output; empty if there is none.
logOf :: (InWorkflow es, Docker :> es) => Text -> Eff es Text
logOf container = do
  logs <- attempt (newDockerLogs container & set @"tail" (Just 100) & set @"maxOutputBytes" (Just 20_000))
  case logs of
    Right output -> pure (output.stdout <> output.stderr)
    Left problem
      | problem.code == ErrorCodeCancelled -> orFail (Left problem)
      | otherwise -> pure ""

-- | Removes the container, if it is there.
remove :: (Docker :> es, Fail :> es) => Text -> Eff es ()
remove container = do
  removed <- attempt (newDockerRemove container & set @"force" True & set @"volumes" True)
  case removed of
    Left problem | problem.code /= ErrorCodeNotFound -> orFail (Left problem)
    _ -> pure ()

-- | Files an issue about a failure, or comments on the one that is open; returns its web page.
report :: (GitHub :> es, Fail :> es) => Text -> Check -> Maybe Int32 -> Maybe Text -> Text -> Eff es Text
report repo check exitCode problem log =
  open >>= \case
    Just issue -> issue.url <$ GitHub.commentIssue (newGitHubCommentIssue repo issue.number body)
    Nothing ->
      attempt filed >>= \case
        Right issue -> pure issue.url
        -- The host stopped while it was being filed: it may be there.
        Left unknown
          | unknown.code == ErrorCodeOutcomeUnknown -> open >>= maybe ((\issue -> issue.url) <$> GitHub.createIssue filed) (\issue -> pure issue.url)
          | otherwise -> orFail (Left unknown)
  where
    title = "Nightly check failed: " <> Text.unwords check.command
    filed = newGitHubCreateIssue repo title & set @"body" (Just body) & set @"labels" ["nightly"]
    open = do
      found <- GitHub.listIssues (newGitHubListIssues repo & set @"labels" ["nightly"] & set @"perPage" (Just 100))
      pure (find (\issue -> issue.title == title) found.issues)
    body = how <> "\n\nThe end of its output:\n\n" <> Text.concat ["    " <> line <> "\n" | line <- Text.lines log]
    how = case (exitCode, problem) of
      (Just code, _) -> "The command ended with exit code " <> Text.pack (show code) <> "."
      (Nothing, Just reason) -> "The command did not end: " <> reason
      (Nothing, Nothing) -> "The command did not end."
