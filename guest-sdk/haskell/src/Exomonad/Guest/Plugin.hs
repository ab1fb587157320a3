-- | Plugins: tools, hooks and workflows under a name, and the dispatch of the host's calls.
module Exomonad.Guest.Plugin
  ( Plugin (..),
    runPlugin,
    runPluginWith,
    callTool,
    callHook,
    listTools,
    runWorkflow,
    queryWorkflow,
    migrateWorkflow,
    listWorkflows,
  )
where

import Control.Exception (SomeException, displayException, evaluate, fromException, throwIO, try)
import Data.Aeson (FromJSON, object)
import Data.ByteString (ByteString)
import Data.Foldable (find)
import Data.List (dropWhileEnd)
import Data.Maybe (fromMaybe)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (decodeUtf8Lenient, encodeUtf8)
import Exomonad.Guest.Abi (entry, input, setError, setOutput)
import Exomonad.Guest.Decode (decodeJson)
import Exomonad.Guest.Eff (Eff, ToolError (..), failWith)
import Exomonad.Guest.Effect (runOnHost)
import Exomonad.Guest.Effects (Effects)
import Exomonad.Guest.Hook (Hook (..))
import Exomonad.Guest.Json (Constant (constantName), encodeStrict)
import Exomonad.Guest.Offer (Offer (entries, exports), completing)
import Exomonad.Guest.Run.Entry (WorkflowEntry (..), answerQuery)
import Exomonad.Guest.Run.Entry qualified as Run
import Exomonad.Guest.Tool (Tool (..), failure, listing)
import Exomonad.Guest.Types hiding (Tool (..))

-- | A plugin.
data Plugin = Plugin
  { name :: Text
  -- ^ Its name.
  , version :: Text
  -- ^ Its version.
  , tools :: [Tool]
  -- ^ Its tools, as they are listed.
  , hooks :: [Hook]
  -- ^ Its hooks.
  , workflows :: [WorkflowEntry]
  -- ^ Its workflows.
  }

