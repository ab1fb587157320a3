-- | Workflows: functions whose runs outlive the host's process.
--
-- A workflow is a function of the same effects as a tool. Each effect is a step: the host records its answer,
-- and a run that is resumed, after a wait of weeks or a crash, is called from its beginning and given the
-- recorded answers. A workflow has no other effects, so it does the same each time.
--
-- > import Exomonad.Guest.Run qualified as Run
-- >
-- > remind :: Run () -> Reminder -> Eff WorkflowEffects ()
-- > remind _ reminder = do
-- >   Run.sleep (days reminder.days)
-- >   Log.write (newLog LogLevelInfo reminder.text)
-- >
-- > main = runPlugin Plugin {…, workflows = [Run.workflow "remind" "Logs a text, days later." remind]}
--
-- Using this module links the entry points of workflows into the plugin.
module Exomonad.Guest.Run
  ( -- * Workflows
    WorkflowEntry,
    Run (..),
    WorkflowEffects,
    InWorkflow,
    Control,
    workflow,
    publishing,
    Published,
    published,
    versioned,
    answering,
    answeringWith,
    withSignal,
    withTitle,
    withIcons,
    asTool,
    asTask,

    -- * Time, state, ends
    Duration (..),
    milliseconds,
    seconds,
    minutes,
    hours,
    days,
    sleep,
    setState,
    patched,
    info,
    failAs,
    continueAsNew,
    addCompensation,

    -- * Steps
    Step (..),
    step,
    retrying,
    within,
    runStep,
    startStep,
    attempts,
    firstWait,
    longestWait,
    growthPercent,
    butNotAfter,

    -- * Things beside each other
    Handle (..),
    start,
    timer,
    wait,
    outcome,
    waitAll,
    parallel,
    race,
    cancel,
    Choice,
    onHandle,
    onSignal,
    onTimeout,
    select,

    -- * Signals and children
    waitSignal,
    waitSignalFor,
    signal,
    Child (..),
    child,
    withId,
    onParentEnd,
    startChild,
    runChild,
  )
where

import Control.Monad (forM, forM_, void)
import Data.Aeson (FromJSON (..), ToJSON (..), Value)
import Data.Aeson.Types (parseEither)
import Data.Bifunctor (first)
import Data.Int (Int32)
import Data.Function ((&))
import Data.Map.Strict qualified as Map
import Data.Maybe (listToMaybe)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Word (Word32, Word64)
import Exomonad.Guest.Duration
import Exomonad.Guest.Eff (Eff, Fail, send, (:>))
import Exomonad.Guest.Effect (Call, Envelope (..), Request (..), perform)
import Exomonad.Guest.Json (Constant (..), set)
import Exomonad.Guest.Run.Entry
import Exomonad.Guest.Schema (Schema (..))
import Exomonad.Guest.Types
import Exomonad.Guest.Workflow (Workflow)
import Exomonad.Guest.Workflow qualified as Workflow
import Foreign.Ptr (FunPtr)

foreign import ccall "&handle_list_workflows" listExport :: FunPtr (IO Int32)

foreign import ccall "&handle_workflow" runExport :: FunPtr (IO Int32)

foreign import ccall "&handle_query" queryExport :: FunPtr (IO Int32)

foreign import ccall "&handle_migrate" migrateExport :: FunPtr (IO Int32)

-- | The effects that the functions of this module use.
type InWorkflow es = (Control :> es, Workflow :> es, Fail :> es)

-- | A workflow that publishes no state: its name, its description, and the function.
workflow :: (FromJSON i, Schema i, WorkflowOutput o) => Text -> Text -> (Run () -> i -> Eff WorkflowEffects o) -> WorkflowEntry
workflow name description body = entry Nothing (published @()) name description body

-- | A workflow that publishes a state.
publishing ::
  forall s i o.
  (ToJSON s, FromJSON s, Schema s, FromJSON i, Schema i, WorkflowOutput o) =>
  Published s -> Text -> Text -> (Run s -> i -> Eff WorkflowEffects o) -> WorkflowEntry
