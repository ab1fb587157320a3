-- | Tests of the workflows in simulated time: no host, and a month passes at once.
module Echo.WorkflowTests (workflowTests) where

import Data.Aeson (Value (..), object, (.=))
import Data.Map.Strict qualified as Map
import Exomonad.Guest
import Exomonad.Guest.Docker ()
import Exomonad.Guest.Http ()
import Exomonad.Guest.Run qualified as Run
import Exomonad.Guest.Testing
import Exomonad.Guest.Testing.Workflow

-- | The tests by description, each with its result.
workflowTests :: Plugin -> [(Text, Bool)]
workflowTests plugin =
  [ ("steps are effects and nothing else", (askedFor <$> run scenario "steps" stepsOfKv) == Right (replicate 100 "kv_set"))
  , ("a month passes at once", (elapsedOf =<< run scenario "sleeper" (sleeping (30 * 86_400_000))) == Right (days 30))
  , ( "timers and writes run beside each other and the fastest wins the race"
    , finished (run (scenario & takes @KvSet (milliseconds 40)) "parallel" (object ["n" .= int 5, "millis" .= int 100]))
        == Right (Just (object ["timers" .= int 5, "writes" .= int 5, "winner" .= int 4]), milliseconds 206)
    )
  , ( "a signal ends the wait"
    , finished (run (scenario & signalAt (days 3) "approve" (String "Ada")) "wait_for" (waiting []))
        == Right (Just (received "Ada"), days 3)
    )
  , ( "a wait ends without a signal when its time is up"
    , finished (run (scenario & signalAt (days 2) "approve" Null) "wait_for" (waiting ["timeoutMillis" .= int 86_400_000]))
        == Right (Just (object ["phase" .= text "timed_out", "signal" .= text "approve"]), days 1)
    )
  , ("a query is a function of the state", queryTest plugin "wait_for" "progress" Null (received "Ada") == Right (String "received"))
  , ("a query has arguments", queryTest plugin "wait_for" "has_phase" (object ["phase" .= text "waiting"]) (received "Ada") == Right (Bool False))
  , ("a query needs a state", queryTest plugin "wait_for" "progress" Null Null == Left "the run has not published a state yet")
  , ( "a state of an older version is migrated"
    , migrateTest plugin "wait_for" 1 (object ["phase" .= text "waiting"])
        == Right (object ["phase" .= text "waiting", "signal" .= text ""])
    )
  , ( "a step is tried again with growing waits"
    , ((\ended -> [elapsed | (elapsed, Asked {function = "http_request"}) <- ended.asked]) <$> run (unreachableUntil 3) "retries" (page 5))
        == Right [seconds 0, seconds 1, seconds 3, seconds 7]
    )
  , ("a step fails after its last attempt", (codeOf =<< run (unreachableUntil 100) "retries" (page 3)) == Right (Just "unavailable"))
  , ( "children run beside each other"
    , finished (run scenario "spawns" (object ["children" .= int 20, "millis" .= int 5_000]))
        == Right (Just (object ["count" .= int 20]), seconds 5)
    )
  , ( "cancelling undoes the writes in reverse"
    , ((\ended -> (ended.outcome.end, ended.values)) <$> run (scenario & cancelAt (days 1)) "compensates" Null)
        == Right (WorkflowEndCancelled, Map.fromList [("compensates/test-workflow/undone", String "ba")])
    )
  , ( "a run continues as new with its state"
    , ((\ended -> (ended.runs, outputOf ended)) <$> run scenario "continues" (object ["rounds" .= int 5]))
        == Right (5, Just (object ["total" .= int 5]))
    )
  , ("a patch applies", (outputOf <$> run gone "patched_flow" Null) == Right (Just (object ["way" .= text "new"])))
  , ( "a patch does not apply to a run that came past it before"
    , (outputOf <$> run (gone & withoutPatch "v2") "patched_flow" Null) == Right (Just (object ["way" .= text "old"]))
    )
  , ("a failure has its code", (codeOf =<< run scenario "fails" (object ["code" .= text "too_late", "message" .= text "Come tomorrow."])) == Right (Just "too_late"))
  , ("an input of another type is a failure", (codeOf =<< run scenario "sleeper" Null) == Right (Just "invalid_input"))
  , ( "a wait for what never comes is said"
    , (() <$ run scenario "wait_for" (waiting [])) == Left "the workflow waits for the signal `approve`, and nothing more is due"
    )
  , ( "a plugin without such a workflow names those there are"
    , (() <$ run scenario "sleep" Null)
        == Left "the workflow cannot run: no workflow `sleep`; there are steps, sleeper, parallel, wait_for, retries, spawns, compensates, continues, patched_flow, fails, traps_always"
    )
  , ("what comes first is taken, and the rest can be stopped", selecting (signalAt (minutes 1) "stop" Null) == Right (String "stopped: cancelled", 0))
  , ("of equals the one that was arranged first comes first", selecting (signalAt (hours 1) "stop" Null) == Right (String "stopped: cancelled", 0))
  , ("a step that is done ends the wait", selecting (signalAt (hours 2) "stop" Null) == Right (String "built: success", 1))
  ]
  where
    run arranged = runWorkflowTest arranged plugin
    finished ended = (\one -> (outputOf one, one.elapsed)) <$> ended
    elapsedOf one = Right one.elapsed
    codeOf one = Right ((\failure -> failure.code) <$> one.outcome.failure)
    stepsOfKv = object ["count" .= int 100, "kind" .= text "kv"]
    sleeping millis = object ["millis" .= int millis]
    waiting more = object (["signal" .= text "approve"] <> more)
    received by = object ["phase" .= text "received", "signal" .= text "approve", "payload" .= text by]
    page attempts = object ["url" .= text "http://example.com/", "attempts" .= int attempts]
    gone = scenario & signalAt (days 1) "go" Null
    unreachableUntil attempt = scenario & withHandlers [onMoment (answered attempt)]
    answered :: Word32 -> Moment -> HttpRequest -> Either EffectError HttpResponse
    answered attempt moment request
      | moment.earlier < attempt = Left EffectError {code = ErrorCodeUnavailable, message = "connection refused", details = Nothing}
      | otherwise =
          Right HttpResponse {status = 200, url = request.url, headers = Map.empty, body = "there", bodyBytes = Nothing, truncated = False}
    selecting arranged =
      (\one -> (maybe Null id (outputOf one), length (filter (== "docker_exec") (askedFor one))))
        <$> runWorkflowTest (scenario & arranged & takes @DockerExec (hours 1) & withHandlers [on built]) onlySelects "selects" Null
    onlySelects = Plugin {name = "selects", version = "0", tools = [], hooks = [], workflows = [selects]}
    built (_ :: DockerExec) = Right DockerExecResult {exitCode = 0, output = DockerOutput {stdout = "", stdoutBytes = Nothing, stderr = "", stderrBytes = Nothing, truncated = False}}

int :: Word64 -> Word64
int = id

text :: Text -> Text
text = id

-- | Waits for a build and a signal.
selects :: WorkflowEntry
selects = Run.workflow "selects" "Whatever comes first." $ \_ NoArguments -> do
  build <- Run.start (newDockerExec "c" ["build"])
  stopped <- Run.select [Run.onHandle build (const False), Run.onSignal "stop" (\(_ :: Value) -> True)]
  Run.cancel build
  answer <- Run.outcome build
  pure (prefix stopped <> either (\problem -> constantName problem.code) (const "success") answer)
  where
    prefix stopped = if stopped then "stopped: " else "built: " :: Text
