-- | Tools: functions with a name, a description and the JSON Schemas of what they take and give.
module Exomonad.Guest.Tool
  ( Tool (..),
    tool,
    toolWith,
    titled,
    hinted,
    Hint (..),
    ToolOutput (..),
    NoArguments (..),
    listing,
    failure,
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

-- | What a plugin knows of a tool.
data Tool = Tool
  { name :: Text
  -- ^ What a call names.
  , title :: Maybe Text
  -- ^ The name for people.
  , description :: Text
  -- ^ What it does: this is what a model reads.
  , hints :: [Hint]
  -- ^ How it behaves.
  , inputSchema :: Value
  -- ^ The JSON Schema of its arguments.
  , outputSchema :: Maybe Value
  -- ^ The JSON Schema of its result, when that is an object.
  , call :: Value -> Context -> Eff Effects CallToolResult
  -- ^ Runs it with its arguments.
  }

-- | How a tool behaves, as far as its author says.
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

-- | A tool: its name, what it does, and the function.
tool :: (FromJSON i, Schema i, ToolOutput o) => Text -> Text -> (i -> Eff Effects o) -> Tool
tool name description run = toolWith name description (\arguments _ -> run arguments)

-- | A tool that looks at who is calling.
toolWith :: forall i o. (FromJSON i, Schema i, ToolOutput o) => Text -> Text -> (i -> Context -> Eff Effects o) -> Tool
toolWith name description run =
  Tool
    { name
    , title = Nothing
    , description
    , hints = []
    , inputSchema = schema @i
    , outputSchema = resultSchema @o
    , call = \arguments context -> case parseEither parseJSON arguments of
        Left problem -> failWith ("the arguments do not fit: " <> Text.pack problem)
        Right decoded -> toResult <$> run decoded context
    }

-- | Gives a tool a name for people.
titled :: Text -> Tool -> Tool
titled title Tool {title = _, ..} = Tool {title = Just title, ..}

-- | Says how a tool behaves.
hinted :: [Hint] -> Tool -> Tool
hinted hints Tool {hints = _, ..} = Tool {hints, ..}

-- | The arguments of a tool that takes none.
data NoArguments = NoArguments
  deriving stock (Eq, Show)

instance FromJSON NoArguments where
  parseJSON = withObject "NoArguments" $ \_ -> pure NoArguments

instance Schema NoArguments where
  schema = object ["type" .= ("object" :: Text), "properties" .= object [], "additionalProperties" .= False]

-- | What a tool may give: anything with JSON and a JSON Schema, or a 'CallToolResult' made by hand.
class ToolOutput o where
  -- | The JSON Schema of the result, when that is an object.
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
  CallToolResult {content = [ContentText text], structuredContent, isError = False}

-- | The failure of a tool as a result, which is how MCP has it.
failure :: Text -> CallToolResult
failure message =
  CallToolResult {content = [ContentText message], structuredContent = Nothing, isError = True}

-- | The tool as it is listed.
listing :: Tool -> Types.Tool
listing one =
  Types.Tool
    { name = one.name
    , title = one.title
    , description = Just one.description
    , inputSchema = one.inputSchema
    , outputSchema = one.outputSchema
    , annotations = if null one.hints then Nothing else Just hints
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
