-- | Small workflows, which do the same as those of the same names in @plugins/workflows@.
module Echo.Workflows (workflows) where

import Control.Monad (forM_, replicateM_)
import Data.Aeson (Value (Null), toJSON)
import Data.Aeson.Types (parseEither, parseJSON)
import Data.Bifunctor (first)
import Data.Either (isRight)
import Data.Maybe (fromMaybe)
import Data.Text qualified as Text
import Exomonad.Guest
import Exomonad.Guest.Kv (Kv)
import Exomonad.Guest.Kv qualified as Kv
import Exomonad.Guest.Http (Http)
import Exomonad.Guest.Run (InWorkflow)
import Exomonad.Guest.Run qualified as Run

workflows :: [WorkflowEntry]
workflows =
  [ Run.workflow "steps" "Performs steps, one after the other." steps & Run.asTool
  , Run.workflow "sleeper" "Sleeps for a time." sleeper & Run.asTool
  , Run.workflow "parallel" "Starts timers and writes, waits for all of them, and then for the first of as many timers again." parallel
  , Run.publishing
      (Run.published & Run.versioned 2 migrate & Run.answering "progress" progress & Run.answeringWith "has_phase" hasPhase)
      "wait_for"
      "Waits for a signal, and returns its payload."
      waitFor
  , Run.workflow "retries" "Requests a page, and tries again when the host cannot be reached." retries
  , Run.workflow "spawns" "Starts children that sleep, and waits for them." spawns
  , Run.workflow "compensates" "Writes two keys, then waits for the signal `done`. When it is cancelled, it deletes them in reverse." compensates
      & Run.withSignal @Value "done"
  , Run.publishing (Run.published & Run.answering "total" (\Total {total} -> total)) "continues" "Continues as new, round by round, and counts them in its state." continues
  , Run.workflow "patched_flow" "Waits for the signal `go`, then takes the new way if the patch `v2` applies to the run." patchedFlow
      & Run.withSignal @Value "go"
  , Run.workflow "fails" "Fails with this code and message." fails
  , Run.workflow "traps_always" "Throws after so many steps, each time it is called." trapsAlways
  ]

data Steps = Steps {count :: Word64, kind :: StepKind}
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments "How many steps, and of which kind." '["count" ::: "The number of steps.", "kind" ::: "Their kind."] Steps

data StepKind = Read | Kv
  deriving stock (Generic)
  deriving (FromJSON, Schema) via Enumeration "A kind of step." '["Read" ::: "`kv.get`.", "Kv" ::: "`kv.set`, of one key."] StepKind

newtype Count = Count {count :: Word64}
  deriving stock (Generic)
  deriving (FromJSON, ToJSON, Schema) via Result "A number of things done." '["count" ::: "The number."] Count

steps :: (InWorkflow es, Kv :> es) => Run () -> Steps -> Eff es Count
steps run Steps {count, kind} = do
  forM_ [1 .. count] $ \step -> case kind of
    Read -> () <$ Kv.get (newKvGet key)
    Kv -> () <$ Kv.set (newKvSet key (toJSON step))
  pure (Count count)
  where
    key = "steps/" <> run.workflowId

newtype Sleeper = Sleeper {millis :: Word64}
  deriving stock (Generic)
  deriving (FromJSON, ToJSON, Schema) via Arguments "A time to sleep." '["millis" ::: "Milliseconds."] Sleeper

sleeper :: (InWorkflow es) => Run () -> Sleeper -> Eff es Sleeper
sleeper _ input@Sleeper {millis} = input <$ Run.sleep (milliseconds millis)

data Parallel = Parallel {n :: Word64, millis :: Word64}
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "How much runs beside each other."
          '[ "n" ::: "The number of timers, and of writes."
           , "millis" ::: "The time of the first timer; each other takes one millisecond more."
           ]
          Parallel

