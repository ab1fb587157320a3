-- | JSON Schemas, and the JSON that matches them, derived from types.
--
-- A type stays an ordinary record; its description for models is in its deriving clause:
--
-- > data GreetArgs = GreetArgs {name :: Text, times :: Maybe Word32}
-- >   deriving stock (Generic)
-- >   deriving
-- >     (FromJSON, Schema)
-- >     via Arguments
-- >           "Whom to greet."
-- >           '[ "name" ::: "The name.",
-- >              "times" ::: "How often; once when absent." :& Range 1 10
-- >            ]
-- >           GreetArgs
--
-- A field without a description, or a description of no field, does not compile.
module Exomonad.Guest.Schema
  ( Schema (..),
    Arguments (..),
    Result (..),
    Enumeration (..),
    Field (..),
    Rule (..),
  )
where

import Data.Aeson hiding (Result)
import Data.Aeson.Key qualified as Key
import Data.Aeson.KeyMap qualified as KeyMap
import Data.Aeson.Types (Pair, Parser)
import Data.Char (isUpper, toLower)
import Data.Int (Int32, Int64)
import Data.Kind (Constraint, Type)
import Data.List (find)
import Data.Map.Strict (Map)
import Data.Proxy (Proxy (..))
import Data.Text (Text)
import Data.Text qualified as Text
import Data.Word (Word16, Word32, Word64)
import Exomonad.Guest.Json (Base64, Empty (..))
import GHC.Generics
import GHC.TypeLits

-- | Types with a JSON Schema.
class Schema a where
  schema :: Value

instance Schema Bool where schema = ofType "boolean" []

instance Schema Int32 where schema = ofType "integer" []

instance Schema Int64 where schema = ofType "integer" []

instance Schema Word16 where schema = unsigned

instance Schema Word32 where schema = unsigned

instance Schema Word64 where schema = unsigned

instance Schema Double where schema = ofType "number" ["format" .= ("double" :: Text)]

instance Schema Text where schema = ofType "string" []

instance Schema Base64 where schema = ofType "string" ["contentEncoding" .= ("base64" :: Text)]

-- | Any JSON.
instance Schema Value where schema = Bool True

instance (Schema a) => Schema [a] where schema = ofType "array" ["items" .= schema @a]

instance (Schema a) => Schema (Map Text a) where schema = ofType "object" ["additionalProperties" .= schema @a]

-- | Absent, or @null@.
instance (Schema a) => Schema (Maybe a) where
  schema = case schema @a of
    Object fields
      | Just (String name) <- KeyMap.lookup "type" fields ->
          Object (KeyMap.insert "type" (toJSON [name, "null"]) fields)
    other -> object ["anyOf" .= [other, ofType "null" []]]

ofType :: Text -> [Pair] -> Value
ofType name more = object (("type" .= name) : more)

unsigned :: Value
unsigned = ofType "integer" ["minimum" .= (0 :: Word32)]

-- | The description of a field or a constant: its name, a text, rules.
data Field = Symbol ::: Symbol | Field :& Rule

infix 6 :::

infixl 5 :&

-- | The rules for a field.
data Rule
  = -- | A number from this to that.
    Range Natural Natural
  | -- | A text of so many characters.
    Length Natural Natural
  | -- | A text of at least so many characters, or a list of so many items.
    MinLength Natural
  | -- | Empty when it is absent: no items, @false@, 0.
    OrEmpty

-- | The arguments of a tool: an object with these fields and no others.
newtype Arguments (about :: Symbol) (fields :: [Field]) a = Arguments a

-- | The result of a tool: an object with these fields, of which those with 'Nothing' are left out.
newtype Result (about :: Symbol) (fields :: [Field]) a = Result a

-- | One of several strings: the constructors' names in snake_case.
newtype Enumeration (about :: Symbol) (constants :: [Field]) a = Enumeration a

instance (KnownSymbol about, Complete a fields, RecordSchema fields (Rep a)) => Schema (Arguments about fields a) where
  schema = objectSchema @about (recordFields @fields @(Rep a)) ["additionalProperties" .= False]

