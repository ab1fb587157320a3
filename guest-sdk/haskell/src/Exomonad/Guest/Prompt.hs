-- | Prompts: messages that a person chooses to begin with.
--
-- > import Exomonad.Guest.Prompt
-- >
-- > main = runPluginWith [prompts [review]] Plugin {…}
-- >   where
-- >     review = prompt "review" "Reviews a branch." [required "branch" "The branch."] $ \arguments ->
-- >       pure [says ("Review " <> Map.findWithDefault "it" "branch" arguments)]
--
-- Using this module links the entry points of prompts into the plugin.
module Exomonad.Guest.Prompt
  ( PromptEntry,
    prompt,
    withTitle,
    withIcons,
    completedBy,
    required,
    optional,
    says,
    answers,
    prompts,
  )
where

import Data.Foldable (find)
import Data.Int (Int32)
import Data.Map.Strict (Map)
import Data.Map.Strict qualified as Map
import Data.Text (Text)
import Data.Text qualified as Text
import Exomonad.Guest.Eff (Eff)
import Exomonad.Guest.Effects (Effects)
import Exomonad.Guest.Offer (Completer, Offer (..), answering)
import Exomonad.Guest.Types
import Foreign.Ptr (FunPtr)

foreign import ccall "&handle_list_prompts" listExport :: FunPtr (IO Int32)

foreign import ccall "&handle_get_prompt" getExport :: FunPtr (IO Int32)

foreign import ccall "&handle_complete" completeExport :: FunPtr (IO Int32)

-- | A prompt.
data PromptEntry = PromptEntry
  { name :: Text
  , title :: Maybe Text
  , description :: Text
  , icons :: [Icon]
  , arguments :: [PromptArgument]
  , complete :: [(Text, Text -> [Text])]
  , get :: Map Text Text -> Eff Effects [PromptMessage]
  }

-- | A prompt: its name, its purpose, its arguments, and the messages.
prompt :: Text -> Text -> [PromptArgument] -> (Map Text Text -> Eff Effects [PromptMessage]) -> PromptEntry
prompt name description arguments get = PromptEntry {name, title = Nothing, description, icons = [], arguments, complete = [], get}

-- | Sets the display name.
withTitle :: Text -> PromptEntry -> PromptEntry
withTitle title PromptEntry {title = _, ..} = PromptEntry {title = Just title, ..}

-- | Sets the pictures, the best first.
withIcons :: [Icon] -> PromptEntry -> PromptEntry
withIcons icons PromptEntry {icons = _, ..} = PromptEntry {icons, ..}

-- | Completes an argument: from its beginning to the values that it may become.
completedBy :: Text -> (Text -> [Text]) -> PromptEntry -> PromptEntry
completedBy argument values PromptEntry {complete, ..} = PromptEntry {complete = (argument, values) : complete, ..}

-- | An argument that the prompt cannot do without: its name and purpose.
required :: Text -> Text -> PromptArgument
required name description = PromptArgument {name, title = Nothing, description = Just description, required = True}

-- | An argument that may be left out: its name and purpose.
optional :: Text -> Text -> PromptArgument
optional name description = PromptArgument {name, title = Nothing, description = Just description, required = False}

-- | A text of the person.
says :: Text -> PromptMessage
says text = PromptMessage {role = MessageRoleUser, content = ContentText text}

-- | A text of the model.
answers :: Text -> PromptMessage
answers text = PromptMessage {role = MessageRoleAssistant, content = ContentText text}

-- | Offers prompts.
prompts :: [PromptEntry] -> Offer
prompts offered =
  Offer
    { entries =
        [ answering "handle_list_prompts" (\ListPromptsInput {} -> pure listed)
        , answering "handle_get_prompt" getting
        ]
    , completers = map completer offered
    , exports = [listExport, getExport, completeExport]
    }
  where
    listed = ListPromptsResult {prompts = map listing offered, nextCursor = Nothing, error = Nothing}
    listing entry =
      Prompt
        { name = entry.name
        , title = entry.title
        , description = Just entry.description
        , arguments = entry.arguments
        , icons = entry.icons
        }
    getting :: GetPromptInput -> Eff Effects GetPromptResult
    getting asked = case find (\entry -> entry.name == asked.name) offered of
      Nothing -> pure (failed ErrorCodeNotFound ("there is no prompt `" <> asked.name <> "`"))
      Just entry -> case missing entry asked.arguments of
        [] -> (\messages -> GetPromptResult {description = Just entry.description, messages, error = Nothing}) <$> entry.get asked.arguments
        names -> pure (failed ErrorCodeInvalidInput ("these arguments are missing: " <> Text.intercalate ", " names))
    missing :: PromptEntry -> Map Text Text -> [Text]
    missing entry given = [one.name | one <- entry.arguments, one.required, Map.notMember one.name given]
    failed code message =
      GetPromptResult {description = Nothing, messages = [], error = Just EffectError {code, message, details = Nothing}}
    completer :: PromptEntry -> Completer
    completer entry asked
      | asked.prompt == Just entry.name = ($ asked.value) <$> lookup asked.argument entry.complete
      | otherwise = Nothing