data Parallelled = Parallelled {timers :: Word64, writes :: Word64, winner :: Word64}
  deriving stock (Generic)
  deriving
    (ToJSON, Schema)
    via Result
          "What ran beside each other."
          '[ "timers" ::: "The timers that have ended."
           , "writes" ::: "The writes that have succeeded."
           , "winner" ::: "The position of the timer that has won the race."
           ]
          Parallelled

parallel :: (InWorkflow es, Kv :> es) => Run () -> Parallel -> Eff es Parallelled
parallel run Parallel {n, millis} = do
  started <- mapM (Run.timer . after) positions
  writes <- Run.parallel [newKvSet ("parallel/" <> run.workflowId <> "/" <> shown nth) (toJSON nth) | nth <- positions]
  timers <- Run.waitAll started
  -- The last one is the fastest.
  racers <- mapM (\nth -> Run.timer (after (2 * (n - nth)))) positions
  winner <- if null racers then pure 0 else fst <$> Run.race racers
  pure Parallelled {timers = countOf timers, writes = countOf writes, winner = fromIntegral winner}
  where
    positions = take (fromIntegral n) [0 ..]
    after more = milliseconds (millis + more)
    countOf answers = sum [1 | answer <- answers, isRight answer]

shown :: Word64 -> Text
shown = Text.pack . show

data WaitFor = WaitFor {signal :: Text, timeoutMillis :: Maybe Word64}
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "The signal to wait for."
          '["signal" ::: "Its name.", "timeoutMillis" ::: "The longest wait; no end when absent."]
          WaitFor

data WaitState = WaitState {phase :: Text, signal :: Text, payload :: Maybe Value}
  deriving stock (Generic)
  deriving
    (FromJSON, ToJSON, Schema)
    via Result
          "How far `wait_for` is."
          '[ "phase" ::: "`waiting`, `received` or `timed_out`."
           , "signal" ::: "The signal that it waits for."
           , "payload" ::: "The signal's payload."
           ]
          WaitState

waitFor :: (InWorkflow es) => Run WaitState -> WaitFor -> Eff es WaitState
waitFor run WaitFor {signal, timeoutMillis} = do
  Run.setState run WaitState {phase = "waiting", signal, payload = Nothing}
  payload <- case timeoutMillis of
    Just millis -> Run.waitSignalFor (milliseconds millis) signal
    Nothing -> Just <$> Run.waitSignal signal
  let state = WaitState {phase = maybe "timed_out" (const "received") payload, signal, payload}
  Run.setState run state
  pure state

progress :: WaitState -> Text
progress WaitState {phase} = phase

newtype Phase = Phase {phase :: Text}
  deriving stock (Generic)
  deriving (FromJSON, Schema) via Arguments "A phase to ask for." '["phase" ::: "Its name."] Phase

hasPhase :: WaitState -> Phase -> Bool
hasPhase WaitState {phase} (Phase asked) = phase == asked

-- | Version 1 had only the phase.
migrate :: Word32 -> Value -> Either Text WaitState
migrate _ state = do
  Phase phase <- first Text.pack (parseEither parseJSON state)
  pure WaitState {phase, signal = "", payload = Nothing}

data Retries = Retries {url :: Text, attempts :: Word64, firstWaitMillis :: Maybe Word64, timeoutMillis :: Maybe Word64}
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments
          "The page, and how often it is tried."
          '[ "url" ::: "The page."
           , "attempts" ::: "Attempts at most."
           , "firstWaitMillis" ::: "The wait before the second attempt; a second when absent."
           , "timeoutMillis" ::: "The time for all attempts together; no limit when absent."
           ]
          Retries

data Page = Page {status :: Word16, body :: Text}
  deriving stock (Generic)
  deriving (ToJSON, Schema) via Result "A page." '["status" ::: "The response's status.", "body" ::: "The response's body."] Page