publishing = entry (Just (schema @s))

entry ::
  forall s i o.
  (ToJSON s, FromJSON s, FromJSON i, Schema i, WorkflowOutput o) =>
  Maybe Value -> Published s -> Text -> Text -> (Run s -> i -> Eff WorkflowEffects o) -> WorkflowEntry
entry stateSchema of_ name description body =
  WorkflowEntry
    { name
    , title = Nothing
    , icons = []
    , description
    , inputSchema = schema @i
    , outputSchema = workflowOutputSchema @o
    , stateSchema
    , stateVersion = of_.version
    , signals = []
    , queries = of_.queries
    , isTool = False
    , needsTask = False
    , migrate = (\migrate from state -> toJSON <$> migrate from state) <$> of_.migrate
    , call = runBody body
    , exports = [listExport, runExport, queryExport, migrateExport]
    }

-- | The state that a workflow publishes, with what is asked about it.
data Published s = Published
  { version :: Word32
  , migrate :: Maybe (Word32 -> Value -> Either Text s)
  , queries :: [Query]
  }

-- | A state of version 0, without queries.
published :: Published s
published = Published {version = 0, migrate = Nothing, queries = []}

-- | The version of the state, and the function that brings an older version's state to it.
versioned :: Word32 -> (Word32 -> Value -> Either Text s) -> Published s -> Published s
versioned version migrate one = Published {version, migrate = Just migrate, queries = one.queries}

-- | A query: a function of the state.
answering :: forall s a. (FromJSON s, ToJSON a) => Text -> (s -> a) -> Published s -> Published s
answering name function = withQuery Query {name, schema = Nothing, answer = \state _ -> toJSON . function <$> stateOf state}

-- | A query with arguments.
answeringWith :: forall s i a. (FromJSON s, FromJSON i, Schema i, ToJSON a) => Text -> (s -> i -> a) -> Published s -> Published s
answeringWith name function = withQuery Query {name, schema = Just (schema @i), answer}
  where
    answer state arguments = do
      known <- stateOf state
      asked <- first (("the arguments do not fit: " <>) . Text.pack) (parseEither parseJSON arguments)
      pure (toJSON (function known asked))

withQuery :: Query -> Published s -> Published s
withQuery query one = Published {version = one.version, migrate = one.migrate, queries = one.queries <> [query]}

stateOf :: (FromJSON s) => Value -> Either Text s
stateOf = first (("the published state does not fit: " <>) . Text.pack) . parseEither parseJSON

-- | Declares a signal, and the type of its payload: @withSignal \@Approval "approve"@.
withSignal :: forall payload. (Schema payload) => Text -> WorkflowEntry -> WorkflowEntry
withSignal called WorkflowEntry {signals, ..} =
  WorkflowEntry {signals = signals <> [WorkflowMessage {name = called, description = Nothing, schema = Just (schema @payload)}], ..}

-- | Sets the display name.
withTitle :: Text -> WorkflowEntry -> WorkflowEntry
withTitle text WorkflowEntry {title = _, ..} = WorkflowEntry {title = Just text, ..}

-- | Sets the pictures, the best first.
withIcons :: [Icon] -> WorkflowEntry -> WorkflowEntry
withIcons pictures WorkflowEntry {icons = _, ..} = WorkflowEntry {icons = pictures, ..}

-- | Lets MCP clients start it as a tool.
asTool :: WorkflowEntry -> WorkflowEntry
asTool WorkflowEntry {isTool = _, ..} = WorkflowEntry {isTool = True, ..}

-- | Lets MCP clients that have tasks start it as a tool: it takes too long for a call that waits.
asTask :: WorkflowEntry -> WorkflowEntry
asTask WorkflowEntry {isTool = _, needsTask = _, ..} = WorkflowEntry {isTool = True, needsTask = True, ..}

-- | Waits, for ten years at most. The run holds no memory, thread or sandbox meanwhile.
sleep :: (InWorkflow es) => Duration -> Eff es ()
sleep duration = void (Workflow.sleep (newWorkflowSleep duration.millis))

