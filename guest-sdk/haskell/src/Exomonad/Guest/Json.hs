-- | JSON of the contract's types: records whose absent fields are left out, enumerations, tagged unions,
-- bytes.
module Exomonad.Guest.Json
  ( Base64 (..),
    Constant (..),
    Empty (..),
    SetField (..),
    set,
    record,
    required,
    optional,
    collection,
    orEmpty,
    tag,
    byTag,
    parseConstant,
    encodeStrict,
  )
where

import Data.Aeson
  ( FromJSON (..),
    Key,
    Object,
    ToJSON (..),
    Value (..),
    encode,
    object,
    withText,
    (.:),
    (.:?),
  )
import Data.Aeson.Types (Pair, Parser)
import Data.ByteString (ByteString)
import Data.ByteString qualified as ByteString
import Data.ByteString.Base64 qualified as Base64
import Data.ByteString.Lazy qualified as Lazy
import Data.Int (Int32, Int64)
import Data.Map.Strict (Map)
import Data.Maybe (catMaybes, fromMaybe)
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Text.Encoding (decodeLatin1, encodeUtf8)
import Data.Word (Word16, Word32, Word64)
import GHC.TypeLits (Symbol)

-- | Bytes, in JSON as base64 with padding (RFC 4648 section 4).
newtype Base64 = Base64 ByteString
  deriving stock (Eq, Ord, Show)

instance ToJSON Base64 where
  toJSON (Base64 bytes) = String (decodeLatin1 (Base64.encode bytes))

instance FromJSON Base64 where
  parseJSON = withText "Base64" $ \text ->
    either (\problem -> fail ("not base64: " <> problem)) (pure . Base64) (Base64.decode (encodeUtf8 text))

-- | An enumeration.
class (Bounded a, Enum a) => Constant a where
  -- | Its name in JSON.
  constantName :: a -> Text

-- | Decodes the constant of the enumeration with this name.
parseConstant :: (Constant a) => String -> Value -> Parser a
parseConstant name = withText name $ \text ->
  case [constant | constant <- [minBound ..], constantName constant == text] of
    constant : _ -> pure constant
    [] -> fail ("no " <> name <> " is called " <> show text)

-- | Types with an empty value.
class Empty a where
  empty :: a

instance Empty Bool where empty = False

instance Empty Int32 where empty = 0

instance Empty Int64 where empty = 0

instance Empty Word16 where empty = 0

instance Empty Word32 where empty = 0

instance Empty Word64 where empty = 0

instance Empty Text where empty = Text.empty

instance Empty Base64 where empty = Base64 ByteString.empty

instance Empty Value where empty = Null

instance Empty [a] where empty = []

instance (Ord k) => Empty (Map k v) where empty = mempty

-- | Optional fields of a request.
class SetField (name :: Symbol) request value | name request -> value where
  setField :: value -> request -> request

-- | Sets a field of a request: @newGitStatus & set \@"workingDir" (Just "sub")@.
set :: forall name request value. (SetField name request value) => value -> request -> request
set = setField @name

-- | An object of the fields that are present.
record :: [Maybe Pair] -> Value
record = object . catMaybes

-- | A field that is always present.
required :: (ToJSON a) => Key -> a -> Maybe Pair
required key value = Just (key, toJSON value)

-- | A field that is left out if it is 'Nothing'.
optional :: (ToJSON a) => Key -> Maybe a -> Maybe Pair
optional key = fmap (\value -> (key, toJSON value))

-- | A field that is left out if it is empty.
collection :: (Foldable f, ToJSON (f a)) => Key -> f a -> Maybe Pair
collection key items
  | null items = Nothing
  | otherwise = required key items

-- | A field that is empty if it is absent.
orEmpty :: (FromJSON a, Empty a) => Object -> Key -> Parser a
orEmpty fields key = fromMaybe empty <$> fields .:? key

-- | A union's tag.
tag :: Text -> Text
tag = id

-- | Decodes the alternative of the union with this name.
byTag :: String -> Key -> Object -> (Text -> Maybe (Parser a)) -> Parser a
byTag name key fields alternative = do
  found <- fields .: key
  fromMaybe (fail ("no " <> name <> " is called " <> show found)) (alternative found)

-- | JSON as a single strict text.
encodeStrict :: (ToJSON a) => a -> ByteString
encodeStrict = Lazy.toStrict . encode
