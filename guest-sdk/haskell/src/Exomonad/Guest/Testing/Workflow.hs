-- | Workflows in simulated time: a month passes at once. All of it is pure.
--
-- > ended = runWorkflowTest (scenario & signalAt (days 7) "approve" (String "Ada")) plugin "approval" Null
--
-- The clock jumps to whatever is due next. Of several things that a workflow waits for, the first that comes is
-- taken; what is due at the same time comes in the order in which it was started. Effects take no time, unless
-- 'takes' says so. Keys and values, the clock, log lines and random bytes are answered without a handler.
module Exomonad.Guest.Testing.Workflow
  ( Scenario,
    scenario,
    withHandlers,
    signalAt,
    cancelAt,
    takes,
    onChild,
    withoutPatch,
    adviseToContinueAfter,
    keyIs,
    FinishedRun (..),
    runWorkflowTest,
    outputOf,
    askedFor,
    queryTest,
    migrateTest,
  )
where

import Control.Monad (forM_, when)
import Control.Monad.Trans.State.Strict (State, evalState, gets, modify', state)
import Data.Aeson (FromJSON (..), ToJSON (..), Value (..), object, (.=))
import Data.Aeson.Types (parseEither)
import Data.ByteString qualified as ByteString
import Data.Foldable (find, toList)
import Data.Int (Int64)
import Data.List (sortOn)
import Data.Map.Strict (Map)
import Data.Map.Strict qualified as Map
import Data.Maybe (fromMaybe, isJust, isNothing, mapMaybe)
import Data.Proxy (Proxy (..))
import Data.Set (Set)
import Data.Set qualified as Set
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Type.Equality ((:~:) (Refl))
import Data.Typeable (eqT)
import Data.Word (Word32, Word64)
import Exomonad.Guest.Clock ()
import Exomonad.Guest.Duration (Duration (..))
import Exomonad.Guest.Eff (Eff, Fail (..), ToolError (..), Union, absurd, decompose, foldEff)
import Exomonad.Guest.Effect (Call (..), Envelope (..), Request (..))
import Exomonad.Guest.Effects (Effects)
import Exomonad.Guest.Json (Base64 (..), Constant (..))
import Exomonad.Guest.Kv ()
import Exomonad.Guest.Log ()
import Exomonad.Guest.Plugin (Plugin (..), migrateWorkflow, queryWorkflow, runWorkflow)
import Exomonad.Guest.Random ()
import Exomonad.Guest.Run.Entry (WorkflowEntry (..))
import Exomonad.Guest.Testing (Asked (..), Handler (..), Moment (..), testContext, unanswered)
import Exomonad.Guest.Types
import Exomonad.Guest.Workflow ()

-- | The arrangements of a test for a workflow.
data Scenario = Scenario
  { handlers :: [Handler]
  , signals :: [(Duration, Text, Value)]
  , cancels :: [Duration]
  , durations :: Map Text Duration
  -- ^ By host function, the time that an attempt takes.
  , children :: Map Text (Duration, Value -> Either EffectError Value)
  , unpatched :: Set Text
  , manySteps :: Word64
  , values :: Map Text Value
  }

-- | Nothing arranged.
scenario :: Scenario
scenario =
  Scenario
    { handlers = []
    , signals = []
    , cancels = []
    , durations = Map.empty
    , children = Map.empty
    , unpatched = Set.empty
    , manySteps = 10_000
    , values = Map.empty
    }

-- | Answers effects.
withHandlers :: [Handler] -> Scenario -> Scenario
withHandlers more Scenario {handlers, ..} = Scenario {handlers = handlers <> more, ..}

-- | Sends a signal to the workflow, so long after its beginning.
signalAt :: Duration -> Text -> Value -> Scenario -> Scenario
signalAt after name payload Scenario {signals, ..} = Scenario {signals = signals <> [(after, name, payload)], ..}

-- | Cancels the workflow, so long after its beginning.
cancelAt :: Duration -> Scenario -> Scenario
cancelAt after Scenario {cancels, ..} = Scenario {cancels = cancels <> [after], ..}

-- | Lets each attempt at an effect take this time: @takes \@DockerExec (minutes 1)@.
takes :: forall r. (Request r) => Duration -> Scenario -> Scenario
takes duration Scenario {durations, ..} =
  Scenario {durations = Map.insert (functionName (Proxy @r)) duration durations, ..}

-- | Answers children of this workflow, from their input to their output, after a time. Children of other
-- workflows of the plugin run as the workflow itself does.
onChild :: Text -> Duration -> (Value -> Either EffectError Value) -> Scenario -> Scenario
onChild name duration answer Scenario {children, ..} =
  Scenario {children = Map.insert name (duration, answer) children, ..}

-- | Lets a change of the code not apply, as in a run that came past it before the change.
withoutPatch :: Text -> Scenario -> Scenario
withoutPatch change Scenario {unpatched, ..} = Scenario {unpatched = Set.insert change unpatched, ..}

-- | Advises a run to continue as new after so many steps; 10,000 as on a real host, if nothing is said.
adviseToContinueAfter :: Word64 -> Scenario -> Scenario
adviseToContinueAfter steps Scenario {manySteps = _, ..} = Scenario {manySteps = steps, ..}

-- | Sets the value of a key of the key-value store.
keyIs :: Text -> Value -> Scenario -> Scenario
keyIs key value Scenario {values, ..} = Scenario {values = Map.insert key value values, ..}

-- | A run that has ended.
data FinishedRun = FinishedRun
  { outcome :: WorkflowOutcome
  -- ^ Its end, as the host gets it; of the last run, if it was continued as new.
  , states :: [Value]
  -- ^ The states that it has published, in order.
  , elapsed :: Duration
  -- ^ The simulated time from its beginning to its end.
  , runs :: Word32
  -- ^ The number of runs: one more than the times that it was continued as new.
  , asked :: [(Duration, Asked)]
  -- ^ The requests of it and its children, with the time; of a step each attempt.
  , values :: Map Text Value
  -- ^ The keys and values in the end.
  }
  deriving stock (Eq, Show)

-- | The output; 'Nothing' if the run has not completed.
outputOf :: FinishedRun -> Maybe Value
outputOf one
  | one.outcome.end == WorkflowEndCompleted = Just one.outcome.output
  | otherwise = Nothing

-- | The functions of the requests, in order.
askedFor :: FinishedRun -> [Text]
askedFor one = [request.function | (_, request) <- one.asked]

-- | Runs a workflow to its end; 'Left' says why it cannot come to one.
runWorkflowTest :: Scenario -> Plugin -> Text -> Value -> Either Text FinishedRun
runWorkflowTest arranged plugin name input = evalState (begin >> loop) world
  where
    world =
      World
        { arranged
        , plugin
        , now = beginning
        , agenda = Map.empty
        , order = 0
        , runs = Map.singleton root (newRun name "test-workflow" root input Null beginning)
        , root
        , rounds = 1
        , published = []
        , parents = []
        , asked = []
        , counts = Map.empty
        , values = let Scenario {values} = arranged in values
        , broken = Nothing
        , events = 0
        , ended = Nothing
        }
    root = 1
    begin = do
      let Scenario {signals, cancels} = arranged
      forM_ signals $ \(after, signalName, payload) -> due (beginning + toMillis after) (SignalDue root signalName payload)
      forM_ cancels $ \after -> due (beginning + toMillis after) (CancelDue root)
      beginRun root

-- | Asks a workflow's query: its workflow, its name, its arguments, and the published state.
queryTest :: Plugin -> Text -> Text -> Value -> Value -> Either Text Value
queryTest plugin workflow query arguments state =
  (\result -> result.value) <$> queryWorkflow plugin WorkflowQueryInput {workflow, query, arguments, state, context = testContext}

-- | Brings a published state of an older version to the current one.
migrateTest :: Plugin -> Text -> Word32 -> Value -> Either Text Value
migrateTest plugin workflow fromVersion state =
  (\result -> result.state)
    <$> migrateWorkflow plugin WorkflowMigrateInput {workflow, state, fromVersion, toVersion, context = testContext}
  where
    toVersion = maybe 0 (\one -> one.stateVersion) (find (\one -> one.name == workflow) plugin.workflows)

-- 2026-01-01T00:00:00Z.
beginning :: Int64
beginning = 1_767_225_600_000

-- Runs, as programs that stop at each request ----------------------------------------------------------------

-- | A program up to its next request.
data Paused where
  Finished :: Either ToolError WorkflowOutcome -> Paused
  Asking :: (Request r) => r -> (Either EffectError (Answer r) -> Paused) -> Paused

newtype Stepwise a = Stepwise ((a -> Paused) -> Paused)

instance Functor Stepwise where
  fmap f (Stepwise program) = Stepwise $ \next -> program (next . f)

instance Applicative Stepwise where
  pure a = Stepwise ($ a)
  Stepwise f <*> Stepwise a = Stepwise $ \next -> f (\function -> a (next . function))

instance Monad Stepwise where
  Stepwise program >>= next = Stepwise $ \end -> program (\a -> let Stepwise rest = next a in rest end)

class Pausing es where
  pausing :: Union es x -> Stepwise x

instance Pausing '[] where
  pausing = absurd

instance (Pausing es) => Pausing (Call service : es) where
  pausing request = either pausing (\(Call asked) -> Stepwise (Asking asked)) (decompose request)

instance (Pausing es) => Pausing (Fail : es) where
  pausing request = either pausing (\(Fail problem) -> Stepwise (\_ -> Finished (Left problem))) (decompose request)

paused :: Eff Effects WorkflowOutcome -> Paused
paused program = let Stepwise stepwise = foldEff pausing program in stepwise (Finished . Right)

-- The world --------------------------------------------------------------------------------------------------

type RunKey = Word32

type Reply = Either EffectError Value

data World = World
  { arranged :: Scenario
  , plugin :: Plugin
  , now :: Int64
  , agenda :: Map (Int64, Word64) Due
  , order :: Word64
  , runs :: Map RunKey SimulatedRun
  , root :: RunKey
  , rounds :: Word32
  , published :: [Value]
  -- ^ Of the root's runs, the latest first.
  , parents :: [(RunKey, RunKey)]
  -- ^ Parent and child.
  , asked :: [(Duration, Asked)]
  -- ^ The latest first.
  , counts :: Map Text Word32
  -- ^ The number of requests, by host function.
  , values :: Map Text Value
  , broken :: Maybe Text
  , events :: Word64
  , ended :: Maybe (Int64, WorkflowOutcome)
  -- ^ The end of the root.
  }

-- | Something that is due.
data Due
  = BeginDue RunKey
  | AttemptDue RunKey Word64
  | ReplyDue RunKey Word64 Reply
  | SignalDue RunKey Text Value
  | CancelDue RunKey

data SimulatedRun = SimulatedRun
  { workflow :: Text
  , workflowId :: Text
  , runId :: Text
  , input :: Value
  , previousState :: Value
  , states :: [Value]
  -- ^ The latest first.
  , begunAt :: Int64
  , calls :: Word64
  , steps :: Map Word64 SimulatedStep
  , signals :: Map Word64 (Text, Value)
  , cancels :: Set Word64
  , position :: Word64
  , blocked :: Maybe Blocked
  , watchers :: [(RunKey, Word64)]
  -- ^ Who waits for its end, with the handle.
  , onParentEnd :: OnParentEnd
  , end :: Maybe WorkflowOutcome
  }

data SimulatedStep = SimulatedStep
  { kind :: StepKind
  , retry :: Maybe RetryPolicy
  , attempts :: Word64
  , done :: Maybe (Word64, Reply)
  -- ^ The position at which it ended, and its answer.
  }

data StepKind
  = TimerStep
  | EffectStep Text Value
  | -- | 'Nothing' for a child that the scenario answers.
    ChildStep (Maybe RunKey)

-- | A call that waits.
data Blocked = Blocked
  { wait :: Wait
  , resume :: Taken -> Paused
  }

data Wait = Wait
  { handles :: [Word64]
  , all :: Bool
  , signals :: [Text]
  , timer :: Maybe Word64
  , isStep :: Bool
  -- ^ True for the call of a single step, whose answer is the call's own.
  }

-- | The end of a wait.
data Taken = TakenCancel | TakenStep Reply | TakenArrivals WorkflowArrivals

data First = AllDone | FirstHandle Word64 | FirstSignal Word64 | FirstTimeout | FirstCancel Word64

newRun :: Text -> Text -> RunKey -> Value -> Value -> Int64 -> SimulatedRun
newRun workflow workflowId key input previousState begunAt =
  SimulatedRun
    { workflow
    , workflowId
    , runId = "run-" <> shown key
    , input
    , previousState
    , states = []
    , begunAt
    , calls = 0
    , steps = Map.empty
    , signals = Map.empty
    , cancels = Set.empty
    , position = 0
    , blocked = Nothing
    , watchers = []
    , onParentEnd = OnParentEndCancel
    , end = Nothing
    }

shown :: (Show a) => a -> Text
shown = Text.pack . show

toMillis :: Duration -> Int64
toMillis duration = fromIntegral duration.millis

due :: Int64 -> Due -> State World ()
due at what = modify' $ \World {..} -> World {agenda = Map.insert (at, order) what agenda, order = order + 1, ..}

runOf :: RunKey -> State World (Maybe SimulatedRun)
runOf key = gets (\world -> Map.lookup key world.runs)

changeRun :: RunKey -> (SimulatedRun -> SimulatedRun) -> State World ()
changeRun key change = modify' $ \World {runs, ..} -> World {runs = Map.adjust change key runs, ..}

isOpen :: SimulatedRun -> Bool
isOpen run = isNothing run.end

newestOf :: Text -> World -> Maybe (RunKey, SimulatedRun)
newestOf workflowId world = fst <$> Map.maxViewWithKey (Map.filter (\run -> run.workflowId == workflowId) world.runs)

openOf :: Text -> World -> Maybe RunKey
openOf workflowId world = case newestOf workflowId world of
  Just (key, run) | isOpen run -> Just key
  _ -> Nothing

-- | Adds a step; returns its handle.
newStep :: RunKey -> StepKind -> Maybe RetryPolicy -> State World Word64
newStep key kind retry = do
  handle <- maybe 0 (\run -> fromIntegral (Map.size run.steps)) <$> runOf key
  changeRun key $ \SimulatedRun {steps, ..} ->
    SimulatedRun {steps = Map.insert handle SimulatedStep {kind, retry, attempts = 0, done = Nothing} steps, ..}
  pure handle

-- | Ends a step, unless it has ended.
finish :: RunKey -> Word64 -> Reply -> State World ()
finish key handle reply = changeRun key $ \SimulatedRun {steps, position, ..} ->
  SimulatedRun {steps = Map.adjust (finished (position + 1)) handle steps, position = position + 1, ..}
  where
    finished position one@SimulatedStep {done, ..}
      | isJust done = one
      | otherwise = SimulatedStep {done = Just (position, reply), ..}

-- The loop ---------------------------------------------------------------------------------------------------

loop :: State World (Either Text FinishedRun)
loop = do
  world <- state (\world -> (world, world))
  case (world.broken, world.ended, Map.minViewWithKey world.agenda) of
    (Just problem, _, _) -> pure (Left problem)
    (_, Just (at, outcome), Just (next, rest)) | hasEndingChildren world -> step next rest >> after at outcome
    (_, Just (at, outcome), _) -> after at outcome
    (_, Nothing, Nothing) -> pure (Left (stalled world))
    (_, Nothing, Just (next, rest))
      | world.events > 1_000_000 -> pure (Left "the workflow has not ended after a million events")
      | otherwise -> step next rest >> loop
  where
    after at outcome = do
      world <- state (\world -> (world, world))
      case Map.minViewWithKey world.agenda of
        Just (next, rest) | hasEndingChildren world, isNothing world.broken -> step next rest >> after at outcome
        _ -> pure (maybe (Right (result world at outcome)) Left world.broken)
    step ((at, _), what) rest = do
      modify' $ \World {agenda = _, now, events, ..} -> World {agenda = rest, now = max now at, events = events + 1, ..}
      happen what
      wake
    result world at outcome =
      FinishedRun
        { outcome
        , states = reverse world.published
        , elapsed = Duration (fromIntegral (at - beginning))
        , runs = world.rounds
        , asked = reverse world.asked
        , values = let World {values} = world in values
        }

stalled :: World -> Text
stalled world = case Map.lookup world.root world.runs >>= \run -> run.blocked of
  Just blocked
    | let Wait {signals} = blocked.wait, not (null signals) -> waits (Text.intercalate " or " ["the signal `" <> name <> "`" | name <- signals])
  _ -> waits "what never comes"
  where
    waits what = "the workflow waits for " <> what <> ", and nothing more is due"

-- | Children that were asked to cancel, since their parents have ended.
hasEndingChildren :: World -> Bool
hasEndingChildren world = or [maybe False isOpen (find_ child) && fate child == Just OnParentEndCancel && maybe False (not . isOpen) (find_ parent) | (parent, child) <- world.parents]
  where
    find_ key = Map.lookup key world.runs
    fate child = (\run -> run.onParentEnd) <$> find_ child

happen :: Due -> State World ()
happen = \case
  BeginDue key -> runOf key >>= \run -> when (maybe False isOpen run) (beginRun key)
  AttemptDue key handle -> attemptStep key handle
  ReplyDue key handle reply -> finish key handle reply
  SignalDue key name payload -> do
    target <- successor key
    changeRun target $ \SimulatedRun {signals, position, ..} ->
      SimulatedRun {signals = Map.insert (position + 1) (name, payload) signals, position = position + 1, ..}
  CancelDue key -> do
    target <- successor key
    changeRun target $ \SimulatedRun {cancels, position, ..} ->
      SimulatedRun {cancels = Set.insert (position + 1) cancels, position = position + 1, ..}

-- | The run that continues this one, if it has ended so.
successor :: RunKey -> State World RunKey
successor key = gets $ \world -> case Map.lookup key world.runs of
  Just run | ((\outcome -> outcome.end) <$> run.end) == Just WorkflowEndContinueAsNew -> fromMaybe key (openOf run.workflowId world)
  _ -> key

-- | Lets every run go on that can.
wake :: State World ()
wake = do
  world <- state (\world -> (world, world))
  let ready = [(key, run, taken) | (key, run) <- Map.toList world.runs, isOpen run, Just taken <- [firstOf run]]
  case ready of
    (key, run, taken) : _ | isNothing world.broken, Just blocked <- run.blocked -> do
      changeRun key $ \SimulatedRun {blocked = _, ..} -> SimulatedRun {blocked = Nothing, ..}
      ended <- take_ key run blocked taken
      proceed key (blocked.resume ended)
      wake
    _ -> pure ()

-- | The first arrival of those that end the wait of a run.
firstOf :: SimulatedRun -> Maybe First
firstOf run = do
  Blocked {wait = Wait {handles, all, signals, timer}} <- run.blocked
  let doneAt handle = fst <$> (Map.lookup handle run.steps >>= \one -> one.done)
      ofHandles
        | null handles = []
        | all = maybe [] (\positions -> [(maximum positions, AllDone)]) (mapM doneAt handles)
        | otherwise = mapMaybe (\handle -> (,FirstHandle handle) <$> doneAt handle) handles
      ofSignals = [(position, FirstSignal position) | (position, (name, _)) <- Map.toAscList run.signals, name `elem` signals]
      ofTimer = [(position, FirstTimeout) | Just position <- [timer >>= doneAt]]
      ofCancel = [(position, FirstCancel position) | position <- take 1 (toList run.cancels)]
  case sortOn fst (ofHandles <> take 1 ofSignals <> ofTimer <> ofCancel) of
    (_, one) : _ -> Just one
    [] -> Nothing

-- | Takes what came first.
take_ :: RunKey -> SimulatedRun -> Blocked -> First -> State World Taken
take_ key run blocked = \case
  FirstCancel at -> do
    changeRun key $ \SimulatedRun {cancels, ..} -> SimulatedRun {cancels = Set.delete at cancels, ..}
    when isStep $ forM_ handles $ \handle -> finish key handle (Left cancelledError)
    pure TakenCancel
  FirstHandle handle -> pure (handlesCame [handle] [])
  AllDone -> pure (handlesCame inOrder [])
  FirstTimeout -> pure (TakenArrivals WorkflowArrivals {arrivals = if all then map arrival inOrder else [], timedOut = True})
  FirstSignal at -> do
    changeRun key $ \SimulatedRun {signals, ..} -> SimulatedRun {signals = Map.delete at signals, ..}
    pure $ case Map.lookup at (let SimulatedRun {signals} = run in signals) of
      Just (name, payload) -> handlesCame (if all then inOrder else []) [WorkflowArrival {handle = Nothing, signal = Just name, value = payload}]
      Nothing -> TakenCancel
  where
    Wait {handles, all, isStep} = blocked.wait
    doneOf handle = Map.lookup handle run.steps >>= \one -> one.done
    inOrder = map snd (sortOn fst [(position, handle) | handle <- handles, Just (position, _) <- [doneOf handle]])
    arrival handle = WorkflowArrival {handle = Just handle, signal = Nothing, value = maybe Null (envelope . snd) (doneOf handle)}
    handlesCame come more
      | isStep, [handle] <- come = TakenStep (maybe (Left cancelledError) snd (doneOf handle))
      | otherwise = TakenArrivals WorkflowArrivals {arrivals = map arrival come <> more, timedOut = False}

envelope :: Reply -> Value
envelope = \case
  Right payload -> object ["kind" .= ("Success" :: Text), "payload" .= payload]
  Left problem -> object ["kind" .= ("Error" :: Text), "payload" .= problem]

cancelledError :: EffectError
cancelledError = effectError ErrorCodeCancelled "the run was cancelled"

effectError :: ErrorCode -> Text -> EffectError
effectError code message = EffectError {code, message, details = Nothing}

-- | Calls the function of a run.
beginRun :: RunKey -> State World ()
beginRun key = do
  world <- state (\world -> (world, world))
  forM_ (Map.lookup key world.runs) $ \run ->
    proceed key . paused $
      runWorkflow
        world.plugin
        WorkflowInput
          { workflow = run.workflow
          , input = run.input
          , state = run.previousState
          , workflowId = run.workflowId
          , runId = run.runId
          , context = testContext
          }

-- | Lets a run go on to its next wait or to its end.
proceed :: RunKey -> Paused -> State World ()
proceed key = \case
  Finished (Left (ToolError problem)) -> modify' $ \World {broken = _, ..} -> World {broken = Just ("the workflow cannot run: " <> problem), ..}
  Finished (Right outcome) -> endRun key outcome
  Asking request next -> do
    changeRun key $ \SimulatedRun {calls, ..} -> SimulatedRun {calls = calls + 1, ..}
    ask key request next

endRun :: RunKey -> WorkflowOutcome -> State World ()
endRun key outcome = do
  world <- state (\world -> (world, world))
  forM_ (Map.lookup key world.runs) $ \run -> do
    changeRun key $ \SimulatedRun {blocked = _, end = _, ..} -> SimulatedRun {blocked = Nothing, end = Just outcome, ..}
    let continues = outcome.end == WorkflowEndContinueAsNew
        isRoot = key == world.root
    when isRoot $ modify' $ \World {published, ..} -> World {published = run.states <> published, ..}
    forM_ [child | (parent, child) <- world.parents, parent == key] (endChild world)
    if continues
      then do
        let next = fromIntegral (Map.size world.runs) + 1
            fresh = newRun run.workflow run.workflowId next outcome.input (fromMaybe Null (headOf run.states)) world.now
            kept = zip [1 ..] (Map.elems (let SimulatedRun {signals} = run in signals))
            inheriting SimulatedRun {signals = _, position = _, watchers = _, onParentEnd = _, ..} =
              SimulatedRun
                { signals = Map.fromList kept
                , position = fromIntegral (length kept)
                , watchers = run.watchers
                , onParentEnd = run.onParentEnd
                , ..
                }
        modify' $ \World {runs, root, rounds, parents, ..} ->
          World
            { runs = Map.insert next (inheriting fresh) runs
            , root = if isRoot then next else root
            , rounds = if isRoot then rounds + 1 else rounds
            , parents = parents <> [(parent, next) | (parent, child) <- parents, child == key]
            , ..
            }
        due world.now (BeginDue next)
      else do
        forM_ run.watchers $ \(watcher, handle) -> finish watcher handle (ofChild run.workflowId outcome)
        when isRoot $ modify' $ \World {ended = _, ..} -> World {ended = Just (now, outcome), ..}

headOf :: [a] -> Maybe a
headOf = \case
  one : _ -> Just one
  [] -> Nothing

endChild :: World -> RunKey -> State World ()
endChild world child = forM_ (Map.lookup child world.runs) $ \run -> when (isOpen run) $ case run.onParentEnd of
  OnParentEndCancel -> due world.now (CancelDue child)
  OnParentEndAbandon -> pure ()
  OnParentEndTerminate -> changeRun child $ \SimulatedRun {blocked = _, end = _, ..} ->
    SimulatedRun
      { blocked = Nothing
      , end = Just WorkflowOutcome {end = WorkflowEndFailed, output = Null, failure = Nothing, input = Null}
      , ..
      }

-- | A child's end, as its parent gets it.
ofChild :: Text -> WorkflowOutcome -> Reply
ofChild workflowId outcome = case outcome.end of
  WorkflowEndCompleted -> Right outcome.output
  WorkflowEndCancelled -> Left (effectError ErrorCodeCancelled ("the workflow `" <> workflowId <> "` was cancelled"))
  _ ->
    Left
      EffectError
        { code = ErrorCodeWorkflowFailed
        , message = "the workflow `" <> workflowId <> "` failed: " <> maybe "" (\failure -> failure.message) outcome.failure
        , details = toJSON <$> outcome.failure
        }

-- | Ends an attempt at a step: performs the effect, and decides if it is tried again.
attemptStep :: RunKey -> Word64 -> State World ()
attemptStep key handle = do
  run <- runOf key
  case run >>= \one -> if isOpen one then Map.lookup handle one.steps else Nothing of
    Just SimulatedStep {kind = EffectStep function request, done = Nothing, retry, attempts} -> do
      changeRun key $ \SimulatedRun {steps, ..} ->
        SimulatedRun {steps = Map.adjust (\SimulatedStep {attempts, ..} -> SimulatedStep {attempts = attempts + 1, ..}) handle steps, ..}
      reply <- performNow function request
      world <- state (\world -> (world, world))
      case (reply, retry) of
        (Left problem, Just policy)
          | Just wait <- retryWait policy (attempts + 1) problem ->
              due (world.now + wait + durationOf function world) (AttemptDue key handle)
        _ -> finish key handle reply
    _ -> pure ()

durationOf :: Text -> World -> Int64
durationOf function world = let Scenario {durations} = world.arranged in maybe 0 toMillis (Map.lookup function durations)

-- | The wait before the next attempt, without the host's jitter; 'Nothing' if there is none.
retryWait :: RetryPolicy -> Word64 -> EffectError -> Maybe Int64
retryWait policy attempts problem
  | attempts >= fromMaybe 5 policy.attempts = Nothing
  | problem.code `elem` [ErrorCodeOutcomeUnknown, ErrorCodeCancelled] = Nothing
  | not isRetried = Nothing
  | otherwise = Just (max wait (fromMaybe 0 askedWait))
  where
    isRetried = case policy.nonRetryable of
      [] -> problem.code `elem` [ErrorCodeUnavailable, ErrorCodeRateLimited, ErrorCodeTimeout, ErrorCodeInternal]
      named -> constantName problem.code `notElem` named
    growth = fromIntegral (fromMaybe 200 policy.backoffPercent) / 100 :: Double
    grown = fromIntegral (fromMaybe 1_000 policy.initialMillis) * growth ^^ (attempts - 1)
    wait = floor (min grown (fromIntegral (fromMaybe 60_000 policy.maxMillis)))
    askedWait = do
      Object details <- problem.details
      either (const Nothing) Just (parseEither parseJSON =<< maybe (Left "") Right (lookupKey details))
    lookupKey details = Map.lookup ("retryAfterMillis" :: Text) =<< either (const Nothing) Just (parseEither parseJSON (Object details))

record_ :: Text -> Value -> State World Moment
record_ function request = state $ \World {asked, counts, ..} ->
  let elapsed = Duration (fromIntegral (now - beginning))
      earlier = Map.findWithDefault 0 function counts
   in ( Moment {elapsed, earlier}
      , World {asked = (elapsed, Asked {function, request}) : asked, counts = Map.insert function (earlier + 1) counts, ..}
      )

-- | Performs an effect: by a handler, or as the simulation does.
performNow :: Text -> Value -> State World Reply
performNow function request = do
  moment <- record_ function request
  handlers <- gets (\world -> let Scenario {handlers} = world.arranged in handlers)
  case [reply | handler <- handlers, Just reply <- [handled moment function request handler]] of
    reply : _ -> pure reply
    [] -> fromMaybe (pure (Left (unanswered function))) (builtin function request)

handled :: Moment -> Text -> Value -> Handler -> Maybe Reply
handled moment function request (Handler (handle :: Moment -> r -> Either EffectError (Answer r)))
  | functionName (Proxy @r) /= function = Nothing
  | otherwise = Just $ case parseEither parseJSON request of
      Right decoded -> toJSON <$> handle moment decoded
      Left problem -> Left (effectError ErrorCodeInvalidInput (function <> " got what it does not take: " <> Text.pack problem))

-- | Effects that need no handler.
builtin :: Text -> Value -> Maybe (State World Reply)
builtin function request = case function of
  "log" -> done
  "emit_event" -> done
  "clock_now" -> Just $ gets $ \world ->
    Right (toJSON ClockTime {unixMillis = world.now, iso8601 = "", monotonicNanos = fromIntegral (world.now - beginning) * 1_000_000})
  "random_bytes" -> decoded $ \RandomBytes {length} ->
    pure (toJSON RandomBytesAnswer {bytes = Base64 (ByteString.replicate (fromIntegral length) 7)})
  "kv_get" -> decoded $ \KvGet {key} -> gets $ \World {values} ->
    toJSON KvEntry {found = Map.member key values, value = fromMaybe Null (Map.lookup key values)}
  "kv_set" -> decoded $ \KvSet {key, value} -> do
    modify' $ \World {values, ..} -> World {values = Map.insert key value values, ..}
    pure (toJSON Done)
  "kv_delete" -> decoded $ \KvDelete {key} -> do
    existed <- gets (\World {values} -> Map.member key values)
    modify' $ \World {values, ..} -> World {values = Map.delete key values, ..}
    pure (toJSON KvDeleted {existed})
  _ -> Nothing
  where
    done = Just (pure (Right (toJSON Done)))
    decoded :: (FromJSON r) => (r -> State World Value) -> Maybe (State World Reply)
    decoded perform = Just $ case parseEither parseJSON request of
      Right asked -> Right <$> perform asked
      Left problem -> pure (Left (effectError ErrorCodeInvalidInput (Text.pack problem)))

-- | The host function of a capability that a workflow starts.
functionOf :: Text -> World -> Maybe Text
functionOf capability world = find_ (named <> known)
  where
    Scenario {handlers} = world.arranged
    find_ pairs = snd <$> find ((== capability) . fst) pairs
    named = [(capabilityName (Proxy @r), functionName (Proxy @r)) | Handler (_ :: Moment -> r -> Either EffectError (Answer r)) <- handlers]
    known =
      [ ("kv.get", "kv_get")
      , ("kv.set", "kv_set")
      , ("kv.delete", "kv_delete")
      , ("clock.now", "clock_now")
      , ("random.bytes", "random_bytes")
      , ("log.write", "log")
      , ("log.emit_event", "emit_event")
      ]

-- Requests ---------------------------------------------------------------------------------------------------

-- | Answers a request, or lets the run wait.
ask :: forall r. (Request r) => RunKey -> r -> (Either EffectError (Answer r) -> Paused) -> State World ()
ask key request next
  | Just Refl <- eqT @r @WorkflowSleep = recorded >> sleepFor request.millis
  | Just Refl <- eqT @r @Sleep = recorded >> sleepFor request.millis
  | Just Refl <- eqT @r @WorkflowStart = recorded >> startStep key request >>= answer
  | Just Refl <- eqT @r @WorkflowWait = recorded >> waitFor key request (proceed key . next . Left) arrived
  | Just Refl <- eqT @r @WorkflowCancel = recorded >> cancelStep key request >>= answer
  | Just Refl <- eqT @r @WorkflowStartChild = recorded >> startChild key request >>= answer
  | Just Refl <- eqT @r @WorkflowSignal = recorded >> sendSignal request >>= answer
  | Just Refl <- eqT @r @WorkflowSetState = do
      recorded
      changeRun key $ \SimulatedRun {states, ..} -> SimulatedRun {states = request.state : states, ..}
      answer (Right Done)
  | Just Refl <- eqT @r @WorkflowPatched = do
      recorded
      unpatched <- gets (\world -> let Scenario {unpatched} = world.arranged in unpatched)
      answer (Right WorkflowPatch {applies = Set.notMember request.id unpatched})
  | Just Refl <- eqT @r @WorkflowInfo = recorded >> runInfo key >>= answer
  -- These are answered at once, and hear of no cancellation.
  | function `elem` ["log", "emit_event", "clock_now", "random_bytes", "workflow_get"] = do
      reply <- performNow function (toJSON request)
      answer (decodeReply reply)
  | otherwise = do
      handle <- newStep key (EffectStep function (toJSON request)) Nothing
      world <- state (\world -> (world, world))
      due (world.now + durationOf function world) (AttemptDue key handle)
      block (oneStep handle) (next . ofStep)
  where
    function = functionName (Proxy @r)
    recorded = () <$ record_ function (toJSON request)
    answer reply = proceed key (next reply)
    block wait resume = changeRun key $ \SimulatedRun {blocked = _, ..} -> SimulatedRun {blocked = Just Blocked {wait, resume}, ..}
    sleepFor :: Word64 -> State World ()
    sleepFor millis = do
      handle <- newTimer key millis
      block (oneStep handle) (next . ofStep)
    arrived :: (WorkflowArrivals ~ Answer r) => Wait -> State World ()
    arrived wait = block wait $ \taken -> next $ case taken of
      TakenArrivals arrivals -> Right arrivals
      TakenCancel -> Left cancelledError
      TakenStep _ -> Left cancelledError
    ofStep = \case
      TakenStep reply -> decodeReply reply
      _ -> Left cancelledError

oneStep :: Word64 -> Wait
oneStep handle = Wait {handles = [handle], all = False, signals = [], timer = Nothing, isStep = True}

decodeReply :: (FromJSON a) => Reply -> Either EffectError a
decodeReply reply = case parseEither parseJSON (envelope reply) of
  Right (Envelope decoded) -> decoded
  Left problem -> Left (effectError ErrorCodeInternal (Text.pack problem))

newTimer :: RunKey -> Word64 -> State World Word64
newTimer key millis = do
  handle <- newStep key TimerStep Nothing
  now <- gets (\world -> world.now)
  due (now + fromIntegral millis) (ReplyDue key handle (Right (toJSON Done)))
  pure handle

startStep :: RunKey -> WorkflowStart -> State World (Either EffectError WorkflowStarted)
startStep key asked = do
  world <- state (\world -> (world, world))
  case (asked.effect, functionOf asked.effect world) of
    ("workflow.sleep", _) -> case parseEither parseJSON request of
      Right WorkflowSleep {millis} -> Right . WorkflowStarted <$> newTimer key millis
      Left problem -> pure (Left (effectError ErrorCodeInvalidInput (Text.pack problem)))
    (_, Just function) -> do
      handle <- newStep key (EffectStep function request) asked.retry
      due (world.now + durationOf function world) (AttemptDue key handle)
      forM_ asked.timeoutMillis $ \millis ->
        due (world.now + fromIntegral millis) . ReplyDue key handle . Left . effectError ErrorCodeTimeout $
          "`" <> asked.effect <> "` was not done in " <> shown millis <> " ms"
      pure (Right (WorkflowStarted handle))
    (effect, Nothing) -> pure (Left (effectError ErrorCodeInvalidInput ("no handler of the test answers `" <> effect <> "`")))
  where
    request = case asked.request of
      Null -> object []
      given -> given

waitFor :: RunKey -> WorkflowWait -> (EffectError -> State World ()) -> (Wait -> State World ()) -> State World ()
waitFor key asked refuse block = do
  steps <- maybe Map.empty (\run -> run.steps) <$> runOf key
  case filter (`Map.notMember` steps) asked.handles of
    unknown : _ -> refuse (effectError ErrorCodeInvalidInput ("the run has no handle " <> shown unknown))
    [] -> do
      timer <- mapM (newTimer key) asked.timeoutMillis
      block Wait {handles = asked.handles, all = asked.all, signals = asked.signals, timer, isStep = False}

cancelStep :: RunKey -> WorkflowCancel -> State World (Either EffectError Done)
cancelStep key asked = do
  found <- (>>= \run -> Map.lookup asked.handle run.steps) <$> runOf key
  now <- gets (\world -> world.now)
  case found of
    Nothing -> pure (Left (effectError ErrorCodeInvalidInput ("the run has no handle " <> shown asked.handle)))
    Just one -> do
      case (one.done, one.kind) of
        (Just _, _) -> pure ()
        -- Its answer comes when it has ended.
        (Nothing, ChildStep (Just child)) -> due now (CancelDue child)
        _ -> finish key asked.handle (Left (effectError ErrorCodeCancelled "the step was cancelled"))
      pure (Right Done)

startChild :: RunKey -> WorkflowStartChild -> State World (Either EffectError WorkflowChild)
startChild parent asked = do
  world <- state (\world -> (world, world))
  let Scenario {children} = world.arranged
      own = Map.lookup parent world.runs
      counted = maybe "" (\run -> run.workflowId <> "/" <> shown (Map.size run.steps)) own
      workflowId = fromMaybe counted asked.workflowId
      key = fromIntegral (Map.size world.runs) + 1
  case (Map.lookup asked.workflow children, openOf workflowId world) of
    (Just (duration, answer), _) -> do
      handle <- newStep parent (ChildStep Nothing) Nothing
      due (world.now + toMillis duration) (ReplyDue parent handle (answer asked.input))
      pure (Right WorkflowChild {handle = Just handle, workflowId, runId = "run-of-" <> workflowId, started = True})
    (Nothing, Just open) -> watched workflowId open False
    (Nothing, Nothing)
      | any (\one -> one.name == asked.workflow) world.plugin.workflows -> do
          let run = newRun asked.workflow workflowId key asked.input Null world.now
          modify' $ \World {runs, parents, ..} ->
            World {runs = Map.insert key (ending run) runs, parents = parents <> [(parent, key)], ..}
          due world.now (BeginDue key)
          watched workflowId key True
      | otherwise -> pure (Left (effectError ErrorCodeNotFound ("no workflow `" <> asked.workflow <> "`")))
  where
    ending SimulatedRun {onParentEnd = _, ..} = SimulatedRun {onParentEnd = fromMaybe OnParentEndCancel asked.onParentEnd, ..}
    watched workflowId child started = do
      handle <- newStep parent (ChildStep (Just child)) Nothing
      changeRun child $ \SimulatedRun {watchers, ..} -> SimulatedRun {watchers = watchers <> [(parent, handle)], ..}
      runId <- maybe "" (\run -> run.runId) <$> runOf child
      pure (Right WorkflowChild {handle = Just handle, workflowId, runId, started})

sendSignal :: WorkflowSignal -> State World (Either EffectError Done)
sendSignal asked = do
  world <- state (\world -> (world, world))
  case openOf asked.workflowId world of
    Just key -> Right Done <$ due world.now (SignalDue key asked.name asked.payload)
    Nothing -> pure (Left (effectError ErrorCodeNotFound ("no open run of a workflow `" <> asked.workflowId <> "`")))

runInfo :: RunKey -> State World (Either EffectError WorkflowRunInfo)
runInfo key = do
  many <- gets (\world -> let Scenario {manySteps} = world.arranged in manySteps)
  (maybe (Left cancelledError) (Right . told many)) <$> runOf key
  where
    told many run =
      WorkflowRunInfo
        { workflow = run.workflow
        , workflowId = run.workflowId
        , runId = run.runId
        , startedUnixMillis = run.begunAt
        , steps = run.calls - 1
        , suggestsContinueAsNew = run.calls > many
        }