instance (Generic a, RecordParser fields (Rep a)) => FromJSON (Arguments about fields a) where
  parseJSON = withObject "object" $ \fields -> case filter (`notElem` known) (KeyMap.keys fields) of
    [] -> Arguments . to <$> parseRecord @fields fields
    unknown : _ -> fail ("there is no field " <> show unknown <> ", only " <> show known)
    where
      known = recordKeys @fields @(Rep a)

instance (Generic a, RecordWriter (Rep a)) => ToJSON (Arguments about fields a) where
  toJSON (Arguments value) = object (writeRecord (from value) [])

instance (KnownSymbol about, Complete a fields, RecordSchema fields (Rep a)) => Schema (Result about fields a) where
  schema = objectSchema @about (recordFields @fields @(Rep a)) []

instance (Generic a, RecordWriter (Rep a)) => ToJSON (Result about fields a) where
  toJSON (Result value) = object (writeRecord (from value) [])

-- | Fields that it does not have are ignored: a newer version may have written them.
instance (Generic a, RecordParser fields (Rep a)) => FromJSON (Result about fields a) where
  parseJSON = withObject "object" $ \fields -> Result . to <$> parseRecord @fields fields

instance (KnownSymbol about, Complete a constants, ConstantsSchema constants (Rep a)) => Schema (Enumeration about constants a) where
  schema =
    object
      [ "description" .= symbolVal (Proxy @about)
      , "oneOf"
          .= [ ofType "string" ["const" .= name, "description" .= text]
             | (name, text) <- constantNames @constants @(Rep a)
             ]
      ]

instance (Generic a, Constants (Rep a)) => FromJSON (Enumeration about constants a) where
  parseJSON = withText "string" $ \text -> case find ((== text) . fst) constants of
    Just (_, constant) -> pure (Enumeration (to constant))
    Nothing -> fail ("there is no " <> show text <> ", only " <> show (map fst (constants @(Rep a))))

instance (Generic a, Constants (Rep a)) => ToJSON (Enumeration about constants a) where
  toJSON (Enumeration value) = String (constantOf (from value))

objectSchema :: forall about. (KnownSymbol about) => [FieldSchema] -> [Pair] -> Value
objectSchema fields more =
  object $
    [ "description" .= symbolVal (Proxy @about)
    , "type" .= ("object" :: Text)
    , "properties" .= object [(key, valueSchema) | FieldSchema {key, valueSchema} <- fields]
    ]
      <> ["required" .= names | let names = [key | FieldSchema {key, isRequired = True} <- fields], not (null names)]
      <> more

-- | A field in a JSON Schema.
data FieldSchema = FieldSchema {key :: Key, valueSchema :: Value, isRequired :: Bool}

-- | The fields of a record's 'Rep' with their descriptions.
class RecordSchema (fields :: [Field]) (rep :: Type -> Type) where
  recordFields :: [FieldSchema]

instance (RecordSchema fields rep) => RecordSchema fields (D1 meta rep) where
  recordFields = recordFields @fields @rep

instance (RecordSchema fields rep) => RecordSchema fields (C1 meta rep) where
  recordFields = recordFields @fields @rep

instance (RecordSchema fields a, RecordSchema fields b) => RecordSchema fields (a :*: b) where
  recordFields = recordFields @fields @a <> recordFields @fields @b

instance RecordSchema fields U1 where
  recordFields = []

instance
  (KnownSymbol name, Said (Find name fields), Schema a, Presence (IsOrEmpty (Find name fields)) a) =>
  RecordSchema fields (S1 (MetaSel (Just name) u s l) (K1 r a))
  where
  recordFields =
    [ FieldSchema
        { key = Key.fromString (symbolVal (Proxy @name))
        , valueSchema = said @(Find name fields) (addDefault (schema @a))
        , isRequired = mustBeThere @(IsOrEmpty (Find name fields)) @a
        }
    ]
    where
      addDefault = maybe id (with "default") (defaultValue @(IsOrEmpty (Find name fields)) @a)

-- | Decodes a record.
class RecordParser (fields :: [Field]) (rep :: Type -> Type) where
  parseRecord :: Object -> Parser (rep x)

  -- | The names of its fields.
  recordKeys :: [Key]