-- | The @main@ of a plugin, which handles the host's calls to every entry point.
runPlugin :: Plugin -> IO ()
runPlugin = runPluginWith []
-- Inlined, so that the values that no call changes become constants of the plugin's own module.
{-# INLINE runPlugin #-}

-- | The @main@ of a plugin that offers more: "Exomonad.Guest.Resource", "Exomonad.Guest.Prompt".
runPluginWith :: [Offer] -> Plugin -> IO ()
runPluginWith offers plugin = serve offers plugin (encodeStrict (listTools plugin)) (encodeStrict (description plugin))
{-# INLINE runPluginWith #-}

serve :: [Offer] -> Plugin -> ByteString -> ByteString -> IO ()
serve offers plugin listed described =
  entry >>= \case
    "handle_mcp_call" -> answering $ \bytes -> do
      result <- try (decoded bytes >>= runOnHost . callTool plugin >>= evaluate . encodeStrict)
      -- A tool's failure is a result, as MCP defines it.
      either (fmap (encodeStrict . failure) . said) pure result
    "handle_list_tools" -> answering (const (pure listed))
    "describe" -> answering (const (pure described))
    "handle_list_workflows" -> answering (const (pure (encodeStrict (listWorkflows plugin))))
    "handle_workflow" -> answering (\bytes -> decoded bytes >>= fmap encodeStrict . runOnHost . runWorkflow plugin)
    "handle_query" -> answering (\bytes -> decoded bytes >>= orThrow . fmap encodeStrict . queryWorkflow plugin)
    "handle_migrate" -> answering (\bytes -> decoded bytes >>= orThrow . fmap encodeStrict . migrateWorkflow plugin)
    -- During initialisation, the values that every call needs are evaluated once.
    "" -> try (evaluate listed *> evaluate described *> mapM_ evaluate plugin.hooks *> mapM_ kept plugin.workflows *> mapM_ offered offers) >>= either refuse pure
    "handle_complete" -> answering (fmap (encodeStrict . completing offers) . decoded)
    offer | Just handle <- lookup offer (concatMap (.entries) offers) -> answering $ \bytes ->
      either (\problem -> throwIO (ToolError ("the input cannot be read: " <> Text.pack problem))) runOnHost (handle bytes)
    event -> answering $ \bytes -> do
      hookInput <- decoded bytes
      case find (\one -> "handle_" <> encodeUtf8 (constantName one.event) == event) plugin.hooks of
        Just one -> encodeStrict <$> runOnHost (one.run hookInput)
        Nothing -> throwIO (ToolError ("the plugin has no hook `" <> decodeUtf8Lenient event <> "`"))
  where
    orThrow = either (throwIO . ToolError) pure
    -- The entry points are evaluated as the hooks' are.
    kept one = mapM_ evaluate one.exports
    offered one = mapM_ evaluate one.exports
{-# NOINLINE serve #-}

-- | Handles a call. Every exception is reported to the host.
answering :: (ByteString -> IO ByteString) -> IO ()
answering answer = do
  outcome <- try (input >>= answer >>= evaluate)
  either refuse setOutput outcome

refuse :: SomeException -> IO ()
refuse exception = said exception >>= setError . encodeUtf8

decoded :: (FromJSON a) => ByteString -> IO a
decoded bytes = case decodeJson bytes of
  Right value -> pure value
  Left problem -> throwIO (ToolError ("the input cannot be read: " <> Text.pack problem))

-- | The message of an exception. A tool's own failure is for its caller; any other is a mistake in the
-- plugin, with its position. The message may itself throw, or be undefined.
said :: SomeException -> IO Text
said exception = either (\(_ :: SomeException) -> silent) id <$> try (evaluate told)
  where
    silent = "the plugin failed, and what it has to say of that fails too"
    told = case fromException exception of
      Just (ToolError message) -> message
      Nothing -> "the plugin failed: " <> Text.strip (Text.unlines (places (Text.lines (Text.pack (displayException exception)))))

-- | The lines about the plugin: no call stack twice, and none of GHC's own.
places :: [Text] -> [Text]
places shown = case dropWhileEnd (Text.null . Text.strip) (filter (not . Text.isInfixOf " in ghc-internal:") shown) of
  told
    | "CallStack (from HasCallStack):" `elem` told || drop (length told - 1) told == [backtrace] -> takeWhile (/= backtrace) told
    | otherwise -> told
  where
    backtrace = "HasCallStack backtrace:"

-- | Calls a tool, with the interpreter of a test if it has one.
callTool :: Plugin -> ToolCallInput -> Eff Effects CallToolResult
callTool plugin call = case find (\one -> one.name == call.name) plugin.tools of
  Just one -> one.call (fromMaybe (object []) call.arguments) call.context
  Nothing -> failWith ("no tool `" <> call.name <> "`; there are " <> Text.intercalate ", " [one.name | one <- plugin.tools])

-- | Calls a plugin's hook for an event; 'Nothing' if there is none for it.
callHook :: Plugin -> HookInput -> Maybe (Eff Effects HookOutput)
callHook plugin hookInput =
  (\one -> one.run hookInput) <$> find (\one -> one.event == hookInput.event) plugin.hooks

-- | The tools as the host lists them.
listTools :: Plugin -> ListToolsResult
listTools plugin = ListToolsResult {tools = map listing plugin.tools}

-- | Runs a workflow from its beginning to the end of the run.
runWorkflow :: Plugin -> WorkflowInput -> Eff Effects WorkflowOutcome
runWorkflow plugin asked = either failWith (\one -> one.call asked) (workflowNamed plugin asked.workflow)

-- | Answers a query from the state that a run has published.
queryWorkflow :: Plugin -> WorkflowQueryInput -> Either Text WorkflowQueryResult
queryWorkflow plugin asked = do
  one <- workflowNamed plugin asked.workflow
  WorkflowQueryResult <$> answerQuery one asked

-- | Brings a published state to the workflow's current version.
migrateWorkflow :: Plugin -> WorkflowMigrateInput -> Either Text WorkflowMigrateResult
migrateWorkflow plugin asked = do
  one <- workflowNamed plugin asked.workflow
  case one.migrate of
    Just migrate | asked.toVersion == one.stateVersion -> WorkflowMigrateResult <$> migrate asked.fromVersion asked.state
    _ ->
      Left
        ( "the workflow `" <> one.name <> "` cannot bring its state from version " <> shown asked.fromVersion
            <> " to " <> shown asked.toVersion <> "; its version is " <> shown one.stateVersion
        )
  where
    shown = Text.pack . show

workflowNamed :: Plugin -> Text -> Either Text WorkflowEntry
workflowNamed plugin name = case find (\one -> one.name == name) plugin.workflows of
  Just one -> Right one
  Nothing -> Left ("no workflow `" <> name <> "`; there are " <> Text.intercalate ", " [one.name | one <- plugin.workflows])

-- | The workflows as the host lists them.
listWorkflows :: Plugin -> ListWorkflowsResult
listWorkflows plugin = ListWorkflowsResult {workflows = map Run.listing plugin.workflows}

-- | The effects that the plugin needs are the host functions it imports, so no list has to be maintained.
description :: Plugin -> PluginDescription
description plugin =
  PluginDescription
    { name = plugin.name
    , version = plugin.version
    , effects = []
    , sdk = Just "haskell/0.1.0"
    }
