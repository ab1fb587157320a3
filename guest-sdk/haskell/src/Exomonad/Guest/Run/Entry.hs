-- | A plugin's entries for its workflows, and the calls that the host makes to them.
--
-- "Exomonad.Guest.Run" is for authors. This module has no entry points, so that a plugin without workflows
-- exports none.
module Exomonad.Guest.Run.Entry
  ( WorkflowEntry (..),
    Run (..),
    Control (..),
    WorkflowError (..),
    WorkflowEffects,
    Query (..),
    WorkflowOutput (..),
    listing,
    runBody,
    answerQuery,
  )
where

import Control.Monad.Trans.Class (lift)
import Control.Monad.Trans.Except (ExceptT, runExceptT, throwE)
import Control.Monad.Trans.State.Strict (StateT, modify', runStateT)
import Data.Aeson (FromJSON (..), ToJSON (..), Value (..), object, (.=))
import Data.Aeson.Types (parseEither)
import Data.Foldable (find)
import Data.Int (Int32)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Word (Word32)
import Exomonad.Guest.Eff
import Exomonad.Guest.Effects (Effects)
import Exomonad.Guest.Json (Constant (..))
import Exomonad.Guest.Schema (Schema (..))
import Exomonad.Guest.Types
import Foreign.Ptr (FunPtr)

-- | A plugin's entry for a workflow.
data WorkflowEntry = WorkflowEntry
  { name :: Text
  -- ^ The name by which it is started.
  , title :: Maybe Text
  -- ^ A display name for people.
  , icons :: [Icon]
  -- ^ Pictures of it, the best first.
  , description :: Text
  -- ^ Its description.
  , inputSchema :: Value
  -- ^ The JSON Schema of its input.
  , outputSchema :: Maybe Value
  -- ^ The JSON Schema of its output, if it has one.
  , stateSchema :: Maybe Value
  -- ^ The JSON Schema of the state that it publishes, if it does.
  , stateVersion :: Word32
  -- ^ The version of that state.
  , signals :: [WorkflowMessage]
  -- ^ The signals that it takes; any, if none is declared.
  , queries :: [Query]
  -- ^ The queries that it answers.
  , isTool :: Bool
  -- ^ True if MCP clients may start it as a tool.
  , needsTask :: Bool
  -- ^ True if that tool is for clients that have tasks.
  , migrate :: Maybe (Word32 -> Value -> Either Text Value)
  -- ^ From the version of a state and the state to that of the current version.
  , call :: WorkflowInput -> Eff Effects WorkflowOutcome
  -- ^ The function, from its input to the end of the run.
  , exports :: [FunPtr (IO Int32)]
  -- ^ The entry points, stored here so that the linker keeps them.
  }

-- | A query: a function of the published state and the arguments.
data Query = Query
  { name :: Text
  , schema :: Maybe Value
  -- ^ The JSON Schema of its arguments; 'Nothing' if it takes none.
  , answer :: Value -> Value -> Either Text Value
  }

-- | A run, whose published state has the type @s@.
data Run s = Run
  { workflowId :: Text
  -- ^ The workflow's id, chosen by whoever started it.
  , runId :: Text
  -- ^ The run's id.
  , context :: Context
  -- ^ The call. Its id is the run's, however often that is resumed.
  , previousState :: Maybe s
  -- ^ The state that the run before this one has published, if that was continued as new.
  }

-- | The control of a run: its end, and what undoes its steps.
data Control a where
  End :: WorkflowError -> Control a
  AddCompensation :: Eff WorkflowEffects () -> Control ()

-- | The effects available to a workflow: those of a tool, and 'Control'.
type WorkflowEffects = Control : Fail : Effects

-- | The reason why a run ends without an output.
data WorkflowError
  = Failed WorkflowFailure
  | -- | The run was asked to cancel, and a blocking call told it so.
    Cancelled Text
  | -- | The input of the run that goes on.
    ContinuedAsNew Value
  deriving stock (Eq, Show)

-- | A workflow's output: any type with JSON and a JSON Schema, or @()@ for none.
class WorkflowOutput o where
  -- | The JSON Schema of the output, if it has one.
  workflowOutputSchema :: Maybe Value

  -- | The output as the host gets it.
  toWorkflowOutput :: o -> Value

instance {-# OVERLAPPABLE #-} (ToJSON o, Schema o) => WorkflowOutput o where
  workflowOutputSchema = Just (schema @o)
  toWorkflowOutput = toJSON

instance WorkflowOutput () where
  workflowOutputSchema = Nothing
  toWorkflowOutput () = Null

-- | The workflow as listed.
listing :: WorkflowEntry -> WorkflowDefinition
listing one =
  WorkflowDefinition
    { name = one.name
    , title = one.title
    , description = Just one.description
    , inputSchema = Just one.inputSchema
    , outputSchema = one.outputSchema
    , stateSchema = one.stateSchema
    , stateVersion = one.stateVersion
    , signals = one.signals
    , queries = [WorkflowMessage {name = query.name, description = Nothing, schema = query.schema} | query <- one.queries]
    , icons = one.icons
    , isTool = one.isTool
    , needsTask = one.needsTask
    }

-- | Answers a query of a workflow about a published state.
answerQuery :: WorkflowEntry -> WorkflowQueryInput -> Either Text Value
answerQuery one asked = case find (\query -> query.name == asked.query) one.queries of
  Nothing ->
    Left ("the workflow `" <> one.name <> "` has no query `" <> asked.query <> "`; there are " <> Text.intercalate ", " [query.name | query <- one.queries])
  Just query
    | asked.state == Null -> Left "the run has not published a state yet"
    | otherwise -> query.answer asked.state asked.arguments

-- | Runs the function of a workflow, and the compensations of its steps if it fails.
runBody :: (FromJSON i, FromJSON s, WorkflowOutput o) => (Run s -> i -> Eff WorkflowEffects o) -> WorkflowInput -> Eff Effects WorkflowOutcome
runBody body asked = case (decodeInput asked.input, previous) of
  (_, Left problem) -> failWith ("the state of the run before does not fit: " <> Text.pack problem)
  (Left problem, _) -> pure (ended (Failed (failureOf "invalid_input" ("the input does not fit: " <> Text.pack problem))))
  (Right decoded, Right previousState) -> do
    let run = Run {workflowId = asked.workflowId, runId = asked.runId, context = asked.context, previousState}
    (result, compensations) <- interpretBody (body run decoded) []
    either (fmap ended . compensate compensations) (pure . completed . toWorkflowOutput) result
  where
    previous = case asked.state of
      Null -> Right Nothing
      state -> Just <$> parseEither parseJSON state

-- | No input is that of a type whose fields are all optional.
decodeInput :: (FromJSON i) => Value -> Either String i
decodeInput = \case
  Null -> either (const (parseEither parseJSON Null)) Right (parseEither parseJSON (object []))
  input -> parseEither parseJSON input

type Compensations = [Eff WorkflowEffects ()]

-- | Interprets what is the workflow's own, with the compensations so far, the latest first.
interpretBody :: Eff WorkflowEffects o -> Compensations -> Eff Effects (Either WorkflowError o, Compensations)
interpretBody program = runStateT (runExceptT (foldEff step program))
  where
    step :: Union WorkflowEffects x -> ExceptT WorkflowError (StateT Compensations (Eff Effects)) x
    step request = case decompose request of
      Right (End reason) -> throwE reason
      Right (AddCompensation compensation) -> lift (modify' (compensation :))
      Left others -> case decompose others of
        Right (Fail problem) -> throwE (workflowErrorOf problem)
        Left ofHost -> lift (lift (passed ofHost))

-- | The failure of a tool as that of a workflow: an effect's error keeps its code, and @cancelled@ is the
-- run's cancellation.
workflowErrorOf :: ToolError -> WorkflowError
workflowErrorOf problem@(ToolError message) = case effectErrorOf problem of
  Just EffectError {code = ErrorCodeCancelled} -> Cancelled message
  Just effectError -> Failed WorkflowFailure {code = constantName effectError.code, message, details = effectError.details}
  Nothing -> Failed (failureOf "failed" message)

failureOf :: Text -> Text -> WorkflowFailure
failureOf code message = WorkflowFailure {code, message, details = Nothing}

-- | Undoes what has a compensation; returns how the run ends: by the error itself, or by
-- @compensation_failed@ if something could not be undone.
compensate :: Compensations -> WorkflowError -> Eff Effects WorkflowError
compensate _ reason@(ContinuedAsNew _) = pure reason
compensate compensations reason = do
  failures <- undo compensations
  pure (if null failures then reason else Failed (notUndone failures))
  where
    undo [] = pure []
    undo (latest : earlier) = do
      (result, rest) <- interpretBody latest earlier >>= again latest
      either (\failure -> (failure :) <$> undo rest) (\() -> undo rest) result
    -- A run is told once that it is cancelled: the second call is undisturbed.
    again latest = \case
      (Left (Cancelled _), rest) -> interpretBody latest rest
      other -> pure other
    notUndone failures =
      WorkflowFailure
        { code = "compensation_failed"
        , message = said reason <> "; and this could not be undone: " <> Text.intercalate "; " (map said failures)
        , details = Just (object ["cause" .= told reason, "failures" .= map told failures])
        }
    told one = object ["code" .= codeOf one, "message" .= said one]

codeOf, said :: WorkflowError -> Text
codeOf = \case
  Failed failure -> failure.code
  Cancelled _ -> "cancelled"
  ContinuedAsNew _ -> "continue_as_new"
said = \case
  Failed failure -> failure.message
  Cancelled message -> message
  ContinuedAsNew _ -> "the run goes on as a new one"

completed :: Value -> WorkflowOutcome
completed output = (ending WorkflowEndCompleted) {output}

ended :: WorkflowError -> WorkflowOutcome
ended = \case
  Failed failure -> (ending WorkflowEndFailed) {failure = Just failure}
  Cancelled _ -> ending WorkflowEndCancelled
  ContinuedAsNew input -> (ending WorkflowEndContinueAsNew) {input}

ending :: WorkflowEnd -> WorkflowOutcome
ending end = WorkflowOutcome {end, output = Null, failure = Nothing, input = Null}
