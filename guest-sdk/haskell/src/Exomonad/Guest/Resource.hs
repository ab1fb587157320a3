{-# LANGUAGE TupleSections #-}

-- | Resources: what clients read by an address.
--
-- > import Exomonad.Guest.Resource
-- >
-- > main = runPluginWith [resources [today, note]] Plugin {…}
-- >   where
-- >     today = resource "notes://today" "today" "The notes of today." (pure ("nothing yet" :: Text))
-- >     note = template "notes://{name}" "note" "A note." (\variables -> pure (Map.lookup "name" variables))
--
-- Using this module links the entry points of resources into the plugin.
module Exomonad.Guest.Resource
  ( ResourceEntry,
    ResourceOutput (..),
    resource,
    template,
    withMimeType,
    withTitle,
    withIcons,
    listedBy,
    completedBy,
    resources,
  )
where

import Data.Aeson (Value)
import Data.ByteString qualified as ByteString
import Data.Int (Int32)
import Data.Map.Strict (Map)
import Data.Map.Strict qualified as Map
import Data.Maybe (fromMaybe, listToMaybe, mapMaybe)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (decodeUtf8, decodeUtf8', encodeUtf8)
import Data.Word (Word8)
import Exomonad.Guest.Eff (Eff)
import Exomonad.Guest.Effects (Effects)
import Exomonad.Guest.Json (Base64, encodeStrict)
import Exomonad.Guest.Offer (Completer, Offer (..), answering)
import Exomonad.Guest.Types
import Foreign.Ptr (FunPtr)
import Numeric (readHex)

foreign import ccall "&handle_list_resources" listExport :: FunPtr (IO Int32)

foreign import ccall "&handle_list_resource_templates" templatesExport :: FunPtr (IO Int32)

foreign import ccall "&handle_read_resource" readExport :: FunPtr (IO Int32)

foreign import ccall "&handle_complete" completeExport :: FunPtr (IO Int32)

-- | A resource, or all resources of a template.
data ResourceEntry = ResourceEntry
  { uri :: Text
  , name :: Text
  , description :: Text
  , title :: Maybe Text
  , mimeType :: Maybe Text
  , icons :: [Icon]
  , list :: Maybe (Eff Effects [Resource])
  , complete :: [(Text, Text -> [Text])]
  , read_ :: Text -> Map Text Text -> Maybe Text -> Eff Effects ReadResourceResult
  }

-- | A resource's content: a text, bytes, JSON, one of these that may not be there, or a result built by hand.
class ResourceOutput o where
  -- | The content as the host gets it, of this address and media type.
  toContents :: Text -> Maybe Text -> o -> ReadResourceResult

instance ResourceOutput Text where
  toContents uri mimeType text = one (content uri (fromMaybe "text/plain" mimeType)) {text = Just text}

instance ResourceOutput Base64 where
  toContents uri mimeType bytes = one (content uri (fromMaybe "application/octet-stream" mimeType)) {blob = Just bytes}

instance ResourceOutput Value where
  toContents uri mimeType value = toContents uri (Just (fromMaybe "application/json" mimeType)) (decodeUtf8 (encodeStrict value))

instance (ResourceOutput o) => ResourceOutput (Maybe o) where
  toContents uri mimeType = maybe (notFound uri) (toContents uri mimeType)

instance ResourceOutput ReadResourceResult where
  toContents _ _ = id

content :: Text -> Text -> EmbeddedResource
content uri mimeType = EmbeddedResource {uri, mimeType = Just mimeType, text = Nothing, blob = Nothing}

one :: EmbeddedResource -> ReadResourceResult
one whole = ReadResourceResult {contents = [whole], error = Nothing}

notFound :: Text -> ReadResourceResult
notFound uri = ReadResourceResult {contents = [], error = Just EffectError {code = ErrorCodeNotFound, message = "there is no resource `" <> uri <> "`", details = Nothing}}

-- | A resource: its address, its name, its content in words, and the content.
resource :: (ResourceOutput o) => Text -> Text -> Text -> Eff Effects o -> ResourceEntry
resource uri name description content_ = template uri name description (const content_)

-- | All resources of a template such as @notes://{name}@, from the variables to the content. A variable is a part of a
-- path; @{+name}@ may go over several.
template :: (ResourceOutput o) => Text -> Text -> Text -> (Map Text Text -> Eff Effects o) -> ResourceEntry
template uri name description read_ =
  ResourceEntry
    { uri
    , name
    , description
    , title = Nothing
    , mimeType = Nothing
    , icons = []
    , list = Nothing
    , complete = []
    , read_ = \address variables mimeType -> toContents address mimeType <$> read_ variables
    }

-- | Sets the media type.
withMimeType :: Text -> ResourceEntry -> ResourceEntry
withMimeType mimeType ResourceEntry {mimeType = _, ..} = ResourceEntry {mimeType = Just mimeType, ..}

-- | Sets the display name.
withTitle :: Text -> ResourceEntry -> ResourceEntry
withTitle title ResourceEntry {title = _, ..} = ResourceEntry {title = Just title, ..}

-- | Sets the pictures, the best first.
withIcons :: [Icon] -> ResourceEntry -> ResourceEntry
withIcons icons ResourceEntry {icons = _, ..} = ResourceEntry {icons, ..}

-- | Lists the resources of a template that there are.
listedBy :: Eff Effects [Resource] -> ResourceEntry -> ResourceEntry
listedBy list ResourceEntry {list = _, ..} = ResourceEntry {list = Just list, ..}

-- | Completes a variable: from its beginning to the values that it may become.
completedBy :: Text -> (Text -> [Text]) -> ResourceEntry -> ResourceEntry
completedBy variable values ResourceEntry {complete, ..} = ResourceEntry {complete = (variable, values) : complete, ..}

isTemplate :: ResourceEntry -> Bool
isTemplate entry = Text.any (== '{') entry.uri

-- | Offers resources.
resources :: [ResourceEntry] -> Offer
resources offered =
  Offer
    { entries =
        [ answering "handle_list_resources" (\ListResourcesInput {} -> listed)
        , answering "handle_list_resource_templates" (\ListResourceTemplatesInput {} -> pure templates)
        , answering "handle_read_resource" (\(asked :: ReadResourceInput) -> reading asked.uri)
        ]
    , completers = map completer offered
    , exports = [listExport, templatesExport, readExport, completeExport]
    }
  where
    listed = do
      found <- mapM listing offered
      pure ListResourcesResult {resources = concat found, nextCursor = Nothing, error = Nothing}
    listing :: ResourceEntry -> Eff Effects [Resource]
    listing entry = case entry.list of
      Just list -> list
      Nothing | isTemplate entry -> pure []
      Nothing ->
        pure
          [ Resource
              { uri = entry.uri
              , name = entry.name
              , title = entry.title
              , description = Just entry.description
              , mimeType = entry.mimeType
              , size = Nothing
              , icons = entry.icons
              }
          ]
    templates =
      ListResourceTemplatesResult
        { resourceTemplates =
            [ ResourceTemplate
                { uriTemplate = entry.uri
                , name = entry.name
                , title = entry.title
                , description = Just entry.description
                , mimeType = entry.mimeType
                , icons = entry.icons
                }
            | entry <- offered
            , isTemplate entry
            ]
        , nextCursor = Nothing
        , error = Nothing
        }
    reading address =
      fromMaybe (pure (notFound address)) . listToMaybe . mapMaybe (fitting address) $
        filter (not . isTemplate) offered <> filter isTemplate offered
    fitting :: Text -> ResourceEntry -> Maybe (Eff Effects ReadResourceResult)
    fitting address entry = (\variables -> entry.read_ address variables entry.mimeType) <$> variablesOf entry.uri address
    completer :: ResourceEntry -> Completer
    completer entry asked
      | asked.uriTemplate == Just entry.uri = ($ asked.value) <$> lookup asked.argument entry.complete
      | otherwise = Nothing

-- | The variables by which a template (RFC 6570, @{name}@ and @{+name}@) becomes this address.
variablesOf :: Text -> Text -> Maybe (Map Text Text)
variablesOf template_ address = case Text.breakOn "{" template_ of
  (_, "") -> if template_ == address then Just Map.empty else Nothing
  (before, rest) -> do
    begun <- Text.stripPrefix before address
    let (expression, closed) = Text.breakOn "}" (Text.drop 1 rest)
    after <- Text.stripPrefix "}" closed
    let next = Text.takeWhile (/= '{') after
        (value, others) = if Text.null next then (begun, "") else Text.breakOn next begun
        (name, parts) = maybe (expression, False) (,True) (Text.stripPrefix "+" expression)
    if Text.null value || (not parts && Text.any (== '/') value) then Nothing else Just ()
    decoded <- percentDecoded value
    Map.insert name decoded <$> variablesOf after others

-- | A text without @%20@ and the like; 'Nothing' if what they stand for is no text.
percentDecoded :: Text -> Maybe Text
percentDecoded text = case Text.splitOn "%" text of
  [] -> Just ""
  first : escaped -> do
    bytes <- mapM part escaped
    either (const Nothing) Just (decodeUtf8' (ByteString.concat (encodeUtf8 first : bytes)))
  where
    part escaped = do
      let (digits, others) = Text.splitAt 2 escaped
      byte <- case readHex (Text.unpack digits) of
        [(byte, "")] | Text.length digits == 2 -> Just (byte :: Word8)
        _ -> Nothing
      Just (ByteString.cons byte (encodeUtf8 others))