instance (RecordParser fields rep) => RecordParser fields (D1 meta rep) where
  parseRecord = fmap M1 . parseRecord @fields
  recordKeys = recordKeys @fields @rep

instance (RecordParser fields rep) => RecordParser fields (C1 meta rep) where
  parseRecord = fmap M1 . parseRecord @fields
  recordKeys = recordKeys @fields @rep

instance (RecordParser fields a, RecordParser fields b) => RecordParser fields (a :*: b) where
  parseRecord object = (:*:) <$> parseRecord @fields object <*> parseRecord @fields object
  recordKeys = recordKeys @fields @a <> recordKeys @fields @b

instance RecordParser fields U1 where
  parseRecord _ = pure U1
  recordKeys = []

instance
  (KnownSymbol name, FromJSON a, Presence (IsOrEmpty (Find name fields)) a) =>
  RecordParser fields (S1 (MetaSel (Just name) u s l) (K1 r a))
  where
  parseRecord object =
    M1 . K1 <$> case (KeyMap.lookup key object, whenAbsent @(IsOrEmpty (Find name fields)) @a) of
      (Nothing, Just absent) -> pure absent
      _ -> object .: key
    where
      key = Key.fromString (symbolVal (Proxy @name))
  recordKeys = [Key.fromString (symbolVal (Proxy @name))]

-- | Encodes a record; the accumulated rest avoids appending.
class RecordWriter (rep :: Type -> Type) where
  writeRecord :: rep x -> [Pair] -> [Pair]

instance (RecordWriter rep) => RecordWriter (D1 meta rep) where
  writeRecord (M1 rep) = writeRecord rep

instance (RecordWriter rep) => RecordWriter (C1 meta rep) where
  writeRecord (M1 rep) = writeRecord rep

instance (RecordWriter a, RecordWriter b) => RecordWriter (a :*: b) where
  writeRecord (a :*: b) = writeRecord a . writeRecord b

instance RecordWriter U1 where
  writeRecord U1 = id

instance (KnownSymbol name, ToJSON a) => RecordWriter (S1 (MetaSel (Just name) u s l) (K1 r a)) where
  writeRecord (M1 (K1 value))
    | omitField value = id
    | otherwise = ((Key.fromString (symbolVal (Proxy @name)), toJSON value) :)

-- | The presence of a field, and its value when it is absent.
class Presence (orEmpty :: Bool) a where
  whenAbsent :: Maybe a
  defaultValue :: Maybe Value
  mustBeThere :: Bool

instance (Empty a, ToJSON a) => Presence True a where
  whenAbsent = Just empty
  defaultValue = Just (toJSON (empty @a))
  mustBeThere = False