-- | Publishes the state: what queries see, and the next run if this one is continued as new.
setState :: (InWorkflow es, ToJSON s) => Run s -> s -> Eff es ()
setState _ state = void (Workflow.setState (newWorkflowSetState (toJSON state)))

-- | True if a change of the workflow's code applies to this run: false for one that has come past this place
-- with the code before the change.
patched :: (InWorkflow es) => Text -> Eff es Bool
patched change = (\patch -> patch.applies) <$> Workflow.patched (newWorkflowPatched change)

-- | The run's number of steps, its beginning, and the host's advice to continue as new.
info :: (InWorkflow es) => Eff es WorkflowRunInfo
info = Workflow.info newWorkflowInfo

-- | Ends the run with a failure of this code and message.
failAs :: (Control :> es) => Text -> Text -> Eff es a
failAs code message = send (End (Failed WorkflowFailure {code, message, details = Nothing}))

-- | Ends this run and starts it as a new one with this input, an empty history, and the state published last.
continueAsNew :: (Control :> es, ToJSON i) => i -> Eff es a
continueAsNew = send . End . ContinuedAsNew . toJSON

-- | Registers what undoes the steps up to here. When the run fails, also when it is cancelled, what was
-- registered is performed, the last first. Effects work in it.
--
-- It is performed a second time if the run is cancelled while it is at it, so it should be repeatable. A run
-- that continues as new undoes nothing.
addCompensation :: (Control :> es) => Eff WorkflowEffects () -> Eff es ()
addCompensation = send . AddCompensation

-- | An effect to be performed as a step, with options.
data Step r = Step
  { request :: r
  , retry :: Maybe RetryPolicy
  , timeout :: Maybe Duration
  }

-- | A step without options. A plain call of the effect's function is a step too.
step :: r -> Step r
step request = Step {request, retry = Nothing, timeout = Nothing}

-- | Tries it again when it fails. A write whose outcome is unknown is not tried again by itself.
retrying :: RetryPolicy -> Step r -> Step r
retrying policy Step {retry = _, ..} = Step {retry = Just policy, ..}

-- | The time for all attempts together; the step then fails with @timeout@.
within :: Duration -> Step r -> Step r
within duration Step {timeout = _, ..} = Step {timeout = Just duration, ..}

-- | Performs a step, and waits for its answer.
runStep :: (Request r, InWorkflow es, Call (Service r) :> es) => Step r -> Eff es (Answer r)
runStep one = case (one.retry, one.timeout) of
  (Nothing, Nothing) -> perform one.request
  _ -> startStep one >>= wait

-- | Starts a step, to run beside the workflow.
startStep :: forall r es. (Request r, InWorkflow es, Call (Service r) :> es) => Step r -> Eff es (Handle (Answer r))
startStep one =
  (\started -> Handle started.handle)
    <$> Workflow.start
      ( newWorkflowStart (capabilityName [one.request])
          & set @"request" (toJSON one.request)
          & set @"retry" one.retry
          & set @"timeoutMillis" ((\duration -> duration.millis) <$> one.timeout)
      )