retries :: (InWorkflow es, Http :> es) => Run () -> Retries -> Eff es Page
retries _ Retries {url, attempts, firstWaitMillis, timeoutMillis} = do
  response <-
    Run.step (newHttpRequest url)
      & Run.retrying (maybe id (Run.firstWait . milliseconds) firstWaitMillis (Run.attempts attempts))
      & maybe id (Run.within . milliseconds) timeoutMillis
      & Run.runStep
  pure Page {status = response.status, body = response.body}

data Spawns = Spawns {children :: Word64, millis :: Word64}
  deriving stock (Generic)
  deriving
    (FromJSON, Schema)
    via Arguments "The children to start." '["children" ::: "Their number.", "millis" ::: "How long each sleeps."] Spawns

spawns :: (InWorkflow es) => Run () -> Spawns -> Eff es Count
spawns run Spawns {children, millis} = do
  started <- mapM child (take (fromIntegral children) [0 ..])
  slept <- mapM Run.wait started
  pure (Count (sum [1 | Sleeper _ <- slept]))
  where
    child nth = Run.child "sleeper" (Sleeper millis) & Run.withId (run.workflowId <> "/" <> shown nth) & Run.startChild

compensates :: (InWorkflow es, Kv :> es) => Run () -> NoArguments -> Eff es ()
compensates run NoArguments = do
  forM_ ["a", "b"] $ \name -> do
    _ <- Kv.set (newKvSet (under name) (toJSON True))
    Run.addCompensation $ do
      _ <- Kv.delete (newKvDelete (under name))
      before <- Kv.get (newKvGet (under "undone"))
      let order = fromMaybe "" (either (const Nothing) id (parseEither parseJSON before.value)) <> name
      () <$ Kv.set (newKvSet (under "undone") (toJSON order))
  (_ :: Value) <- Run.waitSignal "done"
  pure ()
  where
    under name = "compensates/" <> run.workflowId <> "/" <> name

newtype Rounds = Rounds {rounds :: Word64}
  deriving stock (Generic)
  deriving (FromJSON, ToJSON, Schema) via Arguments "The rounds to go." '["rounds" ::: "Their number."] Rounds

newtype Total = Total {total :: Word64}
  deriving stock (Generic)
  deriving (FromJSON, ToJSON, Schema) via Result "The rounds so far." '["total" ::: "Their number."] Total

continues :: (InWorkflow es) => Run Total -> Rounds -> Eff es Total
continues run Rounds {rounds} = do
  Run.setState run total
  if rounds <= 1 then pure total else Run.continueAsNew (Rounds (rounds - 1))
  where
    total = Total (maybe 1 (\(Total before) -> before + 1) run.previousState)

newtype Way = Way {way :: Text}
  deriving stock (Generic)
  deriving (ToJSON, Schema) via Result "The way that was taken." '["way" ::: "`old` or `new`."] Way

patchedFlow :: (InWorkflow es, Kv :> es) => Run () -> NoArguments -> Eff es Way
patchedFlow _ NoArguments = do
  (_ :: Value) <- Run.waitSignal "go"
  isNew <- Run.patched "v2"
  let way = if isNew then "new" else "old"
  _ <- Kv.set (newKvSet ("patched_flow/" <> way) (toJSON True))
  pure (Way way)

data Fails = Fails {code :: Text, message :: Text}
  deriving stock (Generic)
  deriving (FromJSON, Schema) via Arguments "The failure." '["code" ::: "Its code.", "message" ::: "Its message."] Fails

fails :: (InWorkflow es) => Run () -> Fails -> Eff es ()
fails _ Fails {code, message} = Run.failAs code message

newtype TrapsAlways = TrapsAlways {count :: Word64}
  deriving stock (Generic)
  deriving (FromJSON, Schema) via Arguments "The steps before." '["count" ::: "Their number."] TrapsAlways

trapsAlways :: (InWorkflow es, Kv :> es) => Run () -> TrapsAlways -> Eff es ()
trapsAlways run TrapsAlways {count} = do
  replicateM_ (fromIntegral count) (Kv.set (newKvSet ("traps/" <> run.workflowId) Null))
  error "as asked"