instance {-# OVERLAPPING #-} Presence False (Maybe a) where
  whenAbsent = Just Nothing
  defaultValue = Nothing
  mustBeThere = False

instance {-# OVERLAPPABLE #-} Presence False a where
  whenAbsent = Nothing
  defaultValue = Nothing
  mustBeThere = True

-- | Adds a field's description to its schema.
class Said (field :: Field) where
  said :: Value -> Value

instance (KnownSymbol text) => Said (name ::: text) where
  said = with "description" (toJSON (symbolVal (Proxy @text)))

instance (Said field, KnownNat low, KnownNat high) => Said (field :& Range low high) where
  said = said @field . with "minimum" (nat @low) . with "maximum" (nat @high)

instance (Said field, KnownNat low, KnownNat high) => Said (field :& Length low high) where
  said = said @field . with "minLength" (nat @low) . with "maxLength" (nat @high)

instance (Said field, KnownNat low) => Said (field :& MinLength low) where
  said = said @field . atLeast
    where
      atLeast value = case value of
        Object fields | KeyMap.lookup "type" fields == Just (String "array") -> with "minItems" (nat @low) value
        _ -> with "minLength" (nat @low) value

instance (Said field) => Said (field :& OrEmpty) where
  said = said @field

with :: Key -> Value -> Value -> Value
with key value = \case
  Object fields -> Object (KeyMap.insert key value fields)
  -- Any JSON.
  _ -> object [(key, value)]

nat :: forall n. (KnownNat n) => Value
nat = toJSON (natVal (Proxy @n))

-- | The constants of an enumeration's 'Rep'.
class Constants (rep :: Type -> Type) where
  constants :: [(Text, rep x)]
  constantOf :: rep x -> Text

instance (Constants rep) => Constants (D1 meta rep) where
  constants = fmap M1 <$> constants
  constantOf (M1 rep) = constantOf rep

instance (Constants a, Constants b) => Constants (a :+: b) where
  constants = (fmap L1 <$> constants) <> (fmap R1 <$> constants)
  constantOf = \case
    L1 a -> constantOf a
    R1 b -> constantOf b

instance (KnownSymbol name) => Constants (C1 (MetaCons name f s) U1) where
  constants = [(snakeCase (symbolVal (Proxy @name)), M1 U1)]
  constantOf _ = snakeCase (symbolVal (Proxy @name))

-- | The constants' names with their descriptions.
class ConstantsSchema (said :: [Field]) (rep :: Type -> Type) where
  constantNames :: [(Text, String)]

instance (ConstantsSchema said rep) => ConstantsSchema said (D1 meta rep) where
  constantNames = constantNames @said @rep

instance (ConstantsSchema said a, ConstantsSchema said b) => ConstantsSchema said (a :+: b) where
  constantNames = constantNames @said @a <> constantNames @said @b

instance (KnownSymbol name, KnownSymbol (TextOf (Find name said))) => ConstantsSchema said (C1 (MetaCons name f s) U1) where
  constantNames = [(snakeCase (symbolVal (Proxy @name)), symbolVal (Proxy @(TextOf (Find name said))))]

snakeCase :: String -> Text
snakeCase name = Text.pack (drop 1 (concatMap letter name))
  where
    letter c
      | isUpper c = ['_', toLower c]
      | otherwise = [c]

type family Find (name :: Symbol) (fields :: [Field]) :: Field where
  Find name (field : fields) = FindIf (CmpSymbol name (NameOf field)) name field fields
  Find name '[] = TypeError ('Text "The field `" :<>: 'Text name :<>: 'Text "` has no description.")

type family FindIf (order :: Ordering) (name :: Symbol) (field :: Field) (fields :: [Field]) :: Field where
  FindIf EQ _ field _ = field
  FindIf _ name _ fields = Find name fields

type family NameOf (field :: Field) :: Symbol where
  NameOf (name ::: _) = name
  NameOf (field :& _) = NameOf field

type family TextOf (field :: Field) :: Symbol where
  TextOf (_ ::: text) = text
  TextOf (field :& _) = TextOf field

type family IsOrEmpty (field :: Field) :: Bool where
  IsOrEmpty (_ :& OrEmpty) = True
  IsOrEmpty (field :& _) = IsOrEmpty field
  IsOrEmpty (_ ::: _) = False

-- | Checks that only existing fields are described.
type Complete a fields = AllIn fields (Names (Rep a))

type family AllIn (fields :: [Field]) (names :: [Symbol]) :: Constraint where
  AllIn '[] _ = ()
  AllIn (field : fields) names = (IsIn (NameOf field) names, AllIn fields names)

type family IsIn (name :: Symbol) (names :: [Symbol]) :: Constraint where
  IsIn name (name : _) = ()
  IsIn name (_ : names) = IsIn name names
  IsIn name '[] = TypeError ('Text "Nothing is called `" :<>: 'Text name :<>: 'Text "`, which is described.")

type family Names (rep :: Type -> Type) :: [Symbol] where
  Names (D1 _ rep) = Names rep
  Names (a :+: b) = Names a ++ Names b
  Names (a :*: b) = Names a ++ Names b
  Names (C1 (MetaCons name _ False) U1) = '[name]
  Names (C1 _ rep) = Names rep
  Names (S1 (MetaSel (Just name) _ _ _) _) = '[name]
  Names U1 = '[]

type family (as :: [Symbol]) ++ (bs :: [Symbol]) :: [Symbol] where
  '[] ++ bs = bs
  (a : as) ++ bs = a : (as ++ bs)
