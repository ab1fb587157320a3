-- | Tools: functions with a name, a description and the JSON Schemas of their arguments and results.
module Exomonad.Guest.Tool
  ( Tool (..),
    tool,
    toolWith,
    titled,
    hinted,
    pictured,
    icon,
    Hint (..),
    ToolOutput (..),
    NoArguments (..),
    listing,
    failure,
    resultOfWorkflow,
  )
where

import Data.Aeson (FromJSON (..), ToJSON (..), Value (..), object, withObject, (.=))
import Data.Aeson.KeyMap qualified as KeyMap
import Data.Aeson.Types (parseEither)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (decodeUtf8)
import Exomonad.Guest.Eff (Eff, failWith)
import Exomonad.Guest.Effects (Effects)
import Exomonad.Guest.Json (encodeStrict)
import Exomonad.Guest.Schema (Schema (..))
import Exomonad.Guest.Types hiding (Tool (..))
import Exomonad.Guest.Types qualified as Types

-- | A plugin's entry for a tool.
data Tool = Tool
  { name :: Text
  -- ^ The name by which it is called.
  , title :: Maybe Text
  -- ^ A display name for people.
  , description :: Text
  -- ^ Its description, for models.
  , icons :: [Icon]
  -- ^ Pictures of it, the best first.
  , hints :: [Hint]
  -- ^ Hints about its behaviour.
  , inputSchema :: Value
  -- ^ The JSON Schema of its arguments.
  , outputSchema :: Maybe Value
  -- ^ The JSON Schema of its result, if that is an object.
  , call :: Value -> Context -> Eff Effects CallToolResult
  -- ^ The function.
  }

-- | Hints about a tool's behaviour, by its author.
data Hint
  = -- | It changes nothing.
    ReadOnly
  | -- | It may destroy something.
    Destructive
  | -- | Calling it twice does what calling it once does.
    Idempotent
  | -- | It deals with things outside the host.
    OpenWorld
  deriving stock (Eq, Show)

-- | A tool: its name, its description, and the function.
tool :: (FromJSON i, Schema i, ToolOutput o) => Text -> Text -> (i -> Eff Effects o) -> Tool
tool name description run = toolWith name description (\arguments _ -> run arguments)

-- | A tool whose function gets the call's context.
toolWith :: forall i o. (FromJSON i, Schema i, ToolOutput o) => Text -> Text -> (i -> Context -> Eff Effects o) -> Tool
toolWith name description run =
  Tool
    { name
    , title = Nothing
    , description
    , icons = []
    , hints = []
    , inputSchema = schema @i
    , outputSchema = resultSchema @o
    , call = \arguments context -> case parseEither parseJSON arguments of
        Left problem -> failWith ("the arguments do not fit: " <> Text.pack problem)
        Right decoded -> toResult <$> run decoded context
    }

-- | Sets a tool's display name.
titled :: Text -> Tool -> Tool
titled title Tool {title = _, ..} = Tool {title = Just title, ..}

-- | Sets the hints about a tool's behaviour.
hinted :: [Hint] -> Tool -> Tool
hinted hints Tool {hints = _, ..} = Tool {hints, ..}

-- | Sets the pictures of a tool, the best first.
pictured :: [Icon] -> Tool -> Tool
pictured icons Tool {icons = _, ..} = Tool {icons, ..}

-- | A picture at this address, @https:@ or @data:@.
icon :: Text -> Icon
icon src = Icon {src, mimeType = Nothing, sizes = [], theme = Nothing}

-- | The arguments of a tool without arguments.
data NoArguments = NoArguments
  deriving stock (Eq, Show)

instance FromJSON NoArguments where
  parseJSON = withObject "NoArguments" $ \_ -> pure NoArguments

instance Schema NoArguments where
  schema = object ["type" .= ("object" :: Text), "properties" .= object [], "additionalProperties" .= False]

-- | A tool's result: any type with JSON and a JSON Schema, or a 'CallToolResult' built by hand.
class ToolOutput o where
  -- | The JSON Schema of the result, if that is an object.
  resultSchema :: Maybe Value

  -- | The result as the host gets it.
  toResult :: o -> CallToolResult

instance {-# OVERLAPPABLE #-} (ToJSON o, Schema o) => ToolOutput o where
  resultSchema = case schema @o of
    whole@(Object fields) | KeyMap.lookup "type" fields == Just (String "object") -> Just whole
    _ -> Nothing
  toResult output = case toJSON output of
    String text -> textual text Nothing
    json@(Object _) -> textual (asText json) (Just json)
    json -> textual (asText json) Nothing
    where
      asText = decodeUtf8 . encodeStrict

instance ToolOutput CallToolResult where
  resultSchema = Nothing
  toResult = id

textual :: Text -> Maybe Value -> CallToolResult
textual text structuredContent =
  CallToolResult {content = [ContentText text], structuredContent, isError = False, meta = Nothing, workflowId = Nothing}

-- | A tool's failure as a result, as MCP defines it.
failure :: Text -> CallToolResult
failure message =
  CallToolResult {content = [ContentText message], structuredContent = Nothing, isError = True, meta = Nothing, workflowId = Nothing}

-- | The result that a run of a workflow will have: the host waits for its end, or gives the client a task.
resultOfWorkflow :: Text -> CallToolResult
resultOfWorkflow workflowId =
  CallToolResult {content = [], structuredContent = Nothing, isError = False, meta = Nothing, workflowId = Just workflowId}

-- | The tool as listed.
listing :: Tool -> Types.Tool
listing one =
  Types.Tool
    { name = one.name
    , title = one.title
    , description = Just one.description
    , inputSchema = one.inputSchema
    , outputSchema = one.outputSchema
    , annotations = if null one.hints then Nothing else Just hints
    , icons = one.icons
    , meta = Nothing
    }
  where
    hint wanted = if wanted `elem` one.hints then Just True else Nothing
    hints =
      ToolAnnotations
        { readOnlyHint = hint ReadOnly
        , destructiveHint = hint Destructive
        , idempotentHint = hint Idempotent
        , openWorldHint = hint OpenWorld
        }