-- Not specialised: only the request's whole dictionary has the host function in it, by whose import the host
-- knows that the plugin needs the effect.
{-# NOINLINE startStep #-}

-- | So many attempts at most, the first one included; otherwise as the contract has it: after a second, two,
-- four, up to a minute, if the service was unavailable, asked to slow down, took too long or had an internal
-- error.
attempts :: Word64 -> RetryPolicy
attempts count = newRetryPolicy & set @"attempts" (Just count)

-- | The wait before the second attempt.
firstWait :: Duration -> RetryPolicy -> RetryPolicy
firstWait duration = set @"initialMillis" (Just duration.millis)

-- | The longest wait.
longestWait :: Duration -> RetryPolicy -> RetryPolicy
longestWait duration = set @"maxMillis" (Just duration.millis)

-- | The growth of the wait from attempt to attempt: 200 percent doubles it.
growthPercent :: Word64 -> RetryPolicy -> RetryPolicy
growthPercent percent = set @"backoffPercent" (Just percent)

-- | Tries again after every error but those.
butNotAfter :: [ErrorCode] -> RetryPolicy -> RetryPolicy
butNotAfter codes = set @"nonRetryable" (map constantName codes)

-- | A step, a timer or a child run that was started, and will answer with an @a@.
newtype Handle a = Handle {id :: Word64}
  deriving stock (Eq, Show)

-- | Starts an effect that runs beside the workflow.
start :: (Request r, InWorkflow es, Call (Service r) :> es) => r -> Eff es (Handle (Answer r))
start = startStep . step

-- | Starts a timer, to be waited for beside other things.
timer :: (InWorkflow es) => Duration -> Eff es (Handle Done)
timer duration = start (newWorkflowSleep duration.millis)

-- | Waits for the answer; the run fails if the step has failed.
wait :: (InWorkflow es, FromJSON a) => Handle a -> Eff es a
wait handle = outcome handle >>= either stepFailed pure

-- | Waits for the answer. A failure is an answer too, to be told apart from the run's own cancellation.
outcome :: (InWorkflow es, FromJSON a) => Handle a -> Eff es (Either EffectError a)
outcome handle = waitAll [handle] >>= maybe missing pure . listToMaybe

-- | Ends the run by the failure of a step. If only the step was cancelled, the run was not.
stepFailed :: (Control :> es) => EffectError -> Eff es a
stepFailed problem =
  send (End (Failed WorkflowFailure {code = constantName problem.code, message = problem.message, details = problem.details}))

missing :: (Control :> es) => Eff es a
missing = failAs "internal" "the host ended a wait without what was waited for"

-- | Waits for all of them, and returns the answer of each in their order.
waitAll :: (InWorkflow es, FromJSON a) => [Handle a] -> Eff es [Either EffectError a]
waitAll [] = pure []
waitAll handles = do
  come <- Workflow.wait (newWorkflowWait & set @"handles" [one.id | one <- handles] & set @"all" True)
  let arrived = Map.fromList [(handle, one.value) | one@WorkflowArrival {handle = Just handle} <- come.arrivals]
  forM handles $ \one -> maybe missing (pure . answerOf) (Map.lookup one.id arrived)

answerOf :: (FromJSON a) => Value -> Either EffectError a
answerOf value = case parseEither parseJSON value of
  Right (Envelope answer) -> answer
  Left problem ->
    Left EffectError {code = ErrorCodeInternal, message = "the answer of a step cannot be read: " <> Text.pack problem, details = Nothing}

-- | Performs effects beside each other, and returns the answer of each in the order of the requests.
parallel :: (Request r, InWorkflow es, Call (Service r) :> es) => [r] -> Eff es [Either EffectError (Answer r)]
parallel requests = mapM start requests >>= waitAll

-- | Waits for the first of them, and returns its position and its answer. The others are stopped.
race :: (InWorkflow es, FromJSON a) => [Handle a] -> Eff es (Word32, a)
race [] = failAs "internal" "a race needs somebody who runs"
race handles = do
  (winner, answer) <- select [onHandle handle (position,) | (position, handle) <- zip [0 ..] handles]
  forM_ [handle | (position, handle) <- zip [0 ..] handles, position /= winner] cancel
  (winner,) <$> either stepFailed pure answer

-- | Stops it. Its answer is the error @cancelled@, unless it was done before.
cancel :: (InWorkflow es) => Handle a -> Eff es ()
cancel handle = void (Workflow.cancel (newWorkflowCancel handle.id))

-- | One of several things to wait for, and the result of the wait if it comes first.
data Choice b where
  OnHandle :: (FromJSON a) => Handle a -> (Either EffectError a -> b) -> Choice b
  OnSignal :: (FromJSON a) => Text -> (a -> b) -> Choice b
  OnTimeout :: Duration -> b -> Choice b

-- | The answer of a step, a timer or a child.
onHandle :: (FromJSON a) => Handle a -> (Either EffectError a -> b) -> Choice b
onHandle = OnHandle

-- | A signal, which is taken with this.
onSignal :: (FromJSON a) => Text -> (a -> b) -> Choice b
onSignal = OnSignal

-- | The end of a time.
onTimeout :: Duration -> b -> Choice b
onTimeout = OnTimeout

-- | Waits for whatever comes first.
--
-- > Run.select
-- >   [ Run.onHandle deploy Deployed
-- >   , Run.onSignal "stop" Stopped
-- >   , Run.onTimeout (hours 1) TooLate
-- >   ]
select :: (InWorkflow es) => [Choice b] -> Eff es b
select choices = do
  come <-
    Workflow.wait
      ( newWorkflowWait
          & set @"handles" [handle.id | OnHandle handle _ <- choices]
          & set @"signals" [name | OnSignal name _ <- choices]
          & set @"timeoutMillis" (if null timeouts then Nothing else Just (minimum (map fst timeouts)))
      )
  case come.arrivals of
    [] -> maybe missing (pure . snd) (listToMaybe [one | one <- timeouts, fst one == minimum (map fst timeouts)])
    arrival : _ -> maybe missing Prelude.id (listToMaybe (concatMap (chosen arrival) choices))
  where
    timeouts = [(duration.millis, result) | OnTimeout duration result <- choices]
    chosen arrival = \case
      OnHandle handle result | arrival.handle == Just handle.id -> [pure (result (answerOf arrival.value))]
      OnSignal name result | arrival.signal == Just name -> [result <$> payloadOf name arrival.value]
      _ -> []

payloadOf :: (Control :> es, FromJSON a) => Text -> Value -> Eff es a
payloadOf name value = case parseEither parseJSON value of
  Right payload -> pure payload
  Left problem -> failAs "invalid_input" ("the payload of the signal `" <> name <> "` does not fit: " <> Text.pack problem)

-- | Waits for a signal, and returns its payload. Signals that came before were kept; the oldest is taken.
waitSignal :: (InWorkflow es, FromJSON a) => Text -> Eff es a
waitSignal name = select [onSignal name Prelude.id]

-- | Waits for a signal, but not longer than this; 'Nothing' when the time is up.
waitSignalFor :: (InWorkflow es, FromJSON a) => Duration -> Text -> Eff es (Maybe a)
waitSignalFor duration name = select [onSignal name Just, onTimeout duration Nothing]

-- | Sends a signal to the open run of another workflow of the role: its id, the signal's name, and its payload.
signal :: (InWorkflow es, ToJSON a) => Text -> Text -> a -> Eff es ()
signal workflowId name payload =
  void (Workflow.signal (newWorkflowSignal workflowId name & set @"payload" (toJSON payload)))

-- | A child run to be started, which will answer with an @o@.
newtype Child o = Child WorkflowStartChild

-- | A child run of a workflow of the role, by its name, with its input.
child :: (ToJSON i) => Text -> i -> Child o
child name input = Child (newWorkflowStartChild name & set @"input" (toJSON input))

-- | Its id. If a run with this id is open, that is what is waited for, and nothing is started.
withId :: Text -> Child o -> Child o
withId workflowId (Child request) = Child (request & set @"workflowId" (Just workflowId))

-- | Its fate when this run ends before; it is asked to cancel, if nothing is said.
onParentEnd :: OnParentEnd -> Child o -> Child o
onParentEnd fate (Child request) = Child (request & set @"onParentEnd" (Just fate))

-- | Starts it, to run beside the workflow.
startChild :: (InWorkflow es) => Child o -> Eff es (Handle o)
startChild (Child request) = do
  started <- Workflow.startChild request
  maybe missing (pure . Handle) started.handle

-- | Starts it, and waits for its output.
runChild :: (InWorkflow es, FromJSON o) => Child o -> Eff es o
runChild one = startChild one >>= wait
